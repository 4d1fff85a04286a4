//! The database: what a program opens, writes to and reads from.

mod backup;
mod blobs;
mod changes;
pub(crate) mod chunks;
mod compact;
mod deidentify;
mod delete;
mod flush;
mod load;
mod moving;
mod open;
mod provable;
mod run_output;
mod seal;
mod sealed;
mod segments;
mod state;
mod statistics;
mod write;

use std::ops::RangeBounds;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Weak};

use chronolith_disk::{Disk, DiskLock};
use parking_lot::{Mutex, MutexGuard, RwLock};

use crate::aggregate::{Aggregation, Bucket};
use crate::background::Background;
use crate::batch::Batch;
use crate::error::{DiskError, MaintenanceError, ReadError};
use crate::key_trees::ChunkKeys;
use crate::keys::ProducerKey;
use crate::latest::latest;
use crate::layers::MetricRef;
use crate::manifest::{Manifest, RunRecord, SegmentRecord};
use crate::model::{Definition, Metric, MetricId, Value};
use crate::options::Options;
use crate::registry::{MetricShape, Registry, Selector};
use crate::run::{self, Run};
use crate::scan::Scan;
use crate::segment::PageBudget;
use crate::store::StoreReader;
use crate::view::{LiveRun, LiveSegment, View};
use crate::wal::recovery::TornTail;
use crate::wal::{Sequence, Wal};
use crate::windows::ReadReport;

pub use backup::{CopyReport, restore};
pub use changes::{Change, ChangeKind, Changes};
pub use chunks::{ChunkBlocks, ChunkBodyInfo, ChunkInfo, ProvableChunk};
pub use compact::CompactReport;
pub use delete::DestroyReport;
pub use load::BulkLoad;
pub use moving::MoveReport;
pub use provable::{BatchProof, Unproved};
pub use seal::{SealReport, SealScope, SealedBatch};
pub use sealed::{SealedChunk, SealedSegments};
pub use segments::SegmentInfo;
pub use statistics::{CodecStatistics, DbStatistics, MetricStatistics};

use blobs::KeptBlobs;
pub(crate) use seal::{signature_holds, statement as seal_statement};
use state::State;
pub(crate) use state::{check as check_state, file_name as state_file_name};

/// An open database. Cloning is cheap and gives another handle to the same one; it is closed when
/// the last handle and the last snapshot are dropped, or by [`Db::close`].
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
    closer: Arc<Closer>,
}

/// Closes the database when it is dropped: the threads, which hold the inside for a while, do not
/// count as handles.
pub(crate) struct Closer {
    inner: Arc<Inner>,
}

impl Drop for Closer {
    /// What was acknowledged is safe without this; it spares the next opening some work.
    fn drop(&mut self) {
        let _ = Inner::close(&self.inner);
    }
}

pub(crate) struct Inner {
    disk: Arc<dyn Disk>,
    options: Options,
    registry: RwLock<Registry>,
    /// Writers hold it for reading while they apply a batch, so that a change of view falls
    /// between batches.
    view: RwLock<Arc<View>>,
    /// `None` where the database is open for reading only.
    wal: Option<Arc<Wal>>,
    state: Mutex<State>,
    /// Held for as long as it takes by whoever seals or compacts. Taken before all other locks but
    /// the one of whoever moves.
    rebuilding: Mutex<()>,
    /// Held for reading by whoever makes the run of a bulk load, which may take long; closing waits for it.
    loading: RwLock<()>,
    /// Held for a moment by whoever changes which files there are.
    upkeep: Mutex<Upkeep>,
    /// Signs seal batches; `None` where the database is open for reading only.
    key: Option<ProducerKey>,
    /// Why sealing or compacting in the background failed the last time.
    upkeep_failure: Mutex<Option<String>>,
    /// The bytes that name the database.
    database: Vec<u8>,
    /// Where moved segments are read from.
    store: Option<Arc<StoreReader>>,
    /// Held for as long as it takes by whoever moves segments, before all other locks; whether
    /// objects that were left behind were looked for.
    moving: Mutex<bool>,
    /// Why moving failed the last time.
    move_failure: Mutex<Option<String>>,
    /// Moved segments that are gone, and who still shows them.
    gone_segments: Mutex<Vec<(u64, Weak<LiveSegment>)>>,
    /// Whether the database is being closed, so that what takes long is given up.
    is_closing: AtomicBool,
    budget: Arc<PageBudget>,
    background: Background,
    torn: Option<TornTail>,
    /// The last sequence that was read back when the database was opened.
    recovered: Sequence,
    /// Numbers for blobs on their way.
    next_part: AtomicU64,
    /// Blobs that must stay although no record that is seen refers to them.
    kept_blobs: Mutex<KeptBlobs>,
    /// Dropping it unlocks the database.
    lock: Mutex<Option<Box<dyn DiskLock>>>,
}

