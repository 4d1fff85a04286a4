//! Figures of the server itself, as Prometheus reads them.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::http::StatusCode;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use chronolith_engine::Db;

use crate::node::ProducingStatus;

/// What a request is counted by. Routes are those of the program, so that no client makes series.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: String,
    status: u32,
}

/// How records came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Protocol {
    Line,
    Json,
    RemoteWrite,
    Otlp,
}

impl EncodeLabelValue for Protocol {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        let name = match self {
            Self::Line => "line",
            Self::Json => "json",
            Self::RemoteWrite => "remote_write",
            Self::Otlp => "otlp",
        };
        EncodeLabelValue::encode(&name, encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct By {
    protocol: Protocol,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Why {
    reason: &'static str,
}

/// The figures.
pub(super) struct Measures {
    registry: Registry,
    requests: Family<Answered, Counter>,
    seconds: Family<Route, Histogram>,
    written: Family<By, Counter>,
    rejected: Family<By, Counter>,
    refused: Family<Why, Counter>,
    received: Counter,
    connections: Gauge,
    turned_away: Counter,
    metrics: Gauge<u64, AtomicU64>,
    chunks: Gauge<u64, AtomicU64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 4.0, 8))
}

impl Measures {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("chronolith");
        let (requests, written, rejected, refused) = Default::default();
        let seconds = Family::new_with_constructor(seconds as fn() -> Histogram);
        let (received, turned_away) = (Counter::default(), Counter::default());
        let (connections, metrics, chunks) = Default::default();
        registry.register("http_requests", "Requests that were answered", Family::clone(&requests));
        registry.register_with_unit(
            "http_request_duration",
            "Time until the answer of a request began",
            Unit::Seconds,
            Family::clone(&seconds),
        );
        registry.register(
            "http_records_written",
            "Records that were taken",
            Family::clone(&written),
        );
        registry.register(
            "http_records_rejected",
            "Records that were not taken",
            Family::clone(&rejected),
        );
        registry.register(
            "http_requests_refused",
            "Requests of who may not come in",
            Family::clone(&refused),
        );
        registry.register_with_unit(
            "http_received",
            "Bodies as they were sent",
            Unit::Bytes,
            Counter::clone(&received),
        );
        registry.register("http_connections", "Open connections", Gauge::clone(&connections));
        registry.register(
            "http_connections_turned_away",
            "Connections beyond the most",
            Counter::clone(&turned_away),
        );
        registry.register("metrics", "Metrics of the database", Gauge::clone(&metrics));
        registry.register("sealed_chunks", "Sealed chunks", Gauge::clone(&chunks));
        Self {
            registry,
            requests,
            seconds,
            written,
            rejected,
            refused,
            received,
            connections,
            turned_away,
            metrics,
            chunks,
        }
    }

    pub(super) fn answered(&self, route: &str, status: StatusCode, took: Duration) {
        let status = u32::from(status.as_u16());
        self.requests.get_or_create(&Answered { route: route.to_owned(), status }).inc();
        let route = Route { route: route.to_owned() };
        self.seconds.get_or_create(&route).observe(took.as_secs_f64());
    }

    pub(super) fn written(&self, protocol: Protocol, records: u64, rejected: u64) {
        let by = By { protocol };
        self.written.get_or_create(&by).inc_by(records);
        self.rejected.get_or_create(&by).inc_by(rejected);
    }

    pub(super) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Why { reason }).inc();
    }

    pub(super) fn received(&self, bytes: usize) {
        self.received.inc_by(bytes as u64);
    }

    pub(super) fn opened(&self) {
        self.connections.inc();
    }

    pub(super) fn closed(&self) {
        self.connections.dec();
    }

    pub(super) fn turned_away(&self) {
        self.turned_away.inc();
    }

    /// All figures as text, with those of the producer's role where the node has it.
    pub(super) fn text(&self, db: &Db, producing: Option<&ProducingStatus>) -> String {
        self.metrics.set(db.metric_count() as u64);
        self.chunks.set(db.segments().iter().map(|segment| u64::from(segment.chunks)).sum());
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode_registry(&mut text, &self.registry)
            .and_then(|()| producing.map_or(Ok(()), |status| producer(&mut text, status)))
            .and_then(|()| encode_eof(&mut text));
        text
    }
}

/// How far the producer's role is behind, and what it did.
fn producer(text: &mut String, status: &ProducingStatus) -> std::fmt::Result {
    let mut registry = Registry::with_prefix("chronolith_producer");
    let mut gauge = |name: &str, help: &str, value: u64| {
        let gauge = Gauge::<u64, AtomicU64>::default();
        gauge.set(value);
        registry.register(name, help, gauge);
    };
    gauge("waiting_chunks", "Sealed chunks that wait for a pack to be full", status.waiting);
    gauge("unplaced_packs", "Packs that are not kept in all their fragments", status.unplaced);
    gauge("failing", "Whether the last round did not do all", u64::from(status.failure.is_some()));
    let help = "Whether something waits because a contract's placement cannot be had";
    gauge("refused", help, u64::from(!status.refused.is_empty()));
    if let Some(at) = status.whole_at {
        let help = "Seconds since a round did all that can be done";
        gauge("whole_age_seconds", help, at.elapsed().as_secs());
    }
    let mut counter = |name: &str, help: &str, value: u64| {
        let counter = Counter::<u64, AtomicU64>::default();
        counter.inc_by(value);
        registry.register(name, help, counter);
    };
    counter("anchored_batches", "Seal batches that were anchored", status.anchored);
    counter("packs", "Packs that were made", status.packed);
    counter("placed_packs", "Packs whose fragments were all leased", status.placed);
    counter("moved_leases", "Leases that peers lost or left and others have", status.moved);
    encode_registry(text, &registry)
}
