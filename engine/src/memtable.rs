//! The memtable: records that are in the log and not yet in a run or a chunk.
//!
//! Sharded, so that two writers with different devices rarely meet. Within a shard every metric
//! has one open chunk per window it was written to: Gorilla-encoded as it grows, with a buffer
//! for what comes out of order. A writer holds the locks of all shards its batch touches while
//! the log gives it its sequence number, so that per metric the order of the log is the order
//! here.

mod open_chunk;

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};

use crate::batch::Batch;
use crate::model::{Window, floor_to_window};
use crate::registry::MetricShape;
use crate::wal::Sequence;

pub(crate) use open_chunk::{OpenChunk, OpenCopy, column_from_bits};

const SHARDS: usize = 16;
/// Metrics of one device mostly have consecutive numbers: a block of numbers shares a shard.
const BLOCK_BITS: u32 = 6;

/// Records in memory, together with the range of sequences they came in.
pub(crate) struct Memtable {
    shards: Vec<Mutex<Shard>>,
    size_bytes: AtomicUsize,
    /// The last sequence before this memtable.
    after: Sequence,
    /// The last sequence in it; set when it takes no more.
    last: OnceLock<Sequence>,
}

#[derive(Default)]
struct Shard {
    /// For each local number: the index of its series plus one, 0 where there is none.
    slots: Vec<u32>,
    series: Vec<Series>,
}

struct Series {
    metric: u32,
    window_ns: i64,
    /// The chunk that was written to last.
    current: OpenChunk,
    /// The chunks of other windows.
    others: BTreeMap<Window, OpenChunk>,
}

/// What an open chunk takes before it has records beyond its first: bytes.
const CHUNK_BYTES: usize = std::mem::size_of::<OpenChunk>();
/// What a series takes without its open chunks: bytes.
const SERIES_BYTES: usize = std::mem::size_of::<Series>() - CHUNK_BYTES;

const fn place(metric: u32) -> (usize, usize) {
    let block = metric >> BLOCK_BITS;
    let shard = block as usize % SHARDS;
    let local = ((block as usize / SHARDS) << BLOCK_BITS) | (metric as usize & 63);
    (shard, local)
}

/// The locks of the shards that a batch touches, taken in the order of their numbers.
pub(crate) struct Locked<'a> {
    memtable: &'a Memtable,
    shards: [Option<MutexGuard<'a, Shard>>; SHARDS],
}

impl Memtable {
    pub(crate) fn new(after: Sequence) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            size_bytes: AtomicUsize::new(0),
            after,
            last: OnceLock::new(),
        }
    }

    /// About how much memory the records take: bytes.
    pub(crate) fn size_bytes(&self) -> usize {
        self.size_bytes.load(Ordering::Relaxed)
    }

    /// The last sequence before this memtable.
    pub(crate) const fn after(&self) -> Sequence {
        self.after
    }

    /// The last sequence in it; later than all for one that still takes records.
    pub(crate) fn last(&self) -> Sequence {
        self.last.get().copied().unwrap_or(Sequence::MAX)
    }

    /// Takes no more records; `last` is the last sequence it holds.
    pub(crate) fn freeze(&self, last: Sequence) {
        let _ = self.last.set(last);
    }

    /// Locks what a batch touches.
    pub(crate) fn lock(&self, metrics: &[u32]) -> Locked<'_> {
        let mut touched = [false; SHARDS];
        for metric in metrics {
            touched[place(*metric).0] = true;
        }
        let shards = std::array::from_fn(|shard| touched[shard].then(|| self.shards[shard].lock()));
        Locked { memtable: self, shards }
    }

    /// Copies of a metric's open chunks with windows from `first` to `last`, by window.
    pub(crate) fn copies(&self, metric: u32, first: Window, last: Window) -> Vec<OpenCopy> {
        let (shard, local) = place(metric);
        let shard = self.shards[shard].lock();
        let Some(series) = shard.get(local) else { return Vec::new() };
        let mut copies: Vec<OpenCopy> = series
            .chunks(first, last)
            .filter(|chunk| !chunk.is_empty())
            .map(OpenChunk::copy)
            .collect();
        copies.sort_unstable_by_key(OpenCopy::window);
        copies
    }

    /// The windows of a metric that hold records, and how many.
    pub(crate) fn windows(&self, metric: u32) -> Vec<(Window, usize)> {
        let (shard, local) = place(metric);
        let shard = self.shards[shard].lock();
        let Some(series) = shard.get(local) else { return Vec::new() };
        let chunks = series.chunks(Window::MIN, Window::MAX);
        chunks.filter(|chunk| !chunk.is_empty()).map(|c| (c.window(), c.len())).collect()
    }

    /// The first and last time of each of a metric's open chunks.
    pub(crate) fn spans(&self, metric: u32) -> Vec<(i64, i64)> {
        let (shard, local) = place(metric);
        let shard = self.shards[shard].lock();
        let Some(series) = shard.get(local) else { return Vec::new() };
        series.chunks(Window::MIN, Window::MAX).filter_map(OpenChunk::span).collect()
    }

    /// The numbers of all metrics that have records here, rising.
    pub(crate) fn metrics(&self) -> Vec<u32> {
        let mut metrics: Vec<u32> = Vec::new();
        for shard in &self.shards {
            metrics.extend(shard.lock().series.iter().map(|series| series.metric));
        }
        metrics.sort_unstable();
        metrics
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| shard.lock().series.is_empty())
    }
}

