//! From parsed rows to batches of the database.

use chronolith_engine::{Db, Definition, Kind, Metric, Ticket, ValueRef, WriteError};

use super::{BATCH_BYTES, BATCH_RECORDS, MEMORY_BYTES};
use crate::http::state::HttpState;
use crate::ingest::{BatchSink, IngestError, LineReader, RecordSink, Refusal, SinkMetric};

/// Puts rows into batches and hands them to the log, without waiting for it.
pub(super) struct Sink {
    db: Db,
    rows: BatchSink,
    ticket: Option<Ticket>,
    has_refused: bool,
}

impl Sink {
    pub(super) fn new(db: &Db) -> Self {
        let rows = BatchSink::new(db.clone(), Definition::DEFAULT_WINDOW_NS);
        Self { db: db.clone(), rows, ticket: None, has_refused: false }
    }

    fn submit(&mut self) -> Result<(), WriteError> {
        self.rows.check()?;
        if !self.rows.batch().is_empty() {
            self.ticket = Some(self.db.submit(self.rows.batch())?);
            self.rows.clear();
        }
        Ok(())
    }

    /// Hands over what is left; the ticket of the last batch, which stands for all.
    pub(super) fn finish(&mut self) -> Result<Option<Ticket>, WriteError> {
        self.submit()?;
        Ok(self.ticket.take())
    }
}

impl RecordSink for Sink {
    fn metric(&mut self, metric: &Metric, kind: Kind, unit: &str) -> Result<SinkMetric, Refusal> {
        let found = self.rows.metric(metric, kind, unit);
        self.has_refused |= found.is_err();
        found
    }

    fn known_kind(&mut self, metric: &Metric) -> Option<Kind> {
        self.rows.known_kind(metric)
    }

    #[inline]
    fn record(
        &mut self,
        metric: SinkMetric,
        time_ns: i64,
        value: ValueRef<'_>,
    ) -> Result<(), Refusal> {
        self.rows.record(metric, time_ns, value)
    }

    #[inline]
    fn end_row(&mut self) -> Result<(), IngestError> {
        let batch = self.rows.batch();
        if batch.len() >= BATCH_RECORDS || batch.data_bytes() >= BATCH_BYTES {
            self.submit().map_err(|error| IngestError::Sink(Box::new(error)))?;
        }
        Ok(())
    }
}

/// A reader of line protocol with its sink, which knows the metrics of earlier requests.
pub(super) struct Lines {
    pub(super) reader: LineReader,
    pub(super) sink: Sink,
}

impl Lines {
    /// One that has read before, or a new one.
    pub(super) fn take(state: &HttpState) -> Self {
        let known = state.writers().lines.lock().pop();
        known.unwrap_or_else(|| Self { reader: LineReader::default(), sink: Sink::new(state.db()) })
    }

    /// Keeps it for the next request, unless it knows very much, or refusals that may not last.
    pub(super) fn keep(self, state: &HttpState) {
        let size = self.reader.size_bytes() + size_of_val(self.sink.rows.metrics());
        if size <= MEMORY_BYTES && !self.sink.has_refused && self.sink.rows.batch().is_empty() {
            state.writers().lines.lock().push(self);
        }
    }
}
