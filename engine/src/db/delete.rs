//! Deleting: hidden at once, gone with the next compaction.

use std::ops::{RangeBounds, RangeInclusive};
use std::sync::Arc;

use regex::Regex;

use crate::batch::Batch;
use crate::db::{Db, Inner, Maintained, Upkeep, first_and_last};
use crate::error::{MaintenanceError, ReadError, WriteError};
use crate::layers::{self};
use crate::manifest::{RetentionRule, Tombstone};
use crate::model::{Definition, MetricId, Window, floor_to_window, window_end, window_start};
use crate::registry::whole_pattern;
use crate::view::View;
use crate::wal::payload::Deletion;
use crate::wal::{Sequence, Wal};

use super::flush::FROZEN_MAX;
use super::write::check_kinds;

impl Db {
    /// Deletes the records of some metrics in a range of time. They are invisible when this
    /// returns, and their bytes are gone after the next compaction; what is written afterwards
    /// stays. Returns when the deletion is on stable storage.
    pub fn delete(&self, metrics: &[MetricId], range: impl RangeBounds<i64>) -> Maintained<()> {
        let Some((from_ns, to_ns)) = first_and_last(&range)? else { return Ok(()) };
        let registry = self.inner.registry.read();
        let unknown = metrics.iter().find(|metric| registry.get(metric.index()).is_none());
        if let Some(metric) = unknown {
            return Err(ReadError::UnknownMetric(metric.index()).into());
        }
        drop(registry);
        let deletion = |metric: &MetricId| Deletion { metric: metric.index(), from_ns, to_ns };
        let deletions: Vec<Deletion> = metrics.iter().map(deletion).collect();
        let mut upkeep = self.inner.upkeep()?;
        self.inner.delete_with(&mut upkeep, &deletions)
    }

    /// Deletes the records of some metrics in a range of time, and destroys the keys of the windows that lie
    /// in it whole: their chunks cannot be opened any more, wherever copies of them are. The bytes that are
    /// here are gone after the next compaction. Of a window that the range has a part of, the records are
    /// deleted and the key stays, since the rest needs it; such a window's old chunk can be opened by
    /// whoever has a copy of it and the key.
    ///
    /// Keys in older copies of the keystore's file and keys that were granted stay where they are.
    ///
    /// # Errors
    /// As [`Db::delete`], and where the database has no keys or the keystore cannot be changed. The
    /// records are deleted first: where the keys then stay, destroy once more.
    pub fn destroy(
        &self,
        metrics: &[MetricId],
        range: impl RangeBounds<i64>,
    ) -> Maintained<DestroyReport> {
        let keys = self.inner.options.keys.as_ref().ok_or_else(|| {
            let what = "the database was opened without keys: there is nothing to destroy";
            MaintenanceError::Refused(what.to_owned())
        })?;
        let Some((from_ns, to_ns)) = first_and_last(&range)? else {
            return Ok(DestroyReport::default());
        };
        // Nothing is sealed meanwhile: what is written after the deletion gets other keys.
        let _rebuilding = self.inner.rebuilding.lock();
        self.delete(metrics, from_ns..=to_ns)?;
        let mut windows = Vec::new();
        for metric in metrics {
            let definition = self.definition(*metric);
            let definition = definition.ok_or(ReadError::UnknownMetric(metric.index()))?;
            if let Some(whole) = whole_windows(definition.window_ns, from_ns, to_ns) {
                windows.push((*metric, definition, whole));
            }
        }
        let of_keys = |(_, definition, whole): &(_, Arc<Definition>, RangeInclusive<Window>)| {
            (Arc::clone(definition), whole.clone())
        };
        keys.destroy(&windows.iter().map(of_keys).collect::<Vec<_>>())?;
        let windows = windows.into_iter().map(|(metric, _, whole)| (metric, whole)).collect();
        Ok(DestroyReport { windows })
    }

    /// Sets how long records are kept. The last rule that fits a metric holds; compaction deletes
    /// the windows that hold nothing younger.
    pub fn set_retention(&self, rules: Vec<RetentionRule>) -> Maintained<()> {
        for rule in &rules {
            for pattern in [&rule.device, &rule.name] {
                whole(pattern)?;
            }
            if rule.keep_ns < 0 {
                let what = format!("records cannot be kept for {} ns", rule.keep_ns);
                return Err(MaintenanceError::Refused(what));
            }
        }
        // Not behind a log that failed: the manifest names deletions, which may then not be in the
        // log at all and would hide what is written under their sequences later.
        let mut upkeep = self.inner.upkeep()?;
        let mut manifest = upkeep.manifest.clone();
        manifest.retention = rules;
        self.inner.store(&manifest)?;
        upkeep.manifest = manifest;
        Ok(())
    }

    /// How long records are kept.
    #[must_use]
    pub fn retention(&self) -> Vec<RetentionRule> {
        self.inner.upkeep.lock().manifest.retention.clone()
    }
}

/// What was destroyed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DestroyReport {
    /// The windows whose keys are gone, of each metric that has some.
    pub windows: Vec<(MetricId, RangeInclusive<Window>)>,
}

/// The windows that lie in a range of times whole, both ends included.
fn whole_windows(window_ns: i64, from_ns: i64, to_ns: i64) -> Option<RangeInclusive<Window>> {
    let (first, last) = (floor_to_window(from_ns, window_ns), floor_to_window(to_ns, window_ns));
    // The outermost windows of all reach beyond the times there are.
    let first =
        if window_start(first, window_ns) < from_ns { first.checked_add(1)? } else { first };
    let last = if window_end(last, window_ns) > to_ns { last.checked_sub(1)? } else { last };
    (first <= last).then_some(first..=last)
}

