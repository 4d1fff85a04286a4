//! The market's role of the node: what its account offers, asks for, sells, buys and agrees to.
//!
//! ```text
//! GET    /api/v1/market                        how the role is doing, and what waits for the owner
//! GET    /api/v1/market/offers                 the offers of the chain that take requests
//! POST   /api/v1/market/offers                 offers metrics of the node's database, or answers to a question
//! DELETE /api/v1/market/offers/{offer}         takes an offer back
//! GET    /api/v1/market/offers/{offer}/disclosure   what a hidden offer of the account is of, for those who may buy
//! GET    /api/v1/market/rights                 what the account sold and bought, by ?side=
//! POST   /api/v1/market/requests               asks for a right; what is granted comes into the database
//! DELETE /api/v1/market/requests/{request}     takes a request back
//! POST   /api/v1/market/requests/{request}/revoke   takes a granted right back, with the refund that its terms say
//! POST   /api/v1/market/requests/{request}/dispute  shows the ledger a key that is wrong: the payment comes back
//! POST   /api/v1/market/requests/{request}/grant    the owner's yes
//! POST   /api/v1/market/requests/{request}/decline  the owner's no
//! POST   /api/v1/market/requests/{request}/answer   the owner's database is asked, and the answer sealed
//! GET    /api/v1/market/requests/{request}/answer   an answer that was bought, opened
//! POST   /api/v1/market/requests/{request}/answer/dispute  one that is not what its owner signed
//! GET    /api/v1/market/subscriptions          the subscriptions that the account has a part in
//! POST   /api/v1/market/subscriptions          subscribes; the keys of each period come into the database
//! POST   /api/v1/market/subscriptions/{subscription}/top_up  pays for more periods
//! DELETE /api/v1/market/subscriptions/{subscription}  ends one
//! POST   /api/v1/market/subscriptions/{subscription}/periods/{period}/dispute  shows a wrong key of a period
//! GET    /api/v1/market/bounties               the bounties of the chain; with ?closed=true all that there were
//! POST   /api/v1/market/bounties               posts one, with its reward set aside
//! GET    /api/v1/market/bounties/{bounty}      a bounty, and what was submitted to it
//! POST   /api/v1/market/bounties/{bounty}/submissions  submits to it
//! POST   /api/v1/market/bounties/{bounty}/awards       awards shares of its reward
//! GET    /api/v1/market/deals                  the deals that the account has a part in
//! POST   /api/v1/market/deals                  opens one by its plan
//! GET    /api/v1/market/deals/{deal}           a deal: its plan, where it is, who said what
//! POST   /api/v1/market/deals/{deal}/join      joins it as it is
//! POST   /api/v1/market/deals/{deal}/advance   says that a step is done, or objects to it
//! POST   /api/v1/market/deals/{deal}/arbitrate decides a disputed one
//! GET    /api/v1/market/deals/{deal}/course    where it is by its contract, and who gets what
//! POST   /api/v1/market/hooks/{name}           what another's program tells of a step, signed
//! ```
//!
//! What sets coin aside or gives keys away needs the scope `admin`. Where a transaction was handed in, and it is not
//! known what became of it, nothing says that it be done again: that could be paid twice.

mod answers;
mod bounties;
mod deals;
mod hooks;
mod input;
mod lists;
mod offers;
mod requests;
mod subscriptions;

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use chronolith_chain::state::{Overlay, StateError};
use serde_json::{Value, json};

use super::access::{Scope, guarded};
use super::answer::json as answer;
use super::chain::{ask, ending};
use super::problem::Problem;
use super::query::Admission;
use super::state::HttpState;
use crate::buyer::BuyerError;
use crate::buyer::check::Fault;
use crate::chain::coins;
use crate::market::bought::Bought;
use crate::market::subscription::Period;
use crate::market::{MarketError, VenueError};
use crate::node::submit::Done;
use crate::node::{Desk, NotTaken};

/// How many disputes of keys there are at a time. Each waits on a thread for peers, and then for a block.
pub(super) const DISPUTING: usize = 1;

