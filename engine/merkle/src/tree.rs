//! Trees of RFC 6962: leaf SHA-256(0x00 ‖ data), node SHA-256(0x01 ‖ left ‖ right); a node without
//! a right sibling rises unchanged.

use rs_merkle::{Hasher, MerkleProof, MerkleTree};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// The hasher under the trees.
#[derive(Clone)]
struct Rfc6962;

impl Hasher for Rfc6962 {
    type Hash = Digest;

    fn hash(data: &[u8]) -> Digest {
        leaf_hash(data)
    }

    fn concat_and_hash(left: &Digest, right: Option<&Digest>) -> Digest {
        right.map_or(*left, |right| node_hash(left, right))
    }
}

/// The hash of a node above two others.
#[must_use]
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update([1]);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}

/// The hash of a leaf's data.
#[must_use]
pub fn leaf_hash(data: &[u8]) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update([0]);
    hasher.update(data);
    hasher.finalize().into()
}

/// A tree over the hashes of its leaves.
pub struct Tree {
    tree: MerkleTree<Rfc6962>,
}

impl Tree {
    /// Builds the tree over leaf hashes in their order.
    #[must_use]
    pub fn from_leaf_hashes(leaves: &[Digest]) -> Self {
        Self { tree: MerkleTree::from_leaves(leaves) }
    }

    /// The root; that of no leaves is the hash of nothing, as in RFC 6962.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.tree.root().unwrap_or_else(|| Sha256::digest([]).into())
    }

    /// How many leaves there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tree.leaves_len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Proves the leaves at `indices`, which must be rising and below the number of leaves.
    pub fn prove(&self, indices: &[usize]) -> Result<Proof, ProofError> {
        check_indices(indices, self.len())?;
        Ok(Proof { hashes: self.tree.proof(indices).proof_hashes().to_vec() })
    }
}

/// The hashes that lead from some leaves to the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The hashes, in the order `rs_merkle` wants them: layer by layer from the leaves, left to
    /// right.
    pub hashes: Vec<Digest>,
}

/// Why a proof does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The indices are empty, not rising or not below the number of leaves.
    #[error("the indices must be rising and below the number of leaves")]
    Indices,
    /// There are not as many leaves as indices.
    #[error("there must be as many leaves as indices")]
    Leaves,
    /// The proof has another number of hashes than the indices need.
    #[error("the proof has {found} hashes where {expected} are needed")]
    Length {
        /// How many the indices need.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The hashes lead to another root.
    #[error("the proof leads to another root")]
    Root,
}

fn check_indices(indices: &[usize], count: usize) -> Result<(), ProofError> {
    let rising = indices.is_sorted_by(|a, b| a < b);
    match indices.last() {
        Some(last) if rising && *last < count => Ok(()),
        _ => Err(ProofError::Indices),
    }
}

/// How many hashes prove the leaves at rising `indices` among `count`: what a verifier expects, who
/// knows both.
#[must_use]
pub fn proof_len(indices: &[usize], mut count: usize) -> usize {
    let (mut known, mut needed) = (indices.to_vec(), 0);
    while count > 1 {
        let siblings = known.iter().map(|index| index ^ 1);
        needed += siblings
            .filter(|sibling| *sibling < count && known.binary_search(sibling).is_err())
            .count();
        known.iter_mut().for_each(|index| *index /= 2);
        known.dedup();
        count = count.div_ceil(2);
    }
    needed
}

impl Proof {
    /// Checks that `leaves` are the leaf hashes at `indices` of the tree with this root and
    /// exactly `count` leaves. Indices and count must come from the verifier or from something
    /// that is signed, never from whoever made the proof.
    pub fn verify(
        &self,
        root: &Digest,
        count: usize,
        indices: &[usize],
        leaves: &[Digest],
    ) -> Result<(), ProofError> {
        match self.root(count, indices, leaves)? {
            found if found == *root => Ok(()),
            _ => Err(ProofError::Root),
        }
    }

