//! Answers that are sold instead of data: given by the owner's node, read by the buyer's.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use chronolith_chain::hash::RequestId;
use serde::Deserialize;
use serde_json::json;

use super::input::{Asked, body_or_nothing, id};
use super::{admin, dealt, done, read};
use crate::buyer::BuyerError;
use crate::chain::shown;
use crate::http::answer::json as answer;
use crate::http::problem::Problem;
use crate::http::state::HttpState;
use crate::market::MarketError;

/// The routes.
pub(super) fn routes(state: &HttpState) -> Router<HttpState> {
    Router::new()
        .route(
            "/api/v1/market/requests/{request}/answer",
            read(state, get(open)).merge(admin(state, post(give))),
        )
        .route("/api/v1/market/requests/{request}/answer/dispute", admin(state, post(dispute)))
}

/// What is asked of the database.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerBody {
    /// The question that the offer names, where it is none of the configuration.
    question: Option<Asked>,
}

async fn give(
    State(state): State<HttpState>,
    Path(request): Path<String>,
    told: Request,
) -> Result<Response, Problem> {
    let wanted = id(&request, RequestId)?;
    let told: AnswerBody = body_or_nothing(&state, told).await?;
    let made = dealt(&state, move |desk| {
        let question = told.question.as_ref().map(|asked| asked.among(desk.questions()));
        desk.answer(wanted, question.transpose()?)
    });
    let made = made.await?;
    let shown = json!({
        "request": request,
        "answer": made.answer,
        "bytes": made.size_bytes,
        "batches": made.batches,
    });
    Ok(answer(StatusCode::OK, &done(shown, &made.done)))
}

async fn open(
    State(state): State<HttpState>,
    Path(request): Path<String>,
) -> Result<Response, Problem> {
    let wanted = id(&request, RequestId)?;
    let opened = dealt(&state, move |desk| match desk.opened(wanted) {
        Err(BuyerError::Market(error @ MarketError::Status { .. })) => Ok(Err(error.to_string())),
        Err(error) => Err(error),
        Ok(opened) => Ok(Ok(opened)),
    });
    let early = |message| Problem::new(StatusCode::NOT_FOUND, "not_answered", message);
    let opened = opened.await?.map_err(early)?;
    let mut shown = shown::answer(&opened);
    shown["request"] = json!(request);
    if !opened.holds() {
        shown["why"] = json!(format!(
            "what was sealed is not the answer {} that its owner signed: dispute it before the time to check is \
             over, and the payment comes back",
            opened.id()
        ));
    }
    Ok(answer(StatusCode::OK, &shown))
}

async fn dispute(
    State(state): State<HttpState>,
    Path(request): Path<String>,
) -> Result<Response, Problem> {
    let wanted = id(&request, RequestId)?;
    let made = dealt(&state, move |desk| desk.dispute_answer(wanted)).await?;
    Ok(answer(StatusCode::OK, &done(json!({"request": request}), &made)))
}
