//! Intake: what was written since the last step goes into the open windows.
//!
//! A record is merged where it is later than all of its metric in the window: then nothing that was
//! there before can be meant by it. Everything else (records out of order, records that replace
//! others, deletions) makes the window dirty, and a dirty window is computed from the store. What a
//! window was computed from may be newer than the position; a record that it has already is then
//! not later than all, and makes it dirty once more, so that nothing is counted twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chronolith_engine::{ChangeKind, Changes, Db, Follower, Logged, Sequence, ValueRef};

use super::cell::Cell;
use super::error::ContinuousError;
use super::live::{Live, Open};
use super::outputs;
use super::recompute::first_time;
use super::runs::Runs;
use super::statement::Late;

/// How many records a step takes.
const RECORDS_MAX: usize = 100_000;
/// A step ends behind the batch that has touched so many cells, so that what it writes fits into a
/// batch of its own. What is left of a batch that touches twice as many is read from the store.
const CELLS_MAX: usize = 40_000;

/// What a step has touched so far.
#[derive(Default)]
pub(super) struct Touched {
    /// Windows whose row may be another now.
    pub(super) rows: BTreeSet<(usize, i64)>,
    /// Cells that are other than those on disk.
    pub(super) cells: BTreeSet<(usize, i64, u32)>,
    /// Metrics whose cell of an open window must be computed from the store.
    pub(super) dirty: BTreeMap<(usize, i64), BTreeSet<u32>>,
    /// Windows whose state is not needed any more.
    pub(super) over: Vec<(usize, i64)>,
    /// Whether anything was there for this query.
    pub(super) has_input: bool,
}

impl Live {
    /// Takes the next batches; whether there were any.
    pub(super) fn take_in(
        &mut self,
        db: &Db,
        follower: Option<&Follower>,
        touched: &mut Touched,
    ) -> Result<bool, ContinuousError> {
        let position = self.progress.position;
        let followed = follower.and_then(|f| f.since(position, RECORDS_MAX));
        let Some(followed) = followed else {
            let until = self.take_changes(db, touched)?;
            self.progress.position = until;
            return Ok(until > position);
        };
        let mut runs = Runs::new(self.watermark_ns(), &self.query.windows);
        let mut until = followed.until;
        for logged in &followed.batches {
            self.take_batch(db, logged, &mut runs, touched)?;
            if touched.cells.len() > self.query.share_of(CELLS_MAX) {
                until = logged.sequence();
                break;
            }
        }
        self.take_runs(&mut runs, touched);
        self.progress.position = until;
        Ok(until > position)
    }

    /// Notes all that changed since the position, as far as that is known.
    fn take_changes(
        &mut self,
        db: &Db,
        touched: &mut Touched,
    ) -> Result<Sequence, ContinuousError> {
        match db.changes(self.progress.position)? {
            Changes::Known { changes, until } => {
                for change in changes {
                    let Some(group) = self.group_of_metric(db, change.metric)? else { continue };
                    touched.has_input = true;
                    self.note_times(group, change.first_ns, change.last_ns);
                    if let (ChangeKind::Write, Some(metric)) =
                        (change.kind, db.metric_by_number(change.metric))
                    {
                        self.see_stored(db, metric, (change.first_ns, change.last_ns))?;
                    }
                }
                Ok(until)
            }
            // What was deleted cannot be known any more: everything is looked at.
            Changes::TooOld { from } => {
                touched.has_input = true;
                self.note_everything(db, self.query.options.late == Late::Recompute)?;
                Ok(from)
            }
        }
    }

    /// Notes that every window of every group must be computed from the store, those that have
    /// closed as well where that is wanted.
    pub(super) fn note_everything(
        &mut self,
        db: &Db,
        closed_too: bool,
    ) -> Result<(), ContinuousError> {
        self.find_metrics(db)?;
        let everything = (self.query.conditions.from_ns, self.query.conditions.to_ns);
        for group in 0..self.groups.len() {
            let metrics: Vec<_> = self.groups[group].members.iter().map(|m| m.id).collect();
            let first_ns = first_time(db, metrics.iter().copied(), everything)?;
            let mut spans: Vec<(i64, i64)> = Vec::new();
            for metric in metrics {
                if let (Some(first_ns), Some((last_ns, _))) = (first_ns, db.latest(metric)?) {
                    self.see_stored(db, metric, (first_ns, last_ns))?;
                    self.count_ahead(db, metric, last_ns)?;
                    spans.push((first_ns, last_ns));
                }
            }
            spans.extend(outputs::span(db, &self.groups[group].outputs)?);
            let (first_ns, last_ns) =
                (spans.iter().map(|s| s.0).min(), spans.iter().map(|s| s.1).max());
            let (Some(first_ns), Some(last_ns)) = (first_ns, last_ns) else { continue };
            match closed_too {
                true => self.note_always(group, first_ns, last_ns),
                false => self.note_times(group, first_ns, last_ns),
            }
        }
        Ok(())
    }

    /// Notes that records in a range of time may have changed. Of queries that only count what is
    /// late, windows that have closed stay as they are.
    fn note_times(&mut self, group: usize, first_ns: i64, last_ns: i64) {
        let Some((mut from_ns, to_ns)) = self.query.conditions.clip(first_ns, last_ns) else {
            return;
        };
        if let (Late::Count, Some(watermark_ns)) = (self.query.options.late, self.watermark_ns()) {
            let open_ns = match self.query.windows.gap_ns() {
                Some(gap_ns) => watermark_ns.saturating_sub(gap_ns).saturating_add(1),
                None => self.query.windows.earliest_start(watermark_ns).unwrap_or(i64::MIN),
            };
            from_ns = from_ns.max(open_ns);
        }
        self.note_always(group, from_ns, to_ns);
    }

