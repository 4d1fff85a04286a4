//! The chunks that prove what a metric has in a range.

use std::collections::BTreeMap;

use chronolith_engine::chunk::{ChunkHeader, ChunkKey};
use chronolith_engine::{ChunkInfo, Db, Definition, Metric};
use chronolith_query::Read;
use cid::Cid;

use super::devices::Found;
use super::{MakeError, Note};
use crate::answer::windows::{Spans, definition, is_replaced, replaced};

/// A chunk of a proof.
pub(super) struct TakenChunk {
    pub(super) key: ChunkKey,
    pub(super) batch: u64,
    pub(super) header: ChunkHeader,
    pub(super) body: Vec<u8>,
}

/// What a proof has of a metric.
pub(super) struct Taken {
    pub(super) spans: Spans,
    /// The window of the chunk that is there only to say how long windows are.
    pub(super) witness: Option<i64>,
    pub(super) chunks: Vec<TakenChunk>,
}

impl Taken {
    pub(super) const fn is_witness(&self) -> bool {
        self.witness.is_some()
    }

    pub(super) fn definition(&self, metric: &Metric) -> Definition {
        definition(metric.clone(), self.chunks.last().map(|chunk| &chunk.header))
    }
}

/// Takes the chunks of a metric in a range that are anchored, and notes what is not.
pub(super) fn take(
    db: &Db,
    found: &Found,
    metric: &Metric,
    read: Read,
    notes: &mut Vec<Note>,
) -> Result<Taken, MakeError> {
    let (from_ns, to_ns) = (read.from_ns, read.to_ns);
    if from_ns <= to_ns {
        let beyond = db.unproved(read.metric, from_ns..=to_ns)?;
        if beyond.deleted {
            return Err(MakeError::Deleted { metric: metric.clone() });
        }
        if beyond.unsealed {
            notes.push(Note::Unsealed { metric: metric.clone() });
        }
    }
    let all = db.chunks(read.metric, ..)?;
    let anchored = |chunk: &&ChunkInfo| chunk.batch <= found.batch;
    let by_id: BTreeMap<Cid, &ChunkInfo> =
        all.iter().filter(anchored).map(|chunk| (chunk.cid, chunk)).collect();
    let name = metric.catalogue_name();
    let window_ns = match by_id.is_empty() {
        true => None,
        false => db.definition(read.metric).map(|definition| definition.window_ns),
    };
    let range = Spans::of(name, (from_ns, to_ns), window_ns, None);
    let is_inside =
        |window: i64| range.range.is_some_and(|span| (span.first..=span.last).contains(&window));
    let later = all.iter().filter(|chunk| chunk.batch > found.batch && is_inside(chunk.key.window));
    match later.count() {
        0 => {}
        chunks => notes.push(Note::Unanchored { metric: metric.clone(), chunks }),
    }
    let of_range: Vec<&ChunkInfo> = {
        let entries = found.entries.iter().filter(|entry| entry.metric == name);
        let entries: Vec<_> = entries.filter(|entry| is_inside(entry.window)).collect();
        let infos = entries.iter().filter_map(|entry| by_id.get(&entry.header));
        let gone = replaced(infos.map(|chunk| (chunk.key.window, chunk.supersedes)));
        let kept = entries.iter().filter(|entry| !is_replaced(entry, &gone));
        kept.map(|entry| {
            let lost = || MakeError::Gone { metric: metric.clone(), window: entry.window };
            by_id.get(&entry.header).copied().ok_or_else(lost)
        })
        .collect::<Result<_, _>>()?
    };
    if !of_range.is_empty() {
        let chunks = of_range.into_iter().map(|chunk| load(db, metric, chunk));
        return Ok(Taken {
            spans: range,
            witness: None,
            chunks: chunks.collect::<Result<_, _>>()?,
        });
    }
    // Nothing is in the range: any other chunk says how long windows are.
    let witness = by_id.values().filter(|chunk| chunk.body.is_some()).max_by_key(|chunk| chunk.key);
    match witness {
        Some(chunk) => {
            let window = Some(chunk.key.window);
            let spans = Spans::of(name, (from_ns, to_ns), window_ns, window);
            Ok(Taken { spans, witness: window, chunks: vec![load(db, metric, chunk)?] })
        }
        None if by_id.is_empty() => Ok(Taken { spans: range, witness: None, chunks: Vec::new() }),
        None => Err(MakeError::Gone {
            metric: metric.clone(),
            window: by_id.values().next().map_or(0, |chunk| chunk.key.window),
        }),
    }
}

fn load(db: &Db, metric: &Metric, chunk: &ChunkInfo) -> Result<TakenChunk, MakeError> {
    let (key, batch) = (chunk.key, chunk.batch);
    let gone = || MakeError::Gone { metric: metric.clone(), window: key.window };
    let blocks = db.chunk_blocks(key)?.ok_or_else(gone)?;
    let header = ChunkHeader::from_bytes(&blocks.header)?;
    Ok(TakenChunk { key, batch, header, body: blocks.body })
}
