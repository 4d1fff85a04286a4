//! Figures of a database.

use std::collections::BTreeMap;

use chronolith_disk::Disk;

use crate::chunk::body::BodyView;
use crate::chunk::stored::Label;
use crate::db::{Db, Inner};
use crate::error::{DiskContext, ReadError};
use crate::layers::{self, Layer, MetricRef, Source, body_fault};
use crate::model::{MetricId, Window};
use crate::wal;

/// How much chunks of one pair of codecs hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CodecStatistics {
    /// How many chunks.
    pub chunks: u64,
    /// How many records.
    pub records: u64,
    /// Length of their bodies: bytes.
    pub bytes: u64,
}

/// Figures of a whole database.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DbStatistics {
    /// Records that a scan of everything would give.
    pub records: u64,
    /// Metrics, with and without records.
    pub metrics: u64,
    /// Devices.
    pub devices: u64,
    /// Windows of metrics that hold unsealed records, and sealed chunks.
    pub chunks: u64,
    /// Sealed chunks whose body is there.
    pub sealed_chunks: u64,
    /// Length of all files of the directory: bytes.
    pub bytes_on_disk: u64,
    /// Length of the log: bytes.
    pub wal_bytes: u64,
    /// Memory of the memtables: bytes.
    pub memtable_bytes: u64,
    /// Unsealed runs.
    pub runs: u64,
    /// Segments.
    pub segments: u64,
    /// Chunks and records by `times/values` codec. Moved chunks count as `moved`: what they are
    /// encoded with is not looked up in the segment store.
    pub by_codec: BTreeMap<String, CodecStatistics>,
    /// The earliest time, nanoseconds since the epoch.
    pub first_ns: Option<i64>,
    /// The latest time, nanoseconds since the epoch.
    pub last_ns: Option<i64>,
    /// Why the background could not seal or compact the last time it tried.
    pub upkeep_failure: Option<String>,
}

/// Figures of one metric.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MetricStatistics {
    /// Records that a scan of everything would give.
    pub records: u64,
    /// Sealed chunks whose body is there.
    pub sealed_chunks: u64,
    /// Windows that hold unsealed records.
    pub open_windows: u64,
    /// The earliest time, nanoseconds since the epoch.
    pub first_ns: Option<i64>,
    /// The latest time, nanoseconds since the epoch.
    pub last_ns: Option<i64>,
}

impl MetricStatistics {
    fn note(&mut self, count: u64, first_ns: i64, last_ns: i64) {
        self.records += count;
        self.first_ns = Some(self.first_ns.map_or(first_ns, |first| first.min(first_ns)));
        self.last_ns = Some(self.last_ns.map_or(last_ns, |last| last.max(last_ns)));
    }
}

impl Db {
    /// Figures of one metric.
    pub fn metric_statistics(&self, metric: MetricId) -> Result<MetricStatistics, ReadError> {
        let metric = self.inner.metric_ref(metric.index())?;
        self.inner.metric_statistics(metric)
    }

    /// Figures of the whole database. Takes time that grows with the number of chunks.
    pub fn statistics(&self) -> Result<DbStatistics, ReadError> {
        let inner = &self.inner;
        let view = inner.view();
        let mut statistics = DbStatistics {
            metrics: inner.registry.read().len() as u64,
            devices: inner.registry.read().label_values("device").len() as u64,
            memtable_bytes: view.memtable_bytes() as u64,
            runs: view.runs.len() as u64,
            segments: view.segments.len() as u64,
            bytes_on_disk: folder_bytes(&*inner.disk, "")?,
            wal_bytes: folder_bytes(&*inner.disk, wal::DIR)?,
            upkeep_failure: inner.upkeep_failure.lock().clone(),
            ..DbStatistics::default()
        };
        for metric in 0..statistics.metrics as u32 {
            let one = inner.metric_statistics(inner.metric_ref(metric)?)?;
            statistics.records += one.records;
            statistics.sealed_chunks += one.sealed_chunks;
            statistics.chunks += one.sealed_chunks + one.open_windows;
            let earliest = statistics.first_ns.into_iter().chain(one.first_ns).min();
            statistics.first_ns = earliest;
            statistics.last_ns = statistics.last_ns.max(one.last_ns);
        }
        for live in &view.segments {
            live.segment.for_all(&mut |entry, _, _| {
                let Some(body) = &entry.body else { return Ok(()) };
                let (codec, bytes) = match live.segment.moved() {
                    Some(_) => ("moved".to_owned(), u64::from(body.size)),
                    None => {
                        let stored = live.segment.stored(entry, body)?;
                        let size = stored.block().len() as u64;
                        let codec = match stored.lock().map(|lock| lock.label) {
                            Some(Label::Codec(codec)) => codec.to_owned(),
                            Some(Label::Pseudonym(_)) => "hidden".to_owned(),
                            None => {
                                let view = BodyView::parse(stored.block(), body.count as usize);
                                let names = view.and_then(|view| view.codec_names());
                                let names = names.map_err(|error| body_fault(live, body, error))?;
                                format!("{}/{}", names.0, names.1)
                            }
                        };
                        (codec, size)
                    }
                };
                let of_codec = statistics.by_codec.entry(codec).or_default();
                of_codec.chunks += 1;
                of_codec.records += u64::from(body.count);
                of_codec.bytes += bytes;
                Ok(())
            })?;
        }
        Ok(statistics)
    }
}

impl Inner {
    fn metric_statistics(&self, metric: MetricRef) -> Result<MetricStatistics, ReadError> {
        let view = self.view();
        let tombstones = view.tombstones.of(metric.number);
        let mut statistics = MetricStatistics::default();
        for window in layers::find(&view, metric, Window::MIN, Window::MAX)? {
            let is_chunk = |layer: &&Layer| matches!(layer.source, Source::Chunk(..));
            let chunks = window.layers.iter().filter(is_chunk).count();
            statistics.sealed_chunks += chunks as u64;
            statistics.open_windows += u64::from(chunks < window.layers.len());
            if let Some((_, _, body)) = window.single_chunk(tombstones) {
                statistics.note(body.count.into(), body.first_ns, body.last_ns);
                continue;
            }
            let mut slices = window.slices(metric)?;
            while let Some(block) = slices.next(tombstones).transpose()? {
                if let (Some(first_ns), Some(last_ns)) = (block.first_time(), block.last_time()) {
                    statistics.note(block.len() as u64, first_ns, last_ns);
                }
            }
        }
        Ok(statistics)
    }
}

/// The length of all files in a folder and below it: bytes.
fn folder_bytes(disk: &dyn Disk, folder: &str) -> Result<u64, ReadError> {
    let mut total = 0;
    for name in disk.list(folder).at(disk, "list", folder)? {
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        total += match path.strip_suffix('/') {
            Some(below) => folder_bytes(disk, below)?,
            None => disk.len(&path).at(disk, "measure", &path)?,
        };
    }
    Ok(total)
}
