//! Steps: intake, then what must be computed from the store, then windows that close; all of it in
//! one batch with the output, the state and the changes.

use std::collections::BTreeMap;

use chronolith_engine::{Db, Durability, Follower};

use super::error::ContinuousError;
use super::feed::Feed;
use super::intake::Touched;
use super::live::{Live, closes_ns, over_ns};
use super::outputs::{self, Stored};
use super::row::{ChangeKind, Row, same_values};
use super::statement::Emit;

/// A position without input is stored once it is so far ahead of the stored one.
const POSITION_AHEAD_MAX: u64 = 4_096;

/// A row before and after a step.
pub(super) struct Outcome {
    pub(super) last_ns: i64,
    pub(super) before: Option<Stored>,
    pub(super) after: Option<Stored>,
    pub(super) is_final: bool,
}

/// The rows that a step has touched, by group and beginning.
pub(super) type Outcomes = BTreeMap<(usize, i64), Outcome>;

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
        let mut outcomes = Outcomes::new();
        self.refresh_dirty(db, &mut touched)?;
        if is_pending {
            self.recompute_pending(db, &mut touched, &mut outcomes)?;
        }
        self.close(&mut touched);
        self.settle(db, &mut touched, &mut outcomes)?;
        let changes = self.changes(&outcomes);
        match sink {
            Sink::Commit(feed) => self.commit(db, &touched, &outcomes, changes, feed)?,
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
            touched.over.push((index, start_ns));
            let cells = open.cells.keys();
            touched.cells.extend(cells.map(|metric| (index, start_ns, *metric)));
        }
    }

    /// The rows of the windows that were touched, as they were and as they are.
    fn settle(
        &mut self,
        db: &Db,
        touched: &mut Touched,
        outcomes: &mut Outcomes,
    ) -> Result<(), ContinuousError> {
        for (index, start_ns) in std::mem::take(&mut touched.rows) {
            let group = &self.groups[index];
            let Some(open) = group.open.get(&start_ns) else { continue };
            let is_told = open.is_closed || self.query.options.emit == Emit::Updates;
            let values = group.values(&self.query, &open.cells);
            let unfit = values.as_ref().map_or(0, |(_, unfit)| *unfit);
            let end_ns = self.query.kept_end(open.last_ns);
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
            self.progress.unfit += unfit;
            let outcome = Outcome { last_ns, before, after, is_final };
            outcomes.insert((index, start_ns), outcome);
        }
        outcomes.retain(|_, outcome| !is_same(outcome.before.as_ref(), outcome.after.as_ref()));
        Ok(())
    }

    /// Drops the state of windows that are over.
    fn forget(&mut self, touched: &Touched) {
        for (index, start_ns) in &touched.over {
            self.groups[*index].open.remove(start_ns);
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
