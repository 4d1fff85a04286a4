//! The market's role of the node: offers, requests and rights of its account.
//!
//! ```text
//! GET    /api/v1/market                        how the role is doing, and what waits for the owner
//! GET    /api/v1/market/offers                 the offers of the chain that take requests
//! POST   /api/v1/market/offers                 offers metrics of the node's database
//! DELETE /api/v1/market/offers/{offer}         takes an offer back
//! GET    /api/v1/market/rights                 what the account sold and bought, by ?side=
//! POST   /api/v1/market/requests               asks for a right; what is granted comes into the database
//! DELETE /api/v1/market/requests/{request}     takes a request back
//! POST   /api/v1/market/requests/{request}/grant    the owner's yes
//! POST   /api/v1/market/requests/{request}/decline  the owner's no
//! GET    /api/v1/market/subscriptions          the subscriptions that the account has a part in
//! POST   /api/v1/market/subscriptions          subscribes; the keys of each period come into the database
//! POST   /api/v1/market/subscriptions/{subscription}/top_up  pays for more periods
//! DELETE /api/v1/market/subscriptions/{subscription}  ends one
//! ```
//!
//! What sets coin aside or gives keys away needs the scope `admin`.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{MethodRouter, delete, get, post};
use chronolith_chain::coin::{Amount, BasisPoints, Coin};
use chronolith_chain::hash::{OfferId, RequestId, SubscriptionId};
use chronolith_chain::state::Overlay;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::access::{Scope, guarded};
use super::answer::json as answer;
use super::body::read_most;
use super::chain::{ask, ending};
use super::parameters::last;
use super::problem::Problem;
use super::state::HttpState;
use crate::buyer;
use crate::chain::{amount, coins, shown};
use crate::market::offer::{More, Wish};
use crate::market::queue::{Entry, Side, open_offers};
use crate::market::{MarketError, VenueError, subscription};
use crate::moment;
use crate::node::Desk;
use crate::node::submit::{Done, SubmitError};
use crate::wallet::secret_of;

/// The longest JSON of an offer or a request: bytes.
const JSON_MOST: usize = 64 << 10;
/// After how many blocks without a draw a subscription ends, where it is not said.
const PATIENCE_BLOCKS: u32 = 10_000;
/// For how many blocks an owner may think, where it is not said.
const DEADLINE_BLOCKS: u64 = 100;

/// The routes.
pub(super) fn routes(state: &HttpState) -> Router<HttpState> {
    let read = |route: MethodRouter<HttpState>| guarded(state, Scope::Read, route);
    let deal = |route: MethodRouter<HttpState>| guarded(state, Scope::Admin, route);
    Router::new()
        .route("/api/v1/market", read(get(status)))
        .route("/api/v1/market/offers", read(get(offers)).merge(deal(post(offer))))
        .route("/api/v1/market/offers/{offer}", deal(delete(close)))
        .route("/api/v1/market/rights", read(get(rights)))
        .route("/api/v1/market/requests", deal(post(buy)))
        .route("/api/v1/market/requests/{request}", deal(delete(cancel)))
        .route("/api/v1/market/requests/{request}/grant", deal(post(grant)))
        .route("/api/v1/market/requests/{request}/decline", deal(post(decline)))
        .route(
            "/api/v1/market/subscriptions",
            read(get(subscriptions)).merge(deal(post(subscribe))),
        )
        .route("/api/v1/market/subscriptions/{subscription}", deal(delete(end)))
        .route("/api/v1/market/subscriptions/{subscription}/top_up", deal(post(top_up)))
}

fn desk(state: &HttpState) -> Result<Desk, Problem> {
    let desk = state.node().and_then(|node| node.market.clone());
    desk.ok_or_else(|| match state.expects_node() {
        true => ending(),
        false => Problem::not_found("the node has no [market] in its configuration"),
    })
}

/// Deals on a thread that may wait for a block.
async fn dealt<T: Send + 'static>(
    state: &HttpState,
    work: impl FnOnce(&Desk) -> Result<T, MarketError> + Send + 'static,
) -> Result<T, Problem> {
    let desk = desk(state)?;
    let permit = state.asking_node().enter(state.request_time() / 2).await?;
    let dealt = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work(&desk)
    });
    let dealt = dealt.await.map_err(|_| Problem::internal("the node did not answer"))?;
    dealt.map_err(|error| refused(&error))
}

