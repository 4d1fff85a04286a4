//! Cutting a version into pieces.

use std::ops::Range;

use super::super::proof::{key_hash, value_hash, written};
use super::super::trie::{EMPTY, Leaf, bit, leaf_hash, node_hash, subtree_hash};
use super::super::{Head, State, StateError, StateReader};
use super::{MAX_BITS, MAX_CHUNK_BYTES, SnapshotChunk, SnapshotError, belongs, prefix_of};
use crate::encoding::{Bytes, List};
use crate::hash::Hash;

/// A version that can be read piece by piece, on whichever thread. It holds 100 bytes in memory for
/// each key, and the key; values are read as they are needed.
pub struct Snapshot {
    reader: StateReader,
    bits: u8,
    /// In the order of the key hashes.
    entries: Vec<Entry>,
    leaves: Vec<Leaf>,
    /// The hashes of the trie above the cut: that of the root at 1, of the children of `i` at `2i` and
    /// `2i + 1`. Below a subtree of one key or none there are none.
    tops: Vec<Hash>,
}

struct Entry {
    key: Vec<u8>,
    /// How many bytes it takes in a piece.
    bytes: usize,
}

impl State {
    /// A kept version, to be carried elsewhere in pieces of at most [`MAX_CHUNK_BYTES`]. Reads all of it
    /// once.
    ///
    /// # Errors
    /// As [`Snapshot::of`].
    pub fn snapshot(&self, version: u64) -> Result<Snapshot, SnapshotError> {
        Snapshot::of(self.reader(version)?, MAX_CHUNK_BYTES)
    }
}

impl Snapshot {
    /// A version cut into as few pieces as can be, of at most so many bytes each. Reads all of it once,
    /// and compares it with its root.
    ///
    /// # Errors
    /// [`SnapshotError::Large`] where no cut is deep enough; a state that cannot be read, or is damaged.
    pub fn of(reader: StateReader, most_bytes: usize) -> Result<Self, SnapshotError> {
        let mut all = Vec::new();
        reader.for_each(&mut |key, value| {
            let leaf = Leaf { key: key_hash(key), value: value_hash(value) };
            let bytes = 2 * size_of::<u32>() + key.len() + value.len();
            all.push((leaf, Entry { key: key.to_vec(), bytes }));
        })?;
        all.sort_unstable_by_key(|(leaf, _)| leaf.key);
        let (leaves, entries) = all.into_iter().unzip();
        let mut snapshot = Self { reader, bits: 0, entries, leaves, tops: Vec::new() };
        let fits = |bits: &u8| snapshot.largest(*bits) <= most_bytes;
        let bits = (0..=MAX_BITS).find(fits).ok_or(SnapshotError::Large { most: most_bytes })?;
        snapshot.cut_at(bits)?;
        let (head, found) = (snapshot.head(), snapshot.top(1));
        if found != head.root {
            let (version, expected) = (head.version, head.root);
            return Err(StateError::Damaged { version, expected, found }.into());
        }
        Ok(snapshot)
    }

    /// A bound on the encoding of every piece at a depth.
    fn largest(&self, bits: u8) -> usize {
        let prefix = |leaf: &Leaf| {
            let first = leaf.key.0.first_chunk().map_or(0, |first| u32::from_be_bytes(*first));
            u64::from(first) << bits >> 32
        };
        let (mut largest, mut bytes, mut of) = (0, 0, None);
        for (leaf, entry) in self.leaves.iter().zip(&self.entries) {
            let piece = Some(prefix(leaf));
            bytes = if piece == of { bytes + entry.bytes } else { entry.bytes };
            (of, largest) = (piece, largest.max(bytes));
        }
        // Index, two lengths, the way, and the leaf it may end at.
        largest + 3 * size_of::<u32>() + usize::from(bits) * 33 + 65
    }

    /// The version and its root.
    #[must_use]
    pub fn head(&self) -> Head {
        self.reader.head()
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
        self.tops = vec![EMPTY; 2 << bits];
        self.hash_above(1, 0, 0..self.leaves.len());
        Ok(())
    }

    fn top(&self, at: usize) -> Hash {
        self.tops.get(at).copied().unwrap_or(EMPTY)
    }

    fn leaves(&self, range: &Range<usize>) -> &[Leaf] {
        self.leaves.get(range.clone()).unwrap_or_default()
    }

    /// The two halves of the leaves below a node.
    fn halves(&self, range: &Range<usize>, depth: usize) -> (Range<usize>, Range<usize>) {
        let zeros = self.leaves(range).partition_point(|leaf| !bit(&leaf.key, depth));
        let middle = range.start + zeros;
        (range.start..middle, middle..range.end)
    }

    fn hash_above(&mut self, at: usize, depth: usize, range: Range<usize>) -> Hash {
        let hash = match self.leaves(&range) {
            [] => EMPTY,
            [leaf] => leaf_hash(&leaf.key, &leaf.value),
            leaves if depth == usize::from(self.bits) => subtree_hash(depth, leaves),
            _ => {
                let (left, right) = self.halves(&range, depth);
                let left = self.hash_above(2 * at, depth + 1, left);
                node_hash(&left, &self.hash_above(2 * at + 1, depth + 1, right))
            }
        };
        if let Some(top) = self.tops.get_mut(at) {
            *top = hash;
        }
        hash
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
        let (mut beside, mut at, mut range) = (Vec::new(), 1, 0..self.leaves.len());
        while beside.len() < usize::from(self.bits) && range.len() > 1 {
            let (left, right) = self.halves(&range, beside.len());
            let is_right = bit(&prefix, beside.len());
            at = 2 * at + usize::from(is_right);
            range = if is_right { right } else { left };
            beside.push(self.top(at ^ 1));
        }
        let lone = match self.leaves(&range) {
            [leaf] if !belongs(&leaf.key, index, self.bits) => Some((leaf.key, leaf.value)),
            _ => None,
        };
        let mut entries = Vec::new();
        let there = if lone.is_some() { 0..0 } else { range };
        for Entry { key, .. } in self.entries.get(there).unwrap_or_default() {
            let value = self.reader.get(key)?.unwrap_or_default();
            let bounded = Bytes::new(key.clone()).ok().zip(Bytes::new(value).ok());
            entries.push(bounded.ok_or(SnapshotError::Entry { index, entry: entries.len() })?);
        }
        let entries = List::new(entries).map_err(|_| SnapshotError::Shape { index })?;
        Ok(SnapshotChunk { index, entries, beside: written(&beside), other: lone })
    }
}
