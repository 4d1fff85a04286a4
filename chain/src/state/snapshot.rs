//! A version of the state, carried to another node in pieces.
//!
//! The trie is cut at a depth of `bits`: piece `i` is every entry whose key hash begins with the
//! bits of `i`, with the hashes beside the way from the root to that subtree. So each piece is
//! verified against the state root by itself, in any order, and a peer that sends a false one is
//! found out before the next is fetched.

use std::collections::BTreeSet;

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_disk::Disk;

use super::proof::{StateProofError, fold, key_hash, value_hash, written};
use super::trie::{EMPTY, Leaf, bit, leaf_hash, subtree_hash};
use super::{Changes, Head, Options, State, StateError};
use crate::encoding::{Bytes, DecodeError, List, decode};
use crate::hash::Hash;

/// The largest encoding of one piece in bytes.
const MAX_CHUNK_BYTES: usize = 64 << 20;
/// About how many bytes a piece should have.
const TARGET_CHUNK_BYTES: usize = 1 << 20;
/// The deepest cut.
const MAX_BITS: u8 = 16;

/// A version that can be read piece by piece.
pub struct Snapshot<'a> {
    state: &'a State,
    head: Head,
    bits: u8,
    /// All keys with their hashes, in the order of these.
    keys: Vec<(Hash, Vec<u8>)>,
}

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

impl State {
    /// A kept version, to be carried elsewhere. Reads all of it once.
    pub fn snapshot(&self, version: u64) -> Result<Snapshot<'_>, StateError> {
        let mut head = self.head();
        if let Some(kept) = self.versions().find(|kept| kept.version == version) {
            head = kept;
        }
        let (mut keys, mut bytes) = (Vec::new(), 0);
        self.for_each_at(version, &mut |key, value| {
            bytes += key.len() + value.len();
            keys.push((key_hash(key), key.to_vec()));
        })?;
        keys.sort_unstable();
        let bits = (0..MAX_BITS).find(|bits| bytes >> bits <= TARGET_CHUNK_BYTES);
        Ok(Snapshot { state: self, head, bits: bits.unwrap_or(MAX_BITS), keys })
    }
}

impl Snapshot<'_> {
    /// The version and its root.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head
    }

    /// The depth it is cut at; there are 2 to the power of it pieces.
    #[must_use]
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// Cuts at another depth, of at most 16 bits.
    pub fn cut_at(&mut self, bits: u8) -> Result<(), SnapshotError> {
        if bits > MAX_BITS {
            return Err(SnapshotError::Bits { found: bits });
        }
        self.bits = bits;
        Ok(())
    }

    /// How many pieces there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        1 << self.bits
    }

    /// One piece.
    pub fn chunk(&self, index: u32) -> Result<SnapshotChunk, SnapshotError> {
        if index >= self.count() {
            return Err(SnapshotError::Index { index, count: self.count() });
        }
        let prefix = prefix_of(index, self.bits);
        let (beside, leaf) =
            self.state.descend(self.head.version, &prefix, usize::from(self.bits))?;
        let first = self.keys.partition_point(|(hash, _)| *hash < prefix);
        let mut entries = Vec::new();
        for (hash, key) in self.keys.get(first..).unwrap_or_default() {
            if !belongs(hash, index, self.bits) {
                break;
            }
            let value = self.state.get_at(self.head.version, key)?.unwrap_or_default();
            let bounded = Bytes::new(key.clone()).ok().zip(Bytes::new(value).ok());
            entries.push(bounded.ok_or(SnapshotError::Entry { index, entry: entries.len() })?);
        }
        let other = leaf
            .filter(|leaf| !belongs(&leaf.key, index, self.bits))
            .map(|leaf| (leaf.key, leaf.value));
        let shape = |_| SnapshotError::Shape { index };
        let entries = List::new(entries).map_err(shape)?;
        Ok(SnapshotChunk { index, entries, beside: written(&beside), other })
    }
}

