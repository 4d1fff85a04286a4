//! Influx: line protocol as versions 1 and 2 have it, and what their clients ask first.
//!
//! Databases, buckets, organisations and retention policies are taken and mean nothing: there is one
//! database. Telegraf drops what is answered with 400 and 422, sends in parts after 413, and comes
//! again after 429 and 503.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use serde_json::{Value, json};

use super::sink::Lines;
use super::{ended, refused, write};
use crate::http::access::{Scope, guarded};
use crate::http::body;
use crate::http::measures::Protocol;
use crate::http::parameters::{last, pairs};
use crate::http::problem::{Position, Problem};
use crate::http::state::HttpState;
use crate::ingest::{Rejection, Report, Summary};

const JSON: &str = "application/json";
/// How many refused lines an answer names.
const NAMED: usize = 10;
/// The longest question of those that are answered: bytes.
const QUESTION_MOST: usize = 64 << 10;

/// The routes.
pub(super) fn routes(state: &HttpState) -> Router<HttpState> {
    let first = guarded(state, Scope::Write, post(write_lines));
    let second = guarded(state, Scope::Write, post(write_lines));
    let asked = guarded(state, Scope::Write, get(ask).post(ask));
    Router::new()
        .route("/write", in_form(first, of_first))
        .route("/api/v2/write", in_form(second, of_second))
        .route("/query", in_form(asked, of_first))
}

/// Problems in the form of version 1, whose clients look for words in the text.
fn of_first(problem: &Problem) -> Value {
    problem.put_into(json!({"error": problem.message}))
}

/// Problems in the form of version 2.
fn of_second(problem: &Problem) -> Value {
    let code = match problem.status {
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::NOT_FOUND => "not found",
        StatusCode::METHOD_NOT_ALLOWED => "method not allowed",
        StatusCode::PAYLOAD_TOO_LARGE => "request too large",
        StatusCode::UNPROCESSABLE_ENTITY => "unprocessable entity",
        StatusCode::TOO_MANY_REQUESTS => "too many requests",
        StatusCode::SERVICE_UNAVAILABLE => "unavailable",
        StatusCode::INTERNAL_SERVER_ERROR => "internal error",
        _ => "invalid",
    };
    let told = json!({"code": code, "error": problem.code, "message": problem.message});
    problem.put_into(told)
}

fn in_form(
    routes: MethodRouter<HttpState>,
    form: fn(&Problem) -> Value,
) -> MethodRouter<HttpState> {
    routes.layer(map_response(move |mut response: Response| async move {
        match response.extensions_mut().remove::<Problem>() {
            Some(problem) => {
                let body = form(&problem).to_string();
                problem.respond(JSON, body)
            }
            None => response,
        }
    }))
}

/// How many nanoseconds a unit of time has, by its names in both versions.
fn unit_ns(precision: Option<&str>) -> Result<i64, Problem> {
    match precision {
        None | Some("ns" | "n") => Ok(1),
        Some("us" | "u" | "µ" | "µs") => Ok(1_000),
        Some("ms") => Ok(1_000_000),
        Some("s") => Ok(1_000_000_000),
        Some("m") => Ok(60_000_000_000),
        Some("h") => Ok(3_600_000_000_000),
        Some(other) => {
            Err(Problem::invalid(format!("precision={other} is none of ns, us, ms, s, m and h")))
        }
    }
}

/// Writes lines. Those that are refused cost no other.
async fn write_lines(
    State(state): State<HttpState>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let precision = last(request.uri().query().unwrap_or_default(), "precision");
    let unit_ns = unit_ns(precision.as_deref())?;
    let taken = body::read(&state, request).await?;
    let (summary, sample) = write(&state, move |state| {
        let mut lines = Lines::take(state);
        let mut report = Report::new(NAMED);
        let read = lines.reader.read(taken.bytes(), unit_ns, &mut lines.sink, &mut report);
        let summary = read.map_err(|error| ended(&error))?;
        let ticket = lines.sink.finish().map_err(|error| refused(&error))?;
        lines.keep(state);
        Ok(((summary, report.sample().to_vec()), ticket))
    })
    .await?;
    state.measures().written(Protocol::Line, summary.accepted, summary.rejected);
    match sample.first() {
        None => Ok(StatusCode::NO_CONTENT),
        Some(first) => Err(partial(&summary, first, &sample)),
    }
}

/// The answer to a body of which something was refused.
pub(super) fn partial(summary: &Summary, first: &Rejection, sample: &[Rejection]) -> Problem {
    let (line, column) = (first.line, first.problem.column);
    let (rows, rejected) = (summary.rows - summary.rows_skipped, summary.rows_rejected);
    // What was taken was taken: nobody should send it again.
    let status = match rows - rejected {
        0 => StatusCode::BAD_REQUEST,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let message = format!(
        "partial write: line {line}, column {column}: {}; {} of {rows} lines were taken, dropped={rejected}",
        first.problem.reason,
        rows - rejected
    );
    let named = sample.iter().map(|rejection| {
        json!({
            "line": rejection.line,
            "column": rejection.problem.column,
            "reason": rejection.problem.reason,
        })
    });
    Problem::new(status, "partial_write", message)
        .at(Position { line, column })
        .with("accepted_records", summary.accepted)
        .with("rejected_lines", rejected)
        .with("rejections", named.collect::<Vec<Value>>())
}

/// What clients of version 1 ask when they begin.
async fn ask(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let mut parameters = pairs(request.uri().query().unwrap_or_default());
    let taken = body::read_most(&state, request, QUESTION_MOST).await?;
    parameters.extend(pairs(&String::from_utf8_lossy(taken.bytes())));
    let question = parameters.iter().rev().find(|(name, _)| name == "q");
    let question = question.map(|(_, text)| text.trim().trim_end_matches(';')).unwrap_or_default();
    let words: Vec<String> = question.split_whitespace().map(str::to_ascii_lowercase).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["show", "databases"] => json!({
            "statement_id": 0,
            "series": [{"name": "databases", "columns": ["name"], "values": [["chronolith"]]}],
        }),
        ["create", "database", ..] | ["create", "retention", "policy", ..] => {
            json!({"statement_id": 0})
        }
        _ => {
            return Err(Problem::invalid(
                "InfluxQL is not answered, but for SHOW DATABASES and CREATE DATABASE; ask SQL at \
                 /api/v1/sql or PromQL at /api/v1/query",
            ));
        }
    };
    Ok(([(CONTENT_TYPE, JSON)], json!({"results": [result]}).to_string()).into_response())
}
