//! The rows of the bucket operator: one group after the other, in slices of time.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::BatchCoalescer;
use arrow::datatypes::SchemaRef;
use chronolith_engine::{Aggregation, Bucket, Function, MetricId, ReadReport};
use datafusion::common::Result;
use datafusion::execution::memory_pool::MemoryReservation;

use super::call::Call;
use super::cut::{Cut, Run};
use super::gathered::Gathered;
use super::input::{Group, Input, Member};
use super::operator::Key;
use super::union::Union;
use super::walk::walk;
use crate::sql::catalog::read_error;
use crate::sql::columns::{repeated, time_array};
use crate::sql::scan::Counters;
use crate::sql::watch::Watch;

/// The most buckets of one metric that are made at once.
const SLICE_BUCKETS: i64 = 1 << 14;

/// What is asked.
pub(super) struct Asked {
    pub(super) input: Arc<Input>,
    pub(super) keys: Vec<Key>,
    pub(super) calls: Arc<Vec<Call>>,
    pub(super) cut: Cut,
    pub(super) schema: SchemaRef,
}

/// What reading is counted, bounded and ended by.
pub(super) struct Reading {
    pub(super) counters: Counters,
    pub(super) memory: MemoryReservation,
    pub(super) watch: Arc<Watch>,
}

/// The rows of one partition.
pub(super) struct Rows {
    asked: Asked,
    groups: Arc<Vec<Group>>,
    next_group: usize,
    /// What is left of the group before `next_group`: from a time, up to the last.
    slices: Option<(i64, i64)>,
    /// Whether the part before had no record: buckets are far shorter than what lies between.
    was_empty: bool,
    ready: BatchCoalescer,
    reading: Reading,
    is_done: bool,
}

impl Rows {
    pub(super) fn new(
        asked: Asked,
        groups: Arc<Vec<Group>>,
        reading: Reading,
        batch_rows: usize,
    ) -> Self {
        let ready = BatchCoalescer::new(Arc::clone(&asked.schema), batch_rows);
        let (next_group, slices, was_empty, is_done) = (0, None, false, false);
        Self { asked, groups, next_group, slices, was_empty, ready, reading, is_done }
    }

    fn members<'a>(&'a self, group: &'a Group) -> impl Iterator<Item = &'a Member> {
        group.members.iter().filter_map(|member| self.asked.input.members.get(*member))
    }

    /// The next part of a group: its place and the times to aggregate.
    fn next_part(&mut self) -> Result<Option<(usize, i64, i64)>> {
        loop {
            let group = match self.slices {
                Some(_) => self.next_group - 1,
                None => self.next_group,
            };
            let Some(current) = self.groups.get(group) else { return Ok(None) };
            let (from_ns, to_ns) = match self.slices.take() {
                Some(rest) => rest,
                None => {
                    let span = self.span(current)?;
                    self.next_group += 1;
                    match span {
                        Some(span) => span,
                        None if self.asked.keys.is_empty() => return Ok(Some((group, 0, -1))),
                        None => continue,
                    }
                }
            };
            let mut end_ns = self.slice_end(from_ns, to_ns);
            let mut from_ns = from_ns;
            if std::mem::take(&mut self.was_empty) {
                let Some((first_ns, last_ns)) = self.next_window(current, from_ns, to_ns)? else {
                    continue;
                };
                // No more buckets than the window has records, and those of the slice.
                from_ns = first_ns;
                end_ns = self.slice_end(from_ns, to_ns).max(self.asked.cut.bucket(last_ns).1);
                end_ns = end_ns.min(to_ns);
            }
            if end_ns < to_ns {
                self.slices = Some((end_ns + 1, to_ns));
            }
            return Ok(Some((group, from_ns, end_ns)));
        }
    }

    /// The times that a group may have records of: no more is known without decoding.
    fn span(&self, group: &Group) -> Result<Option<(i64, i64)>> {
        let conditions = &self.asked.input.conditions;
        let (from_ns, to_ns) = (conditions.from_ns, conditions.to_ns);
        if from_ns > to_ns || group.members.is_empty() {
            return Ok(None);
        }
        let is_short = match (&self.asked.cut, self.asked.cut.length_ns()) {
            (_, Some(length_ns)) => to_ns.saturating_sub(from_ns) / length_ns < SLICE_BUCKETS,
            (cut, None) => !matches!(cut, Cut::Uneven(_)),
        };
        if is_short {
            return Ok(Some((from_ns, to_ns)));
        }
        let mut span: Option<(i64, i64)> = None;
        for member in self.members(group) {
            let windows = self.asked.input.lookup.snapshot.windows(member.id, from_ns..=to_ns);
            let mut windows = windows.map_err(read_error)?;
            let Some(first) = windows.next() else { continue };
            let first_ns = first.not_before_ns();
            let last_ns = windows.next_back().unwrap_or(first).not_after_ns();
            let (low, high) = span.unwrap_or((first_ns, last_ns));
            span = Some((low.min(first_ns), high.max(last_ns)));
        }
        Ok(span)
    }