    /// The root that `leaves` at `indices` lead to in a tree of exactly `count` leaves; what it is
    /// worth is for the caller to say, who knows the root or what lies above it.
    ///
    /// # Errors
    /// Indices, leaves or a number of hashes that do not belong together.
    pub fn root(
        &self,
        count: usize,
        indices: &[usize],
        leaves: &[Digest],
    ) -> Result<Digest, ProofError> {
        check_indices(indices, count)?;
        if leaves.len() != indices.len() {
            return Err(ProofError::Leaves);
        }
        let (expected, found) = (proof_len(indices, count), self.hashes.len());
        if expected != found {
            return Err(ProofError::Length { expected, found });
        }
        let proof = MerkleProof::<Rfc6962>::new(self.hashes.clone());
        proof.root(indices, leaves, count).map_err(|_| ProofError::Root)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    /// The definition of RFC 6962, section 2.1, word for word.
    fn naive_root(leaves: &[Digest]) -> Digest {
        match leaves.len() {
            0 => Sha256::digest([]).into(),
            1 => leaves[0],
            n => {
                let split = n.next_power_of_two() / 2;
                let (left, right) = leaves.split_at(split);
                Rfc6962::concat_and_hash(&naive_root(left), Some(&naive_root(right)))
            }
        }
    }

    fn leaves(count: usize) -> Vec<Digest> {
        (0..count).map(|index| leaf_hash(&index.to_le_bytes())).collect()
    }

    #[test]
    fn roots_are_those_of_the_rfc() {
        for count in 0..70 {
            let leaves = leaves(count);
            assert_eq!(Tree::from_leaf_hashes(&leaves).root(), naive_root(&leaves), "{count}");
        }
    }

    #[test]
    fn every_set_of_leaves_is_provable_and_nothing_else() {
        for count in 1..10_usize {
            let all = leaves(count);
            let tree = Tree::from_leaf_hashes(&all);
            for set in 1_usize..1 << count {
                let indices: Vec<usize> = (0..count).filter(|i| set >> i & 1 == 1).collect();
                let chosen: Vec<Digest> = indices.iter().map(|index| all[*index]).collect();
                let proof = tree.prove(&indices).unwrap();
                let root = tree.root();
                assert_eq!(proof.verify(&root, count, &indices, &chosen), Ok(()));
                let mut wrong = chosen.clone();
                wrong[0][0] ^= 1;
                assert!(proof.verify(&root, count, &indices, &wrong).is_err());
                let mut longer = proof.clone();
                longer.hashes.push([0; 32]);
                assert!(longer.verify(&root, count, &indices, &chosen).is_err());
                if let Some(first) = proof.hashes.first() {
                    let mut damaged = proof.clone();
                    damaged.hashes[0] = leaf_hash(first);
                    assert!(damaged.verify(&root, count, &indices, &chosen).is_err());
                }
                assert!(proof.verify(&leaf_hash(&root), count, &indices, &chosen).is_err());
            }
        }
    }

    #[test]
    fn duplicate_unsorted_and_outer_indices_are_refused() {
        let all = leaves(5);
        let tree = Tree::from_leaf_hashes(&all);
        for indices in [&[][..], &[1, 1], &[2, 1], &[5], &[0, 9]] {
            assert_eq!(tree.prove(indices), Err(ProofError::Indices));
            let chosen = vec![all[0]; indices.len()];
            let proof = Proof { hashes: Vec::new() };
            let verdict = proof.verify(&tree.root(), 5, indices, &chosen);
            assert_eq!(verdict, Err(ProofError::Indices));
        }
    }

    #[test]
    fn an_inner_node_is_no_leaf() {
        let all = leaves(4);
        let tree = Tree::from_leaf_hashes(&all);
        let node = Rfc6962::concat_and_hash(&all[0], Some(&all[1]));
        let other = Rfc6962::concat_and_hash(&all[2], Some(&all[3]));
        let proof = Proof { hashes: vec![other] };
        assert!(proof.verify(&tree.root(), 4, &[0], &[node]).is_err());
    }
}
