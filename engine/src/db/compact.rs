//! Compaction: fewer and larger files, and deleted bytes gone.
//!
//! Runs become one run. Small segments of a partition become larger ones, with the bytes of their
//! chunks copied unchanged, so that no content id changes. A window that a deletion touches, or whose
//! metric's privacy level was raised since, gets a replacement chunk of the next generation; the old
//! bodies go and their headers' digests stay.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::db::flush::Base;
use crate::db::run_output::RunOutput;
use crate::db::seal::{
    SEGMENT_CHUNKS_MAX, Sealer, SegmentOutput, Unsealed, WindowChunks, unsealed,
};
use crate::db::{Db, Inner, Maintained};
use crate::error::{Fault, MaintenanceError, ReadError};
use crate::layers::{self, MetricRef, Source};
use crate::manifest::{RunRecord, SegmentRecord};
use crate::model::{Window, window_start};
use crate::segment::{self, ChunkEntry, ChunkSource, SealRecord, partition_of};
use crate::store::StoreError;
use crate::view::{LiveSegment, Tombstones};

/// What a compaction did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompactReport {
    /// Runs before and after.
    pub runs: (usize, usize),
    /// Segments before and after.
    pub segments: (usize, usize),
    /// How many windows had chunks replaced or dropped, since records of theirs were deleted or
    /// their metric's privacy level was raised.
    pub rewritten_windows: usize,
    /// What was damaged in segments that stay as they are for it.
    pub faults: Vec<Fault>,
    /// Windows that are rewritten another time, since the segment store that holds them failed.
    /// What was deleted of them stays hidden.
    pub postponed_windows: usize,
    /// How the store failed.
    pub store_failure: Option<StoreError>,
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
        self.inner.compact()
    }
}

impl Inner {
    pub(super) fn compact(&self) -> Maintained<CompactReport> {
        let _rebuilding = self.rebuilding.lock();
        let base = {
            let mut upkeep = self.upkeep()?;
            let expired = self.expired(&upkeep.manifest.retention)?;
            self.delete_with(&mut upkeep, &expired)?;
            self.flush_with(&mut upkeep)?
        };
        let (runs, segments) = (&base.view.runs, &base.view.segments);
        let mut touched = self.touched_windows(&base)?;
        touched.extend(self.outdated_windows(&base)?);
        let Rewritten { gone, written, faults, postponed, store_failure } =
            self.rewrite_segments(&base, &touched, &Sealer::new(self)?)?;
        touched.retain(|window| !postponed.contains(window));
        let merged = self.merge_runs(&base, &touched)?;
        let gone_runs: Vec<u64> = match &merged {
            Some(_) => runs.iter().map(|live| live.record.number).collect(),
            None => Vec::new(),
        };
        let run = merged.flatten();
        let mut dropped = Vec::new();
        self.publish_rebuilt(
            |manifest| {
                manifest.runs.retain(|record| !gone_runs.contains(&record.number));
                manifest.runs.extend(run.clone());
                manifest.drop_segments(&gone, self.options.clock.now_ns());
                manifest.segments.extend(written.iter().cloned());
                if !postponed.is_empty() {
                    return;
                }
                // Everything that the deletions up to here hid is gone now.
                let carried_out = manifest.tombstones.iter().map(|tombstone| tombstone.sequence);
                let carried_out = carried_out.filter(|sequence| *sequence <= base.last).max();
                manifest.changes_from = manifest.changes_from.max(carried_out.unwrap_or(0));
                manifest.tombstones.retain(|tombstone| tombstone.sequence > base.last);
            },
            |view, manifest| {
                view.runs.retain(|live| !gone_runs.contains(&live.record.number));
                view.runs.extend(run.clone().map(|record| self.run(record)));
                (view.segments, dropped) = std::mem::take(&mut view.segments)
                    .into_iter()
                    .partition(|live| !gone.contains(&live.record.number));
                let moved = dropped.iter().filter(|live| live.segment.moved().is_some());
                let moved = moved.map(|live| (live.record.number, Arc::downgrade(live)));
                self.gone_segments.lock().extend(moved);
                view.segments.extend(written.iter().cloned().map(|record| self.segment(record)));
                view.tombstones = Arc::new(Tombstones::new(&manifest.tombstones));
            },
        )?;
        let mut report = CompactReport {
            runs: (runs.len(), runs.len() - gone_runs.len() + run.iter().len()),
            segments: (segments.len(), segments.len() - gone.len() + written.len()),
            rewritten_windows: touched.len(),
            faults,
            postponed_windows: postponed.len(),
            store_failure,
        };
        self.remove_runs(gone_runs.into_iter());
        self.remove_segments(&dropped);
        match self.remove_unused_blobs(!base.view.tombstones.metrics().is_empty()) {
            // Which blobs moved chunks need is looked up another time.
            Err(MaintenanceError::Read(ReadError::Store(error))) => {
                report.store_failure.get_or_insert(*error);
            }
            // Of chunks that cannot be opened nobody knows which blobs they need: all stay, until these
            // chunks are gone.
            Err(MaintenanceError::Read(ReadError::Key(error))) if error.is_of_chunk() => {}
            removed => removed?,
        }
        Ok(report)
    }

