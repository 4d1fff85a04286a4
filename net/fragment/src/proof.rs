//! Blocks of a fragment with their way to the root over all fragments.

use std::ops::Range;

use chronolith_merkle::{Digest, Proof, leaf_hash, proof_len};

use crate::encode::Fragment;
use crate::shape::{BLOCK_BYTES, Shape};
use crate::tree::{FragmentTree, path_root};

/// What is wrong with a fragment, or with blocks that should be of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FragmentFault {
    /// There is no fragment of this index.
    #[error("index {found} where there are {fragments} fragments")]
    Index {
        /// The index.
        found: u8,
        /// How many fragments there are.
        fragments: u8,
    },
    /// The blocks that were asked for are none, or beyond the end.
    #[error("blocks {first} to {end} of {blocks}")]
    Rows {
        /// The first block.
        first: u32,
        /// The first that is not asked for.
        end: u32,
        /// How many blocks the fragment has.
        blocks: u32,
    },
    /// Another length than what was asked for must have.
    #[error("{found} bytes where {expected} belong")]
    Length {
        /// The length it must have.
        expected: usize,
        /// The length it has.
        found: usize,
    },
    /// It says that its pack is cut in another way than the header does.
    #[error(
        "it says that any {needed} of {fragments} fragments of {blocks} blocks restore the pack"
    )]
    Shape {
        /// How many it says are needed.
        needed: u8,
        /// How many it says there are.
        fragments: u8,
        /// How many blocks it says each has.
        blocks: u32,
    },
    /// The bytes are not those that the root commits to.
    #[error("the bytes are not those that the root commits to")]
    Root,
}

/// Neighbouring blocks of a fragment with what proves them. Its encoding is the blocks, the hashes
/// within the fragment and the hashes above it, without a length: who asked knows how many they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    blocks: Vec<u8>,
    within: Proof,
    above: Proof,
}

/// The numbers of rows, if they are in the fragment.
fn numbers(shape: Shape, index: u8, rows: &Range<u32>) -> Result<Vec<usize>, FragmentFault> {
    if index >= shape.fragments() {
        return Err(FragmentFault::Index { found: index, fragments: shape.fragments() });
    }
    if rows.is_empty() || rows.end > shape.blocks() {
        let (first, end, blocks) = (rows.start, rows.end, shape.blocks());
        return Err(FragmentFault::Rows { first, end, blocks });
    }
    Ok(rows.clone().map(|row| row as usize).collect())
}

impl Shown {
    /// Shows blocks of a fragment, whose tree it is.
    ///
    /// # Errors
    /// Rows that the fragment does not have, or a fragment of another shape.
    pub fn of(
        shape: Shape,
        fragment: &Fragment,
        tree: &FragmentTree,
        rows: Range<u32>,
    ) -> Result<Self, FragmentFault> {
        let numbers = numbers(shape, fragment.index, &rows)?;
        let range = rows.start as usize * BLOCK_BYTES..rows.end as usize * BLOCK_BYTES;
        let (expected, found) = (shape.fragment_bytes(), fragment.bytes.len());
        let blocks = fragment.bytes.get(range).filter(|_| expected == found);
        let blocks = blocks.ok_or(FragmentFault::Length { expected, found })?.to_vec();
        let within = tree.prove(&numbers).map_err(|_| FragmentFault::Root)?;
        Ok(Self { blocks, within, above: fragment.path.clone() })
    }

    /// How many bytes [`Shown::to_bytes`] gives for rows of a fragment.
    ///
    /// # Errors
    /// Rows that the fragment does not have.
    pub fn encoded_bytes(
        shape: Shape,
        index: u8,
        rows: &Range<u32>,
    ) -> Result<usize, FragmentFault> {
        let numbers = numbers(shape, index, rows)?;
        let within = proof_len(&numbers, shape.blocks() as usize);
        let above = proof_len(&[index.into()], shape.fragments().into());
        Ok(numbers.len() * BLOCK_BYTES + (within + above) * 32)
    }

    /// The encoding: blocks, hashes within the fragment, hashes above it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let hashes = self.within.hashes.iter().chain(&self.above.hashes);
        let mut bytes = self.blocks.clone();
        hashes.for_each(|hash| bytes.extend_from_slice(hash));
        bytes
    }

    /// Reads and checks an answer to the question for rows of a fragment: that these are the bytes
    /// which a root over all fragments commits to.
    ///
    /// # Errors
    /// What is wrong with the answer, or with the question.
    pub fn check(
        shape: Shape,
        root: &Digest,
        index: u8,
        rows: &Range<u32>,
        bytes: &[u8],
    ) -> Result<Self, FragmentFault> {
        let numbers = numbers(shape, index, rows)?;
        let (expected, found) = (Self::encoded_bytes(shape, index, rows)?, bytes.len());
        if expected != found {
            return Err(FragmentFault::Length { expected, found });
        }
        let (blocks, hashes) = bytes.split_at(numbers.len() * BLOCK_BYTES);
        let (hashes, _) = hashes.as_chunks::<32>();
        let count = proof_len(&numbers, shape.blocks() as usize);
        let (within, above) = hashes.split_at(count.min(hashes.len()));
        let shown = Self {
            blocks: blocks.to_vec(),
            within: Proof { hashes: within.to_vec() },
            above: Proof { hashes: above.to_vec() },
        };
        let leaves: Vec<Digest> = blocks.chunks(BLOCK_BYTES).map(leaf_hash).collect();
        let of_fragment = shown.within.root(shape.blocks() as usize, &numbers, &leaves);
        let of_all = of_fragment.and_then(|found| path_root(shape, index, &found, &shown.above));
        match of_all {
            Ok(found) if found == *root => Ok(shown),
            _ => Err(FragmentFault::Root),
        }
    }

    /// The blocks, masked as they are kept.
    #[must_use]
    pub fn blocks(&self) -> &[u8] {
        &self.blocks
    }

    /// All hashes beside the way: those within the fragment, then those above it.
    pub fn hashes(&self) -> impl Iterator<Item = &Digest> {
        self.within.hashes.iter().chain(&self.above.hashes)
    }
}
