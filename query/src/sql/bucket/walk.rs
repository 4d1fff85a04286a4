//! Walks: functions of the way that values take, over the records of one metric by time.

use chronolith_engine::{Column, MetricId, ReadReport, Snapshot};
use datafusion::common::{Result, internal_err};

use super::cut::Cut;
use crate::sql::aggregates::points::Way;
use crate::sql::catalog::read_error;
use crate::sql::watch::Watch;
use crate::ways::Share;

/// What a metric gives to some ways in each bucket that holds records, by the bucket's beginning.
pub(super) type Walked = Vec<(i64, Vec<Option<Share>>)>;

/// Walks over the records of a metric from a first to a last time.
pub(super) fn walk(
    snapshot: &Snapshot,
    metric: MetricId,
    (from_ns, to_ns): (i64, i64),
    cut: &Cut,
    ways: &[Way],
    watch: &Watch,
    report: &mut ReadReport,
) -> Result<Walked> {
    let mut walk = Walk { cut, fresh: ways, ways: ways.to_vec(), bucket: None, done: Vec::new() };
    for window in snapshot.windows(metric, from_ns..=to_ns).map_err(read_error)? {
        watch.check()?;
        let (times, values) = window.decode(report).map_err(read_error)?.into_columns();
        match values {
            Column::F64(values) => walk.extend(&times, values.iter().copied()),
            Column::I64(values) => walk.extend(&times, values.iter().map(|value| *value as f64)),
            Column::U64(values) => walk.extend(&times, values.iter().map(|value| *value as f64)),
            other => return internal_err!("there is no way through {} values", other.kind()),
        }
    }
    walk.finish_bucket();
    Ok(walk.done)
}

struct Walk<'a> {
    cut: &'a Cut,
    /// The ways at their beginning.
    fresh: &'a [Way],
    ways: Vec<Way>,
    /// The first and the last nanosecond of the current bucket.
    bucket: Option<(i64, i64)>,
    done: Walked,
}

impl Walk<'_> {
    fn extend(&mut self, times: &[i64], values: impl Iterator<Item = f64>) {
        for (time_ns, value) in times.iter().zip(values) {
            if self.bucket.is_none_or(|(_, last_ns)| *time_ns > last_ns) {
                self.finish_bucket();
                self.bucket = Some(self.cut.bucket(*time_ns));
            }
            for way in &mut self.ways {
                way.add(*time_ns, value);
            }
        }
    }

    fn finish_bucket(&mut self) {
        if let Some((start_ns, _)) = self.bucket.take() {
            let shares = self.ways.iter().map(Way::share).collect();
            self.done.push((start_ns, shares));
            self.ways.copy_from_slice(self.fresh);
        }
    }
}