    /// The first window of a group from a time on: times that none of its records is outside of.
    fn next_window(&self, group: &Group, from_ns: i64, to_ns: i64) -> Result<Option<(i64, i64)>> {
        let mut next: Option<(i64, i64)> = None;
        for member in self.members(group) {
            self.reading.watch.check()?;
            let windows = self.asked.input.lookup.snapshot.windows(member.id, from_ns..=to_ns);
            let Some(window) = windows.map_err(read_error)?.next() else { continue };
            let times = (window.not_before_ns(), window.not_after_ns());
            next = Some(next.map_or(times, |next| next.min(times)));
        }
        Ok(next)
    }

    /// Where a part that begins at a time ends: before the bucket that would be one too many.
    fn slice_end(&self, from_ns: i64, to_ns: i64) -> i64 {
        let Some(length_ns) = self.asked.cut.length_ns() else { return to_ns };
        let (_, last_ns) = self.asked.cut.bucket(from_ns);
        let more = i128::from(length_ns) * i128::from(SLICE_BUCKETS - 1);
        i64::try_from((i128::from(last_ns) + more).min(to_ns.into())).unwrap_or(to_ns)
    }

    fn gather(&self, group: &Group, from_ns: i64, to_ns: i64) -> Result<Gathered> {
        let mut gathered = Gathered::new(self.asked.input.slots.len());
        if from_ns > to_ns {
            return Ok(gathered);
        }
        let runs = self.asked.cut.runs(from_ns, to_ns);
        for member in self.members(group).filter(|member| !member.slots.is_empty()) {
            self.reading.watch.check()?;
            let mut report = ReadReport::default();
            self.read(member, (from_ns, to_ns), &runs, &mut gathered, &mut report)?;
            self.reading.counters.add(report);
        }
        if self.asked.input.counts_rows {
            for set in self.asked.input.sets(group) {
                self.count_rows(&set, (from_ns, to_ns), &mut gathered)?;
            }
        }
        // Records that no call looks at make rows as well; where there are no keys, there is one.
        let others = self.members(group).filter(|member| member.slots.is_empty());
        for member in others.filter(|_| !self.asked.keys.is_empty()) {
            self.reading.watch.check()?;
            let mut report = ReadReport::default();
            self.find_buckets(member, (from_ns, to_ns), &mut gathered, &mut report)?;
            self.reading.memory.try_resize(gathered.bytes())?;
            self.reading.counters.add(report);
        }
        Ok(gathered)
    }

    /// Adds what the calls of a metric's slots ask for.
    fn read(
        &self,
        member: &Member,
        (from_ns, to_ns): (i64, i64),
        runs: &[Run],
        gathered: &mut Gathered,
        report: &mut ReadReport,
    ) -> Result<()> {
        let Input { lookup, slots, .. } = &*self.asked.input;
        let mine = || member.slots.iter().filter_map(|slot| Some((*slot, slots.get(*slot)?)));
        let functions: Vec<Function> =
            mine().flat_map(|(_, slot)| slot.functions.iter().copied()).collect();
        // Ways alone need nothing of the engine.
        if !functions.is_empty() {
            let mut buckets: Vec<Bucket> = Vec::new();
            for Run { every, from_ns, to_ns } in runs {
                let (from_ns, to_ns, every) = (*from_ns, *to_ns, *every);
                let aggregation =
                    Aggregation { from_ns, to_ns, every, functions: functions.clone() };
                let some = lookup.snapshot.aggregate_one(member.id, &aggregation, report);
                buckets.append(&mut some.map_err(read_error)?);
                let held = gathered.bytes() + buckets.len() * size_of::<Bucket>();
                self.reading.memory.try_resize(2 * held)?;
            }
            for (number, _) in mine().filter(|(_, slot)| !slot.functions.is_empty()) {
                gathered.add_buckets(number, &buckets);
            }
        }
        for (number, slot) in mine().filter(|(_, slot)| !slot.ways.is_empty()) {
            let (snapshot, cut) = (&lookup.snapshot, &self.asked.cut);
            let (range, watch) = ((from_ns, to_ns), &self.reading.watch);
            let walked = walk(snapshot, member.id, range, cut, &slot.ways, watch, report)?;
            gathered.add_walked(number, walked);
            self.reading.memory.try_resize(2 * gathered.bytes())?;
        }
        Ok(())
    }

