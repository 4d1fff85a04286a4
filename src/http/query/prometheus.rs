//! Prometheus' API, as its own interface, Grafana and client libraries ask it.
//!
//! Answers have the forms of Prometheus 3; what it knows of targets, rules and alerts is empty here.

mod limits;
mod names;
mod refusal;
mod time;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use chronolith_query::promql::{DatabaseSource, Query};
use serde_json::{Value, json};

use super::form::Form;
use crate::http::access::{Scope, guarded};
use crate::http::state::HttpState;
use crate::rows::prometheus::response;
use limits::{Wanted, now_ns};
use refusal::{Refusal, answered, form_of_problems};

/// The routes below `/api/v1`.
pub(super) fn routes(state: &HttpState) -> Router<HttpState> {
    let routes = [
        ("/api/v1/query", get(instant).post(instant)),
        ("/api/v1/query_range", get(range).post(range)),
        ("/api/v1/series", get(names::series).post(names::series)),
        ("/api/v1/labels", get(names::labels).post(names::labels)),
        ("/api/v1/label/{name}/values", get(names::values)),
        ("/api/v1/metadata", get(names::metadata)),
        ("/api/v1/status/buildinfo", get(build)),
        ("/api/v1/query_exemplars", get(nothing).post(nothing)),
        ("/api/v1/rules", get(no_groups)),
        ("/api/v1/alerts", get(no_alerts)),
    ];
    routes.into_iter().fold(Router::new(), |router, (path, route)| {
        router.route(path, form_of_problems(guarded(state, Scope::Read, route)))
    })
}

/// A query at one time.
async fn instant(State(state): State<HttpState>, form: Form) -> Response {
    let wanted = Wanted::new(&state);
    answered(&state, move |db| {
        let query = Query::parse(required(&form, "query")?)?;
        let time_ns = match form.get("time") {
            Some(text) => time::time("time", text)?,
            None => now_ns()?,
        };
        let answer = query.instant(&DatabaseSource::new(db), time_ns, &wanted.limits(&form)?)?;
        Ok(response(&answer))
    })
    .await
}

/// A query at every step of a range.
async fn range(State(state): State<HttpState>, form: Form) -> Response {
    let wanted = Wanted::new(&state);
    answered(&state, move |db| {
        let query = Query::parse(required(&form, "query")?)?;
        let start_ns = time::time("start", required(&form, "start")?)?;
        let end_ns = time::time("end", required(&form, "end")?)?;
        let step_ns = time::length("step", required(&form, "step")?)?;
        let source = DatabaseSource::new(db);
        let answer = query.range(&source, start_ns, end_ns, step_ns, &wanted.limits(&form)?)?;
        Ok(response(&answer))
    })
    .await
}

fn required<'a>(form: &'a Form, name: &str) -> Result<&'a str, Refusal> {
    let missing = || Refusal::from(format!("invalid parameter {name:?}: it is missing"));
    form.get(name).ok_or_else(missing)
}

/// What program answers, by which Grafana decides what it may ask.
async fn build(State(state): State<HttpState>) -> Response {
    answered(&state, |_| {
        Ok(success(json!({
            "version": "3.0.0",
            "revision": "",
            "branch": "",
            "buildUser": "",
            "buildDate": "",
            "goVersion": "",
            "application": concat!("chronolith ", env!("CARGO_PKG_VERSION")),
        })))
    })
    .await
}

async fn nothing(State(state): State<HttpState>) -> Response {
    answered(&state, |_| Ok(success(json!([])))).await
}

async fn no_groups(State(state): State<HttpState>) -> Response {
    answered(&state, |_| Ok(success(json!({"groups": []})))).await
}

async fn no_alerts(State(state): State<HttpState>) -> Response {
    answered(&state, |_| Ok(success(json!({"alerts": []})))).await
}

fn success(data: Value) -> Value {
    json!({"status": "success", "data": data})
}
