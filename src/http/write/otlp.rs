//! OpenTelemetry metrics, as OTLP over HTTP sends them: protobuf or JSON.
//!
//! They become series as Prometheus' receiver makes them: `job` and `instance` of the service that a
//! resource names, the name and version of the scope, and the attributes of each point are labels; what
//! else is known of a resource is in the series `target_info`. A resource that names a device, vehicle
//! or host gives all its series the label `device`. Sums and histograms of differences, and exponential
//! histograms, are not kept: they are counted as rejected, and the rest is taken.

mod json;
mod message;
mod names;
mod parts;
mod points;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use prost::Message as _;
use serde_json::json;

use super::samples::Samples;
use super::weight::{take_room, take_room_of_json};
use super::write;
use crate::http::access::{Scope, guarded};
use crate::http::body;
use crate::http::measures::Protocol;
use crate::http::problem::Problem;
use crate::http::state::HttpState;
use points::Points;

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// The routes: that of OTLP, and that of Prometheus' receiver.
pub(super) fn routes(state: &HttpState) -> Router<HttpState> {
    let write = || in_form(guarded(state, Scope::Write, post(write_metrics)));
    Router::new().route("/v1/metrics", write()).route("/api/v1/otlp/v1/metrics", write())
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Protobuf,
    Json,
}

fn form(headers: &HeaderMap) -> Result<Form, Problem> {
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    match media.unwrap_or_default().split(';').next().map(str::trim) {
        Some(PROTOBUF) => Ok(Form::Protobuf),
        Some(JSON) => Ok(Form::Json),
        _ => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "media_type",
            format!("the type of the body is {PROTOBUF} or {JSON}"),
        )),
    }
}

/// Refusals as `google.rpc.Status`: as JSON, which people read, whatever the form of the request.
fn in_form(routes: MethodRouter<HttpState>) -> MethodRouter<HttpState> {
    routes.layer(map_response(|mut response: Response| async move {
        match response.extensions_mut().remove::<Problem>() {
            Some(problem) => {
                let body = problem.put_into(json!({"code": 0, "message": problem.message}));
                problem.respond(JSON, body.to_string())
            }
            None => response,
        }
    }))
}

async fn write_metrics(
    State(state): State<HttpState>,
    request: Request,
) -> Result<Response, Problem> {
    let form = form(request.headers())?;
    let mut taken = body::read(&state, request).await?;
    let (accepted, left) = write(&state, move |state| {
        match form {
            Form::Protobuf => take_room(&mut taken, state.room(), parts::REQUEST)?,
            Form::Json => take_room_of_json(&mut taken, state.room())?,
        }
        let (bytes, _room) = taken.into_parts();
        let request = match form {
            Form::Protobuf => message::Request::decode(Bytes::from(bytes)).map_err(|error| {
                Problem::invalid(format!("the body is no export of metrics: {error}"))
            })?,
            Form::Json => json::request(&bytes)?,
        };
        let mut points = Points::new(Samples::take(state));
        let done = points.take(&request);
        let (mut samples, accepted, left) = points.end();
        // What was handed over before a failure may be there; nobody was told that it is.
        let ticket = samples.finish();
        done?;
        let ticket = ticket?;
        samples.keep(state);
        Ok(((accepted, left), ticket))
    })
    .await?;
    state.measures().written(Protocol::Otlp, accepted, left.samples);
    let rejected = i64::try_from(left.samples).unwrap_or(i64::MAX);
    let partial = left.first.map(|reason| (rejected, reason));
    Ok(match form {
        Form::Protobuf => {
            let partial_success = partial.map(|(rejected_data_points, error_message)| {
                message::PartialSuccess { rejected_data_points, error_message }
            });
            let body = message::Response { partial_success }.encode_to_vec();
            ([(CONTENT_TYPE, PROTOBUF)], body).into_response()
        }
        Form::Json => {
            let body = match partial {
                None => json!({}),
                Some((rejected, reason)) => json!({"partialSuccess": {
                    "rejectedDataPoints": rejected.to_string(),
                    "errorMessage": reason,
                }}),
            };
            ([(CONTENT_TYPE, JSON)], body.to_string()).into_response()
        }
    })
}
