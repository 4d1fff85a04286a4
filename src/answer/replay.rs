//! Answering a question from chunks alone: in a database of nothing else, in memory, by one thread.
//!
//! Who makes a proof and who checks it do the same here, so that what they compare was computed in the same
//! way from the same records.

use std::sync::Arc;

use chronolith_disk::SimDisk;
use chronolith_engine::{
    Block, Db, Definition, Durability, Maintenance, Metric, MetricId, OpenError, Options,
    WriteError,
};
use chronolith_query::{Limits, QueryError, Sql};

use super::rows::{Rows, RowsError};

/// So many records are written at once.
const BATCH_RECORDS: usize = 64 << 10;
/// The most records that are held.
pub(super) const RECORDS_MOST: u64 = 1 << 26;

/// Why a question cannot be answered from chunks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The database in memory does not open.
    #[error("cannot make a database in memory: {0}")]
    Open(#[from] OpenError),
    /// The records do not go in.
    #[error("cannot take the records of a chunk: {0}")]
    Write(#[from] WriteError),
    /// The question has no answer.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The answer is too large.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// There are more records than are held at once.
    #[error("the chunks hold {found} records, more than {RECORDS_MOST}; ask for less at once")]
    TooMany {
        /// How many there are.
        found: u64,
    },
}

/// What a question depends on, by the names of metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The metrics, and the first and last time of each, rising.
    pub metrics: Vec<(Metric, i64, i64)>,
    /// Whether the order of rows is a part of the answer.
    pub is_ordered: bool,
}

/// A database of some chunks.
pub struct Replay {
    sql: Sql,
    metrics: Vec<MetricId>,
    records: u64,
}

impl Replay {
    /// A database with these metrics, and no records.
    pub fn new(definitions: impl IntoIterator<Item = Definition>) -> Result<Self, ReplayError> {
        let options = Options {
            maintenance: Maintenance::Manual,
            // Nothing of it is ever signed.
            producer_secret: Some([0; 32]),
            ..Options::default()
        };
        let db = Db::open_on(Arc::new(SimDisk::new()), options)?;
        let metrics = definitions.into_iter().map(|definition| db.define(definition));
        let metrics = metrics.collect::<Result<_, _>>()?;
        Ok(Self { sql: Sql::repeatable(db)?, metrics, records: 0 })
    }

    /// Adds the records of a chunk. A metric's chunks come in the order of its catalogue: of two records of
    /// one time, that of the later chunk counts.
    pub fn add(&mut self, metric: usize, records: &Block) -> Result<(), ReplayError> {
        self.records = self.records.saturating_add(records.len() as u64);
        if self.records > RECORDS_MOST {
            return Err(ReplayError::TooMany { found: self.records });
        }
        let Some(metric) = self.metrics.get(metric) else { return Ok(()) };
        let db = self.sql.db();
        let mut batch = db.batch();
        for (time_ns, value) in records.iter() {
            batch.push(*metric, time_ns, value)?;
            if batch.len() >= BATCH_RECORDS {
                db.write(&batch, Durability::Buffered)?;
                batch.clear();
            }
        }
        if !batch.is_empty() {
            db.write(&batch, Durability::Buffered)?;
        }
        Ok(())
    }

    /// What answers.
    #[must_use]
    pub const fn sql(&self) -> &Sql {
        &self.sql
    }

    /// What a question depends on, of the metrics that are here.
    pub fn scope(&self, question: &str, limits: &Limits) -> Result<Scope, QueryError> {
        scope(&self.sql, question, limits)
    }

    /// The answer.
    pub fn rows(
        &self,
        question: &str,
        is_ordered: bool,
        limits: &Limits,
    ) -> Result<Rows, ReplayError> {
        Ok(Rows::of(self.sql.query(question, limits)?, is_ordered)?)
    }
}

/// What a question depends on, of the metrics of a database.
pub(super) fn scope(sql: &Sql, question: &str, limits: &Limits) -> Result<Scope, QueryError> {
    let reads = sql.reads(question, limits)?;
    let of = |read: &chronolith_query::Read| {
        let definition = sql.db().definition(read.metric)?;
        Some((definition.metric.clone(), read.from_ns, read.to_ns))
    };
    let mut metrics: Vec<_> = reads.metrics.iter().filter_map(of).collect();
    metrics.sort();
    Ok(Scope { metrics, is_ordered: reads.is_ordered })
}
