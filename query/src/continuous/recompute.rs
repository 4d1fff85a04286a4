//! Windows computed from the store: at creation, after a restart, and where records came late, were
//! overwritten or deleted.

use std::collections::BTreeMap;

use chronolith_engine::{Aggregation, Db, Function, MetricId, ReadReport, ValueRef};

use super::cell::Cell;
use super::error::ContinuousError;
use super::live::Member;
use super::statement::{Conditions, Query};
use super::window::Windows;

/// A window that was computed: its last nanosecond, and what is known of each metric.
pub(super) struct Computed {
    pub(super) last_ns: i64,
    pub(super) cells: BTreeMap<u32, Cell>,
}

/// Windows that were computed from the store.
pub(super) struct Slice {
    /// By beginning; only those with records.
    pub(super) windows: BTreeMap<i64, Computed>,
    /// All windows that begin up to here are among them; for sessions, all that have a record
    /// before it.
    pub(super) done_ns: i64,
    /// How many records were read or answered from statistics.
    pub(super) records: u64,
}

impl Conditions {
    /// Whether a record is one that the query asks for.
    pub(super) fn hold(&self, value: ValueRef<'_>) -> bool {
        self.values.iter().all(|condition| condition.holds(value))
    }

    /// A range of time without what the conditions leave out.
    pub(super) fn clip(&self, from_ns: i64, to_ns: i64) -> Option<(i64, i64)> {
        let (from_ns, to_ns) = (from_ns.max(self.from_ns), to_ns.min(self.to_ns));
        (from_ns <= to_ns).then_some((from_ns, to_ns))
    }
}

/// The time of the first record in a range, of any of some metrics.
pub(super) fn first_time(
    db: &Db,
    metrics: impl IntoIterator<Item = MetricId>,
    range: (i64, i64),
) -> Result<Option<i64>, ContinuousError> {
    let mut first: Option<i64> = None;
    let mut report = ReadReport::default();
    for metric in metrics {
        let to_ns = first.map_or(range.1, |first| first.min(range.1));
        for window in db.live().windows(metric, range.0..=to_ns)? {
            if let Some(time_ns) = window.times(&mut report)?.first() {
                first = Some(first.map_or(*time_ns, |first| first.min(*time_ns)));
                break;
            }
        }
    }
    Ok(first)
}

/// Computes fixed windows of a group that begin in a range: at most so many, but one at least.
pub(super) fn fixed(
    db: &Db,
    query: &Query,
    members: &[Member],
    range: (i64, i64),
    most: usize,
) -> Result<Slice, ContinuousError> {
    let (from_ns, to_ns) = range;
    let windows = &query.windows;
    let nothing = Slice { windows: BTreeMap::new(), done_ns: to_ns, records: 0 };
    let reach_ns = windows.latest_start(to_ns).map_or(i64::MAX, |start| windows.at(start).last_ns);
    let Some(data) = query.conditions.clip(from_ns, reach_ns) else { return Ok(nothing) };
    let Some(first_ns) = first_time(db, members.iter().map(|member| member.id), data)? else {
        return Ok(nothing);
    };
    let Some(earliest_ns) = windows.earliest_start(first_ns) else {
        // No calendar has these times; the next may be one that has.
        return Ok(Slice { done_ns: first_ns.min(to_ns), ..nothing });
    };
    // Windows without records are passed over, those before the range are not asked for.
    let mut start_ns = earliest_ns;
    while start_ns < from_ns {
        match windows.next_start(start_ns) {
            Some(next_ns) => start_ns = next_ns,
            None => return Ok(nothing),
        }
    }
    if start_ns > to_ns {
        return Ok(nothing);
    }
    let (mut end_ns, mut done_ns) = (start_ns, to_ns);
    for _ in 1..most {
        match windows.next_start(end_ns).filter(|next_ns| *next_ns <= to_ns) {
            Some(next_ns) => end_ns = next_ns,
            None => break,
        }
    }
    if let Some(next_ns) = windows.next_start(end_ns).filter(|next_ns| *next_ns <= to_ns) {
        done_ns = next_ns - 1;
    }
    let mut slice = Slice { windows: BTreeMap::new(), done_ns, records: 0 };
    let last_ns = windows.at(end_ns).last_ns;
    let Some(data) = query.conditions.clip(start_ns, last_ns) else { return Ok(slice) };
    for member in members {
        fill(db, query, member, (start_ns, end_ns), data, &mut slice)?;
    }
    Ok(slice)
}

/// Adds the records of one metric to the windows that begin in a range.
fn fill(
    db: &Db,
    query: &Query,
    member: &Member,
    starts: (i64, i64),
    data: (i64, i64),
    slice: &mut Slice,
) -> Result<(), ContinuousError> {
    let metric = member.id;
    // Of others it is enough to know whether there are records.
    let mut functions = if member.is_aggregated { query.functions() } else { Vec::new() };
    let needs_path = query.needs_path() && member.is_aggregated;
    let is_plain = !needs_path
        && query.conditions.values.is_empty()
        && functions.iter().all(|function| function.applies_to(metric.kind()));
    if let Some(every) = query.windows.every().filter(|_| is_plain) {
        // The bounds say what has been seen, whatever is asked for.
        functions.extend([Function::First, Function::Last]);
        let (from_ns, to_ns) = data;
        let aggregation = Aggregation { from_ns, to_ns, every, functions };
        for bucket in db.aggregate(&[metric], &aggregation)?.into_iter().flatten() {
            slice.records += bucket.count();
            let cell = Cell::of_partial(bucket.partial().clone());
            slice.window(&query.windows, bucket.start_ns).cells.insert(metric.index(), cell);
        }
        return Ok(());
    }
    for block in db.scan(metric, data.0..=data.1)? {
        let block = block?;
        slice.records += block.len() as u64;
        for (time_ns, value) in block.iter() {
            if !query.conditions.hold(value) {
                continue;
            }
            for window in query.windows.holding(time_ns) {
                if (starts.0..=starts.1).contains(&window.start_ns) {
                    let cells = &mut slice.window(&query.windows, window.start_ns).cells;
                    let cell =
                        cells.entry(metric.index()).or_insert_with(|| Cell::new(metric.kind()));
                    cell.add(time_ns, value, needs_path);
                }
            }
        }
    }
    Ok(())
}

impl Slice {
    fn window(&mut self, windows: &Windows, start_ns: i64) -> &mut Computed {
        self.windows.entry(start_ns).or_insert_with(|| {
            let last_ns = windows.at(start_ns).last_ns;
            Computed { last_ns, cells: BTreeMap::new() }
        })
    }
}

/// Computes what is known of one metric in one fixed window; `None` where it has no records there.
pub(super) fn cell(
    db: &Db,
    query: &Query,
    member: &Member,
    start_ns: i64,
) -> Result<(Option<Cell>, u64), ContinuousError> {
    let last_ns = query.windows.at(start_ns).last_ns;
    let Some(data) = query.conditions.clip(start_ns, last_ns) else { return Ok((None, 0)) };
    let mut slice = Slice { windows: BTreeMap::new(), done_ns: start_ns, records: 0 };
    fill(db, query, member, (start_ns, start_ns), data, &mut slice)?;
    let computed = slice.windows.remove(&start_ns);
    let cell = computed.and_then(|mut computed| computed.cells.remove(&member.id.index()));
    Ok((cell, slice.records))
}
