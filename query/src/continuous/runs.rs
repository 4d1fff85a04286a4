//! Runs: the records of each metric that a step has gathered, merged into windows together.
//!
//! Writers mostly send the records of many metrics at one time, so that the records of a metric are far
//! apart in the log. Gathered, those that fall into one window are found, looked up and bounded once.
//! The order among metrics does not matter, since each has its own cells; deletions, which concern what
//! was written before them, make the runs be taken first.

use chronolith_engine::ValueRef;

use super::cell::Cell;
use super::intake::Touched;
use super::live::{Live, Open, closes_ns};
use super::statement::Late;
use super::window::{Span, Windows};

/// Runs are taken when they hold so many records.
const RUNS_MAX: usize = 16_384;
/// The same where a record may fall into many windows: then nothing is looked up together.
const OVERLAPPING_MAX: usize = 16;

/// A record as it is in the log.
type Record<'a> = (i64, ValueRef<'a>);

/// The records of one metric, in the order in which they were written.
struct Run<'a> {
    group: usize,
    metric: u32,
    records: Vec<Record<'a>>,
}

/// What was gathered of each metric.
pub(super) struct Runs<'a> {
    /// The watermark when the step began.
    pub(super) watermark_ns: Option<i64>,
    runs: Vec<Run<'a>>,
    /// The run of each metric by its number, and 1 more; 0 where there is none.
    of_metric: Vec<u32>,
    len: usize,
    len_max: usize,
}

impl<'a> Runs<'a> {
    pub(super) const fn new(watermark_ns: Option<i64>, windows: &Windows) -> Self {
        let len_max = match windows {
            Windows::Tumbling(_) => RUNS_MAX,
            _ => OVERLAPPING_MAX,
        };
        Self { watermark_ns, runs: Vec::new(), of_metric: Vec::new(), len: 0, len_max }
    }

    /// Whether they should be taken before more comes.
    pub(super) const fn is_full(&self) -> bool {
        self.len >= self.len_max
    }

    /// Adds a record.
    pub(super) fn push(&mut self, group: usize, metric: u32, time_ns: i64, value: ValueRef<'a>) {
        let index = metric as usize;
        if self.of_metric.len() <= index {
            self.of_metric.resize(index + 1, 0);
        }
        if self.of_metric[index] == 0 {
            self.runs.push(Run { group, metric, records: Vec::new() });
            self.of_metric[index] = self.runs.len() as u32;
        }
        self.runs[self.of_metric[index] as usize - 1].records.push((time_ns, value));
        self.len += 1;
    }
}

impl Live {
    /// Merges all that was gathered.
    pub(super) fn take_runs(&mut self, runs: &mut Runs<'_>, touched: &mut Touched) {
        runs.len = 0;
        for run in &mut runs.runs {
            let mut rest = &run.records[..];
            while let Some((time_ns, _)) = rest.first() {
                let holding = self.query.windows.holding(*time_ns);
                // Where windows overlap, the next record may fall into others.
                let together = match (&self.query.windows, holding.first()) {
                    (Windows::Tumbling(_), Some(window)) => {
                        let is_of =
                            |time_ns: i64| window.start_ns <= time_ns && time_ns <= window.last_ns;
                        rest.iter().take_while(|(time_ns, _)| is_of(*time_ns)).count().max(1)
                    }
                    _ => 1,
                };
                let (part, next) = rest.split_at(together);
                self.take_part((run.group, run.metric), part, &holding, runs.watermark_ns, touched);
                rest = next;
            }
            run.records.clear();
        }
    }

    /// Merges records that fall into the same windows.
    fn take_part(
        &mut self,
        (index, metric): (usize, u32),
        part: &[Record<'_>],
        windows: &[Span],
        watermark_ns: Option<i64>,
        touched: &mut Touched,
    ) {
        let (mut is_late, mut taken) = (false, 0);
        for Span { start_ns, last_ns } in windows.iter().copied() {
            let closes_ns = closes_ns(&self.query, last_ns);
            let group = &mut self.groups[index];
            if watermark_ns.is_some_and(|watermark_ns| closes_ns <= watermark_ns) {
                is_late = true;
                if self.query.options.late == Late::Recompute {
                    // Up to where the next begins, so that neighbours become one span.
                    let next_ns = self.query.windows.next_start(start_ns);
                    let to_ns = next_ns.map_or(start_ns, |next_ns| next_ns - 1);
                    group.note(start_ns, to_ns, 1);
                }
                continue;
            }
            if group.is_pending(start_ns) {
                continue;
            }
            let known = group.open.get_mut(&start_ns).and_then(|open| open.cells.remove(&metric));
            let is_known = known.is_some();
            let Some(kind) = part.first().map(|(_, value)| value.kind()) else { return };
            let mut cell = known.unwrap_or_else(|| Cell::new(kind));
            let added = self.query.add_all(&mut cell, part);
            if added.is_dirty {
                touched.dirty.entry((index, start_ns)).or_default().insert(metric);
            }
            if added.count > 0 {
                touched.rows.insert((index, start_ns));
                touched.cells.insert((index, start_ns, metric));
            }
            if is_known || added.count > 0 {
                let open = group.open.entry(start_ns).or_insert_with(|| {
                    self.closing.insert((closes_ns, index, start_ns));
                    Open { last_ns, shown: Some(None), ..Open::default() }
                });
                open.cells.insert(metric, cell);
            }
            taken = taken.max(added.count);
        }
        self.progress.records += taken;
        self.progress.late += if is_late { part.len() as u64 } else { 0 };
    }
}
