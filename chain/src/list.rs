//! Lists under a root: what a header says of its transactions, receipts and evidence.
//!
//! The tree is that of RFC 6962 over the encodings of the elements. The number of elements is
//! committed beside the root, because a proof means nothing without it: an inner node of a larger
//! tree could pass for a leaf of a smaller one.

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_merkle::{Proof, ProofError, Tree, leaf_hash};

use crate::encoding::{List, encode};
use crate::hash::Hash;

/// The root over a list, and how long it is.
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
pub struct ListRoot {
    /// The root of RFC 6962 over the encodings of the elements.
    pub root: Hash,
    /// How many elements there are.
    pub count: u32,
}

/// The way from an element of a list to its root, from below.
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
pub struct ListProof {
    /// The hashes beside the way.
    pub path: List<Hash, 32>,
}

fn tree<T: BorshSerialize>(values: impl IntoIterator<Item = T>) -> Tree {
    let leaves: Vec<[u8; 32]> =
        values.into_iter().map(|value| leaf_hash(&encode(&value))).collect();
    Tree::from_leaf_hashes(&leaves)
}

impl Default for ListRoot {
    fn default() -> Self {
        Self::of::<Hash>([])
    }
}

impl ListRoot {
    /// The root over values. Lists are bounded far below what the count can hold.
    #[must_use]
    pub fn of<T: BorshSerialize>(values: impl IntoIterator<Item = T>) -> Self {
        let tree = tree(values);
        let count = u32::try_from(tree.len()).unwrap_or(u32::MAX);
        Self { root: Hash(tree.root()), count }
    }
}

impl ListProof {
    /// Proves the element at a place of a list.
    ///
    /// # Errors
    /// [`ProofError::Indices`] where the list has no such place.
    pub fn new<T: BorshSerialize>(
        values: impl IntoIterator<Item = T>,
        index: u32,
    ) -> Result<Self, ProofError> {
        let proof = tree(values).prove(&[index as usize])?;
        let hashes: Vec<Hash> = proof.hashes.into_iter().map(Hash).collect();
        // A list of 2^32 elements needs 32 hashes.
        Ok(Self { path: List::new(hashes).unwrap_or_default() })
    }

    /// Checks that a value is the element at a place of the list with this root. The root must
    /// come from a verified header.
    ///
    /// # Errors
    /// Where the place is not in the list, the path is not as long as it must be, or leads
    /// elsewhere.
    pub fn verify<T: BorshSerialize>(
        &self,
        list: &ListRoot,
        index: u32,
        value: &T,
    ) -> Result<(), ProofError> {
        let proof = Proof { hashes: self.path.iter().map(|hash| hash.0).collect() };
        let leaf = leaf_hash(&encode(value));
        proof.verify(&list.root.0, list.count as usize, &[index as usize], &[leaf])
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    #[test]
    fn every_element_is_provable_at_its_place_only() {
        for count in 1..20_u64 {
            let list = ListRoot::of(0..count);
            for index in 0..count as u32 {
                let proof = ListProof::new(0..count, index).unwrap();
                for other in 0..count as u32 {
                    let verdict = proof.verify(&list, other, &u64::from(other));
                    assert_eq!(verdict.is_ok(), other == index, "{other} of {count}");
                }
            }
            assert_eq!(ListProof::new(0..count, count as u32), Err(ProofError::Indices));
        }
    }
}