impl Shard {
    fn get(&self, local: usize) -> Option<&Series> {
        let slot = *self.slots.get(local)?;
        self.series.get((slot as usize).checked_sub(1)?)
    }

    fn get_or_insert(
        &mut self,
        local: usize,
        metric: u32,
        time_ns: i64,
        shape: impl FnOnce(u32) -> Option<MetricShape>,
    ) -> Option<&mut Series> {
        if self.slots.len() <= local {
            self.slots.resize((local + 1).next_multiple_of(64), 0);
        }
        if self.slots[local] == 0 {
            let shape = shape(metric)?;
            let window = floor_to_window(time_ns, shape.window_ns);
            self.series.push(Series {
                metric,
                window_ns: shape.window_ns,
                current: OpenChunk::new(shape.kind, window, shape.window_ns),
                others: BTreeMap::new(),
            });
            self.slots[local] = self.series.len() as u32;
        }
        let index = self.slots[local] as usize - 1;
        self.series.get_mut(index)
    }
}

impl Series {
    /// The open chunks with windows from `first` to `last`.
    fn chunks(&self, first: Window, last: Window) -> impl Iterator<Item = &OpenChunk> {
        let current = (first..=last).contains(&self.current.window()).then_some(&self.current);
        // An empty range of a map would panic.
        let others = (first <= last).then(|| self.others.range(first..=last));
        current.into_iter().chain(others.into_iter().flatten().map(|(_, chunk)| chunk))
    }

    /// Adds a record; how much memory that took.
    fn push_one(&mut self, time_ns: i64, bits: u64, data: &[u8]) -> usize {
        let opened = if self.current.covers(time_ns) { 0 } else { self.turn_to(time_ns) };
        let before = self.current.size_bytes();
        self.current.push_one(time_ns, bits, data);
        opened + self.current.size_bytes().saturating_sub(before)
    }

    /// Adds records in their order; how much memory that took.
    fn push(&mut self, mut times: &[i64], mut bits: &[u64], data: &[u8]) -> usize {
        let mut grown = 0;
        while let Some(first) = times.first() {
            if !self.current.covers(*first) {
                grown += self.turn_to(*first);
            }
            let count = times.iter().take_while(|time| self.current.covers(**time)).count();
            let before = self.current.size_bytes();
            self.current.push(&times[..count], &bits[..count], data);
            grown += self.current.size_bytes().saturating_sub(before);
            (times, bits) = (&times[count..], &bits[count..]);
        }
        grown
    }

    /// Makes the open chunk of a time the current one; how much memory that took.
    fn turn_to(&mut self, time_ns: i64) -> usize {
        let window = floor_to_window(time_ns, self.window_ns);
        let (next, grown) = match self.others.remove(&window) {
            Some(chunk) => (chunk, 0),
            None => (OpenChunk::new(self.current.kind(), window, self.window_ns), CHUNK_BYTES),
        };
        let before = std::mem::replace(&mut self.current, next);
        self.others.insert(before.window(), before);
        grown
    }
}

impl Locked<'_> {
    /// Adds the batch's records in their order; `shape` knows every metric of a checked batch.
    pub(crate) fn apply(&mut self, batch: &Batch, shape: impl Fn(u32) -> Option<MetricShape>) {
        let (mut grown, mut begin) = (0, 0);
        // Records of one metric behind each other need its place once.
        for records in batch.metrics.chunk_by(|one, other| one == other) {
            let places = begin..begin + records.len();
            begin = places.end;
            let (metric, first_ns) = (batch.metrics[places.start], batch.times[places.start]);
            let (shard, local) = place(metric);
            let Some(shard) = &mut self.shards[shard] else { continue };
            let count = shard.series.len();
            let Some(series) = shard.get_or_insert(local, metric, first_ns, &shape) else {
                continue;
            };
            grown += match (&batch.times[places.clone()], &batch.bits[places]) {
                ([time_ns], [bits]) => series.push_one(*time_ns, *bits, &batch.data),
                (times, bits) => series.push(times, bits, &batch.data),
            };
            if shard.series.len() > count {
                grown += SERIES_BYTES + CHUNK_BYTES;
            }
        }
        self.memtable.size_bytes.fetch_add(grown, Ordering::Relaxed);
    }
}
