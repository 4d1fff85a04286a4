//! How the server is doing, for those who look after it.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use super::access::{Scope, guarded};
use super::answer;
use super::problem::Problem;
use super::state::HttpState;

/// What clients of Influx take this for.
const INFLUX_VERSION: &str = concat!("chronolith-", env!("CARGO_PKG_VERSION"));

/// The routes. Whether the server is there and ready is no secret; figures are.
pub(super) fn routes(state: &HttpState) -> Router<HttpState> {
    Router::new()
        .route("/", get(welcome))
        .route("/ping", get(ping))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/api/v1/openapi.json", get(openapi))
        .route("/metrics", guarded(state, Scope::Read, get(metrics)))
}

/// What this is: clients of Prometheus look whether there is anything.
async fn welcome() -> Response {
    let body = json!({"name": "chronolith", "version": env!("CARGO_PKG_VERSION")});
    answer::json(StatusCode::OK, &body)
}

/// The server is there.
async fn ping() -> Response {
    (StatusCode::NO_CONTENT, [("x-influxdb-version", INFLUX_VERSION), ("x-influxdb-build", "OSS")])
        .into_response()
}

/// The process answers, as Influx has it.
async fn health() -> Response {
    let body = json!({
        "name": "chronolith",
        "message": "ready for queries and writes",
        "status": "pass",
        "checks": [],
        "version": INFLUX_VERSION,
        "commit": "",
    });
    ([(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// Whether the database takes records and answers.
async fn ready(State(state): State<HttpState>) -> Result<Response, Problem> {
    if state.is_stopping() {
        return Err(Problem::unavailable("stopping", "the server is about to stop", 5));
    }
    state.check_writing()?;
    state.check_continuous()?;
    let started = jiff::Timestamp::try_from(state.started());
    let body = json!({
        "status": "ready",
        "started": started.map(|time| time.to_string()).unwrap_or_default(),
        "up": format!("{}s", state.started().elapsed().unwrap_or_default().as_secs()),
    });
    Ok(answer::json(StatusCode::OK, &body))
}

/// All routes, for programs.
async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], include_str!("openapi.json")).into_response()
}

async fn metrics(State(state): State<HttpState>) -> Response {
    let producing = state.node().and_then(|node| node.producing.as_ref()).map(|look| look());
    let text = state.measures().text(state.db(), producing.as_ref());
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], text).into_response()
}
