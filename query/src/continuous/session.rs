//! Sessions computed from the store.
//!
//! A session is a run of a group's records that follow each other in less than the gap. Whatever
//! changes at some times changes only the sessions that have a record less than a gap from them: so
//! the sessions around these times are found from the records, outwards to where they end.

use std::collections::BTreeMap;

use chronolith_engine::{Db, Value};

use super::cell::Cell;
use super::error::ContinuousError;
use super::live::Member;
use super::recompute::{Computed, Slice, first_time};
use super::statement::Query;

/// How many gaps are read at first; more each time.
const GAPS_AT_FIRST: i64 = 16;
/// A slice ends behind the session that has read so many records.
const RECORDS_MAX: u64 = 100_000;

/// Records of a group in a range of time, by time and then by metric.
fn records(
    db: &Db,
    query: &Query,
    members: &[Member],
    range: (i64, i64),
) -> Result<Vec<(i64, usize, Value)>, ContinuousError> {
    let mut found = Vec::new();
    let Some((from_ns, to_ns)) = query.conditions.clip(range.0, range.1) else { return Ok(found) };
    for (index, member) in members.iter().enumerate() {
        for block in db.scan(member.id, from_ns..=to_ns)? {
            let block = block?;
            let fitting = block.iter().filter(|(_, value)| query.conditions.hold(*value));
            found.extend(fitting.map(|(time_ns, value)| (time_ns, index, value.to_value())));
        }
    }
    found.sort_by_key(|(time_ns, index, _)| (*time_ns, *index));
    Ok(found)
}

/// The beginning of the session that goes on at a time, or the time itself.
fn beginning(
    db: &Db,
    query: &Query,
    members: &[Member],
    time_ns: i64,
    gap_ns: i64,
) -> Result<i64, ContinuousError> {
    let (mut edge_ns, mut gaps) = (time_ns, GAPS_AT_FIRST);
    loop {
        let from_ns = edge_ns.saturating_sub(gap_ns.saturating_mul(gaps));
        let Some(before_ns) = edge_ns.checked_sub(1) else { return Ok(edge_ns) };
        let found = records(db, query, members, (from_ns, before_ns))?;
        let start_ns = edge_ns;
        for (time_ns, ..) in found.iter().rev() {
            if edge_ns.saturating_sub(*time_ns) >= gap_ns {
                return Ok(edge_ns);
            }
            edge_ns = *time_ns;
        }
        if edge_ns == start_ns || from_ns == i64::MIN {
            return Ok(edge_ns);
        }
        gaps = gaps.saturating_mul(2);
    }
}

/// Computes the sessions that changes of records from a first to a last time may concern. What was
/// there before and is replaced begins between the returned time and [`Slice::done_ns`]; where that
/// is before the last time, the rest is still to be done.
pub(super) fn sessions(
    db: &Db,
    query: &Query,
    members: &[Member],
    range: (i64, i64),
    gap_ns: i64,
) -> Result<(i64, Slice), ContinuousError> {
    let (from_ns, to_ns) = range;
    let from_ns = beginning(db, query, members, from_ns, gap_ns)?;
    // Sessions that begin from here on have no record less than a gap from the changes.
    let beyond_ns = to_ns.saturating_add(gap_ns);
    let mut builder = Builder { query, gap_ns, windows: BTreeMap::new(), current: None };
    let (mut at_ns, mut gaps, mut read) = (from_ns, GAPS_AT_FIRST, 0);
    // Where the slice ends before the last time: no record before it is less than a gap from one
    // behind it.
    let mut cut_ns = None;
    'reading: loop {
        if builder.current.is_none() {
            // Over what has no records in one step.
            let data = query.conditions.clip(at_ns, beyond_ns.saturating_sub(1));
            let metrics = members.iter().map(|member| member.id);
            match data.map(|data| first_time(db, metrics, data)).transpose()?.flatten() {
                Some(first_ns) => at_ns = first_ns,
                None => break,
            }
        }
        let until_ns = at_ns.saturating_add(gap_ns.saturating_mul(gaps));
        for (time_ns, index, value) in records(db, query, members, (at_ns, until_ns))? {
            read += 1;
            let has_ended = builder.end_before(time_ns);
            if builder.current.is_none() && time_ns >= beyond_ns {
                break 'reading;
            }
            if has_ended && read >= RECORDS_MAX && time_ns <= to_ns {
                cut_ns = Some(time_ns - 1);
                break 'reading;
            }
            if let Some(member) = members.get(index) {
                builder.add(member, time_ns, &value);
            }
        }
        let Some(next_ns) = until_ns.checked_add(1) else { break };
        if builder.end_before(next_ns) && read >= RECORDS_MAX && next_ns <= to_ns {
            cut_ns = Some(until_ns);
            break;
        }
        at_ns = next_ns;
        gaps = gaps.saturating_mul(2).min(1 << 20);
    }
    builder.end();
    let last_ns = builder.windows.values().map(|session| session.last_ns).max();
    let done_ns =
        cut_ns.unwrap_or_else(|| last_ns.unwrap_or(i64::MIN).max(beyond_ns.saturating_sub(1)));
    Ok((from_ns, Slice { windows: builder.windows, done_ns, records: read }))
}

/// Sessions on their way.
struct Builder<'a> {
    query: &'a Query,
    gap_ns: i64,
    windows: BTreeMap<i64, Computed>,
    current: Option<(i64, Computed)>,
}

impl Builder<'_> {
    /// Ends the current session where a record of this time is not of it; whether it did.
    fn end_before(&mut self, time_ns: i64) -> bool {
        let is_over = self
            .current
            .as_ref()
            .is_some_and(|(_, session)| time_ns.saturating_sub(session.last_ns) >= self.gap_ns);
        if is_over {
            self.end();
        }
        is_over
    }

    fn end(&mut self) {
        self.windows.extend(self.current.take());
    }

    fn add(&mut self, member: &Member, time_ns: i64, value: &Value) {
        let (_, session) = self.current.get_or_insert_with(|| {
            (time_ns, Computed { last_ns: time_ns, cells: BTreeMap::new() })
        });
        session.last_ns = time_ns;
        let (number, kind) = (member.id.index(), member.id.kind());
        let cell = session.cells.entry(number).or_insert_with(|| Cell::new(kind));
        cell.add(time_ns, value.as_ref(), self.query.needs_path());
    }
}
