//! All that a peer was ever assigned, under one root: an append-only Merkle sum tree.
//!
//! Its leaves are batches of fragments, each with the number of its blocks; a node holds the sum of
//! its children, so that an audit can draw any block by its number and the peer cannot hide one. The
//! ledger keeps the peaks of the mountain range (a logarithm of the batches) and appends itself.

use borsh::{BorshDeserialize, BorshSerialize};
use sha2::{Digest as _, Sha256};

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

/// The hash of a node: SHA-256(0x04 ‖ left ‖ its blocks ‖ right ‖ its blocks).
fn join(left: &Peak, right: &Peak) -> Result<Peak, CoinError> {
    let mut hasher = Sha256::new();
    hasher.update([4]);
    for peak in [left, right] {
        hasher.update(peak.hash.0);
        hasher.update(peak.blocks.to_le_bytes());
    }
    let blocks = left.blocks.checked_add(right.blocks).ok_or(CoinError::Overflow)?;
    let height = left.height.max(right.height).saturating_add(1);
    Ok(Peak { height, hash: Hash(hasher.finalize().into()), blocks })
}

impl Assignment {
    /// Appends a batch.
    pub(super) fn append(&mut self, root: Hash, blocks: u64) -> Result<(), CoinError> {
        let mut peak = Peak { height: 0, hash: root, blocks };
        while let Some(last) = self.peaks.last().copied().filter(|last| last.height == peak.height)
        {
            self.peaks.pop();
            peak = join(&last, &peak)?;
        }
        self.peaks.push(peak).map_err(|_| CoinError::Overflow)
    }

    /// The root over all batches, and how many blocks there are; none where there is nothing.
    pub fn root(&self) -> Result<Option<Peak>, CoinError> {
        let mut peaks = self.peaks.iter().rev();
        let Some(mut root) = peaks.next().copied() else { return Ok(None) };
        for peak in peaks {
            root = join(peak, &root)?;
        }
        Ok(Some(root))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    /// The same tree from all leaves at once: the largest complete left part first.
    fn naive(leaves: &[Peak]) -> Peak {
        if let [leaf] = leaves {
            return *leaf;
        }
        let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
        join(&naive(left), &naive(right)).unwrap()
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
        assert_eq!(assignment.append(Hash([1; 32]), u64::MAX), Ok(()));
        assert_eq!(assignment.root(), Err(CoinError::Overflow));
    }
}
