//! The trees: over the blocks of a fragment, and over the fragments of a pack.
//!
//! Both are those of RFC 6962. The leaf of a block is the block; the leaf of a fragment is its index
//! (one byte), the root of its tree (32) and its length in bytes (8, little-endian).

use chronolith_merkle::{Digest, Proof, ProofError, Tree, leaf_hash};

use crate::shape::{BLOCK_BYTES, Shape};

/// The tree over the blocks of one fragment.
pub struct FragmentTree(Tree);

impl FragmentTree {
    /// The tree over the blocks of bytes; a last one may be shorter.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let leaves: Vec<Digest> = bytes.chunks(BLOCK_BYTES).map(leaf_hash).collect();
        Self(Tree::from_leaf_hashes(&leaves))
    }

    /// Its root.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.0.root()
    }

    /// Proves blocks, by their rising numbers.
    ///
    /// # Errors
    /// [`ProofError::Indices`] for none, or numbers that do not rise or are beyond the end.
    pub fn prove(&self, blocks: &[usize]) -> Result<Proof, ProofError> {
        self.0.prove(blocks)
    }
}

/// The leaf hash of a fragment in the tree over all fragments.
fn fragment_leaf(index: u8, root: &Digest, bytes: u64) -> Digest {
    let mut leaf = [0; 41];
    leaf[0] = index;
    leaf[1..33].copy_from_slice(root);
    leaf[33..].copy_from_slice(&bytes.to_le_bytes());
    leaf_hash(&leaf)
}

/// The tree over all fragments of a shape, by the roots of their trees.
pub(crate) fn fragments_tree(shape: Shape, roots: &[Digest]) -> Tree {
    let bytes = shape.fragment_bytes() as u64;
    let leaf = |(index, root): (usize, &Digest)| fragment_leaf(index as u8, root, bytes);
    Tree::from_leaf_hashes(&roots.iter().enumerate().map(leaf).collect::<Vec<_>>())
}

/// The root over all fragments that one fragment leads to, by the root of its tree and its path.
///
/// # Errors
/// An index beyond the shape, or a path of another length.
pub(crate) fn path_root(
    shape: Shape,
    index: u8,
    root: &Digest,
    path: &Proof,
) -> Result<Digest, ProofError> {
    let leaf = fragment_leaf(index, root, shape.fragment_bytes() as u64);
    path.root(shape.fragments().into(), &[index.into()], &[leaf])
}
