//! What was opened goes into the buyer's database.

use std::collections::BTreeSet;

use chronolith_engine::chunk::OpenedForeign;
use chronolith_engine::{BulkLoad, Column, Db, Definition, Durability, MetricId, WriteError};

/// Less than this goes through the log, since a load leaves a file: bytes of records as they are.
const FEW_BYTES: usize = 1 << 20;
/// What has become as large is written: bytes.
const LOAD_BYTES: usize = 64 << 20;
/// A batch that has become as large is written: bytes.
const BATCH_BYTES: usize = 16 << 20;
/// So many records go into a batch at once: they may be as long as the longest values.
const STEP_RECORDS: usize = 256;

/// A chunk on its way into the database, and the metric that takes it.
type Placed = (MetricId, OpenedForeign);

/// Writes opened chunks: many as they are, few as records. What amends a chunk comes after it.
pub(super) struct Writer<'a> {
    db: &'a Db,
    /// What came, as long as it is little.
    few: Vec<Placed>,
    few_bytes: usize,
    load: BulkLoad<'a>,
    /// What amends chunks of the load, and is written behind it.
    amending: Vec<Placed>,
    amending_bytes: usize,
    metrics: BTreeSet<String>,
}

impl<'a> Writer<'a> {
    pub(super) const fn new(db: &'a Db) -> Self {
        Self {
            db,
            few: Vec::new(),
            few_bytes: 0,
            load: db.bulk_load(),
            amending: Vec::new(),
            amending_bytes: 0,
            metrics: BTreeSet::new(),
        }
    }

    /// The metric that takes a chunk, made where there is none.
    ///
    /// # Errors
    /// Where the database does not take it.
    pub(super) fn place(&self, opened: &OpenedForeign) -> Result<MetricId, WriteError> {
        let definition = opened.definition();
        let id = match self.db.find_metric(&definition.metric) {
            // What he has of it may be stricter than what he buys, and stays so.
            Some(id) => id,
            None => self.db.define(Definition { is_public: false, ..definition.clone() })?,
        };
        if id.kind() != definition.kind {
            let (metric, expected, found) =
                (definition.metric.to_string(), id.kind(), definition.kind);
            return Err(WriteError::Redefined { metric, expected, found });
        }
        let known = self.db.definition(id);
        if let Some(known) = known.filter(|known| !known.policies.as_slice().is_empty()) {
            return Err(WriteError::Refused(format!(
                "metric {} is written by the policies {:?} here, which would change what was bought: receive into \
                 another database",
                known.metric,
                known.policies.to_string()
            )));
        }
        if let Column::Bytes(values) = opened.records().values() {
            let mut blobs = values.blobs().iter();
            if let Some((position, blob)) = blobs.find(|(_, blob)| self.db.open_blob(blob).is_err())
            {
                let (position, blob) = (*position, blob.cid.to_string());
                return Err(WriteError::UnknownBlob { position, blob });
            }
        }
        Ok(id)
    }

    /// Takes the records of a chunk.
    pub(super) fn add(&mut self, id: MetricId, opened: OpenedForeign) -> Result<(), WriteError> {
        self.metrics.insert(opened.definition().metric.to_string());
        self.few_bytes += opened.records().size_bytes();
        self.few.push((id, opened));
        if self.load.is_empty() && self.few_bytes < FEW_BYTES {
            return Ok(());
        }
        for placed in std::mem::take(&mut self.few) {
            self.put(placed)?;
        }
        if self.load.size_bytes().max(self.amending_bytes) >= LOAD_BYTES {
            self.write_load()?;
        }
        Ok(())
    }

    /// Puts a chunk into the load, or behind it where the load has records around it.
    fn put(&mut self, (id, opened): Placed) -> Result<(), WriteError> {
        let span = |opened: &OpenedForeign| {
            let times = opened.records().times();
            times.first().copied().zip(times.last().copied())
        };
        let of_this = span(&opened);
        let is_amended = |(other, earlier): &Placed| {
            let spans = of_this.zip(span(earlier));
            *other == id
                && spans.is_some_and(|(this, earlier)| this.0 <= earlier.1 && earlier.0 <= this.1)
        };
        if !self.amending.iter().any(is_amended) {
            match self.load.push_opened(id, &opened) {
                Err(WriteError::Overlap { .. }) => {}
                pushed => return pushed,
            }
        }
        self.amending_bytes += opened.records().size_bytes();
        self.amending.push((id, opened));
        Ok(())
    }

    fn write_load(&mut self) -> Result<(), WriteError> {
        std::mem::replace(&mut self.load, self.db.bulk_load()).finish()?;
        let amending = std::mem::take(&mut self.amending);
        self.amending_bytes = 0;
        self.write_records(&amending)
    }

    fn write_records(&self, chunks: &[Placed]) -> Result<(), WriteError> {
        let mut batch = self.db.batch();
        for (id, opened) in chunks {
            let records = opened.records();
            for from in (0..records.len()).step_by(STEP_RECORDS) {
                batch.push_block(*id, records, from..from + STEP_RECORDS)?;
                if batch.size_bytes() >= BATCH_BYTES {
                    self.db.write(&batch, Durability::Buffered)?;
                    batch.clear();
                }
            }
        }
        if !batch.is_empty() {
            self.db.write(&batch, Durability::Buffered)?;
        }
        Ok(())
    }

    /// Writes the rest, and makes all of it durable. The metrics that there are records of.
    pub(super) fn finish(mut self) -> Result<Vec<String>, WriteError> {
        let few = std::mem::take(&mut self.few);
        self.write_records(&few)?;
        self.write_load()?;
        self.db.sync()?;
        Ok(self.metrics.into_iter().collect())
    }
}