    /// Adds the rows of a class that a set of metrics makes: one for each time.
    fn count_rows(
        &self,
        set: &[MetricId],
        (from_ns, to_ns): (i64, i64),
        gathered: &mut Gathered,
    ) -> Result<()> {
        let snapshot = &self.asked.input.lookup.snapshot;
        let windows = set.iter().map(|metric| snapshot.windows(*metric, from_ns..=to_ns));
        let windows = windows.collect::<std::result::Result<Vec<_>, _>>().map_err(read_error)?;
        let mut union = Union::new(windows);
        let mut report = ReadReport::default();
        let mut bucket: Option<(i64, i64)> = None;
        let mut rows = 0;
        while let Some(times) = union.next_piece(&self.reading.watch, &mut report)? {
            for time_ns in times {
                if bucket.is_none_or(|(_, last_ns)| *time_ns > last_ns)
                    && let Some((start_ns, _)) = bucket.replace(self.asked.cut.bucket(*time_ns))
                {
                    gathered.add_rows(start_ns, std::mem::take(&mut rows));
                }
                rows += 1;
            }
            self.reading.memory.try_resize(2 * gathered.bytes() + union.bytes())?;
        }
        if let Some((start_ns, _)) = bucket {
            gathered.add_rows(start_ns, rows);
        }
        self.reading.counters.add(report);
        Ok(())
    }

    /// Adds the buckets that a metric has records in: no times are decoded where statistics say it,
    /// or where the buckets are there already.
    fn find_buckets(
        &self,
        member: &Member,
        (from_ns, to_ns): (i64, i64),
        gathered: &mut Gathered,
        report: &mut ReadReport,
    ) -> Result<()> {
        let cut = &self.asked.cut;
        let windows = self.asked.input.lookup.snapshot.windows(member.id, from_ns..=to_ns);
        for window in windows.map_err(read_error)? {
            let (first_ns, last_ns) = (window.not_before_ns(), window.not_after_ns());
            if gathered.covers(cut, first_ns, last_ns) {
                continue;
            }
            self.reading.watch.check()?;
            let (start_ns, end_ns) = cut.bucket(first_ns);
            if end_ns >= last_ns && window.facts().is_some() {
                report.chunks_from_statistics += window.sealed_chunks();
                gathered.add_start(start_ns);
                continue;
            }
            let mut bucket: Option<(i64, i64)> = None;
            for time_ns in window.times(report).map_err(read_error)? {
                if bucket.is_none_or(|(_, last_ns)| time_ns > last_ns) {
                    let found = cut.bucket(time_ns);
                    gathered.add_start(found.0);
                    bucket = Some(found);
                }
            }
        }
        Ok(())
    }

    fn batch(&self, group: &Group, gathered: &Gathered) -> Result<RecordBatch> {
        let rows = gathered.len().max(1);
        let mut labels = group.keys.iter();
        let key = |key: &Key| match key {
            Key::Label(_) => repeated(labels.next().and_then(Option::as_deref), rows),
            Key::Bucket => Ok(time_array(gathered.starts().collect())),
        };
        let mut columns: Vec<ArrayRef> = self.asked.keys.iter().map(key).collect::<Result<_>>()?;
        for call in self.asked.calls.iter() {
            columns.push(match gathered.is_empty() {
                true => call.of_nothing()?,
                false => gathered.column(call)?,
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = Arc::clone(&self.asked.schema);
        Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
    }

    fn advance(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.ready.next_completed_batch() {
                return Ok(Some(batch));
            }
            if self.is_done {
                return Ok(None);
            }
            let Some((group, from_ns, to_ns)) = self.next_part()? else {
                self.is_done = true;
                self.ready.finish_buffered_batch()?;
                continue;
            };
            let groups = Arc::clone(&self.groups);
            let group = &groups[group];
            let gathered = self.gather(group, from_ns, to_ns)?;
            self.was_empty = gathered.is_empty() && self.slices.is_some();
            if !gathered.is_empty() || self.asked.keys.is_empty() {
                let batch = self.batch(group, &gathered)?;
                if batch.num_columns() == 0 {
                    return Ok(Some(batch));
                }
                self.ready.push_batch(batch)?;
            }
        }
    }
}

impl Iterator for Rows {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance();
        if next.is_err() {
            self.is_done = true;
            self.next_group = self.groups.len();
        }
        next.transpose()
    }
}
