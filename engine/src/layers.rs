//! Layers: everything that holds records of one metric in one window, oldest first.
//!
//! Per metric and window the sources have disjoint ranges of sequences: chunks by generation, then
//! runs, then memtables. Two rules decide what counts:
//! 1. What a chunk of the window was sealed from is in the chunk: a run or memtable whose last
//!    sequence is not later than that of some chunk of the window is skipped.
//! 2. A deletion hides the records of every source whose last sequence is before it; it falls
//!    inside the range of none, because a deletion freezes the memtable.

mod pieces;

use std::sync::Arc;

use crate::block::Block;
use crate::chunk::body::BodyView;
use crate::error::{Fault, ReadError};
use crate::manifest::Tombstone;
use crate::memtable::OpenCopy;
use crate::model::{Kind, Window, floor_to_window};
use crate::run::Section;
use crate::segment::{Body, ChunkEntry};
use crate::view::{LiveRun, LiveSegment, View};
use crate::wal::Sequence;

pub(crate) use pieces::{PIECE_BYTES, Slices, check_unsealed, find_pieces};

/// Which metric, and what is fixed of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MetricRef {
    pub(crate) number: u32,
    pub(crate) kind: Kind,
    pub(crate) window_ns: i64,
}

impl MetricRef {
    /// The windows that hold the times from `from_ns` to `to_ns`, both included.
    pub(crate) const fn windows(&self, from_ns: i64, to_ns: i64) -> (Window, Window) {
        (floor_to_window(from_ns, self.window_ns), floor_to_window(to_ns, self.window_ns))
    }
}

/// Where some records are.
pub(crate) enum Source {
    Chunk(Arc<LiveSegment>, Box<ChunkEntry>, Body),
    Section(Arc<LiveRun>, Section),
    Open(OpenCopy),
    /// What an open chunk held.
    Decoded(Block),
}

/// Records of one source, and the last sequence they may have come in.
pub(crate) struct Layer {
    pub(crate) last_sequence: Sequence,
    pub(crate) source: Source,
}

/// Everything of one window, oldest first.
pub(crate) struct WindowLayers {
    pub(crate) window: Window,
    pub(crate) layers: Vec<Layer>,
    /// The highest generation of the window's chunks, dropped ones included.
    pub(crate) generation: Option<u32>,
}

/// Finds all layers of a metric's windows from `first` to `last`, by window.
pub(crate) fn find(
    view: &View,
    metric: MetricRef,
    first: Window,
    last: Window,
) -> Result<Vec<WindowLayers>, ReadError> {
    let mut windows = Windows::default();
    for live in &view.segments {
        let record = &live.record;
        if !(record.first_metric..=record.last_metric).contains(&metric.number) {
            continue;
        }
        let (low, high) = metric.windows(record.first_ns, record.last_ns);
        if low > last || high < first {
            continue;
        }
        live.segment.for_each(metric.number, first, last, &mut |entry, seal| {
            windows.add_chunk(live, entry, seal.last_sequence);
        })?;
    }
    for live in &view.runs {
        let (low, high) = metric.windows(live.record.first_ns, live.record.last_ns);
        if low > last || high < first {
            continue;
        }
        for section in live.run.sections_of(metric.number, first, last)? {
            let source = Source::Section(Arc::clone(live), section);
            windows.add(section.window, live.record.last_sequence, source);
        }
    }
    for memtable in view.memtables() {
        for copy in memtable.copies(metric.number, first, last) {
            windows.add(copy.window(), memtable.last(), Source::Open(copy));
        }
    }
    Ok(windows.finish())
}

/// Layers on their way into order.
#[derive(Default)]
struct Windows {
    found: Vec<Found>,
}

/// A source of some window, or a chunk whose body was dropped.
struct Found {
    window: Window,
    last_sequence: Sequence,
    /// Generation and part of a chunk.
    chunk: Option<(u32, u32)>,
    source: Option<Source>,
    supersedes: Option<u32>,
}

impl Windows {
    fn add_chunk(&mut self, live: &Arc<LiveSegment>, entry: &ChunkEntry, last: Sequence) {
        let source =
            entry.body.map(|body| Source::Chunk(Arc::clone(live), Box::new(entry.clone()), body));
        self.found.push(Found {
            window: entry.key.window,
            last_sequence: last,
            chunk: Some((entry.key.generation, entry.key.part)),
            source,
            supersedes: entry.supersedes,
        });
    }

    fn add(&mut self, window: Window, last_sequence: Sequence, source: Source) {
        let (chunk, source, supersedes) = (None, Some(source), None);
        self.found.push(Found { window, last_sequence, chunk, source, supersedes });
    }

