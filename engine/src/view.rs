//! Views: which files and memtables make up the database at one moment.
//!
//! A view is immutable and shared; whoever reads keeps one and is not disturbed by flushes, seals
//! and compactions. Only the active memtable still takes records.

use std::collections::HashMap;
use std::sync::Arc;

use chronolith_disk::Disk;

use crate::manifest::{Manifest, RunRecord, SegmentRecord, Tombstone};
use crate::memtable::Memtable;
use crate::options::Options;
use crate::run::Run;
use crate::segment::{self, MovedBodies, PageBudget, Segment};
use crate::store::{ObjectPlace, StoreReader};
use crate::wal::Sequence;

/// A run and what the manifest says of it.
pub(crate) struct LiveRun {
    pub(crate) record: RunRecord,
    pub(crate) run: Run,
}

/// A segment and what the manifest says of it.
pub(crate) struct LiveSegment {
    pub(crate) record: SegmentRecord,
    pub(crate) segment: Segment,
}

impl LiveSegment {
    /// A segment as a manifest has it.
    pub(crate) fn of(
        manifest: &Manifest,
        record: SegmentRecord,
        disk: Arc<dyn Disk>,
        options: &Options,
        budget: Arc<PageBudget>,
        store: Option<Arc<StoreReader>>,
    ) -> Self {
        let name = segment::file_name(record.partition, record.number);
        let size_bytes = record.size_bytes;
        let protect = Arc::clone(&options.protect);
        let segment = Segment::new(disk, protect, budget, name, size_bytes);
        let mut segment = segment.with_keys(options.keys.clone());
        if let Some(moved) = manifest.moved.as_ref().filter(|_| manifest.is_moved(record.number)) {
            let object = manifest.object(record.partition, record.number);
            let bodies = MovedBodies {
                reader: store,
                place: ObjectPlace { number: record.number, object, size_bytes },
                moved_to: moved.store.clone(),
            };
            segment = segment.with_bodies_in(bodies, manifest.segment_file(&record));
        }
        Self { record, segment }
    }
}

/// The deletions that still hide records, by metric.
#[derive(Debug, Default)]
pub(crate) struct Tombstones {
    /// Shared, since every deletion makes a new map.
    by_metric: HashMap<u32, Arc<Vec<Tombstone>>>,
}

impl Tombstones {
    pub(crate) fn new(tombstones: &[Tombstone]) -> Self {
        Self::default().with(tombstones)
    }

    /// The deletions of a metric's records.
    pub(crate) fn of(&self, metric: u32) -> &[Tombstone] {
        self.by_metric.get(&metric).map_or(&[], |tombstones| tombstones)
    }

    /// The metrics that have deletions, rising.
    pub(crate) fn metrics(&self) -> Vec<u32> {
        let mut metrics: Vec<u32> = self.by_metric.keys().copied().collect();
        metrics.sort_unstable();
        metrics
    }

    /// These and more.
    pub(crate) fn with(&self, tombstones: &[Tombstone]) -> Self {
        let mut by_metric = self.by_metric.clone();
        for tombstone in tombstones {
            let of_metric = by_metric.entry(tombstone.deletion.metric).or_default();
            Arc::make_mut(of_metric).push(*tombstone);
        }
        Self { by_metric }
    }
}

/// The parts of the database at one moment.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) active: Arc<Memtable>,
    /// Oldest first.
    pub(crate) frozen: Vec<Arc<Memtable>>,
    /// Oldest first.
    pub(crate) runs: Vec<Arc<LiveRun>>,
    pub(crate) segments: Vec<Arc<LiveSegment>>,
    pub(crate) tombstones: Arc<Tombstones>,
}

impl View {
    /// The memtables, oldest first.
    pub(crate) fn memtables(&self) -> impl Iterator<Item = &Arc<Memtable>> {
        self.frozen.iter().chain([&self.active])
    }

    /// About how much memory the unsealed records take that are in no file: bytes.
    pub(crate) fn memtable_bytes(&self) -> usize {
        self.memtables().map(|table| table.size_bytes()).sum()
    }

    /// The same parts with an empty memtable that begins after a sequence; the active one before
    /// is frozen there.
    pub(crate) fn rotated(&self, last: Sequence) -> Self {
        self.rotated_around(last, last)
    }

    /// The same with sequences between the two memtables that are of neither.
    pub(crate) fn rotated_around(&self, last: Sequence, after: Sequence) -> Self {
        self.active.freeze(last);
        let mut rotated = self.clone();
        if !self.active.is_empty() {
            rotated.frozen.push(Arc::clone(&self.active));
        }
        rotated.active = Arc::new(Memtable::new(after));
        rotated
    }
}
