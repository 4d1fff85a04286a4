//! Words of other programs about deals, signed as Standard Webhooks has it. The signature is what lets them in.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::post;
use chronolith_contract::webhook::{Headers, WebhookError};
use serde_json::json;

use super::{desk, done, refused};
use crate::http::answer::json as answer;
use crate::http::body::read_most;
use crate::http::problem::Problem;
use crate::http::state::HttpState;
use crate::moment::now_ms;
use crate::node::{Heard, WordError};

/// The longest message: bytes.
const MESSAGE_MOST: usize = 64 << 10;

/// What a message is signed in.
const SIGNATURE: &str = "webhook-signature";

/// The routes.
pub(super) fn routes() -> Router<HttpState> {
    Router::new().route("/api/v1/market/hooks/{name}", post(hear))
}

async fn hear(
    State(state): State<HttpState>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers().clone();
    if !headers.contains_key(SIGNATURE) {
        let message = "the message is not signed: send it as Standard Webhooks has it";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "unsigned", message));
    }
    let desk = desk(&state)?;
    let taken = read_most(&state, request, MESSAGE_MOST).await?;
    let now_s = now_ms() / 1_000;
    // Strangers take nobody's place.
    let known = desk.knows(&name, of_message(&headers), taken.bytes(), now_s);
    if let Some(answer) = before(known.as_ref().err()) {
        return Ok(answer);
    }
    known.map_err(problem)?;
    let permit = state.asking_node().enter(state.request_time() / 2).await?;
    let heard = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        desk.hear(&name, of_message(&headers), taken.bytes(), now_s)
    });
    let heard = heard.await.map_err(|_| Problem::internal("the node did not answer"))?;
    if let Some(answer) = before(heard.as_ref().err()) {
        return Ok(answer);
    }
    let Heard { deal, step, done: block } = heard.map_err(problem)?;
    let shown = json!({"deal": deal, "step": step});
    let shown = match &block {
        Some(block) => done(shown, block),
        None => shown,
    };
    Ok(answer(StatusCode::OK, &shown))
}

fn of_message(headers: &HeaderMap) -> Headers<'_> {
    let text = |name| header(headers, name);
    Headers {
        id: text("webhook-id"),
        timestamp: text("webhook-timestamp"),
        signature: text(SIGNATURE),
    }
}

/// What is answered to a message that was taken before, and is not to be sent again.
fn before(error: Option<&WordError>) -> Option<Response> {
    matches!(error, Some(WordError::Webhook(WebhookError::Again)))
        .then(|| answer(StatusCode::OK, &json!({"taken": "before"})))
}

/// A header that is not there, or no text, has no form that is taken.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn problem(error: WordError) -> Problem {
    let message = error.to_string();
    match error {
        WordError::Unknown(_) => Problem::not_found(message),
        WordError::Webhook(error) => {
            let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
            Problem::new(status, "webhook", message)
        }
        WordError::Body(_) => Problem::invalid(message),
        WordError::UnderWay => Problem::unavailable("under_way", message, 5),
        WordError::Market(error) => refused(&error.into()),
        _ => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", message),
    }
}
