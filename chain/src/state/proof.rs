//! Proofs that a state with some root holds a value under a key, or nothing.

use borsh::{BorshDeserialize, BorshSerialize};

use super::trie::{EMPTY, bit, leaf_hash, node_hash};
use crate::encoding::{DecodeError, List, decode};
use crate::hash::{Domain, Hash};

/// The hash that a key has its place in the trie by.
#[must_use]
pub fn key_hash(key: &[u8]) -> Hash {
    Domain::StateKey.hash(key)
}

/// The hash of a value in the trie.
#[must_use]
pub fn value_hash(value: &[u8]) -> Hash {
    Domain::StateValue.hash(value)
}

/// The way from a root down to where a key is, or would be.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct StateProof {
    /// The hashes beside the path, from the top; none for an empty subtree.
    pub beside: List<Option<Hash>, 256>,
    /// What the path ends at.
    pub end: ProofEnd,
}

/// What a path ends at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum ProofEnd {
    /// The key's own leaf: it is there.
    Present,
    /// An empty subtree: the key is absent.
    Empty,
    /// The leaf of another key, alone in the subtree: the key is absent.
    Other {
        /// The other key's hash.
        key: Hash,
        /// Its value's hash.
        value: Hash,
    },
}

/// Why a proof does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateProofError {
    /// The proof says that the key is there, and absence was to be proved, or the other way.
    #[error("the proof is of a key that is {}", if *.is_present { "present" } else { "absent" })]
    Kind {
        /// What the proof says.
        is_present: bool,
    },
    /// The other leaf does not lie where the key would, or is the key's own.
    #[error("the proof ends at a leaf that says nothing of the key")]
    Elsewhere,
    /// An empty subtree is not written as one.
    #[error("the proof writes an empty subtree as a hash")]
    NotCanonical,
    /// The hashes lead to another root.
    #[error("the proof leads to another root")]
    Root,
}

impl StateProof {
    /// The largest encoding of a proof in bytes.
    pub const MAX_BYTES: usize = 4 + 256 * 33 + 65;

    /// Decodes a proof.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode("a proof of state", bytes, Self::MAX_BYTES)
    }

    /// Checks that the state with this root holds `value` under `key`, or nothing where there is
    /// none. Root and key must come from the verifier, never from whoever made the proof.
    pub fn verify(
        &self,
        root: &Hash,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), StateProofError> {
        let key = key_hash(key);
        let end = match (self.end, value) {
            (ProofEnd::Present, Some(value)) => leaf_hash(&key, &value_hash(value)),
            (ProofEnd::Empty, None) => EMPTY,
            (ProofEnd::Other { key: other, value }, None) => {
                let depth = self.beside.len();
                let shares_path = (0..depth).all(|at| bit(&key, at) == bit(&other, at));
                if other == key || !shares_path {
                    return Err(StateProofError::Elsewhere);
                }
                leaf_hash(&other, &value)
            }
            (end, _) => {
                return Err(StateProofError::Kind { is_present: end == ProofEnd::Present });
            }
        };
        if fold(end, &key, &self.beside)? == *root { Ok(()) } else { Err(StateProofError::Root) }
    }
}

/// Climbs from a subtree to the root along the bits of `key`.
pub(super) fn fold(
    end: Hash,
    key: &Hash,
    beside: &[Option<Hash>],
) -> Result<Hash, StateProofError> {
    let mut at = end;
    for (depth, beside) in beside.iter().enumerate().rev() {
        if *beside == Some(EMPTY) {
            return Err(StateProofError::NotCanonical);
        }
        let beside = beside.unwrap_or(EMPTY);
        at = if bit(key, depth) { node_hash(&beside, &at) } else { node_hash(&at, &beside) };
    }
    Ok(at)
}

/// Hashes beside a path as proofs write them.
pub(super) fn written(beside: &[Hash]) -> List<Option<Hash>, 256> {
    let beside: Vec<Option<Hash>> =
        beside.iter().map(|hash| (*hash != EMPTY).then_some(*hash)).collect();
    // A path is never longer than a key hash has bits.
    List::new(beside).unwrap_or_default()
}
