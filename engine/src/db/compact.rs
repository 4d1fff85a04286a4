//! Compaction: fewer and larger files, and deleted bytes gone.
//!
//! Runs become one run. Small segments of a partition become larger ones, with the bytes of their
//! chunks copied unchanged, so that no content id changes. A window that a deletion touches gets a
//! replacement chunk of the next generation; the old bodies go and their headers' digests stay.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::db::flush::Cut;
use crate::db::seal::{
    SEGMENT_CHUNKS_MAX, Sealer, SegmentOutput, first_sequence, no_key, unsealed,
};
use crate::db::{Db, Inner, Maintained, Upkeep};
use crate::error::{DiskContext, MaintenanceError, ReadError};
use crate::layers::{self, MetricRef, Source};
use crate::manifest::{Manifest, RunRecord, SegmentRecord};
use crate::model::Window;
use crate::run::{self, RunWriter};
use crate::segment::{self, ChunkEntry, ChunkSource, SealRecord};
use crate::view::{LiveSegment, Tombstones};

/// What a compaction did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CompactReport {
    /// Runs before and after.
    pub runs: (usize, usize),
    /// Segments before and after.
    pub segments: (usize, usize),
    /// How many chunks were replaced or dropped, since records of theirs were deleted.
    pub rewritten_windows: usize,
}

/// A chunk of a segment that is to be copied.
struct OldChunk {
    live: Arc<LiveSegment>,
    entry: ChunkEntry,
    seal: SealRecord,
    digest: [u8; 32],
}

impl Db {
    /// Applies retention, carries out deletions, merges runs and small segments.
    pub fn compact(&self) -> Maintained<CompactReport> {
        let mut upkeep = self.inner.upkeep.lock();
        self.inner.compact_with(&mut upkeep)
    }
}

impl Inner {
    pub(super) fn compact_with(&self, upkeep: &mut Upkeep) -> Maintained<CompactReport> {
        let expired = self.expired(&upkeep.manifest.retention)?;
        self.delete_with(upkeep, &expired)?;
        let cut = self.cut()?;
        let mut manifest = upkeep.manifest.clone();
        let before = (manifest.runs.len(), manifest.segments.len());
        let touched = self.touched_windows(&cut)?;
        let key = upkeep.key.as_ref().ok_or_else(no_key)?;
        let sealer = Sealer { inner: self, key, policy: self.options.seal_policy };
        let (gone, segments) = self.rewrite_segments(&cut, &touched, &mut manifest, &sealer)?;
        let run = self.merge_runs(&cut, &touched, &mut manifest)?;
        let gone_runs: Vec<u64> = cut.view.runs.iter().map(|live| live.record.number).collect();
        manifest.runs = run.iter().cloned().collect();
        // Everything that these deletions hid is gone now.
        let carried_out = manifest.tombstones.iter().map(|tombstone| tombstone.sequence).max();
        manifest.changes_from = manifest.changes_from.max(carried_out.unwrap_or(0));
        manifest.tombstones.retain(|tombstone| tombstone.sequence > cut.last);
        let tombstones = Arc::new(Tombstones::new(&manifest.tombstones));
        let after = (manifest.runs.len(), manifest.segments.len());
        let run = run.map(|record| self.run(record));
        self.publish(upkeep, manifest, &cut, |view| {
            view.runs = run.into_iter().collect();
            view.segments.retain(|live| !gone.contains(&live.record.number));
            view.segments.extend(segments.into_iter().map(|record| self.segment(record)));
            view.tombstones = tombstones;
        })?;
        self.remove_runs(&gone_runs);
        self.remove_segments(&cut, &gone);
        self.remove_unused_blobs(carried_out.is_some())?;
        Ok(CompactReport {
            runs: (before.0, after.0),
            segments: (before.1, after.1),
            rewritten_windows: touched.len(),
        })
    }

