//! Joining a chain by a snapshot of its state, instead of executing every block from the genesis.
//!
//! | file | |
//! |---|---|
//! | `approach.rs` | from what is trusted to the header of a snapshot, by the rules of the light client |
//! | `shelf.rs` | the node that serves: snapshots as files, cut off the chain's thread |
//! | `joining.rs` | the node that joins: pieces on disk, resumed after a kill, and the switch to the new files |
//!
//! What is fetched needs no trust in who serves it: the header is that of a block which the validators
//! committed, every piece is proved by the root in it, and what the next block builds on by its history
//! root.

mod approach;
mod joining;
mod shelf;

pub use approach::{Approach, Approved, OfferError};
pub use joining::{JoinError, Joining, Present};
pub use shelf::{ShelfError, SnapshotShelf};

use borsh::{BorshDeserialize, BorshSerialize};

use crate::encoding::{DecodeError, decode};
use crate::hash::BlockId;
use crate::history::History;
use crate::light::Step;
use crate::state::{Head, StateReader};

/// What a snapshot is of: a block, and all that the next block builds on but the state itself.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SnapshotHead {
    /// The block's header, and what commits it.
    pub step: Step,
    /// All blocks before it.
    pub history: History,
    /// At how many bits the state is cut: there are 2 to the power of it pieces.
    pub bits: u8,
}

impl SnapshotHead {
    /// The largest encoding in bytes.
    pub const MAX_BYTES: usize = 32 << 10;

    /// Decodes one. It is well formed and nothing more.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode("the head of a snapshot", bytes, Self::MAX_BYTES)
    }

    /// The height of the block.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.step.header.height
    }

    /// The block.
    #[must_use]
    pub fn block(&self) -> BlockId {
        self.step.header.id()
    }

    /// The version of the state.
    #[must_use]
    pub fn state(&self) -> Head {
        Head { version: self.step.header.height, root: self.step.header.state_root }
    }
}

/// What a snapshot is made of, as [`Validator::snapshot_source`](super::Validator::snapshot_source)
/// gives it.
pub struct SnapshotSource {
    pub(super) step: Step,
    pub(super) history: History,
    pub(super) state: StateReader,
}
