//! Requests and rights: asked for, taken back, granted, declined.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{delete, get, post};
use chronolith_chain::hash::{OfferId, RequestId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::input::{Time, body, id};
use super::{admin, dealt, done, read};
use crate::buyer;
use crate::chain::{coins, shown};
use crate::http::answer::json as answer;
use crate::http::parameters::last;
use crate::http::problem::Problem;
use crate::http::state::HttpState;
use crate::market::MarketError;
use crate::market::queue::{Entry, Side};
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
        Ok::<_, MarketError>(shown)
    });
    Ok(answer(StatusCode::OK, &Value::Array(shown.await?)))
}

/// What is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestBody {
    offer: OfferId,
    from: Time,
    until: Time,
    deadline_blocks: Option<u64>,
}

async fn buy(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let told: RequestBody = body(&state, request).await?;
    let wish = buyer::Wish {
        offer: told.offer,
        from_ms: told.from.0,
        until_ms: told.until.0,
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
