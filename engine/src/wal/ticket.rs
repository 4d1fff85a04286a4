//! Tickets: waiting for durability later, elsewhere or not at all.

use std::sync::Arc;

use crate::error::WriteError;

use super::{Sequence, Wal};

/// The promise of a submitted batch: it is visible, and durable once the ticket says so.
///
/// Dropping a ticket gives up waiting, not the batch.
#[must_use = "a batch is durable only when its ticket says so"]
pub struct Ticket {
    wal: Arc<Wal>,
    sequence: Sequence,
}

impl Ticket {
    pub(crate) fn new(wal: Arc<Wal>, sequence: Sequence) -> Self {
        Self { wal, sequence }
    }

    /// The batch's sequence number.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// Whether the batch is on stable storage.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.wal.synced() >= self.sequence
    }

    /// Returns when the batch is on stable storage. Waiters share one sync.
    pub fn wait(&self) -> Result<(), WriteError> {
        self.wal.sync_to(self.sequence)
    }
}
