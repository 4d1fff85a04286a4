//! Seal batches by the ledger's facts: that each chunk was anchored, when, and by somebody who might.

use chronolith_chain::ledger::Anchored;
use chronolith_merkle::{Proof, leaf_hash};
use cid::Cid;

use super::metrics::Checked;
use super::{AnchoredChunks, AnswerRefused};
use crate::answer::bundle::{AnswerBundle, BatchPath};
use crate::answer::facts::DeviceFacts;

/// Checks the batches: every chunk is in exactly one of them, or there are none.
pub(super) fn check(
    bundle: &AnswerBundle,
    devices: &[DeviceFacts],
    checked: &Checked,
    anchored: &[Anchored],
) -> Result<Vec<AnchoredChunks>, AnswerRefused> {
    if bundle.batches.is_empty() {
        return Ok(Vec::new());
    }
    let chunks: Vec<(Cid, usize)> = checked
        .metrics
        .iter()
        .flat_map(|metric| metric.verified.chunks.iter().map(|chunk| (*chunk, metric.device)))
        .collect();
    let mut is_seen = vec![false; chunks.len()];
    let mut found = Vec::new();
    for (batch, anchored) in bundle.batches.iter().zip(anchored) {
        let places = batch.chunks.iter().map(|(_, place)| *place as usize);
        for place in places {
            match is_seen.get_mut(place) {
                Some(seen) if !*seen => *seen = true,
                _ => return Err(AnswerRefused::Form("a chunk is in two batches, or not there")),
            }
        }
        way(batch, anchored, &chunks)?;
        for (_, place) in batch.chunks.iter() {
            let device = chunks.get(*place as usize).and_then(|(_, device)| devices.get(*device));
            let device = device.ok_or(AnswerRefused::Form("a chunk is of no device"))?;
            if !device.could_anchor(batch.producer, anchored.time_ms) {
                let (producer, device) = (batch.producer, device.device);
                return Err(AnswerRefused::NotEntitled { producer, device });
            }
        }
        found.push(AnchoredChunks {
            producer: batch.producer,
            root: batch.root.0,
            height: anchored.height,
            time_ms: anchored.time_ms,
            chunks: batch.chunks.len(),
        });
    }
    if is_seen.contains(&false) {
        return Err(AnswerRefused::Form("a chunk is in no batch"));
    }
    Ok(found)
}

/// The way from a batch's chunks to its root.
fn way(
    batch: &BatchPath,
    anchored: &Anchored,
    chunks: &[(Cid, usize)],
) -> Result<(), AnswerRefused> {
    let indices: Vec<usize> = batch.chunks.iter().map(|(index, _)| *index as usize).collect();
    let ids = batch.chunks.iter().filter_map(|(_, place)| chunks.get(*place as usize));
    let leaves: Vec<[u8; 32]> = ids.map(|(id, _)| leaf_hash(&id.to_bytes())).collect();
    let proof = Proof { hashes: batch.path.iter().map(|hash| hash.0).collect() };
    let count = anchored.chunks as usize;
    let holds = proof.verify(&batch.root.0, count, &indices, &leaves);
    holds.map_err(|reason| AnswerRefused::Batch { root: batch.root.to_string(), reason })
}
