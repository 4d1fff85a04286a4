//! Flushing what is over the budget, and sealing what has closed.

use std::time::Instant;

use crate::db::Inner;

use super::worker::Tasks;
use super::{earliest, take_due};

/// What maintenance has to do.
#[derive(Default)]
pub(super) struct Chores {
    /// The memtables are over their budget.
    pub(super) flush: bool,
    /// When to look for windows that have closed.
    pub(super) seal_by: Option<Instant>,
}

impl Tasks for Chores {
    fn is_urgent(&self) -> bool {
        self.flush
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.seal_by
    }

    fn take_due(&mut self, now: Instant) -> Self {
        let seal_by = take_due(&mut self.seal_by, now).then_some(now);
        Self { flush: std::mem::take(&mut self.flush), seal_by }
    }

    fn work(self, inner: &Inner) -> Self {
        if self.flush {
            inner.flush_over_budget();
        }
        if self.seal_by.is_none() {
            return Self::default();
        }
        inner.seal_due();
        let next = Instant::now().checked_add(inner.options().seal_interval);
        Self { flush: false, seal_by: next }
    }

    fn add(&mut self, more: Self) {
        self.seal_by = earliest(self.seal_by, more.seal_by);
    }
}
