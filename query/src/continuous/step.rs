//! Steps: intake, then what must be computed from the store, then windows that close; all of it in
//! one batch with the output, the state and the changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chronolith_engine::{Batch, Db, Durability, Follower};

use super::error::ContinuousError;
use super::feed::Feed;
use super::intake::Touched;
use super::live::{Live, Open, closes_ns, end_ns, over_ns};
use super::outputs::{self, Stored};
use super::recompute::{self, Computed, Slice};
use super::row::{Change, ChangeKind, Row, encode_changes, same_values};
use super::session;
use super::state::{changes_key, namespace, put_cell};
use super::statement::Emit;

/// A step ends behind the slice that has computed so many windows.
const WINDOWS_MAX: usize = 20_000;
/// Or that has read so many records.
const RECORDS_MAX: u64 = 500_000;
/// How many windows a slice has at most.
const SLICE_MAX: usize = 4_096;
/// A position without input is stored once it is so far ahead of the stored one.
const POSITION_AHEAD_MAX: u64 = 4_096;

/// A row before and after a step.
struct Outcome {
    group: usize,
    start_ns: i64,
    last_ns: i64,
    before: Option<Stored>,
    after: Option<Stored>,
    is_final: bool,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stepped {
    /// Nothing was there to be done.
    Idle,
    /// Something was done, and there may be more.
    Busy,
}

/// Where changes go.
pub(super) enum Sink<'a> {
    /// To disk, and then to those who follow.
    Commit(&'a Feed),
    /// To memory: what the answer would be, for those who may only read.
    Keep(&'a mut BTreeMap<(usize, i64), Option<Row>>),
}

impl Live {
    /// Does the next part of the work.
    pub(super) fn step(
        &mut self,
        db: &Db,
        follower: Option<&Follower>,
        sink: Sink<'_>,
    ) -> Result<Stepped, ContinuousError> {
        let mut touched = Touched::default();
        let moved = self.take_in(db, follower, &mut touched)?;
        let is_pending = self.groups.iter().any(|group| !group.pending.is_empty());
        if !touched.has_input && !is_pending {
            let ahead = self.progress.position - self.position_stored;
            if let (Sink::Commit(_), true) = (&sink, ahead > POSITION_AHEAD_MAX) {
                self.store_progress(db)?;
            }
            return Ok(if moved { Stepped::Busy } else { Stepped::Idle });
        }
        let mut outcomes = Vec::new();
        self.refresh_dirty(db, &mut touched)?;
        if is_pending {
            self.recompute_pending(db, &mut touched, &mut outcomes)?;
        }
        self.close(&mut touched);
        self.settle(db, &mut touched, &mut outcomes)?;
        let changes = self.changes(&outcomes);
        match sink {
            Sink::Commit(feed) => self.commit(db, &touched, outcomes, changes, feed)?,
            Sink::Keep(rows) => {
                for change in changes {
                    let group = self.groups.iter().position(|group| group.keys == change.row.keys);
                    let row = (change.kind != ChangeKind::Delete).then(|| change.row.clone());
                    rows.insert((group.unwrap_or(usize::MAX), change.row.start_ns), row);
                }
            }
        }
        self.forget(&touched);
        Ok(Stepped::Busy)
    }

    /// Stores how far the query is, and nothing else.
    pub(super) fn store_progress(&mut self, db: &Db) -> Result<(), ContinuousError> {
        self.remember_pending();
        let mut batch = db.batch();
        self.progress.put(&mut batch, &self.query.name);
        db.write(&batch, Durability::Synced)?;
        self.position_stored = self.progress.position;
        Ok(())
    }

    /// Computes the cells anew that records out of order have touched.
    fn refresh_dirty(&mut self, db: &Db, touched: &mut Touched) -> Result<(), ContinuousError> {
        for ((index, start_ns), metrics) in std::mem::take(&mut touched.dirty) {
            let group = &mut self.groups[index];
            if group.is_pending(start_ns) {
                continue;
            }
            let Some(open) = group.open.get_mut(&start_ns) else { continue };
            for metric in metrics {
                let member = group.members.iter().find(|member| member.id.index() == metric);
                let Some(member) = member else { continue };
                let (cell, records) = recompute::cell(db, &self.query, member.id, start_ns)?;
                self.progress.reread += records;
                match cell {
                    Some(cell) => drop(open.cells.insert(metric, cell)),
                    None => drop(open.cells.remove(&metric)),
                }
                touched.cells.insert((index, start_ns, metric));
            }
            self.progress.recomputed += 1;
            touched.rows.insert((index, start_ns));
        }
        Ok(())
    }

    /// Computes windows from the store, as many as fit into a step.
    fn recompute_pending(
        &mut self,
        db: &Db,
        touched: &mut Touched,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<(), ContinuousError> {
        let (mut windows, mut records) = (0, 0);
        for index in 0..self.groups.len() {
            while let Some(pending) = self.groups[index].pending.first().copied() {
                if windows >= self.query.share_of(WINDOWS_MAX) || records >= RECORDS_MAX {
                    return Ok(());
                }
                let range = (pending.from_ns, pending.to_ns);
                let group = &self.groups[index];
                let (from_ns, slice) = match self.query.windows.gap_ns() {
                    Some(gap_ns) => {
                        session::sessions(db, &self.query, &group.members, range, gap_ns)?
                    }
                    None => {
                        let most = self.slice;
                        let members = &group.members;
                        let slice = recompute::fixed(db, &self.query, members, range, most)?;
                        self.slice = match slice.records {
                            0..50_000 => (most * 4).min(SLICE_MAX),
                            400_000.. => (most / 4).max(1),
                            _ => most,
                        };
                        (pending.from_ns, slice)
                    }
                };
                windows += slice.windows.len().max(1);
                records += slice.records;
                self.progress.recomputed += slice.windows.len() as u64;
                self.progress.reread += slice.records;
                let done_ns = slice.done_ns;
                self.replace(db, index, from_ns, slice, touched, outcomes)?;
                let spans = &mut self.groups[index].pending;
                match done_ns.checked_add(1).filter(|next_ns| *next_ns <= pending.to_ns) {
                    Some(next_ns) => spans[0].from_ns = next_ns,
                    None => drop(spans.remove(0)),
                }
            }
        }
        Ok(())
    }

    /// Puts computed windows in the place of all that begin from a time up to where the slice goes.
    fn replace(
        &mut self,
        db: &Db,
        index: usize,
        from_ns: i64,
        slice: Slice,
        touched: &mut Touched,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<(), ContinuousError> {
        let watermark_ns = self.watermark_ns();
        let to_ns = slice.done_ns.max(from_ns);
        let group = &mut self.groups[index];
        let mut before = outputs::read(db, &self.query, &group.outputs, from_ns, to_ns)?;
        // What an earlier slice of this step has answered is not in the store yet.
        outcomes.retain_mut(|outcome| {
            let is_here = outcome.group == index && (from_ns..=to_ns).contains(&outcome.start_ns);
            !is_here
        });
        let opened: Vec<i64> = group.open.range(from_ns..=to_ns).map(|(start, _)| *start).collect();
        let mut kept: BTreeMap<i64, Open> = BTreeMap::new();
        for start_ns in opened {
            if let Some(open) = group.open.remove(&start_ns) {
                let numbers = open.cells.keys();
                touched.cells.extend(numbers.map(|metric| (index, start_ns, *metric)));
                kept.insert(start_ns, open);
            }
        }
        let is_session = self.query.windows.gap_ns().is_some();
        for (start_ns, Computed { last_ns, cells }) in slice.windows {
            let over_ns = over_ns(&self.query, last_ns);
            let shown = before.remove(&start_ns);
            kept.remove(&start_ns);
            if watermark_ns.is_some_and(|watermark_ns| over_ns <= watermark_ns) {
                let values = group.values(&self.query, &cells);
                self.progress.unfit += values.as_ref().map_or(0, |(_, unfit)| *unfit);
                let end_ns = is_session.then_some(last_ns);
                let after = values.map(|(values, _)| (values, end_ns));
                let (group, is_final) = (index, true);
                outcomes.push(Outcome { group, start_ns, last_ns, before: shown, after, is_final });
                continue;
            }
            touched.cells.extend(cells.keys().map(|metric| (index, start_ns, *metric)));
            touched.rows.insert((index, start_ns));
            let shown = Some(shown);
            group.open.insert(start_ns, Open { last_ns, cells, shown, ..Open::default() });
            self.closing.insert((closes_ns(&self.query, last_ns), index, start_ns));
        }
        for (start_ns, shown) in before {
            let last_ns = shown.1.unwrap_or_else(|| self.query.windows.at(start_ns).last_ns);
            let (group, before) = (index, Some(shown));
            let is_final = watermark_ns
                .is_some_and(|watermark_ns| closes_ns(&self.query, last_ns) <= watermark_ns);
            outcomes.push(Outcome { group, start_ns, last_ns, before, after: None, is_final });
        }
        for start_ns in kept.into_keys() {
            touched.rows.remove(&(index, start_ns));
        }
        Ok(())
    }

    /// Marks the windows that the watermark has passed.
    fn close(&mut self, touched: &mut Touched) {
        let Some(watermark_ns) = self.watermark_ns() else { return };
        while let Some((at_ns, index, start_ns)) = self.closing.first().copied() {
            if at_ns > watermark_ns {
                break;
            }
            self.closing.pop_first();
            let Some(open) = self.groups[index].open.get_mut(&start_ns) else { continue };
            let closes_ns = closes_ns(&self.query, open.last_ns);
            if closes_ns > watermark_ns {
                self.closing.insert((closes_ns, index, start_ns));
                continue;
            }
            if !open.is_closed {
                open.is_closed = true;
                touched.rows.insert((index, start_ns));
            }
            let over_ns = over_ns(&self.query, open.last_ns);
            if over_ns > watermark_ns {
                self.closing.insert((over_ns, index, start_ns));
                continue;
            }
            open.is_over = true;
            let cells = open.cells.keys();
            touched.cells.extend(cells.map(|metric| (index, start_ns, *metric)));
        }
    }

    /// The rows of the windows that were touched, as they were and as they are.
    fn settle(
        &mut self,
        db: &Db,
        touched: &mut Touched,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<(), ContinuousError> {
        for (index, start_ns) in std::mem::take(&mut touched.rows) {
            let group = &self.groups[index];
            let Some(open) = group.open.get(&start_ns) else { continue };
            let is_told = open.is_closed || self.query.options.emit == Emit::Updates;
            let values = group.values(&self.query, &open.cells);
            self.progress.unfit += values.as_ref().map_or(0, |(_, unfit)| *unfit);
            let end_ns = self.query.windows.gap_ns().map(|_| open.last_ns);
            let after = values.filter(|_| is_told).map(|(values, _)| (values, end_ns));
            let before = match &open.shown {
                Some(shown) => shown.clone(),
                None => outputs::read(db, &self.query, &group.outputs, start_ns, start_ns)?
                    .remove(&start_ns),
            };
            let (last_ns, is_final) = (open.last_ns, open.is_closed);
            let is_same = is_same(before.as_ref(), after.as_ref());
            if let Some(open) = self.groups[index].open.get_mut(&start_ns) {
                // What is kept, where it differs from what is known by no more than rounding.
                open.shown = Some(if is_same { before.clone() } else { after.clone() });
            }
            if is_same {
                continue;
            }
            outcomes.push(Outcome { group: index, start_ns, last_ns, before, after, is_final });
        }
        outcomes.retain(|outcome| !is_same(outcome.before.as_ref(), outcome.after.as_ref()));
        outcomes.sort_by_key(|outcome| (outcome.start_ns, outcome.group));
        Ok(())
    }

    fn changes(&mut self, outcomes: &[Outcome]) -> Vec<Arc<Change>> {
        let mut changes = Vec::new();
        for outcome in outcomes {
            let (kind, values) = match (&outcome.before, &outcome.after) {
                (None, Some((values, _))) => (ChangeKind::Insert, values),
                (Some(_), Some((values, _))) => (ChangeKind::Update, values),
                (Some((values, _)), None) => (ChangeKind::Delete, values),
                (None, None) => continue,
            };
            let before = match kind {
                ChangeKind::Update => outcome.before.as_ref().map(|(values, _)| values.clone()),
                _ => None,
            };
            self.progress.cursor += 1;
            let row = Row {
                keys: self.groups[outcome.group].keys.clone(),
                start_ns: outcome.start_ns,
                end_ns: end_ns(&self.query, outcome.last_ns),
                values: values.clone(),
                is_final: outcome.is_final,
            };
            changes.push(Arc::new(Change { cursor: self.progress.cursor, kind, row, before }));
        }
        changes
    }

    /// Writes everything in one batch, and tells those who follow once it is on stable storage.
    fn commit(
        &mut self,
        db: &Db,
        touched: &Touched,
        outcomes: Vec<Outcome>,
        changes: Vec<Arc<Change>>,
        feed: &Feed,
    ) -> Result<(), ContinuousError> {
        let mut batch = db.batch();
        for outcome in &outcomes {
            let group = &mut self.groups[outcome.group];
            outputs::define(db, &self.query, &mut group.outputs)?;
            let (before, after) = (outcome.before.as_ref(), outcome.after.as_ref());
            outputs::put(&mut batch, &self.query, &group.outputs, outcome.start_ns, before, after)?;
        }
        let namespace = namespace(&self.query.name);
        for (index, start_ns, metric) in &touched.cells {
            let group = &self.groups[*index];
            let open = group.open.get(start_ns).filter(|open| !open.is_over);
            let cell = open.and_then(|open| open.cells.get(metric));
            put_cell(&mut batch, &namespace, *start_ns, *metric, cell);
        }
        self.log(&mut batch, &namespace, &changes, feed);
        self.remember_pending();
        self.progress.put(&mut batch, &self.query.name);
        db.write(&batch, Durability::Synced)?;
        self.position_stored = self.progress.position;
        feed.publish(changes, self.progress.cursor, self.query.options.keep_changes);
        Ok(())
    }

    /// Keeps changes for those who come back, and lets the oldest go.
    fn log(&self, batch: &mut Batch, namespace: &str, changes: &[Arc<Change>], feed: &Feed) {
        let most = self.query.options.keep_changes as usize;
        let kept = &changes[changes.len().saturating_sub(most)..];
        if let Some(last) = kept.last() {
            batch.put_state(namespace, &changes_key(last.cursor), &encode_changes(kept));
        }
        for last in feed.commits_to_drop(kept.len(), self.query.options.keep_changes) {
            batch.remove_state(namespace, &changes_key(last));
        }
    }

    /// Drops the state of windows that are over.
    fn forget(&mut self, touched: &Touched) {
        let groups: BTreeSet<usize> = touched.cells.iter().map(|(group, ..)| *group).collect();
        for index in groups {
            self.groups[index].open.retain(|_, open| !open.is_over);
        }
    }
}

/// Whether an answer is the same as before, but for rounding.
fn is_same(before: Option<&Stored>, after: Option<&Stored>) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => before.1 == after.1 && same_values(&before.0, &after.0),
        (before, after) => before.is_some() == after.is_some(),
    }
}
