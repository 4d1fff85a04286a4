//! `/api/v1/write`: bodies in the formats of files, JSON lines among them.

use std::str::FromStr as _;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use axum::routing::post;
use serde_json::json;

use super::influx::partial;
use super::remote::{is_remote_write, write_samples};
use super::sink::Sink;
use super::{ended, refused, write};
use crate::http::access::{Scope, guarded};
use crate::http::answer;
use crate::http::body;
use crate::http::measures::Protocol;
use crate::http::parameters::last;
use crate::http::problem::Problem;
use crate::http::state::HttpState;
use crate::ingest::{
    Broken, DeviceSource, Format, IngestOptions, Report, TimeFormat, TimeUnit, ingest_reader,
};

/// How many refused rows an answer names.
const NAMED: usize = 10;
/// The longest row: bytes.
const ROW_MOST: usize = 1 << 20;

/// The routes.
pub(super) fn routes(state: &HttpState) -> Router<HttpState> {
    Router::new().route("/api/v1/write", guarded(state, Scope::Write, post(write_rows)))
}

/// How the body is to be read: by its type and by parameters. Batches of columns may be packed by
/// themselves, and unpacked they are as long as a body may be.
fn options(request: &Request, max_batch_bytes: usize) -> Result<IngestOptions, Problem> {
    let query = request.uri().query().unwrap_or_default();
    let media = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = media.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let format = match last(query, "format") {
        Some(name) => Format::from_str(&name).map_err(Problem::invalid)?,
        None => match media.to_ascii_lowercase().as_str() {
            "text/csv" => Format::Csv,
            "application/vnd.apache.arrow.stream" => Format::Arrow,
            _ => Format::Jsonl,
        },
    };
    let device = last(query, "device").map_or(DeviceSource::Usual, DeviceSource::Named);
    let time_format = match last(query, "time_format").as_deref() {
        None => None,
        Some("s") => Some(TimeFormat::Epoch(TimeUnit::Seconds)),
        Some("ms") => Some(TimeFormat::Epoch(TimeUnit::Millis)),
        Some("us") => Some(TimeFormat::Epoch(TimeUnit::Micros)),
        Some("ns") => Some(TimeFormat::Epoch(TimeUnit::Nanos)),
        Some("auto") => Some(TimeFormat::Auto),
        Some(other) => {
            let problem = format!("time_format={other} is none of s, ms, us, ns and auto");
            return Err(Problem::invalid(problem));
        }
    };
    Ok(IngestOptions {
        format: Some(format),
        device,
        time_format,
        max_row_bytes: ROW_MOST,
        max_batch_bytes,
        ..IngestOptions::default()
    })
}

/// Writes rows. Those that are refused cost no other. Prometheus' own receiver has the same path, so
/// that what is of its type is taken as remote write.
async fn write_rows(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    if is_remote_write(request.headers()) {
        return write_samples(State(state), request).await;
    }
    let options = options(&request, state.settings().body_bytes)?;
    let taken = body::read(&state, request).await?;
    let (summary, sample) = write(&state, move |state| {
        let mut sink = Sink::new(state.db());
        let mut report = Report::new(NAMED);
        let read =
            ingest_reader(taken.bytes(), "body", &options, &mut sink, &mut report, &mut |_| {});
        let ticket = sink.finish().map_err(|error| refused(&error))?;
        let summary = read.map_err(|Broken { error, .. }| ended(&error))?;
        Ok(((summary, report.sample().to_vec()), ticket))
    })
    .await?;
    state.measures().written(Protocol::Json, summary.accepted, summary.rejected);
    match sample.first() {
        None => {
            let told = json!({"accepted_records": summary.accepted});
            Ok(answer::json(StatusCode::OK, &told))
        }
        Some(first) => Err(partial(&summary, first, &sample)),
    }
}
