//! What was opened goes into the buyer's database.

use std::collections::BTreeSet;

use chronolith_engine::{Batch, Block, Db, Definition, Durability, WriteError};

/// So many records are written at once.
const BATCH_RECORDS: usize = 1 << 16;

/// Writes opened chunks in batches.
pub(super) struct Writer<'a> {
    db: &'a Db,
    batch: Batch,
    metrics: BTreeSet<String>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(db: &'a Db) -> Self {
        Self { db, batch: db.batch(), metrics: BTreeSet::new() }
    }

    /// Takes the records of a chunk.
    pub(super) fn add(
        &mut self,
        definition: Definition,
        records: &Block,
    ) -> Result<(), WriteError> {
        self.metrics.insert(definition.metric.to_string());
        let id = match self.db.find_metric(&definition.metric) {
            // What he has of it may be stricter than what he buys, and stays so.
            Some(id) => id,
            None => self.db.define(Definition { is_public: false, ..definition })?,
        };
        let known = self.db.definition(id);
        if let Some(known) = known.filter(|known| !known.policies.as_slice().is_empty()) {
            return Err(WriteError::Refused(format!(
                "metric {} is written by the policies {:?} here, which would change what was bought: receive into \
                 another database",
                known.metric,
                known.policies.to_string()
            )));
        }
        let mut place = 0;
        while place < records.len() {
            let end = place + (BATCH_RECORDS - self.batch.len()).min(records.len() - place);
            self.batch.push_block(id, records, place..end)?;
            place = end;
            if self.batch.len() >= BATCH_RECORDS {
                self.write()?;
            }
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), WriteError> {
        self.db.write(&self.batch, Durability::Buffered)?;
        self.batch.clear();
        Ok(())
    }

    /// Writes the rest, and makes all of it durable. The metrics that there are records of.
    pub(super) fn finish(mut self) -> Result<Vec<String>, WriteError> {
        self.write()?;
        self.db.sync()?;
        Ok(self.metrics.into_iter().collect())
    }
}
