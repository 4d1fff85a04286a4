//! What answers are proved with: the way from chunks to their seal batch, and what of a range no chunk has.

use std::ops::RangeBounds;

use chronolith_merkle::{Digest, Proof, Tree};

use super::{Db, first_and_last};
use crate::chunk::{ChunkHeader, ChunkKey, OpenChunkError, OpenedChunk};
use crate::error::{Fault, ReadError};
use crate::layers::{self, Source};
use crate::model::MetricId;
use crate::segment;

/// The way from some chunks to the root of their seal batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchProof {
    /// How many chunks the batch has.
    pub chunks: u64,
    /// The root over the batch's header ids.
    pub root: Digest,
    /// The places of the chunks in the batch, rising.
    pub indices: Vec<usize>,
    /// The hashes beside the way.
    pub proof: Proof,
}

/// What the records of a range have beyond what sealed chunks say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unproved {
    /// Whether records are not sealed yet.
    pub unsealed: bool,
    /// Whether records that chunks hold were deleted since.
    pub deleted: bool,
}

impl Db {
    /// The way from some chunks of a seal batch to its root; `None` where one of them is not in it, or the
    /// batch is not whole here any more.
    pub fn batch_proof(
        &self,
        batch: u64,
        keys: &[ChunkKey],
    ) -> Result<Option<BatchProof>, ReadError> {
        let leaves = self.inner.batch_leaves(batch)?;
        let place = |key: &ChunkKey| leaves.binary_search_by_key(key, |(key, _)| *key).ok();
        let Some(mut indices) = keys.iter().map(place).collect::<Option<Vec<_>>>() else {
            return Ok(None);
        };
        indices.sort_unstable();
        indices.dedup();
        let hashes: Vec<Digest> = leaves.iter().map(|(_, leaf)| *leaf).collect();
        let tree = Tree::from_leaf_hashes(&hashes);
        let (chunks, root) = (leaves.len() as u64, tree.root());
        let proof = tree.prove(&indices);
        let proof = proof.map_err(|error| Fault::new(segment::DIR, 0, error.to_string()))?;
        Ok(Some(BatchProof { chunks, root, indices, proof }))
    }

    /// What the records of a metric in a range have beyond what sealed chunks say.
    pub fn unproved(
        &self,
        metric: MetricId,
        range: impl RangeBounds<i64>,
    ) -> Result<Unproved, ReadError> {
        let mut found = Unproved::default();
        let Some((from_ns, to_ns)) = first_and_last(&range)? else { return Ok(found) };
        let reference = self.inner.metric_ref(metric.index())?;
        let (first, last) = reference.windows(from_ns, to_ns);
        let view = self.inner.view();
        let tombstones = view.tombstones.of(metric.index());
        for window in layers::find(&view, reference, first, last)? {
            for layer in &window.layers {
                let (low, high) = layer.span().unwrap_or((i64::MIN, i64::MAX));
                if low > to_ns || high < from_ns {
                    continue;
                }
                match layer.source {
                    Source::Chunk(..) => {
                        found.deleted |= tombstones.iter().any(|tombstone| {
                            let deletion = &tombstone.deletion;
                            tombstone.sequence > layer.last_sequence
                                && deletion.from_ns <= high.min(to_ns)
                                && deletion.to_ns >= low.max(from_ns)
                        });
                    }
                    _ => found.unsealed = true,
                }
            }
        }
        Ok(found)
    }

    /// Opens a chunk with the database's keys, where it needs one: [`ChunkHeader::open`].
    ///
    /// # Errors
    /// Why the body does not open, or is not what the header says.
    pub fn open_chunk(
        &self,
        header: &ChunkHeader,
        body: &[u8],
    ) -> Result<OpenedChunk, OpenChunkError> {
        header.open(body, self.inner.options.keys.as_ref())
    }
}
