//! What `SHOW CONTINUOUS QUERIES` says.

use chronolith_engine::{Db, Sequence};

use super::live::Live;
use super::row::Cursor;
use super::state;

/// How a continuous query is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// The metric that its answers are kept in, or what their names begin with.
    pub into: String,
    /// Whether it was paused.
    pub is_paused: bool,
    /// How much of what must be computed from the store (at creation: the backfill) is done, from 0
    /// to 1.
    pub progress: f64,
    /// How many batches of the log it has not seen yet.
    pub lag: u64,
    /// All records before this time have come, as far as it knows: nanoseconds since the epoch.
    pub watermark_ns: Option<i64>,
    /// Records that were taken as they came.
    pub records: u64,
    /// Records that came after their window had closed.
    pub late_records: u64,
    /// Records whose time was further ahead of the clock than `max_ahead`: they are answered, but do
    /// not move the watermark.
    pub ahead_records: u64,
    /// Windows that were computed from the store.
    pub recomputed_windows: u64,
    /// Records that were read, or answered from statistics, for that.
    pub reread_records: u64,
    /// Values that the kind of their column cannot hold; they are left out.
    pub unfit_values: u64,
    /// Windows that are open.
    pub open_windows: usize,
    /// Groups of metrics.
    pub groups: usize,
    /// What is kept between runs: bytes.
    pub state_bytes: usize,
    /// The last change.
    pub cursor: Cursor,
    /// The earliest cursor that a subscription can begin after.
    pub oldest_cursor: Cursor,
    /// The statement.
    pub statement: String,
}

impl Live {
    pub(super) fn status(&self, db: &Db, last: Sequence, oldest: Cursor) -> Status {
        let pending = || self.groups.iter().flat_map(|group| &group.pending);
        let length =
            |from_ns: i64, to_ns: i64| (i128::from(to_ns) - i128::from(from_ns)) as f64 + 1.0;
        let all: f64 = pending().map(|p| length(p.origin_ns, p.to_ns)).sum();
        let left: f64 = pending().map(|p| length(p.from_ns, p.to_ns)).sum();
        Status {
            name: self.query.name.clone(),
            into: self.query.into.clone(),
            is_paused: self.progress.is_paused,
            progress: if all > 0.0 { 1.0 - left / all } else { 1.0 },
            lag: last.saturating_sub(self.progress.position),
            watermark_ns: self.watermark_ns(),
            records: self.progress.records,
            late_records: self.progress.late,
            ahead_records: self.progress.ahead,
            recomputed_windows: self.progress.recomputed,
            reread_records: self.progress.reread,
            unfit_values: self.progress.unfit,
            open_windows: self.groups.iter().map(|group| group.open.len()).sum(),
            groups: self.groups.len(),
            state_bytes: state::size_bytes(db, &self.query.name),
            cursor: self.progress.cursor,
            oldest_cursor: oldest,
            statement: self.query.text.clone(),
        }
    }
}
