//! Syncs by a deadline, and callbacks when a batch is on stable storage.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crate::db::Inner;
use crate::wal::Sequence;

use super::worker::Tasks;
use super::{Callback, earliest, take_due};

/// What was promised to writers that did not wait.
#[derive(Default)]
pub(super) struct Promises {
    /// Everything is on stable storage by then.
    pub(super) sync_by: Option<Instant>,
    /// The operating system has everything by then.
    pub(super) hand_over_by: Option<Instant>,
    pub(super) callbacks: Vec<(Sequence, Callback)>,
}

impl Promises {
    /// Keeps all promises at once; deadlines are met by the closing that follows.
    pub(super) fn keep_all(self, inner: &Inner) {
        for (sequence, then) in self.callbacks {
            let synced = inner.log().and_then(|wal| wal.sync_to(sequence));
            // A panic of the caller's is reported by its hook; the other promises are kept.
            let _ = catch_unwind(AssertUnwindSafe(|| then(synced)));
        }
    }
}

impl Tasks for Promises {
    fn is_urgent(&self) -> bool {
        !self.callbacks.is_empty()
    }

    fn next_deadline(&self) -> Option<Instant> {
        earliest(self.sync_by, self.hand_over_by)
    }

    fn take_due(&mut self, now: Instant) -> Self {
        let is_due = |deadline: &mut Option<Instant>| take_due(deadline, now).then_some(now);
        Self {
            sync_by: is_due(&mut self.sync_by),
            hand_over_by: is_due(&mut self.hand_over_by),
            callbacks: std::mem::take(&mut self.callbacks),
        }
    }

    fn work(self, inner: &Inner) -> Self {
        if let Ok(wal) = inner.log() {
            // Failures poison the log, and the next writer is told.
            if self.sync_by.is_some() {
                let _ = wal.sync_to(wal.last());
            } else if self.hand_over_by.is_some() {
                let _ = wal.flush_buffer();
            }
        }
        self.keep_all(inner);
        Self::default()
    }

    fn add(&mut self, _: Self) {}
}