    /// The same for windows that have closed as well.
    pub(super) fn note_always(&mut self, group: usize, first_ns: i64, last_ns: i64) {
        let from_ns = match self.query.windows.gap_ns() {
            Some(_) => first_ns,
            None => self.query.windows.earliest_start(first_ns).unwrap_or(i64::MIN),
        };
        let near_ns = self.query.windows.gap_ns().unwrap_or(1);
        self.groups[group].note(from_ns, last_ns, near_ns);
    }

    /// Takes a batch: records of sessions at once, others into the runs of their metrics.
    fn take_batch<'a>(
        &mut self,
        db: &Db,
        logged: &'a Logged,
        runs: &mut Runs<'a>,
        touched: &mut Touched,
    ) -> Result<(), ContinuousError> {
        for (metric, from_ns, to_ns) in logged.deletions() {
            if let Some(group) = self.group_of_metric(db, metric)? {
                // They concern what was there before.
                self.take_runs(runs, touched);
                touched.has_input = true;
                self.note_times(group, from_ns, to_ns);
            }
        }
        // Every metric of the batch is known from here on.
        self.find_metrics(db)?;
        let members = Arc::clone(&self.by_metric);
        for (index, metric, time_ns, value) in logged.records_of(|metric| members.has(metric)) {
            let Some(group) = members.group(metric) else { continue };
            if self.query.conditions.clip(time_ns, time_ns).is_none() {
                continue;
            }
            touched.has_input = true;
            self.see(time_ns);
            if let Some(gap_ns) = self.query.windows.gap_ns() {
                let late = runs
                    .watermark_ns
                    .is_some_and(|watermark_ns| time_ns.saturating_add(gap_ns) <= watermark_ns);
                self.take_for_session(group, metric, (time_ns, value), (gap_ns, late), touched);
            } else {
                runs.push(group, metric, time_ns, value);
                if runs.is_full() {
                    self.take_runs(runs, touched);
                }
            }
            if touched.cells.len() > 2 * self.query.share_of(CELLS_MAX) {
                self.take_runs(runs, touched);
                return self.take_rest(db, logged, index + 1, touched);
            }
        }
        Ok(())
    }

    /// The rest of a batch that is too large for one step: its records are read from the store, part
    /// by part.
    fn take_rest(
        &mut self,
        db: &Db,
        logged: &Logged,
        first: usize,
        touched: &mut Touched,
    ) -> Result<(), ContinuousError> {
        let mut spans: BTreeMap<usize, (i64, i64)> = BTreeMap::new();
        for (metric, time_ns, _) in logged.records().skip(first) {
            let Some(group) = self.group_of_metric(db, metric)? else { continue };
            self.see(time_ns);
            let span = spans.entry(group).or_insert((time_ns, time_ns));
            *span = (span.0.min(time_ns), span.1.max(time_ns));
        }
        for (group, (first_ns, last_ns)) in spans {
            touched.has_input = true;
            self.note_times(group, first_ns, last_ns);
        }
        Ok(())
    }

    fn take_for_session(
        &mut self,
        index: usize,
        metric: u32,
        (time_ns, value): (i64, ValueRef<'_>),
        (gap_ns, is_late): (i64, bool),
        touched: &mut Touched,
    ) {
        let holds = self.query.conditions.hold(value);
        let needs_path = self.query.needs_path();
        let recompute = self.query.options.late == Late::Recompute;
        let group = &mut self.groups[index];
        let after = group.open.range(time_ns.saturating_add(1)..).next();
        let near_after =
            after.is_some_and(|(start_ns, _)| start_ns.saturating_sub(time_ns) < gap_ns);
        let before = group.open.range(..=time_ns).next_back();
        let before = before.filter(|(_, open)| time_ns.saturating_sub(open.last_ns) < gap_ns);
        let before = before.map(|(start_ns, open)| {
            let cell_ns = open.cells.get(&metric).and_then(Cell::last_ns);
            (*start_ns, open.last_ns, open.is_closed, cell_ns)
        });
        let is_late = is_late || before.is_some_and(|(_, _, is_closed, _)| is_closed);
        if is_late {
            self.progress.late += 1;
            if recompute {
                group.note(time_ns, time_ns, gap_ns);
            }
            return;
        }
        let start_ns = match before {
            // It may replace one, fall into another session, or join two.
            Some((.., Some(cell_ns))) if time_ns <= cell_ns => {
                return group.note(time_ns, time_ns, gap_ns);
            }
            _ if !holds => return,
            Some((_, last_ns, ..)) if time_ns > last_ns && near_after => {
                return group.note(time_ns, time_ns, gap_ns);
            }
            Some((start_ns, ..)) => start_ns,
            None if near_after => return group.note(time_ns, time_ns, gap_ns),
            None => time_ns,
        };
        let open = group.open.entry(start_ns).or_insert_with(|| {
            // Where it has grown until then, it is asked again when it closes.
            self.closing.insert((time_ns.saturating_add(gap_ns), index, start_ns));
            Open { last_ns: time_ns, shown: Some(None), ..Open::default() }
        });
        open.last_ns = open.last_ns.max(time_ns);
        let cell = open.cells.entry(metric).or_insert_with(|| Cell::new(value.kind()));
        cell.add(time_ns, value, needs_path);
        self.progress.records += 1;
        touched.rows.insert((index, start_ns));
        touched.cells.insert((index, start_ns, metric));
    }
}
