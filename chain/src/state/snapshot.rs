//! A version of the state, carried to another node in pieces.
//!
//! The trie is cut at a depth of `bits`: piece `i` is every entry whose key hash begins with the
//! bits of `i`, with the hashes beside the way from the root to that subtree. So each piece is
//! verified against the state root by itself, in any order, and a peer that sends a false one is
//! found out before the next is fetched.

mod cut;
mod restore;

pub use cut::Snapshot;
pub use restore::{PieceCheck, Restore};

use borsh::{BorshDeserialize, BorshSerialize};

use super::StateError;
use super::proof::StateProofError;
use super::trie::bit;
use crate::encoding::{Bytes, DecodeError, List, decode};
use crate::hash::Hash;

/// The largest encoding of one piece in bytes: it fits into an answer of the network.
pub const MAX_CHUNK_BYTES: usize = 15 << 16;
/// The deepest cut.
const MAX_BITS: u8 = 16;

/// One piece of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SnapshotChunk {
    /// Which piece: the first bits of its key hashes.
    pub index: u32,
    /// Keys and values, in the order of the key hashes.
    pub entries: List<(Bytes<1024>, Bytes<{ 1 << 20 }>), { 1 << 24 }>,
    /// The hashes beside the way to the piece's subtree, from the top.
    pub beside: List<Option<Hash>, 256>,
    /// A leaf of another piece that the way ends at, where this piece is empty.
    pub other: Option<(Hash, Hash)>,
}

/// Why a piece of a snapshot is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The snapshot would be cut deeper than any is.
    #[error("a snapshot cut at {found} bits; at most {MAX_BITS} are allowed")]
    Bits {
        /// The depth that was asked for.
        found: u8,
    },
    /// Even at the deepest cut a piece is too large.
    #[error(
        "a piece of the deepest cut has more than {most} bytes: the state is too large to be carried"
    )]
    Large {
        /// The bound.
        most: usize,
    },
    /// The bytes are no piece.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// There is no such piece.
    #[error("piece {index} of {count}")]
    Index {
        /// The piece.
        index: u32,
        /// How many there are.
        count: u32,
    },
    /// The piece is there already.
    #[error("piece {index} came before")]
    Duplicate {
        /// The piece.
        index: u32,
    },
    /// Entries are not in order, or belong to another piece.
    #[error("piece {index}: entry {entry} is out of order or of another piece")]
    Entry {
        /// The piece.
        index: u32,
        /// The entry's place in it.
        entry: usize,
    },
    /// The proof is longer than the cut is deep, or has a leaf that does not belong to it.
    #[error("piece {index}: the way to it has a wrong shape")]
    Shape {
        /// The piece.
        index: u32,
    },
    /// The proof does not hold.
    #[error("piece {index}: {source}; ask another peer for it")]
    Proof {
        /// The piece.
        index: u32,
        /// What does not hold.
        source: StateProofError,
    },
    /// Pieces are missing.
    #[error("{found} of {count} pieces are there")]
    Incomplete {
        /// How many are there.
        found: usize,
        /// How many there must be.
        count: usize,
    },
    /// The state could not be written or read.
    #[error(transparent)]
    State(#[from] StateError),
}

impl SnapshotChunk {
    /// Decodes a piece.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode("a piece of a snapshot", bytes, MAX_CHUNK_BYTES)
    }
}

/// A key hash that begins with the bits of `index`.
fn prefix_of(index: u32, bits: u8) -> Hash {
    let mut hash = Hash::default();
    let aligned = index << (32 - u32::from(bits)).min(31);
    if bits > 0 {
        hash.0[..4].copy_from_slice(&aligned.to_be_bytes());
    }
    hash
}

/// Whether a key hash belongs to a piece.
fn belongs(key: &Hash, index: u32, bits: u8) -> bool {
    let prefix = prefix_of(index, bits);
    (0..usize::from(bits)).all(|depth| bit(key, depth) == bit(&prefix, depth))
}