    /// The windows that have a chunk with records that a deletion hides.
    fn touched_windows(&self, cut: &Cut) -> Result<HashSet<(u32, Window)>, ReadError> {
        let mut touched = HashSet::new();
        for metric in cut.view.tombstones.metrics() {
            let reference = self.metric_ref(metric)?;
            for tombstone in cut.view.tombstones.of(metric) {
                let deletion = &tombstone.deletion;
                let (first, last) = reference.windows(deletion.from_ns, deletion.to_ns);
                for window in layers::find(&cut.view, reference, first, last)? {
                    let is_touched = window.layers.iter().any(|layer| {
                        matches!(&layer.source, Source::Chunk(_, _, body)
                            if layer.last_sequence < tombstone.sequence
                                && body.first_ns <= deletion.to_ns
                                && body.last_ns >= deletion.from_ns)
                    });
                    if is_touched {
                        touched.insert((metric, window.window));
                    }
                }
            }
        }
        Ok(touched)
    }

    /// Rewrites the partitions that need it; the numbers of the segments that go, and the new
    /// segments, which are in the manifest already.
    fn rewrite_segments<'a>(
        &'a self,
        cut: &Cut,
        touched: &HashSet<(u32, Window)>,
        manifest: &mut Manifest,
        sealer: &'a Sealer<'a>,
    ) -> Maintained<(Vec<u64>, Vec<SegmentRecord>)> {
        let mut partitions: BTreeMap<i64, Vec<Arc<LiveSegment>>> = BTreeMap::new();
        for live in &cut.view.segments {
            partitions.entry(live.record.partition).or_default().push(Arc::clone(live));
        }
        let (mut gone, mut written) = (Vec::new(), Vec::new());
        for (partition, mut segments) in partitions {
            let is_touched = touched.iter().any(|(metric, window)| {
                self.metric_ref(*metric).is_ok_and(|metric| {
                    let start_ns = crate::model::window_start(*window, metric.window_ns);
                    segment::partition_of(start_ns) == partition
                })
            });
            if !is_touched {
                segments.retain(|live| is_small(&live.record, self.options.segment_bytes));
                if segments.len() < 2 {
                    continue;
                }
            }
            let records = self.rewrite(cut, partition, &segments, touched, manifest, sealer)?;
            gone.extend(segments.iter().map(|live| live.record.number));
            written.extend(records);
        }
        manifest.segments.retain(|record| !gone.contains(&record.number));
        manifest.segments.extend(written.iter().cloned());
        Ok((gone, written))
    }

    fn rewrite<'a>(
        &'a self,
        cut: &Cut,
        partition: i64,
        segments: &[Arc<LiveSegment>],
        touched: &HashSet<(u32, Window)>,
        manifest: &mut Manifest,
        sealer: &'a Sealer<'a>,
    ) -> Maintained<Vec<SegmentRecord>> {
        let mut chunks = Vec::new();
        for live in segments {
            live.segment.for_all(&mut |entry, seal, digest| {
                let (live, entry) = (Arc::clone(live), entry.clone());
                chunks.push(OldChunk { live, entry, seal: *seal, digest: *digest });
                Ok(())
            })?;
        }
        chunks.sort_by_key(|chunk| chunk.entry.key);
        let (first, last) = (first_sequence(cut), cut.last);
        let mut records = Vec::new();
        let mut output = SegmentOutput::new(self, partition, manifest, sealer)?;
        let window_of = |chunk: &OldChunk| (chunk.entry.key.metric, chunk.entry.key.window);
        for chunks in chunks.chunk_by(|a, b| window_of(a) == window_of(b)) {
            if output.is_full() {
                records.extend(output.finish(manifest, first, last)?.0);
                output = SegmentOutput::new(self, partition, manifest, sealer)?;
            }
            let (metric, window) = window_of(&chunks[0]);
            if touched.contains(&(metric, window)) {
                self.replace(cut, self.metric_ref(metric)?, window, chunks, sealer, &mut output)?;
            } else {
                for chunk in chunks {
                    copy(chunk, &mut output)?;
                }
            }
        }
        records.extend(output.finish(manifest, first, last)?.0);
        Ok(records)
    }

    /// Writes the chunk that replaces all chunks of a window, and drops their bodies.
    fn replace(
        &self,
        cut: &Cut,
        metric: MetricRef,
        window: Window,
        chunks: &[OldChunk],
        sealer: &Sealer<'_>,
        output: &mut SegmentOutput<'_>,
    ) -> Maintained<()> {
        for chunk in chunks {
            let entry = chunk.entry.clone();
            output.copy(entry, &chunk.seal, chunk.digest, ChunkSource::Dropped)?;
        }
        let tombstones = cut.view.tombstones.of(metric.number);
        for layers in layers::find(&cut.view, metric, window, window)? {
            let block = layers.decode(metric, tombstones)?;
            let highest = layers.generation.unwrap_or(0);
            let new = sealer.chunks(metric, window, highest + 1, Some(highest), &block)?;
            for chunk in new {
                output.push_new(chunk)?;
            }
        }
        Ok(())
    }

    /// Writes everything unsealed into one run, without what chunks hold or deletions hide.
    fn merge_runs(
        &self,
        cut: &Cut,
        touched: &HashSet<(u32, Window)>,
        manifest: &mut Manifest,
    ) -> Maintained<Option<RunRecord>> {
        let windows = unsealed(&cut.view)?;
        if windows.is_empty() {
            return Ok(None);
        }
        let (disk, number) = (&*self.disk, manifest.take_number());
        let name = run::file_name(number);
        let mut writer = RunWriter::create(disk, &*self.options.protect, name.clone())?;
        let mut record = RunRecord {
            number,
            size_bytes: 0,
            first_sequence: first_sequence(cut),
            last_sequence: cut.last,
            records: 0,
            first_ns: i64::MAX,
            last_ns: i64::MIN,
        };
        for (metric, window) in windows {
            if touched.contains(&(metric, window)) {
                continue;
            }
            let reference = self.metric_ref(metric)?;
            let tombstones = cut.view.tombstones.of(metric);
            let found = layers::find(&cut.view, reference, window, window)?;
            let Some(layers) = found.first() else { continue };
            let block = layers.decode_unsealed(reference, tombstones)?;
            record.records += block.len() as u64;
            record.first_ns = record.first_ns.min(block.first_time().unwrap_or(i64::MAX));
            record.last_ns = record.last_ns.max(block.last_time().unwrap_or(i64::MIN));
            writer.push_block(metric, window, &block)?;
        }
        if writer.is_empty() {
            drop(writer);
            disk.remove(&name).at(disk, "remove", &name)?;
            return Ok(None);
        }
        record.size_bytes = writer.finish()?;
        disk.sync_dir(run::DIR).at(disk, "sync", run::DIR)?;
        Ok(Some(record))
    }

    fn remove_segments(&self, cut: &Cut, numbers: &[u64]) {
        for live in &cut.view.segments {
            if numbers.contains(&live.record.number) {
                let _ = self.disk.remove(live.segment.name());
            }
        }
    }
}

/// Whether merging a segment with another is worth it.
pub(super) fn is_small(record: &SegmentRecord, segment_bytes: u64) -> bool {
    record.size_bytes < segment_bytes / 2 && (record.chunks as usize) < SEGMENT_CHUNKS_MAX / 2
}

/// Copies a chunk, its bytes unchanged.
fn copy(chunk: &OldChunk, output: &mut SegmentOutput<'_>) -> Result<(), MaintenanceError> {
    let source = match &chunk.entry.body {
        Some(body) => ChunkSource::Record(chunk.live.segment.body_record(body)?),
        None => ChunkSource::Dropped,
    };
    output.copy(chunk.entry.clone(), &chunk.seal, chunk.digest, source)
}