/// What only maintenance touches.
pub(crate) struct Upkeep {
    manifest: Manifest,
}

impl Inner {
    fn run(&self, record: RunRecord) -> Arc<LiveRun> {
        let (disk, protect) = (Arc::clone(&self.disk), Arc::clone(&self.options.protect));
        let name = run::file_name(record.number);
        Arc::new(LiveRun { run: Run::new(disk, protect, name, record.size_bytes), record })
    }

    /// A segment that was just written.
    fn segment(&self, record: SegmentRecord) -> Arc<LiveSegment> {
        Arc::new(self.live_segment(&Manifest::default(), record))
    }

    /// A segment as a manifest has it: here, or in the store.
    fn live_segment(&self, manifest: &Manifest, record: SegmentRecord) -> LiveSegment {
        let (disk, budget) = (Arc::clone(&self.disk), Arc::clone(&self.budget));
        LiveSegment::of(manifest, record, disk, &self.options, budget, self.store.clone())
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read())
    }

    fn metric_ref(&self, metric: u32) -> Result<MetricRef, ReadError> {
        let shape = self.registry.read().shape(metric);
        let MetricShape { kind, window_ns } = shape.ok_or(ReadError::UnknownMetric(metric))?;
        Ok(MetricRef { number: metric, kind, window_ns })
    }

    /// The lock of whoever changes which files there are. Refused where the log takes nothing
    /// more: what the disk holds is then unknown, or another process's.
    fn upkeep(&self) -> Maintained<MutexGuard<'_, Upkeep>> {
        let upkeep = self.upkeep.lock();
        self.log()?.check()?;
        Ok(upkeep)
    }

    /// Stores the manifest; on failure the database takes no more writes, since which manifest
    /// the disk holds is unknown.
    fn store(&self, manifest: &Manifest) -> Result<(), DiskError> {
        let stored = manifest.store(&*self.disk, &*self.options.protect);
        if let (Err(error), Some(wal)) = (&stored, &self.wal) {
            wal.poison(&error.to_string());
        }
        stored
    }
}

/// A range of times as its first and last nanosecond.
pub(crate) fn first_and_last(
    range: &impl RangeBounds<i64>,
) -> Result<Option<(i64, i64)>, ReadError> {
    use std::ops::Bound;
    let from_ns = match range.start_bound() {
        Bound::Included(from) => Some(*from),
        Bound::Excluded(from) => from.checked_add(1),
        Bound::Unbounded => Some(i64::MIN),
    };
    let to_ns = match range.end_bound() {
        Bound::Included(to) => Some(*to),
        Bound::Excluded(to) => to.checked_sub(1),
        Bound::Unbounded => Some(i64::MAX),
    };
    let (Some(from_ns), Some(to_ns)) = (from_ns, to_ns) else { return Ok(None) };
    if from_ns > to_ns.saturating_add(1) {
        return Err(ReadError::Range { from_ns, to_ns });
    }
    Ok((from_ns <= to_ns).then_some((from_ns, to_ns)))
}

/// The database at one moment: what is written, sealed or deleted later does not change it.
#[derive(Clone)]
pub struct Snapshot {
    inner: Arc<Inner>,
    view: Arc<View>,
    #[expect(dead_code, reason = "the database stays open as long as the snapshot is held")]
    closer: Arc<Closer>,
}

impl Db {
    /// An empty batch.
    #[must_use]
    pub fn batch(&self) -> Batch {
        Batch::new(&self.inner.options.limits)
    }

    /// The metric's handle, where it exists.
    #[must_use]
    pub fn find_metric(&self, metric: &Metric) -> Option<MetricId> {
        self.inner.registry.read().find(metric)
    }

    /// The definition of a metric.
    #[must_use]
    pub fn definition(&self, metric: MetricId) -> Option<Arc<Definition>> {
        self.inner.registry.read().get(metric.index()).cloned()
    }

    /// The keys that the database was opened with.
    #[must_use]
    pub fn keys(&self) -> Option<&ChunkKeys> {
        self.inner.options.keys.as_ref()
    }

    /// How many metrics there are.
    #[must_use]
    pub fn metric_count(&self) -> usize {
        self.inner.registry.read().len()
    }

