//! The continuous queries of the database that is served, kept up to date by a thread of their own.

use std::sync::OnceLock;

use chronolith_engine::Db;
use chronolith_query::continuous::{Continuous, ContinuousError, Worker};

/// Continuous queries that run; they stop when this is dropped.
pub(in crate::http) struct Running {
    queries: Continuous,
    worker: Worker,
    failure: OnceLock<String>,
}

impl Running {
    /// Opens them and goes on with what was written since.
    ///
    /// # Errors
    /// Where somebody else keeps them up to date, or their state cannot be read.
    pub(in crate::http) fn start(db: Db) -> Result<Self, ContinuousError> {
        let queries = Continuous::open(db)?;
        let worker = queries.start()?;
        Ok(Self { queries, worker, failure: OnceLock::new() })
    }

    pub(in crate::http) const fn queries(&self) -> &Continuous {
        &self.queries
    }

    /// Why they do not go on, where they do not.
    pub(in crate::http) fn failure(&self) -> Option<&str> {
        if let Some(failure) = self.worker.failure() {
            // The first is the one that ended them.
            let _ = self.failure.set(failure.to_string());
        }
        self.failure.get().map(String::as_str)
    }
}
