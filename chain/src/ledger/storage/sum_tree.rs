//! All that a peer was ever assigned, under one root: an append-only Merkle sum tree.
//!
//! Its leaves are batches of fragments, each with the number of its blocks, and a batch is such a tree
//! over its fragments; a node holds the sum of its children, so that an audit can draw any block by its number and the peer cannot hide one. The
//! ledger keeps the peaks of the mountain range (a logarithm of the batches) and appends itself.

use borsh::{BorshDeserialize, BorshSerialize};
use sha2::{Digest as _, Sha256};

use super::lease::Fragment;
use crate::coin::CoinError;
use crate::encoding::List;
use crate::hash::Hash;

/// A complete subtree: its height, its hash, and how many blocks are in it.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Peak {
    /// The height; a leaf has 0.
    pub height: u8,
    /// The hash.
    pub hash: Hash,
    /// The blocks below it.
    pub blocks: u64,
}

/// The peaks, from the largest to the smallest.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    Default,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// The peaks.
    pub peaks: List<Peak, 64>,
}

impl Peak {
    /// The node above two: its hash is SHA-256(0x04 ‖ left ‖ its blocks ‖ right ‖ its blocks).
    ///
    /// # Errors
    /// More blocks than 64 bits count.
    pub fn join(left: &Self, right: &Self) -> Result<Self, CoinError> {
        let mut hasher = Sha256::new();
        hasher.update([4]);
        for peak in [left, right] {
            hasher.update(peak.hash.0);
            hasher.update(peak.blocks.to_le_bytes());
        }
        let blocks = left.blocks.checked_add(right.blocks).ok_or(CoinError::Overflow)?;
        let height = left.height.max(right.height).saturating_add(1);
        Ok(Self { height, hash: Hash(hasher.finalize().into()), blocks })
    }
}

/// A fragment that a peer was assigned, as a leaf of the tree.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct AssignedFragment {
    /// The fragment.
    pub fragment: Fragment,
    /// The root of the tree over its blocks.
    pub root: Hash,
    /// How many blocks it has.
    pub blocks: u32,
}

impl AssignedFragment {
    /// Its leaf: SHA-256(0x05 ‖ pack ‖ index ‖ root ‖ blocks).
    #[must_use]
    pub fn leaf(&self) -> Peak {
        let mut hasher = Sha256::new();
        hasher.update([5]);
        hasher.update(self.fragment.pack.as_bytes());
        hasher.update([self.fragment.index]);
        hasher.update(self.root.0);
        hasher.update(self.blocks.to_le_bytes());
        let hash = Hash(hasher.finalize().into());
        Peak { height: 0, hash, blocks: self.blocks.into() }
    }
}

/// What lies beside the way from a leaf to the root.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Beside {
    /// Whether it is the left one of the two.
    pub is_left: bool,
    /// Its hash.
    pub hash: Hash,
    /// The blocks below it.
    pub blocks: u64,
}

/// The way from a leaf to the root over all that a peer was ever assigned, from below.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    Default,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct SumPath {
    /// What lies beside it: at most 64 steps above batches and 9 within one.
    pub beside: List<Beside, 80>,
}

impl SumPath {
    /// The root that a leaf leads to, and the number of the leaf's first block under it.
    ///
    /// # Errors
    /// More blocks than 64 bits count.
    pub fn root(&self, leaf: &Peak) -> Result<(Peak, u64), CoinError> {
        let (mut root, mut first) = (*leaf, 0_u64);
        for step in self.beside.iter() {
            let beside = Peak { height: 0, hash: step.hash, blocks: step.blocks };
            root = if step.is_left {
                first = first.checked_add(step.blocks).ok_or(CoinError::Overflow)?;
                Peak::join(&beside, &root)?
            } else {
                Peak::join(&root, &beside)?
            };
        }
        Ok((root, first))
    }
}