    fn finish(mut self) -> Vec<WindowLayers> {
        // Chunks of a window come before everything else of it, in the order of generation and
        // part: what is no chunk is made the greatest.
        let order = |chunk: Option<(u32, u32)>| chunk.map_or((1, 0, 0), |(g, p)| (0, g, p));
        self.found.sort_by_key(|found| (found.window, order(found.chunk), found.last_sequence));
        let mut windows: Vec<WindowLayers> = Vec::new();
        let mut sealed: Sequence = 0;
        for Found { window, last_sequence, chunk, source, supersedes } in self.found {
            if windows.last().is_none_or(|current| current.window != window) {
                windows.push(WindowLayers { window, layers: Vec::new(), generation: None });
                sealed = 0;
            }
            let Some(current) = windows.last_mut() else { continue };
            if let Some((generation, _)) = chunk {
                current.generation = Some(generation);
                sealed = sealed.max(last_sequence);
            } else if last_sequence <= sealed {
                continue;
            }
            if let Some(replaced) = supersedes {
                current.layers.retain(|layer| match &layer.source {
                    Source::Chunk(_, entry, _) => entry.key.generation > replaced,
                    _ => true,
                });
            }
            if let Some(source) = source {
                current.layers.push(Layer { last_sequence, source });
            }
        }
        windows
    }
}

impl Layer {
    /// The records of this layer that no deletion hides.
    pub(crate) fn decode(
        &self,
        metric: MetricRef,
        tombstones: &[Tombstone],
    ) -> Result<Block, ReadError> {
        // What a deletion hides wholly need not be there: it may be far away, or damaged.
        let is_gone = |tombstone: &Tombstone| {
            tombstone.sequence > self.last_sequence
                && self.span().is_some_and(|(first_ns, last_ns)| {
                    tombstone.deletion.from_ns <= first_ns && tombstone.deletion.to_ns >= last_ns
                })
        };
        if tombstones.iter().any(is_gone) {
            return Ok(Block::new(metric.kind));
        }
        let mut block = match &self.source {
            Source::Chunk(live, entry, body) if entry.kind == metric.kind => {
                decode_chunk(live, entry, body)?
            }
            Source::Chunk(live, entry, body) => {
                let what = format!("a chunk of {} for a metric of {}", entry.kind, metric.kind);
                return Err(body_fault(live, body, what));
            }
            Source::Section(live, section) => live.run.decode(section, metric.kind)?,
            Source::Open(copy) => copy.decode(),
            Source::Decoded(block) => block.clone(),
        };
        for tombstone in tombstones {
            if tombstone.sequence > self.last_sequence {
                block.cut_out(tombstone.deletion.from_ns, tombstone.deletion.to_ns);
            }
        }
        Ok(block)
    }

    /// The span of the records' times, where it is known without decoding.
    pub(crate) fn span(&self) -> Option<(i64, i64)> {
        match &self.source {
            Source::Chunk(_, _, body) => Some((body.first_ns, body.last_ns)),
            Source::Section(_, section) => Some((section.first_ns, section.last_ns)),
            Source::Open(copy) => copy.span(),
            Source::Decoded(block) => block.first_time().zip(block.last_time()),
        }
    }
}

/// The fault of a chunk's body that cannot be decoded.
pub(crate) fn body_fault(live: &LiveSegment, body: &Body, problem: impl ToString) -> ReadError {
    Fault::new(live.segment.name(), body.offset, problem.to_string()).into()
}

/// The records of a chunk.
pub(crate) fn decode_chunk(
    live: &LiveSegment,
    entry: &ChunkEntry,
    body: &Body,
) -> Result<Block, ReadError> {
    decode_body(live, entry, body, &live.segment.body(entry, body)?)
}

/// The records of a chunk from the bytes of its body.
pub(crate) fn decode_body(
    live: &LiveSegment,
    entry: &ChunkEntry,
    body: &Body,
    bytes: &[u8],
) -> Result<Block, ReadError> {
    let view = BodyView::parse(bytes, body.count as usize);
    let block = view.and_then(|view| view.decode(entry.kind));
    block.map_err(|error| body_fault(live, body, error))
}

impl WindowLayers {
    /// The only layer, where it is a chunk that no deletion touches.
    pub(crate) fn single_chunk(
        &self,
        tombstones: &[Tombstone],
    ) -> Option<(&Arc<LiveSegment>, &ChunkEntry, &Body)> {
        let [Layer { last_sequence, source: Source::Chunk(live, entry, body) }] = &self.layers[..]
        else {
            return None;
        };
        let hidden = tombstones.iter().any(|tombstone| {
            tombstone.sequence > *last_sequence
                && tombstone.deletion.from_ns <= body.last_ns
                && tombstone.deletion.to_ns >= body.first_ns
        });
        (!hidden).then_some((live, &**entry, body))
    }

    /// All records of the window, the newest of each time.
    pub(crate) fn decode(
        &self,
        metric: MetricRef,
        tombstones: &[Tombstone],
    ) -> Result<Block, ReadError> {
        merge(self.layers.iter(), metric, tombstones, (i64::MIN, i64::MAX))
    }
}

/// The records of some layers of a window, oldest first, from the first to the last of two times:
/// the newest of each time.
pub(crate) fn merge<'a>(
    layers: impl Iterator<Item = &'a Layer>,
    metric: MetricRef,
    tombstones: &[Tombstone],
    (from_ns, to_ns): (i64, i64),
) -> Result<Block, ReadError> {
    let mut merged = Block::new(metric.kind);
    for layer in layers {
        let mut block = layer.decode(metric, tombstones)?;
        block.clip(from_ns, to_ns);
        merged = Block::merge(merged, block);
    }
    Ok(merged)
}
