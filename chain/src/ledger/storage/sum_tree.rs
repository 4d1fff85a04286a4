//! Merkle sum trees: over the fragments of a lease, and over the leases of a peer.
//!
//! A node holds the sum of its children's blocks, so that an audit can draw any block by its number
//! and the peer cannot hide one. The leaves of the tree over leases are those over their fragments; see
//! [`AssignedRoot`](super::AssignedRoot) for its shape.

use borsh::{BorshDeserialize, BorshSerialize};
use sha2::{Digest as _, Sha256};

use super::lease::Fragment;
use crate::coin::CoinError;
use crate::encoding::List;
use crate::hash::Hash;

/// A node: its hash, and how many blocks are below it.
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
    /// The hash.
    pub hash: Hash,
    /// The blocks below it.
    pub blocks: u64,
}

impl Peak {
    /// What has no lease below it, at any height.
    pub const EMPTY: Self = Self { hash: Hash([0; 32]), blocks: 0 };

    /// The node above two: its hash is SHA-256(0x04 ‖ left ‖ its blocks ‖ right ‖ its blocks), and
    /// two empty ones make an empty one.
    ///
    /// # Errors
    /// More blocks than 64 bits count.
    pub fn join(left: &Self, right: &Self) -> Result<Self, CoinError> {
        if [left, right] == [&Self::EMPTY; 2] {
            return Ok(Self::EMPTY);
        }
        let mut hasher = Sha256::new();
        hasher.update([4]);
        for peak in [left, right] {
            hasher.update(peak.hash.0);
            hasher.update(peak.blocks.to_le_bytes());
        }
        let blocks = left.blocks.checked_add(right.blocks).ok_or(CoinError::Overflow)?;
        Ok(Self { hash: Hash(hasher.finalize().into()), blocks })
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
        Peak { hash, blocks: self.blocks.into() }
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

/// The way from a fragment to the root over all that a peer is assigned, from below.
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
    /// What lies beside it: at most 8 steps within a lease and 24 above.
    pub beside: List<Beside, 32>,
}

impl SumPath {
    /// The root that a leaf leads to, and the number of the leaf's first block under it.
    ///
    /// # Errors
    /// More blocks than 64 bits count.
    pub fn root(&self, leaf: &Peak) -> Result<(Peak, u64), CoinError> {
        let (mut root, mut first) = (*leaf, 0_u64);
        for step in self.beside.iter() {
            let beside = Peak { hash: step.hash, blocks: step.blocks };
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

/// The root over the fragments of one lease, in their order: what its consent names. A last node
/// without a neighbour rises unchanged. None where there is no fragment.
///
/// # Errors
/// More blocks than 64 bits count.
pub fn batch_root(fragments: &[AssignedFragment]) -> Result<Option<Peak>, CoinError> {
    let mut level: Vec<Peak> = fragments.iter().map(AssignedFragment::leaf).collect();
    while level.len() > 1 {
        level = level.chunks(2).map(above).collect::<Result<_, _>>()?;
    }
    Ok(level.first().copied())
}

/// The node above one or two.
pub(super) fn above(nodes: &[Peak]) -> Result<Peak, CoinError> {
    match nodes {
        [left, right] => Peak::join(left, right),
        nodes => Ok(nodes.first().copied().unwrap_or(Peak::EMPTY)),
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
    fn a_batch_is_the_tree_of_its_fragments() {
        assert_eq!(batch_root(&[]), Ok(None));
        for count in 1..=70 {
            let fragments: Vec<AssignedFragment> = (0..count).map(assigned).collect();
            let leaves: Vec<Peak> = fragments.iter().map(AssignedFragment::leaf).collect();
            assert_eq!(batch_root(&fragments), Ok(Some(naive(&leaves))));
        }
    }

    #[test]
    fn what_is_empty_stays_empty_and_sums_are_bounded() {
        let leaf = assigned(1).leaf();
        assert_eq!(Peak::join(&Peak::EMPTY, &Peak::EMPTY), Ok(Peak::EMPTY));
        let beside = Peak::join(&leaf, &Peak::EMPTY).unwrap();
        assert_ne!(beside.hash, leaf.hash);
        assert_ne!(beside.hash, Peak::join(&Peak::EMPTY, &leaf).unwrap().hash);
        let all = Peak { blocks: u64::MAX, ..leaf };
        assert_eq!(Peak::join(&leaf, &all), Err(CoinError::Overflow));
    }
}
