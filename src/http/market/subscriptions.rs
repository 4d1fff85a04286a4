//! Subscriptions of the node's account: those that it pays for, and those to what it sells.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{delete, get, post};
use chronolith_chain::hash::{OfferId, SubscriptionId};
use chronolith_chain::ledger::{Subscription, SubscriptionKey};
use serde::Deserialize;
use serde_json::json;

use super::input::{Time, body, id};
use super::lists::Part;
use super::{admin, dealt, desk, disputed, done, read};
use crate::chain::{coins, shown};
use crate::http::answer::json as answer;
use crate::http::problem::Problem;
use crate::http::state::HttpState;
use crate::market::bought::Bought;
use crate::market::subscription::{self, Period};

/// After how many blocks without a draw a subscription ends, where it is not said.
const PATIENCE_BLOCKS: u32 = 10_000;

/// The routes.
pub(super) fn routes(state: &HttpState) -> Router<HttpState> {
    Router::new()
        .route(
            "/api/v1/market/subscriptions",
            read(state, get(subscriptions)).merge(admin(state, post(subscribe))),
        )
        .route("/api/v1/market/subscriptions/{subscription}", admin(state, delete(end)))
        .route("/api/v1/market/subscriptions/{subscription}/top_up", admin(state, post(top_up)))
        .route(
            "/api/v1/market/subscriptions/{subscription}/periods/{period}/dispute",
            admin(state, post(dispute)),
        )
}

async fn subscriptions(
    State(state): State<HttpState>,
    request: Request,
) -> Result<Response, Problem> {
    let (part, account) =
        (Part::of(request.uri().query().unwrap_or_default())?, desk(&state)?.account());
    let key = |id| SubscriptionKey { subscription: SubscriptionId(id) };
    let is_its = move |_: &SubscriptionKey, one: &Subscription| {
        [one.owner, one.subscriber].contains(&account)
    };
    let found = part.read(&state, key, is_its).await?;
    let shown = found.iter().map(|(key, one)| shown::subscription(key.subscription, one, account));
    Ok(answer(StatusCode::OK, &shown.collect()))
}

/// What is subscribed to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubscriptionBody {
    offer: OfferId,
    from: Time,
    hours: u32,
    periods: u32,
    patience_blocks: Option<u32>,
}

async fn subscribe(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let told: SubscriptionBody = body(&state, request).await?;
    let wish = subscription::Wish {
        offer: told.offer,
        from_ms: told.from.0,
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
        (id(&subscription, SubscriptionId)?, body::<TopUpBody>(&state, request).await?);
    let (payment, made) = dealt(&state, move |desk| desk.top_up(wanted, told.periods)).await?;
    let shown = json!({"subscription": subscription, "payment": coins(payment)});
    Ok(answer(StatusCode::OK, &done(shown, &made)))
}

async fn end(
    State(state): State<HttpState>,
    Path(subscription): Path<String>,
) -> Result<Response, Problem> {
    let wanted = id(&subscription, SubscriptionId)?;
    let ended = dealt(&state, move |desk| desk.end(wanted)).await?;
    Ok(answer(StatusCode::OK, &done(json!({"subscription": subscription}), &ended)))
}

async fn dispute(
    State(state): State<HttpState>,
    Path((subscription, period)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let wanted = id(&subscription, SubscriptionId)?;
    let number = period.parse::<u32>().map_err(|_| {
        Problem::invalid(format!("{period:?} is no period: write its number, from 0 on"))
    })?;
    let bought = Bought::Period(Period { subscription: wanted, number });
    let made = disputed(&state, bought).await?;
    let shown = json!({"subscription": subscription, "period": number});
    Ok(answer(StatusCode::OK, &done(shown, &made)))
}
