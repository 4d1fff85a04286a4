//! Flushing: what is in memory goes to a run, and the log is cut.
//!
//! The order that must hold: the run, the definitions and the state are on stable storage; then
//! the manifest names them; then, and not before, the log's files may go.

use std::sync::Arc;

use crate::db::run_output::RunOutput;
use crate::db::{Inner, Maintained, Upkeep, state};
use crate::error::DiskContext;
use crate::layers::{Layer, Source};
use crate::manifest::{Manifest, RunRecord};
use crate::memtable::Memtable;
use crate::model::Window;
use crate::registry;
use crate::view::View;
use crate::wal::{self, Sequence};

/// Snapshots and deletions freeze the memtable; when there are more than this many frozen ones,
/// they are flushed into a run.
pub(super) const FROZEN_MAX: usize = 8;

/// What was in files at one moment, for those who make other files of it.
pub(super) struct Base {
    /// Without memtables.
    pub(super) view: View,
    /// Everything up to here is in it, and nothing later but deletions.
    pub(super) last: Sequence,
}

/// What the memory was cut at.
struct Cut {
    /// The view right after the cut: what came before is frozen.
    view: Arc<View>,
    /// The last sequence before the cut.
    last: Sequence,
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
        self.snapshot_of(view)
    }
}

impl Inner {
    /// Flushes where the condition still holds once it is this thread's turn.
    pub(super) fn flush_if(&self, condition: impl FnOnce(&Self) -> bool) -> Maintained<()> {
        let mut upkeep = self.upkeep()?;
        if condition(self) { self.flush_with(&mut upkeep).map(drop) } else { Ok(()) }
    }

    /// Writes everything in memory to a run and cuts the log; what is then in files.
    pub(super) fn flush_with(&self, upkeep: &mut Upkeep) -> Maintained<Base> {
        let cut = self.cut(upkeep)?;
        let mut manifest = upkeep.manifest.clone();
        let written = self.write_runs(&mut manifest, &cut)?;
        manifest.runs.extend(written.iter().cloned());
        let written = written.into_iter().map(|record| self.run(record));
        self.publish(upkeep, manifest, &cut, |view| view.runs.extend(written))?;
        let mut view = View::clone(&self.view.read());
        view.frozen.clear();
        view.active = Arc::new(Memtable::new(cut.last));
        Ok(Base { view, last: cut.last })
    }

    /// Goes on in a new file of the log and freezes the memtable, between two batches.
    fn cut(&self, upkeep: &mut Upkeep) -> Maintained<Cut> {
        let wal = self.log()?;
        // Mostly done before writers are held up.
        wal.sync_to(wal.last())?;
        let log_file = wal.file_number() + 1;
        let manifest = &mut upkeep.manifest;
        let prepared = wal::prepare_file(&*self.disk, &manifest.database, log_file, wal.synced())?;
        manifest.last_log = Some(log_file);
        self.store(manifest)?;
        let mut guard = self.view.write();
        wal.switch_to(prepared)?;
        let last = wal.last();
        let view = Arc::new(guard.rotated(last));
        *guard = Arc::clone(&view);
        let state = self.state.lock().unstored();
        Ok(Cut { view, last, log_file, state })
    }

    /// Writes the frozen memtables into one run, or several where bulk loads came between them: no other run
    /// falls inside a run's sequences.
    fn write_runs(&self, manifest: &mut Manifest, cut: &Cut) -> Maintained<Vec<RunRecord>> {
        let loads = cut.view.runs.iter().map(|live| live.record.first_sequence);
        let loads: Vec<Sequence> = loads.collect();
        let are_together = |one: &Arc<Memtable>, next: &Arc<Memtable>| {
            !loads.iter().any(|load| (one.last() + 1..=next.after()).contains(load))
        };
        let mut written = Vec::new();
        for tables in cut.view.frozen.chunk_by(are_together) {
            let last = tables.last().map_or(cut.last, |table| table.last());
            written.extend(self.write_run(manifest, cut, tables, last)?);
        }
        Ok(written)
    }

    /// Writes some memtables into one run. Deletions that came between two of them are carried out, so
    /// that none falls inside the run's sequences.
    fn write_run(
        &self,
        manifest: &mut Manifest,
        cut: &Cut,
        tables: &[Arc<Memtable>],
        last: Sequence,
    ) -> Maintained<Option<RunRecord>> {
        let Some(oldest) = tables.first() else { return Ok(None) };
        let mut metrics: Vec<u32> = tables.iter().flat_map(|table| table.metrics()).collect();
        metrics.sort_unstable();
        metrics.dedup();
        let sequences = (oldest.after() + 1, last);
        let mut output = RunOutput::new(self, manifest.take_number(), sequences)?;
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
                output.put_layers(reference, layers, tombstones)?;
            }
        }
        output.finish()
    }

    /// Makes a changed manifest the database: stores what the cut left unsaved, then the
    /// manifest, then shows the new view, then removes the log's old files.
    fn publish(
        &self,
        upkeep: &mut Upkeep,
        mut manifest: Manifest,
        cut: &Cut,
        change: impl FnOnce(&mut View),
    ) -> Maintained<()> {
        let (disk, protect) = (&*self.disk, &*self.options.protect);
        let unsaved = self.registry.read().unsaved_until(cut.last);
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
        manifest.last_log = None;
        manifest.clean_end = None;
        self.store(&manifest)?;
        upkeep.manifest = manifest;
        self.registry.write().saved(unsaved.len());
        if cut.state.is_some() {
            self.state.lock().stored(cut.last);
        }
        self.change_view(|view| {
            view.frozen.retain(|table| table.after() >= cut.last);
            change(view);
        });
        // From here on a failure leaves a file that the next opening removes.
        if let Some(number) = old_state {
            let _ = disk.remove(&state::file_name(number));
        }
        for number in old_log {
            let _ = disk.remove(&wal::file_name(number));
        }
        Ok(())
    }

    /// Makes what was rebuilt of a [`Base`] the database: stores the changed manifest, then shows
    /// the changed view. Both are changed as they are now, not as they were in the base.
    pub(super) fn publish_rebuilt(
        &self,
        change_manifest: impl FnOnce(&mut Manifest),
        change_view: impl FnOnce(&mut View, &Manifest),
    ) -> Maintained<()> {
        let mut upkeep = self.upkeep()?;
        let mut manifest = upkeep.manifest.clone();
        change_manifest(&mut manifest);
        self.store(&manifest)?;
        upkeep.manifest = manifest;
        self.change_view(|view| change_view(view, &upkeep.manifest));
        Ok(())
    }

    pub(super) fn change_view(&self, change: impl FnOnce(&mut View)) {
        let mut guard = self.view.write();
        let mut view = View::clone(&guard);
        change(&mut view);
        *guard = Arc::new(view);
    }

    /// The next number for a file.
    pub(super) fn take_number(&self) -> Maintained<u64> {
        Ok(self.upkeep()?.manifest.take_number())
    }

    /// The next number for a seal batch.
    pub(super) fn take_batch_number(&self) -> Maintained<u64> {
        let mut upkeep = self.upkeep()?;
        upkeep.manifest.last_batch += 1;
        Ok(upkeep.manifest.last_batch)
    }
}
