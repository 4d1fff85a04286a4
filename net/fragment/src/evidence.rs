//! Showing that fragments do not belong together.
//!
//! The code works byte by byte, so the unmasked blocks at one place of as many fragments as restore a
//! body determine the block at that place of every other one. Who has the mask's secret can show one
//! block more than these, and anybody who knows the commitments can check it: this module is the whole
//! of that check.

use std::collections::BTreeMap;

use chronolith_merkle::{Digest, Proof, leaf_hash, proof_len};

use crate::code::{CodeError, PortableReedSolomon};
use crate::encode::restore_rows;
use crate::mask::{COMMITMENT_BYTES, MaskSecret};
use crate::shape::{BLOCK_BYTES, Shape};
use crate::tree::path_root;

/// A block as a report shows it.
#[derive(Debug, Clone, Copy)]
pub struct ShownRow<'a> {
    /// Of which fragment.
    pub fragment: u8,
    /// The block, masked as it is kept.
    pub block: &'a [u8],
    /// The hashes beside its way to the root over all fragments, from below.
    pub path: &'a [Digest],
}

/// What blocks of one place say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowVerdict {
    /// They belong together.
    Sound,
    /// They do not: whoever made the fragments did not encode anything.
    Wrong,
}

/// Why blocks say nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// The secret is not the one that was committed to.
    #[error("the secret is not the one that was committed to")]
    Secret,
    /// Not one block more than are needed, of rising fragments.
    #[error("{found} blocks where {expected} of different, rising fragments belong")]
    Count {
        /// How many there must be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A block is not the fragment's at this place.
    #[error("the block of fragment {fragment} is not the one that the root commits to")]
    Block {
        /// Which fragment.
        fragment: u8,
    },
    /// The blocks cannot be decoded.
    #[error(transparent)]
    Code(#[from] CodeError),
}

/// What is committed to: by a pack's header, or by its entry on the ledger.
#[derive(Debug, Clone, Copy)]
pub struct Committed<'a> {
    /// The shape.
    pub shape: Shape,
    /// The root over all fragments.
    pub root: &'a Digest,
    /// The commitment to the mask's secret.
    pub mask: &'a [u8; COMMITMENT_BYTES],
}

/// Judges the blocks at one row of `needed + 1` fragments. The fragments must rise, so that there is
/// one report of the same blocks and not many.
///
/// # Errors
/// Where the blocks say nothing: they are not those that were committed to, or the secret is not.
pub fn judge_row(
    committed: Committed<'_>,
    secret: &MaskSecret,
    row: u32,
    shown: &[ShownRow<'_>],
) -> Result<RowVerdict, RowError> {
    let Committed { shape, root, mask } = committed;
    if secret.commitment() != *mask {
        return Err(RowError::Secret);
    }
    let expected = usize::from(shape.needed()) + 1;
    if shown.len() != expected || !shown.is_sorted_by(|a, b| a.fragment < b.fragment) {
        return Err(RowError::Count { expected, found: shown.len() });
    }
    let mut known = BTreeMap::new();
    for block in shown {
        let wrong = RowError::Block { fragment: block.fragment };
        if block_root(shape, row, block).is_none_or(|found| found != *root) {
            return Err(wrong);
        }
        let mut bytes = block.block.to_vec();
        secret.key(block.fragment).apply(row, &mut bytes);
        known.insert(block.fragment, bytes);
    }
    let Some((last, shown)) = known.pop_last() else { return Ok(RowVerdict::Sound) };
    let code = PortableReedSolomon::new(shape.needed(), shape.fragments())?;
    let determined = restore_rows(&code, shape, &known, last)?;
    Ok(if determined == shown { RowVerdict::Sound } else { RowVerdict::Wrong })
}

/// The root over all fragments that a block leads to; nothing where it leads nowhere.
fn block_root(shape: Shape, row: u32, block: &ShownRow<'_>) -> Option<Digest> {
    if block.block.len() != BLOCK_BYTES || row >= shape.blocks() {
        return None;
    }
    let (index, count) = (row as usize, shape.blocks() as usize);
    let (within, above) = block.path.split_at_checked(proof_len(&[index], count))?;
    let proof = |hashes: &[Digest]| Proof { hashes: hashes.to_vec() };
    let of_fragment = proof(within).root(count, &[index], &[leaf_hash(block.block)]).ok()?;
    path_root(shape, block.fragment, &of_fragment, &proof(above)).ok()
}
