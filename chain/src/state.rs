//! The state: ordered keys and values, under a Merkle root per block.
//!
//! [`State`] holds the values on disk and the trie over them in memory. A block's changes are
//! first [prepared](State::prepare), which gives their root and changes nothing, so that a
//! proposal can be judged; then [committed](State::commit). The last versions stay readable and
//! provable; older ones are forgotten. A [snapshot](Snapshot) carries a version to another node,
//! in pieces that are verified one by one; it is cut from a [reader](StateReader), beside whoever goes
//! on with the state.

mod backend;
mod contained;
mod key;
mod overlay;
mod proof;
mod reader;
mod snapshot;
mod store;
mod trie;
mod version;

pub use contained::FileError;
pub(crate) use contained::{Contained, FORMAT, Reading, Table};
pub use key::{Key, KeyPart};
pub use overlay::{Overlay, View};
pub use proof::{ProofEnd, StateProof, StateProofError, key_hash, value_hash};
pub use reader::StateReader;
pub use snapshot::{MAX_CHUNK_BYTES, PieceCheck, Restore, Snapshot, SnapshotChunk, SnapshotError};
pub use trie::{EMPTY, TrieFull};
pub use version::{Options, Prepared, State};

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::encoding::DecodeError;
use crate::hash::Hash;

/// New values by key; none where a key goes.
pub type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A version of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Head {
    /// The height of the block that made it.
    pub version: u64,
    /// The root of the trie over it.
    pub root: Hash,
}

/// Why the state cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The file could not be created, opened or named.
    #[error("{place}: {source}")]
    Disk {
        /// Which file.
        place: String,
        /// What the disk said.
        source: std::io::Error,
    },
    /// The file is damaged, of another version, or cannot be read or written; after a failed write,
    /// open the state again.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file has no state in it.
    #[error("{place} holds no state; create one from a genesis or a snapshot")]
    Missing {
        /// Which file.
        place: String,
    },
    /// There is a state already.
    #[error("{place} holds a state already")]
    Exists {
        /// Which file.
        place: String,
    },
    /// The values do not have the root that was stored with them.
    #[error(
        "version {version} has the root {found} where {expected} was stored: the file is damaged; restore a snapshot"
    )]
    Damaged {
        /// The version whose root is wrong.
        version: u64,
        /// The root that was stored.
        expected: Hash,
        /// The root of what is there.
        found: Hash,
    },
    /// Stored bytes are not what they should be.
    #[error("stored bytes are damaged: {0}; restore a snapshot")]
    Decode(#[from] DecodeError),
    /// A version is not, or no longer, there.
    #[error("version {wanted} is not kept; {oldest} to {newest} are")]
    Version {
        /// The version that was asked for.
        wanted: u64,
        /// The oldest one kept.
        oldest: u64,
        /// The newest.
        newest: u64,
    },
    /// A block was prepared for another version than the present one.
    #[error("the block was prepared on another version of the state; prepare it again")]
    Stale,
    /// Versions must rise.
    #[error("version {wanted} does not come after {newest}")]
    Order {
        /// The version that was to be committed.
        wanted: u64,
        /// The present one.
        newest: u64,
    },
    /// The trie is full.
    #[error(transparent)]
    Full(#[from] TrieFull),
    /// A state that is elsewhere cannot be read.
    #[error("{0}")]
    Elsewhere(String),
}
