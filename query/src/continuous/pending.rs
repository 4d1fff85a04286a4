//! Windows that are computed from the store take the place of what was known of them.

use chronolith_engine::Db;

use super::error::ContinuousError;
use super::intake::Touched;
use super::live::{Live, Open, closes_ns, over_ns};
use super::outputs;
use super::recompute::{self, Computed, Slice};
use super::session;
use super::step::{Outcome, Outcomes};

/// A step ends behind the slice that has computed so many windows.
const WINDOWS_MAX: usize = 20_000;
/// Or that has read so many records.
const RECORDS_MAX: u64 = 500_000;
/// How many windows a slice has at most.
const SLICE_MAX: usize = 4_096;

impl Live {
    /// Computes the cells anew that records out of order have touched.
    pub(super) fn refresh_dirty(
        &mut self,
        db: &Db,
        touched: &mut Touched,
    ) -> Result<(), ContinuousError> {
        for ((index, start_ns), metrics) in std::mem::take(&mut touched.dirty) {
            let group = &mut self.groups[index];
            if group.is_pending(start_ns) {
                continue;
            }
            let Some(open) = group.open.get_mut(&start_ns) else { continue };
            for metric in metrics {
                let member = group.members.iter().find(|member| member.id.index() == metric);
                let Some(member) = member else { continue };
                let (cell, records) = recompute::cell(db, &self.query, member, start_ns)?;
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
    pub(super) fn recompute_pending(
        &mut self,
        db: &Db,
        touched: &mut Touched,
        outcomes: &mut Outcomes,
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
        outcomes: &mut Outcomes,
    ) -> Result<(), ContinuousError> {
        let watermark_ns = self.watermark_ns();
        let to_ns = slice.done_ns.max(from_ns);
        let group = &mut self.groups[index];
        let mut before = outputs::read(db, &self.query, &group.outputs, from_ns, to_ns)?;
        // What an earlier slice of this step has answered is not in the store yet.
        let answered: Vec<_> =
            outcomes.range((index, from_ns)..=(index, to_ns)).map(|(place, _)| *place).collect();
        answered.iter().for_each(|place| drop(outcomes.remove(place)));
        let opened: Vec<i64> = group.open.range(from_ns..=to_ns).map(|(start, _)| *start).collect();
        for start_ns in opened {
            if let Some(open) = group.open.remove(&start_ns) {
                let numbers = open.cells.keys();
                touched.cells.extend(numbers.map(|metric| (index, start_ns, *metric)));
                touched.rows.remove(&(index, start_ns));
            }
        }
        for (start_ns, Computed { last_ns, cells }) in slice.windows {
            let over_ns = over_ns(&self.query, last_ns);
            let shown = before.remove(&start_ns);
            if watermark_ns.is_some_and(|watermark_ns| over_ns <= watermark_ns) {
                let values = group.values(&self.query, &cells);
                self.progress.unfit += values.as_ref().map_or(0, |(_, unfit)| *unfit);
                let end_ns = self.query.kept_end(last_ns);
                let after = values.map(|(values, _)| (values, end_ns));
                let outcome = Outcome { last_ns, before: shown, after, is_final: true };
                outcomes.insert((index, start_ns), outcome);
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
            let is_final = watermark_ns
                .is_some_and(|watermark_ns| closes_ns(&self.query, last_ns) <= watermark_ns);
            let outcome = Outcome { last_ns, before: Some(shown), after: None, is_final };
            outcomes.insert((index, start_ns), outcome);
        }
        Ok(())
    }
}
