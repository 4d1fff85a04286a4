//! Messages of remote write 1.0 (`prometheus.WriteRequest`).

use axum::body::Bytes;

use crate::http::write::weight::{Kind, Part};

/// What a request takes in memory.
pub(super) const PARTS: &[Part] =
    &[Part { tag: 1, kind: Kind::Message(size_of::<TimeSeries>(), SERIES) }];
const SERIES: &[Part] = &[
    // With the pair of texts that is made of it.
    Part { tag: 1, kind: Kind::InPlace(size_of::<Label>() + size_of::<(&str, &str)>()) },
    Part { tag: 2, kind: Kind::InPlace(size_of::<Sample>()) },
    Part { tag: 4, kind: Kind::InPlace(size_of::<Bytes>()) },
];
/// A request. Metadata are not kept.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) timeseries: Vec<TimeSeries>,
}

/// A series with its samples.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    pub(super) labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub(super) samples: Vec<Sample>,
    /// What is in them is not read.
    #[prost(bytes = "bytes", repeated, tag = "4")]
    pub(super) histograms: Vec<Bytes>,
}

/// A label: bytes of the body, which are not copied.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Label {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) name: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) value: Bytes,
}

/// A sample, in both versions.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Sample {
    #[prost(double, tag = "1")]
    pub(super) value: f64,
    /// Milliseconds since the epoch.
    #[prost(int64, tag = "2")]
    pub(super) timestamp: i64,
}