    /// The windows that have a chunk with records that a deletion hides.
    fn touched_windows(&self, base: &Base) -> Result<HashSet<(u32, Window)>, ReadError> {
        let mut touched = HashSet::new();
        for metric in base.view.tombstones.metrics() {
            let reference = self.metric_ref(metric)?;
            for tombstone in base.view.tombstones.of(metric) {
                let deletion = &tombstone.deletion;
                let (first, last) = reference.windows(deletion.from_ns, deletion.to_ns);
                for window in layers::find(&base.view, reference, first, last)? {
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

    /// The windows with a chunk from before its metric's privacy level was raised: its header shows
    /// more than the metric's now may.
    fn outdated_windows(&self, base: &Base) -> Result<HashSet<(u32, Window)>, ReadError> {
        let registry = self.registry.read();
        let mut outdated = HashSet::new();
        for metric in registry.amended() {
            let Some(level) = registry.get(metric).map(|definition| definition.level) else {
                continue;
            };
            let is_outdated = |version: u32| {
                registry.version(metric, version).is_some_and(|before| before.level != level)
            };
            if !(0..registry.newest_version(metric)).any(is_outdated) {
                continue;
            }
            for live in &base.view.segments {
                live.segment.for_each(metric, Window::MIN, Window::MAX, &mut |entry, _| {
                    if entry.body.is_some() && is_outdated(entry.definition) {
                        outdated.insert((metric, entry.key.window));
                    }
                })?;
            }
        }
        Ok(outdated)
    }

    /// Rewrites what needs it: the segments with windows that a deletion touches or a level hides,
    /// and small ones of one partition together.
    fn rewrite_segments<'a>(
        &'a self,
        base: &Base,
        touched: &HashSet<(u32, Window)>,
        sealer: &'a Sealer<'a>,
    ) -> Maintained<Rewritten> {
        let mut partitions: BTreeMap<i64, Vec<Arc<LiveSegment>>> = BTreeMap::new();
        for live in &base.view.segments {
            partitions.entry(live.record.partition).or_default().push(Arc::clone(live));
        }
        let mut rewritten = Rewritten::default();
        for (partition, segments) in partitions {
            let (mut chosen, mut small) = (Vec::new(), Vec::new());
            for live in segments {
                if holds_any(&live, touched)? {
                    chosen.push(live);
                } else if live.segment.moved().is_none()
                    && is_small(&live.record, self.options.segment_bytes)
                {
                    small.push(live);
                }
            }
            let mut must = !chosen.is_empty();
            let is_moved = |live: &Arc<LiveSegment>| live.segment.moved().is_some();
            // A store that failed is not asked again for each partition.
            if must && chosen.iter().any(is_moved) && rewritten.store_failure.is_some() {
                self.postpone(partition, touched, &mut rewritten)?;
                (chosen, must) = (Vec::new(), false);
            }
            let all: Vec<_> = chosen.iter().chain(&small).cloned().collect();
            if !must && all.len() < 2 {
                continue;
            }
            match self.rewrite(base, partition, &all, touched, sealer) {
                Ok(records) => rewritten.add(&all, records),
                Err(MaintenanceError::Read(ReadError::Store(error))) => {
                    rewritten.store_failure.get_or_insert(*error);
                    self.postpone(partition, touched, &mut rewritten)?;
                    if small.len() > 1 {
                        let records = self.rewrite(base, partition, &small, touched, sealer)?;
                        rewritten.add(&small, records);
                    }
                }
                // What is damaged stays where it is, unless deleted records would come back.
                Err(MaintenanceError::Read(ReadError::Fault(fault))) if !must => {
                    rewritten.faults.push(fault);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(rewritten)
    }

    /// Leaves the windows of a partition as they are for this time.
    fn postpone(
        &self,
        partition: i64,
        touched: &HashSet<(u32, Window)>,
        rewritten: &mut Rewritten,
    ) -> Result<(), ReadError> {
        for (metric, window) in touched {
            let start_ns = window_start(*window, self.metric_ref(*metric)?.window_ns);
            if partition_of(start_ns) == partition {
                rewritten.postponed.insert((*metric, *window));
            }
        }
        Ok(())
    }

    fn rewrite<'a>(
        &'a self,
        base: &Base,
        partition: i64,
        segments: &[Arc<LiveSegment>],
        touched: &HashSet<(u32, Window)>,
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
        let mut records = Vec::new();
        let mut output = SegmentOutput::new(self, partition, sealer)?;
        let window_of = |chunk: &OldChunk| (chunk.entry.key.metric, chunk.entry.key.window);
        for chunks in chunks.chunk_by(|a, b| window_of(a) == window_of(b)) {
            if output.is_full() {
                records.extend(output.finish(base)?.0);
                output = SegmentOutput::new(self, partition, sealer)?;
            }
            let (metric, window) = window_of(&chunks[0]);
            if touched.contains(&(metric, window)) {
                self.replace(base, self.metric_ref(metric)?, window, chunks, sealer, &mut output)?;
            } else {
                for chunk in chunks {
                    copy(chunk, &mut output)?;
                }
            }
        }
        records.extend(output.finish(base)?.0);
        Ok(records)
    }

    /// Writes the chunk that replaces all chunks of a window, and drops their bodies.
    fn replace(
        &self,
        base: &Base,
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
        let tombstones = base.view.tombstones.of(metric.number);
        let mut window_chunks: Option<WindowChunks<'_>> = None;
        for layers in layers::find_pieces(&base.view, metric, window, window)? {
            let highest = layers.generation.unwrap_or(0);
            let new = match &mut window_chunks {
                Some(new) => new,
                none => {
                    none.insert(sealer.window(metric, window, Some(highest))?.replacing(highest))
                }
            };
            let mut slices = layers.slices(metric)?;
            while let Some(block) = slices.next(tombstones).transpose()? {
                for chunk in new.of(&block)? {
                    output.push_new(chunk)?;
                }
            }
        }
        Ok(())
    }

    /// Writes everything unsealed into one run, without what chunks hold or deletions hide:
    /// nothing to do, or the run, where anything is left for it.
    fn merge_runs(
        &self,
        base: &Base,
        touched: &HashSet<(u32, Window)>,
    ) -> Maintained<Option<Option<RunRecord>>> {
        let records = || base.view.runs.iter().map(|live| &live.record);
        if records().count() < 2 && base.view.tombstones.metrics().is_empty() {
            return Ok(None);
        }
        let first_sequence = records().map(|record| record.first_sequence).min();
        let sequences = (first_sequence.unwrap_or(base.last), base.last);
        let mut output = RunOutput::new(self, self.take_number()?, sequences)?;
        for Unsealed { metric, window, .. } in unsealed(&base.view)? {
            if touched.contains(&(metric, window)) {
                continue;
            }
            let reference = self.metric_ref(metric)?;
            let tombstones = base.view.tombstones.of(metric);
            for layers in layers::find_pieces(&base.view, reference, window, window)? {
                let mut slices = layers.unsealed().slices(reference)?;
                while let Some(block) = slices.next(tombstones).transpose()? {
                    output.put_block(reference, window, &block)?;
                }
            }
        }
        Ok(Some(output.finish()?))
    }

    /// Removes the files of segments that no new view shows. Older views may, and have them open
    /// from here on: one that was moved after the base was taken was perhaps never read.
    fn remove_segments(&self, dropped: &[Arc<LiveSegment>]) {
        for live in dropped {
            let _ = live.segment.hold();
            let _ = self.disk.remove(live.segment.name());
            // It may have been moved meanwhile.
            if self.store.is_some() || live.segment.moved().is_some() {
                let (partition, number) = (live.record.partition, live.record.number);
                let _ = self.disk.remove(&segment::tail_name(partition, number));
            }
        }
    }
}

/// What became of some segments.
#[derive(Default)]
struct Rewritten {
    /// The numbers of those that go.
    gone: Vec<u64>,
    /// The new ones.
    written: Vec<SegmentRecord>,
    /// What was damaged in segments that stay.
    faults: Vec<Fault>,
    /// Windows that stay as they are, since the store failed.
    postponed: HashSet<(u32, Window)>,
    store_failure: Option<StoreError>,
}

impl Rewritten {
    fn add(&mut self, gone: &[Arc<LiveSegment>], written: Vec<SegmentRecord>) {
        self.gone.extend(gone.iter().map(|live| live.record.number));
        self.written.extend(written);
    }
}

/// Whether a segment has chunks of any of some windows.
fn holds_any(live: &LiveSegment, windows: &HashSet<(u32, Window)>) -> Result<bool, ReadError> {
    let metrics = live.record.first_metric..=live.record.last_metric;
    for (metric, window) in windows.iter().filter(|(metric, _)| metrics.contains(metric)) {
        let mut found = false;
        live.segment.for_each(*metric, *window, *window, &mut |_, _| found = true)?;
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether merging a segment with another is worth it.
pub(super) fn is_small(record: &SegmentRecord, segment_bytes: u64) -> bool {
    record.size_bytes < segment_bytes / 2 && (record.chunks as usize) < SEGMENT_CHUNKS_MAX / 2
}

/// Copies a chunk, its bytes unchanged.
fn copy(chunk: &OldChunk, output: &mut SegmentOutput<'_>) -> Result<(), MaintenanceError> {
    let record = match &chunk.entry.body {
        Some(body) => Some(chunk.live.segment.body_record(body)?),
        None => None,
    };
    let source = record.as_deref().map_or(ChunkSource::Dropped, ChunkSource::Record);
    output.copy(chunk.entry.clone(), &chunk.seal, chunk.digest, source)
}