    /// The metrics that a selector chooses, in the order of their creation.
    pub fn select(&self, selector: &Selector) -> Result<Vec<MetricId>, ReadError> {
        let registry = self.inner.registry.read();
        let chosen = registry.select(selector)?;
        Ok(chosen.iter().filter_map(|number| registry.id(number)).collect())
    }

    /// The values of a label with the number of metrics that carry each, by value.
    #[must_use]
    pub fn label_values(&self, label: &str) -> Vec<(String, u64)> {
        self.inner.registry.read().label_values(label)
    }

    /// The keys of all tags, by key.
    #[must_use]
    pub fn tag_keys(&self) -> Vec<String> {
        self.inner.registry.read().tag_keys()
    }

    /// The log's end that could not be read when the database was opened, where there was one:
    /// it had never been acknowledged as synced.
    #[must_use]
    pub fn torn_tail(&self) -> Option<&TornTail> {
        self.inner.torn.as_ref()
    }

    fn snapshot_of(&self, view: Arc<View>) -> Snapshot {
        Snapshot { inner: Arc::clone(&self.inner), view, closer: Arc::clone(&self.closer) }
    }

    /// The database as it is, at no cost: later flushes, seals and deletions do not change it, but
    /// records that are written later may be seen. For those who ask often; a [`Db::snapshot`] ends
    /// the present memtable, so that many of them make many small ones.
    #[must_use]
    pub fn latest_view(&self) -> Snapshot {
        self.snapshot_of(self.inner.view())
    }

    /// The records of a metric in a range of time, by time.
    pub fn scan(&self, metric: MetricId, range: impl RangeBounds<i64>) -> Result<Scan, ReadError> {
        self.latest_view().scan(metric, range)
    }

    /// Aggregates each of some metrics over buckets of time. Buckets without records are left
    /// out.
    pub fn aggregate(
        &self,
        metrics: &[MetricId],
        aggregation: &Aggregation,
    ) -> Result<Vec<Vec<Bucket>>, ReadError> {
        self.latest_view().aggregate(metrics, aggregation)
    }

    /// The latest record of a metric.
    pub fn latest(&self, metric: MetricId) -> Result<Option<(i64, Value)>, ReadError> {
        self.latest_view().latest(metric, ..)
    }
}

impl Snapshot {
    /// See [`Db::scan`].
    pub fn scan(&self, metric: MetricId, range: impl RangeBounds<i64>) -> Result<Scan, ReadError> {
        let metric = self.inner.metric_ref(metric.index())?;
        // Nothing is in an empty range, and no window needs to be looked at.
        let Some((from_ns, to_ns)) = first_and_last(&range)? else {
            return Ok(Scan::empty(Arc::clone(&self.view), metric));
        };
        Scan::new(Arc::clone(&self.view), metric, from_ns, to_ns)
    }

    /// See [`Db::aggregate`].
    pub fn aggregate(
        &self,
        metrics: &[MetricId],
        aggregation: &Aggregation,
    ) -> Result<Vec<Vec<Bucket>>, ReadError> {
        let mut report = ReadReport::default();
        metrics.iter().map(|id| self.aggregate_one(*id, aggregation, &mut report)).collect()
    }

    /// Checks that a metric can be aggregated so.
    fn check_aggregation(
        &self,
        metric: MetricId,
        aggregation: &Aggregation,
    ) -> Result<MetricRef, ReadError> {
        aggregation.every.check()?;
        let (from_ns, to_ns) = (aggregation.from_ns, aggregation.to_ns);
        if from_ns > to_ns {
            return Err(ReadError::Range { from_ns, to_ns });
        }
        let reference = self.inner.metric_ref(metric.index())?;
        let kind = reference.kind;
        let missing = aggregation.functions.iter().find(|f| !f.applies_to(kind));
        if let Some(function) = missing {
            let definition = self.inner.registry.read().get(metric.index()).cloned();
            let metric = definition.map_or(String::new(), |d| d.metric.to_string());
            return Err(ReadError::Function { metric, kind, function: function.name() });
        }
        Ok(reference)
    }

    /// The latest record of a metric in a range of time.
    pub fn latest(
        &self,
        metric: MetricId,
        range: impl RangeBounds<i64>,
    ) -> Result<Option<(i64, Value)>, ReadError> {
        let metric = self.inner.metric_ref(metric.index())?;
        match first_and_last(&range)? {
            Some((from_ns, to_ns)) => latest(&self.view, metric, from_ns, to_ns),
            None => Ok(None),
        }
    }
}

/// What maintenance may end with.
type Maintained<T> = Result<T, MaintenanceError>;
