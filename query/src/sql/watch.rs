//! The watch over a running query: its deadline and its cancellation.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;

use super::answer::Canceller;
use super::error::QueryError;

/// What ends a query before its time; operators that work long between two batches look at it.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    deadline: Option<Instant>,
    /// The time from the beginning to the deadline.
    time: Option<Duration>,
    canceller: Canceller,
}

/// Why operators stopped: [`super::answer`] recognises it and tells limits from cancellation.
#[derive(Debug, thiserror::Error)]
#[error("the query was stopped")]
pub(crate) struct Stopped;

impl Watch {
    pub(crate) fn new(time: Option<Duration>, canceller: &Canceller) -> Self {
        let deadline = time.map(|time| Instant::now() + time);
        Self { deadline, time, canceller: canceller.clone() }
    }

    pub(crate) const fn canceller(&self) -> &Canceller {
        &self.canceller
    }

    /// Why it ended the query.
    pub(crate) fn stopped(&self) -> QueryError {
        match self.time {
            Some(time) if !self.canceller.is_cancelled() => QueryError::TooSlow(time),
            _ => QueryError::Cancelled,
        }
    }

    /// The watch over a task's query.
    pub(crate) fn of(context: &TaskContext) -> Arc<Self> {
        context.session_config().get_extension::<Self>().unwrap_or_default()
    }

    /// An error where the query shall go on no more.
    pub(crate) fn check(&self) -> Result<()> {
        let late = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if late || self.canceller.is_cancelled() {
            return Err(DataFusionError::External(Box::new(Stopped)));
        }
        Ok(())
    }
}