/// The routes.
pub(super) fn routes(state: &HttpState) -> Router<HttpState> {
    Router::new()
        .route("/api/v1/market", read(state, get(status)))
        .merge(offers::routes(state))
        .merge(requests::routes(state))
        .merge(answers::routes(state))
        .merge(subscriptions::routes(state))
        .merge(bounties::routes(state))
        .merge(deals::routes(state))
        .merge(hooks::routes())
}

/// For those who may look.
fn read(state: &HttpState, route: MethodRouter<HttpState>) -> MethodRouter<HttpState> {
    guarded(state, Scope::Read, route)
}

/// For those who may set coin aside and give keys away.
fn admin(state: &HttpState, route: MethodRouter<HttpState>) -> MethodRouter<HttpState> {
    guarded(state, Scope::Admin, route)
}

fn desk(state: &HttpState) -> Result<Desk, Problem> {
    let desk = state.node().and_then(|node| node.market.clone());
    desk.ok_or_else(|| match state.expects_node() {
        true => ending(),
        false => Problem::not_found("the node has no [market] in its configuration"),
    })
}

/// Deals on a thread that may wait for a block.
async fn dealt<T: Send + 'static, E: Into<BuyerError> + Send + 'static>(
    state: &HttpState,
    work: impl FnOnce(&Desk) -> Result<T, E> + Send + 'static,
) -> Result<T, Problem> {
    dealt_in(state.asking_node(), state, work).await
}

/// Disputes keys that were bought. Their chunks may have to be fetched once more, for which there is a room of its own.
async fn disputed(state: &HttpState, bought: Bought) -> Result<Done, Problem> {
    let disputing = desk(state)?.disputing(bought);
    let disputing = disputing.map_err(|error| refused(&BuyerError::from(error)))?;
    dealt_in(state.disputing(), state, move |_| disputing.settle()).await
}

/// Deals in a room.
async fn dealt_in<T: Send + 'static, E: Into<BuyerError> + Send + 'static>(
    room: &Admission,
    state: &HttpState,
    work: impl FnOnce(&Desk) -> Result<T, E> + Send + 'static,
) -> Result<T, Problem> {
    let desk = desk(state)?;
    let permit = room.enter(state.request_time() / 2).await?;
    let dealt = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work(&desk)
    });
    let dealt = dealt.await.map_err(|_| Problem::internal("the node did not answer"))?;
    dealt.map_err(|error| refused(&error.into()))
}

/// What is not known to be done, or not. There is no `Retry-After`: whoever does the same again may do it twice.
fn unsettled(message: impl Into<String>) -> Problem {
    Problem::new(StatusCode::GATEWAY_TIMEOUT, "unsettled", message)
}

/// Whether a request that is not answered in time may be done all the same, and is not to be sent again unseen.
pub(super) fn is_deal(method: &Method, path: &str) -> bool {
    !method.is_safe() && path.trim_start_matches('/').starts_with("api/v1/market")
}

/// The answer to a request that [`is_deal`] where there is none in time.
pub(super) fn not_in_time(most: Duration) -> Problem {
    unsettled(format!(
        "there was no answer within {most:?}, and it goes on: look at the list whether it is there before doing this \
         again"
    ))
}

fn refused(error: &BuyerError) -> Problem {
    let message = error.to_string();
    match error {
        BuyerError::Market(MarketError::Venue(VenueError::Unsettled(one))) => unsettled(message)
            .with("transaction", one.transaction.to_string())
            .with("since", one.since)
            .with("valid_until", one.valid_until),
        BuyerError::Market(MarketError::UnderWay { .. }) => {
            Problem::new(StatusCode::CONFLICT, "under_way", message)
        }
        BuyerError::Market(MarketError::Undisclosed(_)) => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "undisclosed", message)
        }
        BuyerError::Market(MarketError::OtherDisclosure(_)) => {
            Problem::invalid(message).with("field", "disclosure")
        }
        // Nothing was done, and its owner's node may be back.
        BuyerError::NoNote { .. } => Problem::unavailable("no_note", message, 5),
        BuyerError::NotJudged { fault, .. } if matches!(**fault, Fault::Venue(_)) => {
            Problem::unavailable("chain", message, 5)
        }
        BuyerError::NotJudged { fault, .. } if fault.may_pass() => {
            Problem::unavailable("not_fetched", message, 5)
        }
        BuyerError::Source(_) => Problem::unavailable("not_fetched", message, 5),
        BuyerError::Write(_) => Problem::unavailable("database", message, 10),
        BuyerError::NoKeys { .. }
        | BuyerError::Market(MarketError::Missing { .. } | MarketError::NotHere { .. }) => {
            Problem::not_found(message)
        }
        BuyerError::Market(MarketError::Other { .. }) => Problem::forbidden(message),
        BuyerError::Market(MarketError::Agreement(error)) if error.may_pass() => {
            Problem::unavailable("database", message, 5)
        }
        BuyerError::Market(MarketError::Venue(error)) if !error.is_refusal() => {
            Problem::unavailable("chain", message, 5)
        }
        _ => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", message),
    }
}

