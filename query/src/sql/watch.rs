//! The watch over a running query: its deadline and its cancellation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;

/// What ends a query before its time; operators that work long between two batches look at it.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    deadline: Option<Instant>,
    cancelled: Arc<AtomicBool>,
}

/// Why operators stopped: [`super::answer`] recognises it and tells limits from cancellation.
#[derive(Debug, thiserror::Error)]
#[error("the query was stopped")]
pub(crate) struct Stopped;

impl Watch {
    pub(crate) fn new(deadline: Option<Instant>) -> Self {
        Self { deadline, cancelled: Arc::default() }
    }

    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancelled)
    }

    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// The watch over a task's query.
    pub(crate) fn of(context: &TaskContext) -> Arc<Self> {
        context.session_config().get_extension::<Self>().unwrap_or_default()
    }

    /// An error where the query shall go on no more.
    pub(crate) fn check(&self) -> Result<()> {
        let late = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if late || self.is_cancelled() {
            return Err(DataFusionError::External(Box::new(Stopped)));
        }
        Ok(())
    }
}