/// A snapshot that arrives.
pub struct Restore {
    head: Head,
    bits: u8,
    there: BTreeSet<u32>,
    values: Changes,
}

impl Restore {
    /// A snapshot of a version whose root is trusted, cut at `bits`.
    pub fn new(head: Head, bits: u8) -> Result<Self, SnapshotError> {
        if bits > MAX_BITS {
            return Err(SnapshotError::Bits { found: bits });
        }
        Ok(Self { head, bits, there: BTreeSet::new(), values: Changes::new() })
    }

    /// The pieces that are still missing.
    pub fn missing(&self) -> impl Iterator<Item = u32> + '_ {
        (0..1 << self.bits).filter(|index| !self.there.contains(index))
    }

    /// Takes a piece, if it is part of the version.
    pub fn add(&mut self, chunk: SnapshotChunk) -> Result<(), SnapshotError> {
        let (index, bits) = (chunk.index, self.bits);
        if index >= 1 << bits {
            return Err(SnapshotError::Index { index, count: 1 << bits });
        }
        if self.there.contains(&index) {
            return Err(SnapshotError::Duplicate { index });
        }
        let mut leaves: Vec<Leaf> = Vec::new();
        for (entry, (key, value)) in chunk.entries.iter().enumerate() {
            let leaf = Leaf { key: key_hash(key), value: value_hash(value) };
            let rises = leaves.last().is_none_or(|last| last.key < leaf.key);
            if !rises || !belongs(&leaf.key, index, bits) {
                return Err(SnapshotError::Entry { index, entry });
            }
            leaves.push(leaf);
        }
        let end = self.end(&chunk, &leaves)?;
        let failed = |source| SnapshotError::Proof { index, source };
        let root = fold(end, &prefix_of(index, bits), &chunk.beside).map_err(failed)?;
        if root != self.head.root {
            return Err(failed(StateProofError::Root));
        }
        for (key, value) in chunk.entries.iter() {
            self.values.insert(key.to_vec(), Some(value.to_vec()));
        }
        self.there.insert(index);
        Ok(())
    }

    /// The hash of what the way to a piece ends at.
    fn end(&self, chunk: &SnapshotChunk, leaves: &[Leaf]) -> Result<Hash, SnapshotError> {
        let (index, depth) = (chunk.index, chunk.beside.len());
        let is_cut_short = depth < usize::from(self.bits);
        match (leaves, chunk.other) {
            _ if depth > usize::from(self.bits) => Err(SnapshotError::Shape { index }),
            ([], Some((key, value))) if is_cut_short => {
                let prefix = prefix_of(index, self.bits);
                if (0..depth).any(|depth| bit(&key, depth) != bit(&prefix, depth)) {
                    return Err(SnapshotError::Shape { index });
                }
                Ok(leaf_hash(&key, &value))
            }
            ([], None) => Ok(EMPTY),
            ([leaf], None) => Ok(leaf_hash(&leaf.key, &leaf.value)),
            (leaves, None) if !is_cut_short => Ok(subtree_hash(usize::from(self.bits), leaves)),
            _ => Err(SnapshotError::Shape { index }),
        }
    }

    fn complete(self) -> Result<Changes, SnapshotError> {
        let (found, count) = (self.there.len(), 1 << self.bits);
        if found < count {
            return Err(SnapshotError::Incomplete { found, count });
        }
        Ok(self.values)
    }

    /// Makes a state in a file of all pieces.
    pub fn finish(
        self,
        disk: &dyn Disk,
        path: &str,
        options: Options,
    ) -> Result<State, SnapshotError> {
        let version = self.head.version;
        Ok(State::create(disk, path, version, self.complete()?, options)?)
    }

    /// Makes a state in memory of all pieces.
    pub fn finish_in_memory(self, options: Options) -> Result<State, SnapshotError> {
        let version = self.head.version;
        Ok(State::in_memory(version, self.complete()?, options)?)
    }
}
