//! Flushing: what is in memory goes to a run, and the log is cut.
//!
//! The order that must hold: the run, the definitions and the state are on stable storage; then
//! the manifest names them; then, and not before, the log's files may go.

use std::sync::Arc;

use crate::db::{Inner, Maintained, Upkeep, state};
use crate::error::DiskContext;
use crate::layers::{self, Layer, MetricRef, Source};
use crate::manifest::{Manifest, RunRecord, Tombstone};
use crate::memtable::Memtable;
use crate::model::Window;
use crate::registry;
use crate::run::{self, RunWriter};
use crate::view::View;
use crate::wal::{self, Sequence};

/// Snapshots and deletions freeze the memtable; when there are more than this many frozen ones,
/// they are flushed into a run.
pub(super) const FROZEN_MAX: usize = 8;

/// What the memory was cut at.
pub(super) struct Cut {
    /// The view right after the cut: an empty active memtable, all else frozen.
    pub(super) view: Arc<View>,
    /// The last sequence before the cut.
    pub(super) last: Sequence,
    /// The first file of the log behind the cut.
    log_file: u64,
    state: Option<state::State>,
}

impl super::Db {
    /// Writes everything in memory to a run and cuts the log.
    pub fn flush(&self) -> Maintained<()> {
        self.inner.flush_if(|_| true)
    }

    /// The database as it is now. Later writes, seals and deletions do not change it; its files
    /// stay readable as long as it is held.
    #[must_use]
    pub fn snapshot(&self) -> super::Snapshot {
        let Some(wal) = &self.inner.wal else { return self.latest_view() };
        let view = {
            let mut guard = self.inner.view.write();
            let rotated = guard.rotated(wal.last());
            // The snapshot's own active memtable stays empty for ever.
            let active = Arc::new(Memtable::new(wal.last()));
            let view = Arc::new(View { active, ..rotated.clone() });
            *guard = Arc::new(rotated);
            self.inner.show_blobs(&view);
            view
        };
        if view.frozen.len() > FROZEN_MAX {
            // Many small memtables make reading slow. A failure shows with the next write.
            let _ = self.flush();
        }
        super::Snapshot { inner: Arc::clone(&self.inner), view }
    }
}

impl Inner {
    /// Flushes where the condition still holds once it is this thread's turn.
    pub(super) fn flush_if(&self, condition: impl FnOnce(&Self) -> bool) -> Maintained<()> {
        let mut upkeep = self.upkeep.lock();
        if condition(self) { self.flush_with(&mut upkeep) } else { Ok(()) }
    }

    pub(super) fn flush_with(&self, upkeep: &mut Upkeep) -> Maintained<()> {
        let cut = self.cut()?;
        let mut manifest = upkeep.manifest.clone();
        let run = self.write_run(&mut manifest, &cut, &|_, _| true)?;
        manifest.runs.extend(run.clone());
        let run = run.map(|record| self.run(record));
        self.publish(upkeep, manifest, &cut, |view| view.runs.extend(run))
    }

    /// Goes on in a new file of the log and freezes the memtable, between two batches.
    pub(super) fn cut(&self) -> Maintained<Cut> {
        let wal = self.log()?;
        // Mostly done before writers are held up.
        wal.sync_to(wal.last())?;
        let log_file = wal.end().file + 1;
        let prepared = wal::prepare_file(&*self.disk, log_file)?;
        let mut guard = self.view.write();
        wal.switch_to(prepared)?;
        let last = wal.last();
        let rotated = guard.rotated(last);
        // Not the memtable that writers go on with: sealing would take up halves of their batches.
        let active = Arc::new(Memtable::new(last));
        let view = Arc::new(View { active, ..rotated.clone() });
        *guard = Arc::new(rotated);
        let state = self.state.lock().unstored();
        Ok(Cut { view, last, log_file, state })
    }

