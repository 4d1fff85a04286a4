//! Prometheus remote write, versions 1.0 and 2.0.
//!
//! Samples are kept as they are, those that say that a series ends among them. Native histograms are
//! not: they are counted as not written, and the request is answered with 400, so that the sender
//! tells of it and does not send it again. Exemplars and the types and helps of metrics are left out.

mod first;
mod second;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use prost::Message as _;

use super::samples::{Left, NoSeries, Samples};
use super::weight::take_room;
use super::write;
use crate::http::access::{Scope, guarded};
use crate::http::body;
use crate::http::measures::Protocol;
use crate::http::problem::Problem;
use crate::http::state::HttpState;

/// The routes: as Prometheus has it by default, and shorter.
pub(super) fn routes(state: &HttpState) -> Router<HttpState> {
    let write = || guarded(state, Scope::Write, post(write_samples));
    Router::new().route("/api/v1/prom/write", write()).route("/api/v1/push", write())
}

/// Which messages a body has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    First,
    Second,
}

/// What came of a request.
#[derive(Debug)]
struct Done {
    version: Version,
    samples: u64,
    left: Left,
}

/// Whether a type is that of remote write: its route is shared with others.
pub(super) fn is_remote_write(headers: &HeaderMap) -> bool {
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media.is_some_and(|media| media.trim_start().starts_with("application/x-protobuf"))
}

fn version(headers: &HeaderMap) -> Result<Version, Problem> {
    let unsupported = |what: &str| {
        let message = format!(
            "{what}; send application/x-protobuf with proto=prometheus.WriteRequest or \
             proto=io.prometheus.write.v2.Request, packed by snappy"
        );
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type", message)
    };
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let mut parts = media.unwrap_or_default().split(';').map(str::trim);
    if parts.next() != Some("application/x-protobuf") {
        return Err(unsupported("the type of the body is another"));
    }
    if headers.get(CONTENT_ENCODING).is_none_or(|packing| packing != "snappy") {
        return Err(unsupported("the body is not packed by snappy"));
    }
    match parts.find_map(|part| part.strip_prefix("proto=")) {
        None | Some("prometheus.WriteRequest") => Ok(Version::First),
        Some("io.prometheus.write.v2.Request") => Ok(Version::Second),
        Some(_) => Err(unsupported("the message is of another kind")),
    }
}

/// Writes samples. What is refused costs no other.
pub(super) async fn write_samples(
    State(state): State<HttpState>,
    request: Request,
) -> Result<Response, Problem> {
    let version = version(request.headers())?;
    let mut taken = body::read(&state, request).await?;
    let done = write(&state, move |state| {
        let parts = match version {
            Version::First => first::PARTS,
            Version::Second => second::PARTS,
        };
        take_room(&mut taken, state.room(), parts)?;
        let (bytes, _room) = taken.into_parts();
        let bytes = Bytes::from(bytes);
        let mut samples = Samples::take(state);
        let done = match version {
            Version::First => take_first(bytes, &mut samples),
            Version::Second => take_second(bytes, &mut samples),
        };
        // What was handed over before a failure may be there; nobody was told that it is.
        let ticket = samples.finish();
        let done = done?;
        let ticket = ticket?;
        samples.keep(state);
        Ok((done, ticket))
    })
    .await?;
    state.measures().written(Protocol::RemoteWrite, done.samples, done.left.samples);
    Ok(answer(done))
}

fn answer(done: Done) -> Response {
    let mut response = match &done.left.first {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(first) => {
            let message = format!(
                "{} samples were written, {} were not: {first}",
                done.samples, done.left.samples
            );
            Problem::new(StatusCode::BAD_REQUEST, "partial_write", message).into_response()
        }
    };
    if done.version == Version::Second {
        let headers = response.headers_mut();
        headers.insert("x-prometheus-remote-write-samples-written", done.samples.into());
        let none = HeaderValue::from_static("0");
        headers.insert("x-prometheus-remote-write-histograms-written", none.clone());
        headers.insert("x-prometheus-remote-write-exemplars-written", none);
    }
    response
}

fn malformed(error: &prost::DecodeError) -> Problem {
    Problem::invalid(format!("the body is not the message that its type says: {error}"))
}

