//! What the engine knows of whole windows: its aggregates over buckets, which come from statistics
//! where a chunk lies in one window.

use chronolith_engine::{
    Aggregated, Aggregation, Bucket, Every, Function, Kind, MetricId, Snapshot, Value,
};

use super::{Summary, Tiles};
use crate::promql::error::Result;

/// Windows and a summary as the engine is asked for them.
pub(super) struct Request {
    /// The first and the last nanosecond of all windows.
    pub(super) reach_ns: (i64, i64),
    every: Every,
    tiles: Tiles,
    function: Function,
}

impl Request {
    /// `None` where the windows reach over the ends of time.
    pub(super) fn new(tiles: &Tiles, summary: Summary) -> Option<Self> {
        // The start of a window is left out and its end is in it: the other way round than in
        // buckets, which therefore begin a nanosecond later.
        let first_ns = tiles.start_ns.checked_add(1)?;
        let total_ns = tiles.length_ns.checked_mul(i64::try_from(tiles.count).ok()?)?;
        let last_ns = tiles.start_ns.checked_add(total_ns)?;
        let every = match tiles.count {
            1 => Every::Everything,
            _ => Every::NanosecondsFrom { length_ns: tiles.length_ns, origin_ns: first_ns },
        };
        let function = match summary {
            Summary::Count => Function::Count,
            Summary::Sum => Function::Sum,
            Summary::Average => Function::Avg,
            Summary::Least => Function::Min,
            Summary::Most => Function::Max,
        };
        (first_ns <= last_ns).then_some(Self {
            reach_ns: (first_ns, last_ns),
            every,
            tiles: *tiles,
            function,
        })
    }

    /// The window of a bucket.
    fn index(&self, bucket: &Bucket) -> usize {
        if self.tiles.count == 1 {
            return 0;
        }
        let since_ns = i128::from(bucket.start_ns) - i128::from(self.reach_ns.0);
        usize::try_from(since_ns / i128::from(self.tiles.length_ns)).unwrap_or(usize::MAX)
    }
}

/// The summary of each window of a metric; `None` where the samples themselves are needed: markers
/// of where a series ends are NaN and must not be counted, and a sum beyond the floats is no mean.
pub(super) fn windows(
    snapshot: &Snapshot,
    metric: MetricId,
    kind: Kind,
    request: &Request,
) -> Result<Option<Vec<Option<f64>>>> {
    let (from_ns, to_ns) = request.reach_ns;
    let functions = vec![request.function, Function::Sum];
    let aggregation = Aggregation { from_ns, to_ns, every: request.every, functions };
    let mut values = vec![None; request.tiles.count];
    for bucket in snapshot.aggregate(&[metric], &aggregation)?.iter().flatten() {
        let is_finite = |sum: Aggregated| number(sum).is_some_and(f64::is_finite);
        if kind == Kind::F64 && !bucket.get(Function::Sum).is_some_and(is_finite) {
            return Ok(None);
        }
        if let Some(value) = values.get_mut(request.index(bucket)) {
            *value = bucket.get(request.function).and_then(number);
        }
    }
    Ok(Some(values))
}

fn number(value: Aggregated) -> Option<f64> {
    Some(match value {
        Aggregated::Integer(value) => value as f64,
        Aggregated::Float(value) | Aggregated::Value(Value::F64(value)) => value,
        Aggregated::Value(Value::I64(value)) => value as f64,
        Aggregated::Value(Value::U64(value)) => value as f64,
        Aggregated::Value(Value::Bool(value)) => f64::from(u8::from(value)),
        _ => return None,
    })
}