fn refused(error: &MarketError) -> Problem {
    let message = error.to_string();
    match error {
        MarketError::Missing { .. } => Problem::not_found(message),
        MarketError::Other { .. } => Problem::forbidden(message),
        MarketError::Venue(error) if !is_refusal(error) => {
            Problem::unavailable("chain", message, 5)
        }
        _ => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", message),
    }
}

/// Whether the ledger said no, so that it will again.
fn is_refusal(error: &VenueError) -> bool {
    matches!(error, VenueError::Submit(error) if matches!(**error, SubmitError::Refused { .. }))
}

async fn body<T: DeserializeOwned>(state: &HttpState, request: Request) -> Result<T, Problem> {
    let taken = read_most(state, request, JSON_MOST).await?;
    let mut input = serde_json::Deserializer::from_slice(taken.bytes());
    let wrong = |error: &dyn std::fmt::Display| Problem::invalid(format!("the body: {error}"));
    let read = serde_path_to_error::deserialize(&mut input).map_err(|error| wrong(&error))?;
    input.end().map_err(|error| wrong(&error))?;
    Ok(read)
}

fn id(text: &str) -> Result<[u8; 32], Problem> {
    secret_of(text).map_err(|_| {
        Problem::invalid(format!("{text:?} is no id: write its 64 hexadecimal digits"))
    })
}

fn time_ms(text: &str) -> Result<u64, Problem> {
    moment::parse_ms(text).map_err(Problem::invalid)
}

fn coin(text: Option<&str>) -> Result<Amount, Problem> {
    amount(text.unwrap_or("0")).map_err(Problem::invalid)
}

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
    let webhooks = status.webhooks.iter().map(|(name, one)| {
        json!({
            "webhook": name,
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
        "declined": status.declined,
        "received": status.received,
        "waiting": waiting.collect::<Vec<_>>(),
        "webhooks": webhooks.collect::<Vec<_>>(),
        "seconds_since_whole": status.whole_at.map(|at| at.elapsed().as_secs()),
        "failure": status.failure,
    });
    Ok(answer(StatusCode::OK, &shown))
}

async fn offers(State(state): State<HttpState>) -> Result<Response, Problem> {
    let shown = ask(&state, |link| {
        let looked = link.chain().look(|validator| {
            let overlay = Overlay::new(validator.state());
            let found = open_offers(&overlay)?;
            Ok(found.iter().map(|(id, open)| shown::offer(*id, open)).collect::<Vec<_>>())
        });
        let found: Result<Vec<Value>, chronolith_chain::state::StateError> =
            looked.ok_or_else(ending)?;
        found.map_err(|error| Problem::internal(error.to_string()))
    });
    Ok(answer(StatusCode::OK, &Value::Array(shown.await?)))
}

/// What is offered.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfferBody {
    device: String,
    #[serde(default)]
    metrics: Vec<String>,
    from: Option<String>,
    until: Option<String>,
    fixed: Option<String>,
    per_hour: Option<String>,
    check_blocks: Option<u32>,
    #[serde(default)]
    revocable: bool,
}

async fn offer(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let told: OfferBody = body(&state, request).await?;
    let wish = Wish {
        device: told.device,
        metrics: told.metrics,
        from_ms: told.from.as_deref().map(time_ms).transpose()?.unwrap_or(0),
        until_ms: told.until.as_deref().map(time_ms).transpose()?,
        coin: Coin::Native,
        fixed: coin(told.fixed.as_deref())?,
        per_hour: coin(told.per_hour.as_deref())?,
        check_blocks: told.check_blocks,
        is_revocable: told.revocable,
        revocation_fee: BasisPoints(0),
        auto_grant: None,
        more: More::default(),
    };
    let offered = dealt(&state, move |desk| desk.offer(wish)).await?;
    let shown = json!({
        "offer": offered.offer.to_string(),
        "level": offered.terms.terms.level,
        "hidden": offered.hidden.is_some(),
        "check_blocks": offered.terms.terms.check_blocks,
    });
    Ok(answer(StatusCode::CREATED, &done(shown, &offered.done)))
}

async fn close(
    State(state): State<HttpState>,
    Path(offer): Path<String>,
) -> Result<Response, Problem> {
    let wanted = OfferId(id(&offer)?);
    let closed = dealt(&state, move |desk| desk.close(wanted)).await?;
    Ok(answer(StatusCode::OK, &done(json!({"offer": offer}), &closed)))
}

