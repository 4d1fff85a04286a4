//! Continuous queries: made, shown, asked and followed.
//!
//! ```text
//! GET  /api/v1/continuous                  how all are doing
//! POST /api/v1/continuous                  a statement: CREATE, REFRESH, PAUSE, RESUME, DROP
//! GET  /api/v1/continuous/{name}           the rows, and the cursor that they stand at
//! GET  /api/v1/continuous/{name}/changes   what changes, as server-sent events
//! GET  /api/v1/continuous/{name}/socket    the same by a WebSocket
//! ```

mod follow;
mod running;

use std::ops::RangeInclusive;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use chronolith_query::continuous::{ContinuousError, Outcome};
use serde_json::{Value, json};

use super::admission::run;
use super::form::{Form, text};
use crate::http::access::{Scope, guarded};
use crate::http::answer;
use crate::http::problem::Problem;
use crate::http::state::HttpState;
use crate::rows::changes;
pub(in crate::http) use running::Running;

/// The routes.
pub(super) fn routes(state: &HttpState) -> Router<HttpState> {
    let all = guarded(state, Scope::Read, get(list));
    let all = all.merge(guarded(state, Scope::Write, post(execute)));
    Router::new()
        .route("/api/v1/continuous", all)
        .route("/api/v1/continuous/{name}", guarded(state, Scope::Read, get(rows)))
        .route(
            "/api/v1/continuous/{name}/changes",
            guarded(state, Scope::Read, get(follow::follow)),
        )
        .route("/api/v1/continuous/{name}/socket", guarded(state, Scope::Read, get(follow::socket)))
}

fn answer(value: &Value) -> Response {
    answer::json(StatusCode::OK, value)
}

async fn list(State(state): State<HttpState>) -> Result<Response, Problem> {
    let asked = state.clone();
    let all = run(&state, move || Ok::<_, Problem>(asked.continuous()?.status())).await??;
    Ok(answer(&all.iter().map(changes::status).collect()))
}

/// Carries out a statement. What a new query has to compute from the store is computed while it runs.
async fn execute(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let (statement, room) = text(&state, request).await?;
    let asked = state.clone();
    let done = run(&state, move || {
        let _held = room;
        asked.continuous()?.execute(&statement).map_err(refused)
    });
    let (name, what) = match done.await?? {
        Outcome::Shown(all) => return Ok(answer(&all.iter().map(changes::status).collect())),
        Outcome::Created(name) => (name, "created"),
        Outcome::Refreshing(name) => (name, "refreshing"),
        Outcome::Paused(name) => (name, "paused"),
        Outcome::Resumed(name) => (name, "resumed"),
        Outcome::Dropped(name) => (name, "dropped"),
        other => (String::new(), {
            state.tell(&format!("a statement did what this server has no word for: {other:?}"));
            "done"
        }),
    };
    Ok(answer(&json!({"query": name, "done": what})))
}

async fn rows(
    State(state): State<HttpState>,
    Path(name): Path<String>,
    form: Form,
) -> Result<Response, Problem> {
    let range = range(&form)?;
    let asked = state.clone();
    let body = run(&state, move || {
        let queries = asked.continuous()?;
        let columns = queries.columns(&name).map_err(refused)?;
        let names = changes::names(&columns);
        let (cursor, rows) = match range {
            Some(range) => (None, queries.rows(&name, range).map_err(refused)?),
            None => {
                let snapshot = queries.snapshot(&name).map_err(refused)?;
                (Some(snapshot.cursor), snapshot.rows)
            }
        };
        // A row is no change: without the cursor and the kind that changes begin with.
        let object = |row| changes::object(&names[2..], &changes::cells(0, "row", row)[2..]);
        let rows: Vec<Value> = rows.iter().map(object).collect();
        Ok::<_, Problem>(json!({"cursor": cursor, "rows": rows}))
    });
    Ok(answer(&body.await??))
}

/// The windows that are asked for by `from` and `to`: those that begin between them, both included.
fn range(form: &Form) -> Result<Option<RangeInclusive<i64>>, Problem> {
    let bound = |name| {
        let parse = |text| {
            crate::moment::parse(text)
                .map_err(|reason| Problem::invalid(format!("{name}: {reason}")))
        };
        form.get(name).map(parse).transpose()
    };
    let (from, to) = (bound("from")?, bound("to")?);
    let is_bounded = from.is_some() || to.is_some();
    Ok(is_bounded.then(|| from.unwrap_or(i64::MIN)..=to.unwrap_or(i64::MAX)))
}

/// Why a statement or a question has no answer.
pub(super) fn refused(error: ContinuousError) -> Problem {
    let message = error.to_string();
    match error {
        ContinuousError::Unknown { .. } => Problem::not_found(message),
        ContinuousError::CursorTooOld { .. } => Problem::new(StatusCode::GONE, "cursor", message),
        ContinuousError::Refused { .. } => Problem::forbidden(message),
        ContinuousError::Read(_) | ContinuousError::Write(_) | ContinuousError::State { .. } => {
            Problem::internal(message)
        }
        _ => Problem::invalid(message),
    }
}
