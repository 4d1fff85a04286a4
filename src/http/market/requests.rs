//! Requests and rights: asked for, taken back, granted, declined.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{delete, get, post};
use chronolith_chain::hash::{OfferId, RequestId};
use chronolith_chain::ledger::{RequestKey, Right};
use serde::Deserialize;
use serde_json::json;

use super::input::{Time, body, id};
use super::lists::Part;
use super::{admin, dealt, desk, disputed, done, read};
use crate::buyer::{self, BuyerError};
use crate::chain::{coins, shown};
use crate::http::answer::json as answer;
use crate::http::parameters::last;
use crate::http::problem::Problem;
use crate::http::state::HttpState;
use crate::market::bought::Bought;
use crate::market::purse::Disclosure;
use crate::node::Desk;
use crate::node::submit::Done;

/// For how many blocks an owner may think, where it is not said.
const DEADLINE_BLOCKS: u64 = 100;

/// The routes.
pub(super) fn routes(state: &HttpState) -> Router<HttpState> {
    Router::new()
        .route("/api/v1/market/rights", read(state, get(rights)))
        .route("/api/v1/market/requests", admin(state, post(buy)))
        .route("/api/v1/market/requests/{request}", admin(state, delete(cancel)))
        .route("/api/v1/market/requests/{request}/grant", admin(state, post(grant)))
        .route("/api/v1/market/requests/{request}/decline", admin(state, post(decline)))
        .route("/api/v1/market/requests/{request}/revoke", admin(state, post(revoke)))
        .route("/api/v1/market/requests/{request}/dispute", admin(state, post(dispute)))
}

async fn rights(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let query = request.uri().query().unwrap_or_default();
    let (part, account) = (Part::of(query)?, desk(&state)?.account());
    let (sold, bought) = match last(query, "side").as_deref() {
        Some("sold") => (true, false),
        Some("bought") => (false, true),
        None => (true, true),
        Some(other) => {
            return Err(Problem::invalid(format!("side is sold or bought, not {other:?}")));
        }
    };
    // Nobody buys of himself.
    let side = move |right: &Right| match account {
        account if sold && right.owner == account => Some("sold"),
        account if bought && right.buyer == account => Some("bought"),
        _ => None,
    };
    let key = |id| RequestKey { request: RequestId(id) };
    let found = part.read(&state, key, move |_, right| side(right).is_some()).await?;
    let shown = found
        .iter()
        .filter_map(|(key, right)| side(right).map(|side| shown::right(key.request, right, side)));
    Ok(answer(StatusCode::OK, &shown.collect()))
}

/// What is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestBody {
    offer: OfferId,
    from: Time,
    until: Time,
    deadline_blocks: Option<u64>,
    /// What a hidden offer is of: the JSON of the file that its owner told.
    disclosure: Option<Disclosure>,
}

impl RequestBody {
    /// Refuses what is told of another offer.
    fn check(&self) -> Result<(), Problem> {
        let checked = self.disclosure.as_ref().map_or(Ok(()), |told| told.check(self.offer));
        checked.map_err(|error| {
            Problem::invalid(format!("the body: the disclosure: {error}"))
                .with("field", "disclosure")
        })
    }
}

async fn buy(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let told: RequestBody = body(&state, request).await?;
    told.check()?;
    let wish = buyer::Wish {
        offer: told.offer,
        from_ms: told.from.0,
        until_ms: told.until.0,
        deadline_blocks: told.deadline_blocks.unwrap_or(DEADLINE_BLOCKS),
        scope: told.disclosure.map(|told| told.scope),
    };
    let asked = dealt(&state, move |desk| desk.buy(wish)).await?;
    let shown = json!({
        "request": asked.request.to_string(),
        "price": coins(asked.price),
        "coin": asked.coin,
    });
    Ok(answer(StatusCode::CREATED, &done(shown, &asked.done)))
}

/// Does something to a request, and shows its block.
async fn of_request<E: Into<BuyerError> + Send + 'static>(
    state: &HttpState,
    request: String,
    work: impl FnOnce(&Desk, RequestId) -> Result<Done, E> + Send + 'static,
) -> Result<Response, Problem> {
    let wanted = id(&request, RequestId)?;
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

async fn revoke(
    State(state): State<HttpState>,
    Path(request): Path<String>,
) -> Result<Response, Problem> {
    of_request(&state, request, Desk::revoke).await
}

async fn dispute(
    State(state): State<HttpState>,
    Path(request): Path<String>,
) -> Result<Response, Problem> {
    let wanted = id(&request, RequestId)?;
    let made = disputed(&state, Bought::Request(wanted)).await?;
    Ok(answer(StatusCode::OK, &done(json!({"request": request}), &made)))
}