    /// Writes the chosen windows of the frozen memtables into one run. Deletions that came
    /// between two of them are carried out, so that none falls inside the run's sequences.
    pub(super) fn write_run(
        &self,
        manifest: &mut Manifest,
        cut: &Cut,
        choose: &dyn Fn(MetricRef, Window) -> bool,
    ) -> Maintained<Option<RunRecord>> {
        let tables = &cut.view.frozen;
        let Some(oldest) = tables.first() else { return Ok(None) };
        let mut metrics: Vec<u32> = tables.iter().flat_map(|table| table.metrics()).collect();
        metrics.sort_unstable();
        metrics.dedup();
        let number = manifest.take_number();
        let name = run::file_name(number);
        let writer = RunWriter::create(&*self.disk, &*self.options.protect, name.clone())?;
        let record = RunRecord {
            number,
            size_bytes: 0,
            first_sequence: oldest.after() + 1,
            last_sequence: cut.last,
            records: 0,
            first_ns: i64::MAX,
            last_ns: i64::MIN,
        };
        let mut output = RunOutput { writer, record };
        for metric in metrics {
            let reference = self.metric_ref(metric)?;
            let tombstones = cut.view.tombstones.of(metric);
            let mut layers: Vec<(Window, Layer)> = Vec::new();
            for table in tables {
                for copy in table.copies(metric, Window::MIN, Window::MAX) {
                    let (window, last_sequence) = (copy.window(), table.last());
                    layers.push((window, Layer { last_sequence, source: Source::Open(copy) }));
                }
            }
            // Stable: within a window the older memtable stays first.
            layers.sort_by_key(|(window, _)| *window);
            for layers in layers.chunk_by(|a, b| a.0 == b.0) {
                if choose(reference, layers[0].0) {
                    output.put(reference, layers, tombstones)?;
                }
            }
        }
        let RunOutput { writer, mut record } = output;
        if writer.is_empty() {
            drop(writer);
            self.disk.remove(&name).at(&*self.disk, "remove", &name)?;
            return Ok(None);
        }
        record.size_bytes = writer.finish()?;
        self.disk.sync_dir(run::DIR).at(&*self.disk, "sync", run::DIR)?;
        Ok(Some(record))
    }

    /// Makes a changed manifest the database: stores what the cut left unsaved, then the
    /// manifest, then shows the new view, then removes the log's old files.
    pub(super) fn publish(
        &self,
        upkeep: &mut Upkeep,
        mut manifest: Manifest,
        cut: &Cut,
        change: impl FnOnce(&mut View),
    ) -> Maintained<()> {
        let (disk, protect) = (&*self.disk, &*self.options.protect);
        let unsaved = self.registry.read().unsaved().to_vec();
        if !unsaved.is_empty() {
            let len = manifest.metrics_bytes;
            manifest.metrics_bytes = registry::log::append(disk, protect, len, &unsaved)?;
            disk.sync_dir("").at(disk, "sync", "")?;
        }
        let old_state = manifest.state.filter(|_| cut.state.is_some());
        if let Some(state) = &cut.state {
            let number = manifest.take_number();
            state.store(disk, protect, number)?;
            manifest.state = Some(number);
        }
        let old_log = manifest.first_log..cut.log_file;
        manifest.flushed = cut.last;
        manifest.first_log = cut.log_file;
        manifest.clean_end = None;
        self.store(&manifest)?;
        upkeep.manifest = manifest;
        self.registry.write().saved(unsaved.len());
        if cut.state.is_some() {
            self.state.lock().stored(cut.last);
        }
        {
            let mut guard = self.view.write();
            let mut view = View::clone(&guard);
            view.frozen.retain(|table| table.after() >= cut.last);
            change(&mut view);
            *guard = Arc::new(view);
        }
        // From here on a failure leaves a file that the next opening removes.
        if let Some(number) = old_state {
            let _ = disk.remove(&state::file_name(number));
        }
        for number in old_log {
            let _ = disk.remove(&wal::file_name(number));
        }
        Ok(())
    }
}

/// A run on its way, and what is known of it so far.
struct RunOutput<'a> {
    writer: RunWriter<'a>,
    record: RunRecord,
}

impl RunOutput<'_> {
    /// Adds one window's records, oldest layer first.
    fn put(
        &mut self,
        metric: MetricRef,
        layers: &[(Window, Layer)],
        tombstones: &[Tombstone],
    ) -> Maintained<()> {
        if let [(_, Layer { source: Source::Open(copy), last_sequence })] = layers
            && tombstones.iter().all(|tombstone| tombstone.sequence < *last_sequence)
            && let Some(stream) = copy.ordered_stream()
        {
            self.note(stream.len(), stream.first_time(), stream.last().map(|(last, _)| last));
            return Ok(self.writer.push_open(metric.number, copy)?);
        }
        let merged = layers::merge(layers.iter().map(|(_, layer)| layer), metric, tombstones)?;
        self.note(merged.len(), merged.first_time(), merged.last_time());
        Ok(self.writer.push_block(metric.number, layers[0].0, &merged)?)
    }

    fn note(&mut self, count: usize, first_ns: Option<i64>, last_ns: Option<i64>) {
        self.record.records += count as u64;
        self.record.first_ns = self.record.first_ns.min(first_ns.unwrap_or(i64::MAX));
        self.record.last_ns = self.record.last_ns.max(last_ns.unwrap_or(i64::MIN));
    }
}
