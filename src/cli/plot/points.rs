//! Points of the answers of queries, which are held in memory.

use crate::plot::{Gap, Line, LineBuilder};

/// Points of one line, in the order of time.
pub(super) type Points = Vec<(i64, f64)>;

/// The line through points.
pub(super) fn line(
    name: String,
    points: &Points,
    span_ns: (i64, i64),
    columns: u32,
    gap: Gap,
) -> Line {
    let mut builder = LineBuilder::new(name, span_ns, columns, gap);
    points.iter().for_each(|(time_ns, value)| builder.push(*time_ns, *value));
    builder.finish()
}

/// The first and the last time of all points.
#[cfg(feature = "sql")]
pub(super) fn data_span<'a>(all: impl Iterator<Item = &'a Points>) -> Option<(i64, i64)> {
    let times = || all.flat_map(|points| points.iter().map(|(time_ns, _)| *time_ns));
    times().fold(None, |span: Option<(i64, i64)>, time_ns| match span {
        None => Some((time_ns, time_ns)),
        Some((first, last)) => Some((first.min(time_ns), last.max(time_ns))),
    })
}
