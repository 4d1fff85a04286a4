//! What the messages of OTLP take in memory.

use axum::body::Bytes;

use super::message::{
    AnyValue, HistogramPoint, KeyValue, Metric, NumberPoint, Quantile, Resource, ResourceMetrics,
    Scope, ScopeMetrics, SummaryPoint,
};
use crate::http::write::weight::{Kind, Part};

/// What is made of a bucket or a quantile of one point, at most: bytes.
const SERIES_BYTES: usize = 96;

/// A request.
pub(super) const REQUEST: &[Part] =
    &[part(1, Kind::Message(size_of::<ResourceMetrics>(), RESOURCE_METRICS))];

const RESOURCE_METRICS: &[Part] = &[
    part(1, Kind::Message(size_of::<Resource>(), RESOURCE)),
    part(2, Kind::Message(size_of::<ScopeMetrics>(), SCOPE_METRICS)),
];
const RESOURCE: &[Part] = &[attributes(1)];
const SCOPE_METRICS: &[Part] = &[
    part(1, Kind::Message(size_of::<Scope>(), SCOPE)),
    part(2, Kind::Message(size_of::<Metric>(), METRIC)),
];
const SCOPE: &[Part] = &[text(1), text(2), attributes(3)];
const METRIC: &[Part] = &[
    text(1),
    text(3),
    part(5, Kind::Message(0, NUMBERS)),
    part(7, Kind::Message(0, NUMBERS)),
    part(9, Kind::Message(0, HISTOGRAM)),
    part(10, Kind::Message(0, EXPONENTIAL)),
    part(11, Kind::Message(0, SUMMARY)),
];
const NUMBERS: &[Part] = &[part(1, Kind::Message(size_of::<NumberPoint>(), &[attributes(7)]))];
const HISTOGRAM: &[Part] = &[part(1, Kind::Message(size_of::<HistogramPoint>(), HISTOGRAM_POINT))];
const HISTOGRAM_POINT: &[Part] = &[
    attributes(9),
    part(6, Kind::Doubles(size_of::<u64>() + SERIES_BYTES)),
    part(7, Kind::Doubles(size_of::<f64>())),
];
const EXPONENTIAL: &[Part] = &[part(1, Kind::InPlace(size_of::<Bytes>()))];
const SUMMARY: &[Part] = &[part(1, Kind::Message(size_of::<SummaryPoint>(), SUMMARY_POINT))];
const SUMMARY_POINT: &[Part] =
    &[attributes(7), part(6, Kind::InPlace(size_of::<Quantile>() + SERIES_BYTES))];

/// Statics, since these may lie within each other.
static KEY_VALUE: [Part; 2] = [text(1), part(2, Kind::Message(0, &ANY_VALUE))];
static ANY_VALUE: [Part; 4] =
    [text(1), part(5, Kind::Message(0, &LIST)), part(6, Kind::Message(0, &PAIRS)), text(7)];
static LIST: [Part; 1] = [part(1, Kind::Message(size_of::<AnyValue>(), &ANY_VALUE))];
static PAIRS: [Part; 1] = [attributes(1)];

const fn part(tag: u32, kind: Kind) -> Part {
    Part { tag, kind }
}

/// A text whose place is counted with its message.
const fn text(tag: u32) -> Part {
    part(tag, Kind::Bytes(0))
}

const fn attributes(tag: u32) -> Part {
    part(tag, Kind::Message(size_of::<KeyValue>(), &KEY_VALUE))
}
