//! Checking the pieces that arrive, and making a state of them.

use std::collections::BTreeSet;

use chronolith_disk::Disk;

use super::super::proof::{StateProofError, fold, key_hash, value_hash};
use super::super::trie::{EMPTY, Leaf, bit, leaf_hash, subtree_hash};
use super::super::{Changes, Head, Options, State};
use super::{MAX_BITS, SnapshotChunk, SnapshotError, belongs, prefix_of};
use crate::hash::Hash;

/// Checks the pieces of a version whose root is trusted, and knows which were there.
#[derive(Debug, Clone)]
pub struct PieceCheck {
    head: Head,
    bits: u8,
    there: BTreeSet<u32>,
}

impl PieceCheck {
    /// For a snapshot of a version whose root is trusted, cut at `bits`.
    ///
    /// # Errors
    /// [`SnapshotError::Bits`] where that is too deep.
    pub fn new(head: Head, bits: u8) -> Result<Self, SnapshotError> {
        if bits > MAX_BITS {
            return Err(SnapshotError::Bits { found: bits });
        }
        Ok(Self { head, bits, there: BTreeSet::new() })
    }

    /// The version and its root.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head
    }

    /// How many pieces there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        1 << self.bits
    }

    /// The pieces that are still missing.
    pub fn missing(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.count()).filter(|index| !self.there.contains(index))
    }

    /// Takes note of a piece, if it is part of the version.
    ///
    /// # Errors
    /// Why it is not, or that it was there before.
    pub fn add(&mut self, chunk: &SnapshotChunk) -> Result<(), SnapshotError> {
        let (index, bits) = (chunk.index, self.bits);
        if index >= self.count() {
            return Err(SnapshotError::Index { index, count: self.count() });
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
        let end = self.end(chunk, &leaves)?;
        let failed = |source| SnapshotError::Proof { index, source };
        let root = fold(end, &prefix_of(index, bits), &chunk.beside).map_err(failed)?;
        if root != self.head.root {
            return Err(failed(StateProofError::Root));
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

    /// # Errors
    /// [`SnapshotError::Incomplete`] while pieces are missing.
    pub(crate) fn complete(&self) -> Result<(), SnapshotError> {
        let (found, count) = (self.there.len(), 1 << self.bits);
        if found < count { Err(SnapshotError::Incomplete { found, count }) } else { Ok(()) }
    }
}

/// A snapshot that arrives, in memory.
pub struct Restore {
    check: PieceCheck,
    values: Changes,
}

impl Restore {
    /// A snapshot of a version whose root is trusted, cut at `bits`.
    pub fn new(head: Head, bits: u8) -> Result<Self, SnapshotError> {
        Ok(Self { check: PieceCheck::new(head, bits)?, values: Changes::new() })
    }

    /// The pieces that are still missing.
    pub fn missing(&self) -> impl Iterator<Item = u32> + '_ {
        self.check.missing()
    }

    /// Takes a piece, if it is part of the version.
    pub fn add(&mut self, chunk: SnapshotChunk) -> Result<(), SnapshotError> {
        self.check.add(&chunk)?;
        for (key, value) in chunk.entries.iter() {
            self.values.insert(key.to_vec(), Some(value.to_vec()));
        }
        Ok(())
    }

    /// Makes a state in a file of all pieces.
    pub fn finish(
        self,
        disk: &dyn Disk,
        path: &str,
        options: Options,
    ) -> Result<State, SnapshotError> {
        self.check.complete()?;
        Ok(State::create(disk, path, self.check.head.version, self.values, options)?)
    }

    /// Makes a state in memory of all pieces.
    pub fn finish_in_memory(self, options: Options) -> Result<State, SnapshotError> {
        self.check.complete()?;
        Ok(State::in_memory(self.check.head.version, self.values, options)?)
    }
}

impl State {
    /// Makes a state in a file of pieces that are given one by one, in any order, so that they need not be
    /// in memory together. Each is checked.
    ///
    /// # Errors
    /// Where a piece is refused or missing, or the disk fails; there is no file then.
    pub(crate) fn create_of_pieces(
        disk: &dyn Disk,
        path: &str,
        mut check: PieceCheck,
        options: Options,
        pieces: impl Iterator<Item = Result<SnapshotChunk, SnapshotError>>,
    ) -> Result<(), SnapshotError> {
        let head = check.head;
        check.there.clear();
        Self::create_by(disk, path, head, options, |put| {
            for piece in pieces {
                let piece = piece?;
                check.add(&piece)?;
                for (key, value) in piece.entries.iter() {
                    put(key, value)?;
                }
            }
            check.complete()
        })
    }
}
