//! Deals of several steps that the node's account has a part in.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::List;
use chronolith_chain::hash::DealId;
use chronolith_chain::ledger::{Advance, Arbitrate, Deal, DealKey, Plan, SHARES_MOST, Share};
use chronolith_contract::data::Extent;
use chronolith_contract::steps::Ruling;
use serde::Deserialize;
use serde_json::json;

use super::input::{Time, body, id};
use super::lists::Part;
use super::{admin, dealt, desk, done, found, read, refused};
use crate::chain::shown;
use crate::http::answer::json as answer;
use crate::http::parameters::last;
use crate::http::problem::Problem;
use crate::http::query::run;
use crate::http::state::HttpState;
use crate::market::deal;

/// The routes.
pub(super) fn routes(state: &HttpState) -> Router<HttpState> {
    Router::new()
        .route("/api/v1/market/deals", read(state, get(deals)).merge(admin(state, post(open))))
        .route("/api/v1/market/deals/{deal}", read(state, get(show)))
        .route("/api/v1/market/deals/{deal}/course", read(state, get(course)))
        .route("/api/v1/market/deals/{deal}/join", admin(state, post(join)))
        .route("/api/v1/market/deals/{deal}/advance", admin(state, post(advance)))
        .route("/api/v1/market/deals/{deal}/arbitrate", admin(state, post(arbitrate)))
}

async fn deals(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let (part, account) =
        (Part::of(request.uri().query().unwrap_or_default())?, desk(&state)?.account());
    let key = |id| DealKey { deal: DealId(id) };
    let is_its = move |_: &DealKey, one: &Deal| deal::part(one, account).is_some();
    let found = part.read(&state, key, is_its).await?;
    let shown = found.iter().map(|(key, one)| shown::deal_line(key.deal, one, account));
    Ok(answer(StatusCode::OK, &shown.collect()))
}

async fn show(
    State(state): State<HttpState>,
    Path(deal): Path<String>,
) -> Result<Response, Problem> {
    let wanted = id(&deal, DealId)?;
    found(&state, ("deal", deal), move |chain| {
        Ok(deal::find(chain, wanted)?.map(|found| shown::deal(wanted, &found)))
    })
    .await
}

async fn course(
    State(state): State<HttpState>,
    Path(deal): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let wanted = id(&deal, DealId)?;
    let query = request.uri().query().unwrap_or_default();
    let time = |name| -> Result<Option<String>, Problem> {
        let Some(text) = last(query, name) else { return Ok(None) };
        let time = Time::try_from(text);
        let Time(ms) = time.map_err(|error| Problem::invalid(format!("{name}: {error}")))?;
        Ok(Some(shown::milliseconds(ms)))
    };
    let extent = Extent {
        devices: last(query, "device").into_iter().collect(),
        from: time("from")?,
        until: time("until")?,
    };
    let (word, points) = (last(query, "ruling"), last(query, "ruling_bp"));
    let points = points.map(|text| {
        let wrong =
            |_| Problem::invalid(format!("ruling_bp: {text:?} is no number of basis points"));
        text.parse::<u16>().map_err(wrong)
    });
    let points = points.transpose()?;
    let ruling = (word.is_some() || points.is_some())
        .then(|| Ruling { word: word.unwrap_or_default(), points: points.unwrap_or_default() });
    let (desk, within) = (desk(&state)?, state.request_time() / 2);
    let shown = run(&state, move || desk.course(wanted, &extent, ruling.as_ref(), within)).await?;
    Ok(answer(StatusCode::OK, &shown.map_err(|error| refused(&error.into()))?))
}

async fn open(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let plan: Plan = body(&state, request).await?;
    let (deal, made) = dealt(&state, move |desk| desk.open_deal(plan)).await?;
    Ok(answer(StatusCode::CREATED, &done(json!({"deal": deal}), &made)))
}

async fn join(
    State(state): State<HttpState>,
    Path(deal): Path<String>,
) -> Result<Response, Problem> {
    let wanted = id(&deal, DealId)?;
    let made = dealt(&state, move |desk| desk.join_deal(wanted)).await?;
    Ok(answer(StatusCode::OK, &done(json!({"deal": deal}), &made)))
}

/// What is said of the step that a deal is at.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdvanceBody {
    step: u8,
    #[serde(default)]
    objects: bool,
    evidence: Option<ContentId>,
}

async fn advance(
    State(state): State<HttpState>,
    Path(deal): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let wanted = id(&deal, DealId)?;
    let AdvanceBody { step, objects, evidence } = body(&state, request).await?;
    let said = Advance { deal: wanted, step, objects, evidence };
    let made = dealt(&state, move |desk| desk.advance(said)).await?;
    Ok(answer(StatusCode::OK, &done(json!({"deal": deal, "step": step}), &made)))
}

/// What an arbiter decides.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ArbitrateBody {
    shares: List<Share, SHARES_MOST>,
    reasons: Option<ContentId>,
}

async fn arbitrate(
    State(state): State<HttpState>,
    Path(deal): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let wanted = id(&deal, DealId)?;
    let ArbitrateBody { shares, reasons } = body(&state, request).await?;
    let decision = Arbitrate { deal: wanted, shares, reasons };
    let made = dealt(&state, move |desk| desk.arbitrate(decision)).await?;
    Ok(answer(StatusCode::OK, &done(json!({"deal": deal}), &made)))
}
