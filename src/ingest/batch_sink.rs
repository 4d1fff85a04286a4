//! Records gathered into a batch of a database, for whoever commits it.

use chronolith_engine::{Batch, Db, Definition, Kind, Metric, MetricId, ValueRef, WriteError};

use super::{IngestError, RecordSink, Refusal, SinkMetric};

/// Defines metrics as they come and puts records into a [`Batch`]; commits nothing by itself.
pub struct BatchSink {
    db: Db,
    window_ns: i64,
    metrics: Vec<MetricId>,
    batch: Batch,
    /// Why the database took no metric, where that is no fault of the input.
    failure: Option<WriteError>,
}

impl BatchSink {
    /// An empty batch for a database. Metrics that are made have windows of this length.
    #[must_use]
    pub fn new(db: Db, window_ns: i64) -> Self {
        let batch = db.batch();
        Self { db, window_ns, metrics: Vec::new(), batch, failure: None }
    }

    /// Whoever commits looks here first: where the database itself failed, nothing that was refused
    /// meanwhile was refused for what it is, and all of it has to come again.
    ///
    /// # Errors
    /// Why the database took no metric, once.
    pub fn check(&mut self) -> Result<(), WriteError> {
        self.failure.take().map_or(Ok(()), Err)
    }

    /// What was gathered.
    #[must_use]
    pub const fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Forgets what was gathered, once it is committed or given up.
    pub fn clear(&mut self) {
        self.batch.clear();
    }

    /// The metrics that inputs named so far; one may come more than once.
    #[must_use]
    pub fn metrics(&self) -> &[MetricId] {
        &self.metrics
    }

    /// Begins the numbers of metrics anew, between two inputs.
    pub fn forget_metrics(&mut self) {
        self.metrics.clear();
    }

    fn refusal(&mut self, error: WriteError, metric: &Metric) -> Refusal {
        match error {
            WriteError::Redefined { expected, found, .. } => Refusal::kind(metric, expected, found),
            WriteError::Definition(error) => Refusal::Limit(error.to_string()),
            other => {
                let refusal = Refusal::Other(other.to_string());
                if !is_of_metric(&other) {
                    self.failure.get_or_insert(other);
                }
                refusal
            }
        }
    }
}

/// Whether a metric is refused for what it is: whoever sends it again is refused again. All else is the
/// database's: a disk that is full or fails, a database that is closed.
pub(crate) const fn is_of_metric(error: &WriteError) -> bool {
    matches!(
        error,
        WriteError::Redefined { .. } | WriteError::Definition(_) | WriteError::TooManyMetrics(_)
    )
}

impl RecordSink for BatchSink {
    fn metric(&mut self, metric: &Metric, kind: Kind, unit: &str) -> Result<SinkMetric, Refusal> {
        let id = match self.db.find_metric(metric) {
            Some(id) if id.kind() == kind => id,
            Some(id) => return Err(Refusal::kind(metric, id.kind(), kind)),
            None => {
                let definition = Definition::new(metric.clone(), kind);
                let definition = definition.unit(unit).window_ns(self.window_ns);
                self.db.define(definition).map_err(|error| self.refusal(error, metric))?
            }
        };
        self.metrics.push(id);
        Ok(SinkMetric(self.metrics.len() as u32 - 1))
    }

    fn known_kind(&mut self, metric: &Metric) -> Option<Kind> {
        self.db.find_metric(metric).map(MetricId::kind)
    }

    #[inline]
    fn record(
        &mut self,
        metric: SinkMetric,
        time_ns: i64,
        value: ValueRef<'_>,
    ) -> Result<(), Refusal> {
        let Some(id) = self.metrics.get(metric.0 as usize) else {
            return Err(Refusal::Other("the metric was never defined".to_owned()));
        };
        self.batch.push(*id, time_ns, value).map_err(|error| match error {
            WriteError::ValueTooLong { .. } => Refusal::Limit(error.to_string()),
            other => Refusal::Other(other.to_string()),
        })
    }

    #[inline]
    fn end_row(&mut self) -> Result<(), IngestError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    /// New metrics of a request were "rejected" when the disk was full: senders were answered with 400
    /// and threw the records away, and messages of MQTT were acknowledged. Defining a metric writes to
    /// the log, and its failure was told as a fault of the row.
    #[test]
    fn a_database_that_fails_is_no_fault_of_the_rows() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(folder.path().join("db"), chronolith_engine::Options::default()).unwrap();
        let mut sink = BatchSink::new(db.clone(), Definition::DEFAULT_WINDOW_NS);
        let known = Metric::new("car", "speed");
        sink.metric(&known, Kind::F64, "").unwrap();
        assert!(sink.metric(&known, Kind::Text, "").is_err());
        let long = Metric::new("car", "x".repeat(2_000));
        assert!(matches!(sink.metric(&long, Kind::F64, ""), Err(Refusal::Limit(_))));
        sink.check().unwrap();
        db.close().unwrap();
        assert!(sink.metric(&Metric::new("car", "rpm"), Kind::F64, "").is_err());
        assert!(matches!(sink.check(), Err(WriteError::Closed)));
        sink.check().unwrap();
    }
}
