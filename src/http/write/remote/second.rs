//! Messages of remote write 2.0 (`io.prometheus.write.v2.Request`): texts are in a table, once each.

use axum::body::Bytes;

use super::first::Sample;
use crate::http::write::weight::{Kind, Part};

/// What a request takes in memory.
pub(super) const PARTS: &[Part] = &[
    // With what is remembered of each symbol.
    Part { tag: 4, kind: Kind::InPlace(size_of::<Bytes>() + size_of::<Result<&str, String>>()) },
    Part { tag: 5, kind: Kind::Message(size_of::<TimeSeries>(), SERIES) },
];
const SERIES: &[Part] = &[
    // Half of a pair of texts, too.
    Part { tag: 1, kind: Kind::Numbers(size_of::<u32>() + size_of::<&str>()) },
    Part { tag: 2, kind: Kind::InPlace(size_of::<Sample>()) },
    Part { tag: 3, kind: Kind::InPlace(size_of::<Bytes>()) },
];

/// A request.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Request {
    #[prost(bytes = "bytes", repeated, tag = "4")]
    pub(super) symbols: Vec<Bytes>,
    #[prost(message, repeated, tag = "5")]
    pub(super) timeseries: Vec<TimeSeries>,
}

/// A series with its samples.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TimeSeries {
    /// Numbers of symbols: of a name and its value, in turn.
    #[prost(uint32, repeated, tag = "1")]
    pub(super) labels_refs: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    pub(super) samples: Vec<Sample>,
    /// What is in them is not read.
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub(super) histograms: Vec<Bytes>,
    #[prost(message, optional, tag = "5")]
    pub(super) metadata: Option<Metadata>,
}

/// What is said of a metric.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Metadata {
    /// The number of its unit among the symbols.
    #[prost(uint32, tag = "4")]
    pub(super) unit_ref: u32,
}