/// A pattern that must match all of a text.
fn whole(pattern: &str) -> Result<Regex, ReadError> {
    whole_pattern("retention", pattern)
}

impl Inner {
    pub(super) fn delete_with(
        &self,
        upkeep: &mut Upkeep,
        deletions: &[Deletion],
    ) -> Maintained<()> {
        if deletions.is_empty() {
            return Ok(());
        }
        let sequence = self.delete_and_apply(upkeep, deletions, &Batch::default())?;
        Wal::sync_to(self.log()?, sequence)?;
        self.flush_frozen(upkeep)
    }

    /// Deletes, and then writes a batch, in one frame of the log: all of it or nothing.
    pub(super) fn apply_with_deletions(&self, batch: &Batch) -> Result<Sequence, WriteError> {
        let mut upkeep = self.upkeep().map_err(Box::new)?;
        let sequence = self.delete_and_apply(&mut upkeep, &batch.deletions, batch)?;
        // The batch is written whatever becomes of this: a failure refuses the next one.
        let flushed = self.flush_frozen(&mut upkeep);
        drop(upkeep);
        self.refuse_after(flushed);
        Ok(sequence)
    }

    fn flush_frozen(&self, upkeep: &mut Upkeep) -> Maintained<()> {
        if self.view.read().frozen.len() > FROZEN_MAX {
            self.flush_with(upkeep)?;
        }
        Ok(())
    }

    fn delete_and_apply(
        &self,
        upkeep: &mut Upkeep,
        deletions: &[Deletion],
        batch: &Batch,
    ) -> Result<Sequence, WriteError> {
        let wal = self.log()?;
        let held = self.hold_blobs(batch)?;
        let frame = self.frame(&[], deletions, batch);
        let told = wal.told(deletions, batch);
        let registry = self.registry.read();
        check_kinds(&registry, batch)?;
        if let Some(unknown) = deletions.iter().find(|d| registry.get(d.metric).is_none()) {
            return Err(WriteError::UnknownMetric { position: 0, metric: unknown.metric });
        }
        let sequence = {
            // Between two batches: everything before is frozen and hidden, everything later, this
            // batch's records among it, is in another memtable.
            let mut guard = self.view.write();
            let mut state = self.state.lock();
            state.check(&batch.state)?;
            let last = wal.last();
            let sequence = wal.append(frame, told)?;
            let changed = with_deletions(&guard, last, sequence, deletions);
            let mut shards = changed.active.lock(&batch.metrics);
            shards.apply(batch, |metric| registry.shape(metric));
            drop(shards);
            batch.state.iter().for_each(|change| state.apply(change, sequence));
            *guard = Arc::new(changed);
            sequence
        };
        held.are_used();
        let tombstone = |deletion: &Deletion| Tombstone { deletion: *deletion, sequence };
        upkeep.manifest.tombstones.extend(deletions.iter().map(tombstone));
        Ok(sequence)
    }

    /// What the retention rules want deleted at this time.
    pub(super) fn expired(&self, rules: &[RetentionRule]) -> Result<Vec<Deletion>, ReadError> {
        let mut patterns = Vec::new();
        for rule in rules {
            patterns.push((whole(&rule.device)?, whole(&rule.name)?, rule.keep_ns));
        }
        let now_ns = self.options.clock.now_ns();
        let (registry, view) = (self.registry.read(), self.view());
        let mut deletions = Vec::new();
        for metric in 0..registry.len() as u32 {
            let Some(definition) = registry.get(metric) else { continue };
            let fits = |(device, name, _): &&(Regex, Regex, i64)| {
                device.is_match(definition.metric.device())
                    && name.is_match(definition.metric.name())
            };
            let Some((.., keep_ns)) = patterns.iter().rev().find(fits) else { continue };
            // Whole windows only: what is left of one would need a chunk of its own.
            let oldest = floor_to_window(now_ns.saturating_sub(*keep_ns), definition.window_ns);
            let to_ns = window_start(oldest, definition.window_ns).saturating_sub(1);
            if *keep_ns == 0 || view.tombstones.of(metric).iter().any(|t| t.deletion.to_ns >= to_ns)
            {
                continue;
            }
            let reference = layers::MetricRef {
                number: metric,
                kind: definition.kind,
                window_ns: definition.window_ns,
            };
            let (first, last) = reference.windows(i64::MIN, to_ns);
            let has_older = layers::find(&view, reference, first, last)?
                .iter()
                .flat_map(|window| &window.layers)
                .any(|layer| layer.span().is_none_or(|(first_ns, _)| first_ns <= to_ns));
            if has_older {
                deletions.push(Deletion { metric, from_ns: i64::MIN, to_ns });
            }
        }
        Ok(deletions)
    }
}

/// The view after deletions that have this sequence; `last` is the one before.
pub(super) fn with_deletions(
    view: &View,
    last: Sequence,
    sequence: Sequence,
    deletions: &[Deletion],
) -> View {
    let tombstones: Vec<Tombstone> =
        deletions.iter().map(|deletion| Tombstone { deletion: *deletion, sequence }).collect();
    let mut changed = view.rotated(last);
    changed.tombstones = Arc::new(view.tombstones.with(&tombstones));
    changed
}
