//! Where records go: the trait between the parsers and a database.

use chronolith_engine::{Kind, Metric, ValueRef};

use super::IngestError;

/// The number that a sink gave to a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SinkMetric(pub u32);

/// Why a sink did not take a metric or a record. The rest of the input goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The metric exists with values of another kind.
    #[error(
        "metric {metric} holds {has} values and takes no {got}; \
         give --type {name}={has}, or another name or tag"
    )]
    Kind {
        /// The metric, as messages show it.
        metric: String,
        /// Its name.
        name: String,
        /// The kind that it holds.
        has: Kind,
        /// The kind that the input has.
        got: Kind,
    },
    /// A limit of the store: lengths, number of metrics, bytes.
    #[error("{0}")]
    Limit(String),
    /// Any other reason.
    #[error("{0}")]
    Other(String),
}

impl Refusal {
    /// The refusal of a kind that clashes with what the metric holds.
    #[must_use]
    pub fn kind(metric: &Metric, has: Kind, got: Kind) -> Self {
        Self::Kind { metric: metric.to_string(), name: metric.name().to_owned(), has, got }
    }
}

/// Takes the records of an input, in input order.
///
/// A parser hands over all records of one row (line, frame, sentence) and then calls
/// [`end_row`](Self::end_row), so that a sink can keep rows whole when it commits.
pub trait RecordSink {
    /// Looks up or creates a metric. Parsers keep the answer, so that this is called about once
    /// for each distinct metric of an input. A refusal rejects the records of the metric.
    fn metric(&mut self, metric: &Metric, kind: Kind, unit: &str) -> Result<SinkMetric, Refusal>;

    /// The kind of a metric that exists already. An untyped number (CSV, JSON) for it is read as
    /// that kind, so that a metric of integers can be fed from a file that states no types.
    fn known_kind(&mut self, metric: &Metric) -> Option<Kind> {
        let _ = metric;
        None
    }

    /// Takes one record; the time is in nanoseconds since the Unix epoch.
    fn record(
        &mut self,
        metric: SinkMetric,
        time_ns: i64,
        value: ValueRef<'_>,
    ) -> Result<(), Refusal>;

    /// Everything of one row has been handed over. Only what ends the whole ingest is an error.
    fn end_row(&mut self) -> Result<(), IngestError>;
}

/// Takes everything and keeps nothing: for measurements and dry runs.
#[derive(Debug, Default)]
pub struct NullSink {
    metrics: u32,
    /// Records taken so far.
    pub records: u64,
}

impl RecordSink for NullSink {
    fn metric(&mut self, _: &Metric, _: Kind, _: &str) -> Result<SinkMetric, Refusal> {
        self.metrics += 1;
        Ok(SinkMetric(self.metrics - 1))
    }

    fn record(&mut self, _: SinkMetric, _: i64, _: ValueRef<'_>) -> Result<(), Refusal> {
        self.records += 1;
        Ok(())
    }

    fn end_row(&mut self) -> Result<(), IngestError> {
        Ok(())
    }
}