async fn rights(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let side = last(request.uri().query().unwrap_or_default(), "side");
    let sides: &'static [Side] = match side.as_deref() {
        Some("sold") => &[Side::Sold],
        Some("bought") => &[Side::Bought],
        None => &[Side::Sold, Side::Bought],
        Some(other) => {
            return Err(Problem::invalid(format!("side is sold or bought, not {other:?}")));
        }
    };
    let shown = dealt(&state, move |desk| {
        let mut shown = Vec::new();
        for side in sides {
            for Entry { request, right } in desk.rights(*side)? {
                let name = if *side == Side::Sold { "sold" } else { "bought" };
                shown.push(shown::right(request, &right, name));
            }
        }
        Ok(shown)
    });
    Ok(answer(StatusCode::OK, &Value::Array(shown.await?)))
}

/// What is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestBody {
    offer: String,
    from: String,
    until: String,
    deadline_blocks: Option<u64>,
}

async fn buy(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let told: RequestBody = body(&state, request).await?;
    let wish = buyer::Wish {
        offer: OfferId(id(&told.offer)?),
        from_ms: time_ms(&told.from)?,
        until_ms: time_ms(&told.until)?,
        deadline_blocks: told.deadline_blocks.unwrap_or(DEADLINE_BLOCKS),
        scope: None,
    };
    let asked = dealt(&state, move |desk| desk.buy(wish)).await?;
    let shown = json!({"request": asked.request.to_string(), "price": coins(asked.price)});
    Ok(answer(StatusCode::CREATED, &done(shown, &asked.done)))
}

/// Does something to a request, and shows its block.
async fn of_request(
    state: &HttpState,
    request: String,
    work: impl FnOnce(&Desk, RequestId) -> Result<Done, MarketError> + Send + 'static,
) -> Result<Response, Problem> {
    let wanted = RequestId(id(&request)?);
    let made = dealt(state, move |desk| work(desk, wanted)).await?;
    Ok(answer(StatusCode::OK, &done(json!({"request": request}), &made)))
}

async fn cancel(
    State(state): State<HttpState>,
    Path(request): Path<String>,
) -> Result<Response, Problem> {
    of_request(&state, request, Desk::cancel).await
}

async fn grant(
    State(state): State<HttpState>,
    Path(request): Path<String>,
) -> Result<Response, Problem> {
    of_request(&state, request, Desk::grant).await
}

async fn decline(
    State(state): State<HttpState>,
    Path(request): Path<String>,
) -> Result<Response, Problem> {
    of_request(&state, request, Desk::decline).await
}

async fn subscriptions(State(state): State<HttpState>) -> Result<Response, Problem> {
    let account = desk(&state)?.account();
    let shown = dealt(&state, move |desk| {
        let all = desk.subscriptions()?.into_iter();
        Ok(all.map(|(id, one)| shown::subscription(id, &one, account)).collect())
    });
    Ok(answer(StatusCode::OK, &Value::Array(shown.await?)))
}

/// What is subscribed to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubscriptionBody {
    offer: String,
    from: String,
    hours: u32,
    periods: u32,
    patience_blocks: Option<u32>,
}

async fn subscribe(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let told: SubscriptionBody = body(&state, request).await?;
    let wish = subscription::Wish {
        offer: OfferId(id(&told.offer)?),
        from_ms: time_ms(&told.from)?,
        hours: told.hours,
        periods: told.periods,
        patience: told.patience_blocks.unwrap_or(PATIENCE_BLOCKS),
    };
    let made = dealt(&state, move |desk| desk.subscribe(wish)).await?;
    let shown = json!({"subscription": made.subscription, "payment": coins(made.payment)});
    Ok(answer(StatusCode::CREATED, &done(shown, &made.done)))
}

/// How much more is paid for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TopUpBody {
    periods: u32,
}

async fn top_up(
    State(state): State<HttpState>,
    Path(subscription): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (wanted, told) =
        (SubscriptionId(id(&subscription)?), body::<TopUpBody>(&state, request).await?);
    let (payment, made) = dealt(&state, move |desk| desk.top_up(wanted, told.periods)).await?;
    let shown = json!({"subscription": subscription, "payment": coins(payment)});
    Ok(answer(StatusCode::OK, &done(shown, &made)))
}

async fn end(
    State(state): State<HttpState>,
    Path(subscription): Path<String>,
) -> Result<Response, Problem> {
    let wanted = SubscriptionId(id(&subscription)?);
    let ended = dealt(&state, move |desk| desk.end(wanted)).await?;
    Ok(answer(StatusCode::OK, &done(json!({"subscription": subscription}), &ended)))
}
