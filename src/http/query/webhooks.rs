//! Webhooks: changes of continuous queries sent to others' servers.
//!
//! ```text
//! GET    /api/v1/webhooks          all, with how they are doing
//! POST   /api/v1/webhooks          a new one: {"name", "query", "url", "secret"?, "cursor"?}
//! DELETE /api/v1/webhooks/{name}   ends one
//! ```
//!
//! They are for administrators: whoever makes one has this server send requests.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use serde::Deserialize;
use serde_json::json;

use super::admission::run;
use super::continuous::refused;
use super::form::text;
use crate::http::access::{Scope, guarded};
use crate::http::answer::json as answer;
use crate::http::problem::Problem;
use crate::http::state::HttpState;
use crate::webhook::{Hook, HookError, Secret, random_secret};

/// The routes.
pub(super) fn routes(state: &HttpState) -> Router<HttpState> {
    let all = guarded(state, Scope::Admin, get(list).merge(post(create)));
    Router::new()
        .route("/api/v1/webhooks", all)
        .route("/api/v1/webhooks/{name}", guarded(state, Scope::Admin, delete(remove)))
}

/// What is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    query: String,
    url: String,
    secret: Option<String>,
    /// The change behind which it begins; the newest where absent.
    cursor: Option<u64>,
}

fn wrong(error: HookError) -> Problem {
    let message = error.to_string();
    match error {
        HookError::Wrong(_) => Problem::invalid(message),
        HookError::Exists(_) => Problem::new(StatusCode::CONFLICT, "exists", message),
        HookError::Unknown(_) => Problem::not_found(message),
        HookError::Disk { .. } => Problem::internal(message),
    }
}

async fn list(State(state): State<HttpState>) -> Result<Response, Problem> {
    let asked = state.clone();
    let all = run(&state, move || asked.webhooks().list()).await?;
    let all = all.into_iter().map(|(hook, status)| {
        json!({
            "name": hook.name,
            "query": hook.query,
            "url": hook.url.as_str(),
            "cursor": hook.cursor,
            "delivered": status.delivered,
            "failures": status.failures,
            "failure": status.failure,
            "ended": status.has_ended,
        })
    });
    Ok(answer(StatusCode::OK, &all.collect()))
}

async fn create(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let (body, _room) = text(&state, request).await?;
    let wanted: Wanted = serde_json::from_str(&body)
        .map_err(|error| Problem::invalid(format!("the body is no webhook: {error}")))?;
    let asked = state.clone();
    let made = run(&state, move || {
        let secret = match wanted.secret.as_deref().map(Secret::parse).transpose() {
            Ok(Some(secret)) => secret,
            Ok(None) => random_secret().map_err(|error| Problem::internal(error.to_string()))?,
            Err(reason) => return Err(Problem::invalid(format!("secret: {reason}"))),
        };
        let queries = asked.continuous()?;
        // Also where a cursor is given: a query that is not there is refused now.
        let newest = queries.snapshot(&wanted.query).map_err(refused)?.cursor;
        let cursor = wanted.cursor.unwrap_or(newest);
        if cursor > newest {
            let message = format!("cursor {cursor} is of no change: the newest is {newest}");
            return Err(Problem::invalid(message));
        }
        let shown =
            json!({"name": wanted.name, "cursor": cursor, "secret": secret.reveal().as_str()});
        let hook = Hook::new(wanted.name, wanted.query, &wanted.url, secret, cursor);
        asked.webhooks().add(hook.map_err(wrong)?, queries).map_err(wrong)?;
        Ok(shown)
    });
    Ok(answer(StatusCode::CREATED, &made.await??))
}

async fn remove(
    State(state): State<HttpState>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let asked = state.clone();
    run(&state, move || asked.webhooks().remove(&name)).await?.map_err(wrong)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