/// The root over the fragments of one batch, in their order: what a lease's consent names. The tree is
/// the same as the one over the batches. None where there is no fragment.
///
/// # Errors
/// More blocks than 64 bits count.
pub fn batch_root(fragments: &[AssignedFragment]) -> Result<Option<Peak>, CoinError> {
    let mut batch = Assignment::default();
    for fragment in fragments {
        let leaf = fragment.leaf();
        batch.append(leaf.hash, leaf.blocks)?;
    }
    batch.root()
}

impl Assignment {
    /// Appends a batch.
    ///
    /// # Errors
    /// More blocks than 64 bits count.
    pub fn append(&mut self, root: Hash, blocks: u64) -> Result<(), CoinError> {
        let mut peak = Peak { height: 0, hash: root, blocks };
        while let Some(last) = self.peaks.last().copied().filter(|last| last.height == peak.height)
        {
            self.peaks.pop();
            peak = Peak::join(&last, &peak)?;
        }
        self.peaks.push(peak).map_err(|_| CoinError::Overflow)
    }

    /// The root over all batches, and how many blocks there are; none where there is nothing.
    pub fn root(&self) -> Result<Option<Peak>, CoinError> {
        let mut peaks = self.peaks.iter().rev();
        let Some(mut root) = peaks.next().copied() else { return Ok(None) };
        for peak in peaks {
            root = Peak::join(peak, &root)?;
        }
        Ok(Some(root))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    fn assigned(index: u8) -> AssignedFragment {
        let pack = crate::content::ContentId::of_raw(b"a pack");
        let fragment = Fragment { pack, index };
        AssignedFragment { fragment, root: Hash([index; 32]), blocks: 10 + u32::from(index) }
    }

    #[test]
    fn a_path_says_where_a_leaf_lies() {
        let [a, b, c] = [0, 1, 2].map(|index| assigned(index).leaf());
        let beside =
            |is_left, peak: &Peak| Beside { is_left, hash: peak.hash, blocks: peak.blocks };
        let pair = Peak::join(&a, &b).unwrap();
        let of_b = SumPath { beside: List::new([beside(true, &a), beside(false, &c)]).unwrap() };
        let (root, first) = of_b.root(&b).unwrap();
        assert_eq!((root.hash, root.blocks, first), (naive(&[a, b, c]).hash, 33, 10));
        let of_c = SumPath { beside: List::new([beside(true, &pair)]).unwrap() };
        assert_eq!(of_c.root(&c).map(|(root, first)| (root.hash, first)), Ok((root.hash, 21)));
        let all = Beside { is_left: true, hash: a.hash, blocks: u64::MAX };
        let beyond = SumPath { beside: List::new([all]).unwrap() };
        assert_eq!(beyond.root(&b), Err(CoinError::Overflow));
    }

    /// The same tree from all leaves at once: the largest complete left part first.
    fn naive(leaves: &[Peak]) -> Peak {
        if let [leaf] = leaves {
            return *leaf;
        }
        let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
        Peak::join(&naive(left), &naive(right)).unwrap()
    }

    #[test]
    fn appending_makes_the_tree_of_all_batches() {
        let mut assignment = Assignment::default();
        assert_eq!(assignment.root(), Ok(None));
        let mut leaves = Vec::new();
        for number in 0..70_u8 {
            let leaf = Peak { height: 0, hash: Hash([number; 32]), blocks: u64::from(number) };
            leaves.push(leaf);
            assignment.append(leaf.hash, leaf.blocks).unwrap();
            let (found, expected) = (assignment.root().unwrap().unwrap(), naive(&leaves));
            assert_eq!((found.hash, found.blocks), (expected.hash, expected.blocks));
        }
        let leaves: Vec<AssignedFragment> = (0..5).map(assigned).collect();
        let batch = batch_root(&leaves).unwrap().unwrap();
        let peaks: Vec<Peak> = leaves.iter().map(AssignedFragment::leaf).collect();
        assert_eq!((batch.hash, batch.blocks), (naive(&peaks).hash, naive(&peaks).blocks));
        assert_eq!(assignment.append(Hash([1; 32]), u64::MAX), Ok(()));
        assert_eq!(assignment.root(), Err(CoinError::Overflow));
    }
}