/// A time in milliseconds as nanoseconds.
fn time_ns(time_ms: i64) -> Option<i64> {
    time_ms.checked_mul(1_000_000)
}

/// Takes the samples of one series.
fn take_series(
    done: &mut Done,
    into: &mut Samples,
    labels: Result<Vec<(&str, &str)>, String>,
    unit: &str,
    samples: &[first::Sample],
    histograms: usize,
) -> Result<(), Problem> {
    if histograms > 0 {
        done.left.add(histograms as u64, || "native histograms are not kept here".to_owned());
    }
    if samples.is_empty() {
        return Ok(());
    }
    let series = match labels {
        Ok(labels) => into.series(&labels, unit).map_err(|error| match error {
            NoSeries::Refused(reason) => NoSeries::Refused(format!("{reason}: {}", shown(&labels))),
            later => later,
        }),
        Err(reason) => Err(NoSeries::Refused(reason)),
    };
    let series = match series {
        Ok(series) => series,
        Err(NoSeries::Refused(reason)) => {
            done.left.add(samples.len() as u64, || reason);
            return Ok(());
        }
        Err(NoSeries::NotNow(problem)) => return Err(problem),
    };
    for sample in samples {
        match time_ns(sample.timestamp) {
            Some(time_ns) => {
                into.push(series, time_ns, sample.value)?;
                done.samples += 1;
            }
            None => done
                .left
                .add(1, || format!("{} ms is outside of the years 1677 to 2262", sample.timestamp)),
        }
    }
    Ok(())
}

/// The first labels of a series, for a message; each may be as long as a body.
fn shown(labels: &[(&str, &str)]) -> String {
    const LABELS: usize = 4;
    const LETTERS: usize = 40;
    let cut = |text: &str| text.chars().take(LETTERS).collect::<String>();
    let first = labels.iter().take(LABELS);
    let mut shown: Vec<_> =
        first.map(|(name, value)| format!("{:?}={:?}", cut(name), cut(value))).collect();
    if labels.len() > LABELS {
        shown.push("...".to_owned());
    }
    shown.join(", ")
}

fn text(bytes: &Bytes) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| "a label is not UTF-8".to_owned())
}

fn take_first(bytes: Bytes, into: &mut Samples) -> Result<Done, Problem> {
    let request = first::WriteRequest::decode(bytes).map_err(|error| malformed(&error))?;
    let mut done = Done { version: Version::First, samples: 0, left: Left::default() };
    for series in &request.timeseries {
        let labels =
            series.labels.iter().map(|label| Ok((text(&label.name)?, text(&label.value)?)));
        let labels = labels.collect::<Result<Vec<_>, String>>();
        take_series(&mut done, into, labels, "", &series.samples, series.histograms.len())?;
    }
    Ok(done)
}

fn take_second(bytes: Bytes, into: &mut Samples) -> Result<Done, Problem> {
    let request = second::Request::decode(bytes).map_err(|error| malformed(&error))?;
    if request.symbols.first().is_some_and(|first| !first.is_empty()) {
        return Err(Problem::invalid("the first symbol is not the empty text"));
    }
    // Each is looked at once, however often it is named.
    let symbols: Vec<Result<&str, String>> = request.symbols.iter().map(text).collect();
    let symbol = |number: u32| -> Result<&str, String> {
        let found = symbols.get(number as usize);
        found.ok_or_else(|| format!("there is no symbol {number}"))?.clone()
    };
    let mut done = Done { version: Version::Second, samples: 0, left: Left::default() };
    for series in &request.timeseries {
        let (pairs, rest) = series.labels_refs.as_chunks::<2>();
        let labels = match rest {
            [] => pairs.iter().map(|[name, value]| Ok((symbol(*name)?, symbol(*value)?))).collect(),
            _ => Err("a label without its value".to_owned()),
        };
        let unit = series.metadata.map(|metadata| symbol(metadata.unit_ref)).transpose();
        let unit = unit.ok().flatten().unwrap_or_default();
        take_series(&mut done, into, labels, unit, &series.samples, series.histograms.len())?;
    }
    Ok(done)
}