/// What the ledger has of something, after its last block; `what` and `id` say of what it has nothing.
async fn found(
    state: &HttpState,
    (what, id): (&'static str, String),
    show: impl FnOnce(&Overlay<'_>) -> Result<Option<Value>, StateError> + Send + 'static,
) -> Result<Response, Problem> {
    let shown = ask(state, move |link| {
        let looked = link.chain().look(move |validator| show(&Overlay::new(validator.state())));
        let looked = looked.ok_or_else(ending)?;
        let found = looked.map_err(|error| Problem::internal(error.to_string()))?;
        found.ok_or_else(|| Problem::not_found(format!("the ledger has no {what} {id}")))
    });
    Ok(answer(StatusCode::OK, &shown.await?))
}

/// Something that was bought and is not here, or not all of it, by what it is disputed by.
fn not_taken(one: &NotTaken) -> Value {
    let mut shown = match one.bought {
        Bought::Request(request) => json!({"request": request}),
        Bought::Period(Period { subscription, number }) => {
            json!({"subscription": subscription, "period": number})
        }
    };
    shown["chunks"] = json!(one.chunks);
    shown["why"] = json!(one.reason);
    shown["settles"] = json!(one.settles);
    shown["disputable"] = json!(one.is_disputable);
    shown
}

/// What was done, with its block and fee.
fn done(mut shown: Value, done: &Done) -> Value {
    shown["height"] = json!(done.height);
    shown["fee"] = json!(coins(done.receipt.fee));
    shown
}

async fn status(State(state): State<HttpState>) -> Result<Response, Problem> {
    let desk = desk(&state)?;
    let status = desk.status();
    let waiting = status.waiting.iter();
    let waiting = waiting.map(|(request, why)| json!({"request": request.to_string(), "why": why}));
    let mut webhooks: Vec<_> = status.webhooks.values().collect();
    webhooks.sort_by_key(|one| (&one.name, &one.contract));
    let webhooks = webhooks.into_iter().map(|one| {
        json!({
            "webhook": one.name,
            "contract_cid": one.contract,
            "told": one.told,
            "waiting": one.waiting,
            "failures": one.failures,
            "failure": one.failure,
            "ended": one.has_ended,
        })
    });
    let shown = json!({
        "account": desk.account(),
        "granted": status.granted,
        "answered": status.answered,
        "declined": status.declined,
        "received": status.received,
        "not_taken": status.not_taken.values().map(not_taken).collect::<Vec<_>>(),
        "waiting": waiting.collect::<Vec<_>>(),
        "webhooks": webhooks.collect::<Vec<_>>(),
        "questions": desk.questions().ids().collect::<Vec<_>>(),
        "contracts": desk.contracts().keys().collect::<Vec<_>>(),
        "seconds_since_whole": status.whole_at.map(|at| at.elapsed().as_secs()),
        "failure": status.failure,
    });
    Ok(answer(StatusCode::OK, &shown))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use axum::http::header::RETRY_AFTER;
    use axum::response::IntoResponse as _;
    use chronolith_chain::content::ContentId;
    use chronolith_chain::hash::{OfferId, RequestId, SubscriptionId, TransactionId};

    use super::*;
    use crate::buyer::source::SourceError;
    use crate::market::venue::Unsettled;
    use crate::node::submit::SubmitError;

    fn of(error: VenueError) -> Problem {
        refused(&BuyerError::from(MarketError::from(error)))
    }

    /// A node answered 503 with `Retry-After` while its transaction waited for a block. A client that came again, as
    /// it was told, set its coin aside twice.
    #[test]
    fn what_was_handed_in_is_never_asked_for_again() {
        let late = || SubmitError::Late { what: "a block with the transaction", seconds: 7 };
        let transaction = TransactionId([5; 32]);
        let reason = late();
        let waits = of(Unsettled { transaction, since: 10, valid_until: 90, reason }.into());
        let shown = waits.to_json();
        assert_eq!((&shown["error"], &shown["since"]), (&json!("unsettled"), &json!(10)));
        assert_eq!(shown["transaction"], json!(transaction.to_string()));
        assert_eq!(shown["valid_until"], json!(90));
        assert!(!shown["message"].as_str().unwrap().contains("run it again"), "{shown}");
        for problem in [waits, not_in_time(Duration::from_secs(60))] {
            let response = problem.into_response();
            assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
            assert_eq!(response.headers().get(RETRY_AFTER), None);
        }
        // What was never handed in, or can be in no block any more, is.
        for error in [
            SubmitError::NotTaken("it is full".to_owned()),
            SubmitError::Expired { valid_until: 9 },
        ] {
            assert!(!error.may_be_done());
            let response = of(error.into()).into_response();
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(response.headers().contains_key(RETRY_AFTER));
        }
        assert!(late().may_be_done());
    }

    /// What could not be fetched was refused as what the ledger does not judge: a client gave up while the time to check
    /// ran out.
    #[test]
    fn what_may_succeed_later_is_told_from_what_was_refused() {
        let period = Bought::Period(Period { subscription: SubscriptionId([7; 32]), number: 3 });
        let cid = ContentId::of_raw(b"a chunk");
        let judged = |fault| {
            refused(&BuyerError::NotJudged { bought: period, at: 2, fault: Box::new(fault) })
        };
        let absent = || Fault::Absent(SourceError::Absent { cid });
        let unread = SubmitError::NotTaken("it is full".to_owned());
        for (problem, code) in [
            (judged(absent()), "not_fetched"),
            (judged(Fault::Venue(VenueError::from(unread))), "chain"),
            (refused(&BuyerError::from(SourceError::Late { cid })), "not_fetched"),
            (refused(&BuyerError::NoNote { bought: period }), "no_note"),
        ] {
            assert_eq!((problem.status, problem.code), (StatusCode::SERVICE_UNAVAILABLE, code));
            assert!(problem.into_response().headers().contains_key(RETRY_AFTER));
        }
        let wrong = judged(Fault::Path);
        assert_eq!((wrong.status.as_u16(), wrong.code), (422, "refused"));
        // A period is told of by its subscription.
        let named = format!("the period 3 of the subscription {}", "07".repeat(32));
        assert!(judged(absent()).message.contains(&named));
        let market = |error: MarketError| refused(&error.into());
        let undisclosed = market(MarketError::Undisclosed(OfferId([1; 32])));
        assert_eq!((undisclosed.status.as_u16(), undisclosed.code), (422, "undisclosed"));
        let other = market(MarketError::OtherDisclosure(OfferId([1; 32])));
        assert_eq!((other.status.as_u16(), &other.to_json()["field"]), (400, &json!("disclosure")));
        let (what, id) = Bought::Request(RequestId([1; 32])).name();
        let twice = market(MarketError::UnderWay { what, id, doing: "disputed" });
        assert_eq!((twice.status, twice.code), (StatusCode::CONFLICT, "under_way"));
    }

    #[test]
    fn what_changes_something_is_told_from_what_looks() {
        let is_deal = |method, path: &str| is_deal(&method, path);
        assert!(is_deal(Method::POST, "/api/v1/market/requests"));
        assert!(is_deal(Method::DELETE, "/api/v1/market/offers/1"));
        assert!(!is_deal(Method::GET, "/api/v1/market/offers"));
        assert!(!is_deal(Method::POST, "/api/v1/sql"));
    }
}
