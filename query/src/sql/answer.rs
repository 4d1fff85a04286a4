//! Answers: the batches of a running query, with the limits kept.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::{DataFusionError, exec_err};
use datafusion::execution::SendableRecordBatchStream;
use futures::{FutureExt, StreamExt};

use super::error::QueryError;
use super::problem::failure;
use super::session::Limits;
use super::threads::Threads;
use super::watch::Watch;

/// The rows of a query as Arrow record batches, in order. Dropping it ends the query.
pub struct Answer {
    /// The query; empty where it was not asked in SQL.
    sql: Box<str>,
    schema: SchemaRef,
    stream: Option<SendableRecordBatchStream>,
    runtime: Arc<Threads>,
    watch: Arc<Watch>,
    limits: Limits,
    rows: u64,
}

/// Ends a query from another thread.
#[derive(Debug, Clone, Default)]
pub struct Canceller(Arc<AtomicBool>);

impl Canceller {
    /// A flag that ends the query when it is set, for handlers of signals.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    /// Ends the query; its answer then ends with [`QueryError::Cancelled`].
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What came of waiting for a batch.
enum Waited {
    Batch(Result<RecordBatch, DataFusionError>),
    End,
    Stopped,
}

/// How often a query that gives no rows is looked at.
pub(crate) const GLANCE: Duration = Duration::from_millis(10);

impl Answer {
    pub(crate) fn new(
        sql: &str,
        stream: SendableRecordBatchStream,
        runtime: Arc<Threads>,
        watch: Arc<Watch>,
        limits: Limits,
    ) -> Self {
        let (sql, schema) = (sql.into(), stream.schema());
        Self { sql, schema, stream: Some(stream), runtime, watch, limits, rows: 0 }
    }

    /// The columns.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// What ends this query from another thread.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        self.watch.canceller().clone()
    }

    /// The next batch, or the end, or the watch's word.
    fn wait(&mut self) -> Waited {
        let Self { stream, watch, runtime, .. } = self;
        let Some(stream) = stream.as_mut() else { return Waited::End };
        runtime.block_on(async {
            loop {
                if watch.check().is_err() {
                    return Waited::Stopped;
                }
                // What an operator cannot bear is the end of its query, not of the program.
                let next = AssertUnwindSafe(stream.next()).catch_unwind();
                match tokio::time::timeout(GLANCE, next).await {
                    Ok(Ok(batch)) => return batch.map_or(Waited::End, Waited::Batch),
                    Ok(Err(_)) => {
                        return Waited::Batch(exec_err!(
                            "an operator cannot go on: its batches are too large, or it has a \
                             fault; ask for less"
                        ));
                    }
                    Err(_) => {}
                }
            }
        })
    }
}

impl Iterator for Answer {
    type Item = Result<RecordBatch, QueryError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.stream.as_ref()?;
        let error = match self.wait() {
            Waited::Batch(Ok(batch)) => {
                self.rows += batch.num_rows() as u64;
                match self.limits.rows.filter(|limit| self.rows > *limit) {
                    None => return Some(Ok(batch)),
                    Some(limit) => QueryError::TooManyRows(limit),
                }
            }
            Waited::Batch(Err(_)) if self.watch.check().is_err() => self.watch.stopped(),
            Waited::Batch(Err(error)) => failure(&self.sql, error, &self.limits),
            Waited::Stopped => self.watch.stopped(),
            Waited::End => {
                self.stream = None;
                return None;
            }
        };
        self.stream = None;
        Some(Err(error))
    }
}
