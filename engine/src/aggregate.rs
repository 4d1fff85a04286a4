//! Aggregates over buckets of time, from statistics where a chunk lies in one bucket.

mod accumulate;
mod bucket;
mod stored;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::chunk::body::BodyView;
use crate::error::ReadError;
use crate::layers::{self, MetricRef, WindowLayers, body_fault};
use crate::model::{Column, Kind};
use crate::view::View;
use crate::windows::ReadReport;

pub use accumulate::Partial;
pub use bucket::Every;

/// A function over the values of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Function {
    /// How many records there are.
    Count,
    /// Their sum: exact for integers, compensated for floats.
    Sum,
    /// Their arithmetic mean.
    Avg,
    /// The least; NaNs are skipped.
    Min,
    /// The greatest; NaNs are skipped.
    Max,
    /// The value with the first time.
    First,
    /// The value with the last time.
    Last,
    /// The standard deviation of the sample (n − 1); none for a single record.
    Stddev,
}

impl Function {
    /// All functions.
    pub const ALL: [Self; 8] = [
        Self::Count,
        Self::Sum,
        Self::Avg,
        Self::Min,
        Self::Max,
        Self::First,
        Self::Last,
        Self::Stddev,
    ];

    /// The function's name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::First => "first",
            Self::Last => "last",
            Self::Stddev => "stddev",
        }
    }

    /// Whether values of a kind have this function.
    #[must_use]
    pub const fn applies_to(self, kind: Kind) -> bool {
        match self {
            Self::Count | Self::First | Self::Last => true,
            Self::Sum | Self::Avg | Self::Min | Self::Max | Self::Stddev => {
                kind.is_number() || matches!(kind, Kind::Bool)
            }
        }
    }
}

/// What the functions asked for need of each bucket.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Needs {
    pub(crate) sum: bool,
    pub(crate) bounds: bool,
    pub(crate) ends: bool,
    pub(crate) variance: bool,
}

impl Needs {
    pub(crate) fn of(functions: &[Function]) -> Self {
        let any = |wanted: &[Function]| functions.iter().any(|f| wanted.contains(f));
        Self {
            sum: any(&[Function::Sum, Function::Avg]),
            bounds: any(&[Function::Min, Function::Max]),
            ends: any(&[Function::First, Function::Last]),
            variance: any(&[Function::Stddev]),
        }
    }
}

/// How a range of time is aggregated.
#[derive(Debug, Clone)]
pub struct Aggregation {
    /// First nanosecond of the range.
    pub from_ns: i64,
    /// Last nanosecond of the range.
    pub to_ns: i64,
    /// The buckets.
    pub every: Every,
    /// The functions wanted.
    pub functions: Vec<Function>,
}

/// An aggregated value.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Aggregated {
    /// A count, an exact sum of integers, or a bound of integers of several kinds.
    Integer(i128),
    /// A float.
    Float(f64),
    /// A value of the metric's own kind.
    Value(crate::model::Value),
}

/// One bucket that holds records.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// Its first nanosecond.
    pub start_ns: i64,
    partial: Partial,
}

impl Bucket {
    /// How many records it holds.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.partial.count()
    }

    /// All that is known of it: enough for the functions that were asked for.
    #[must_use]
    pub const fn partial(&self) -> &Partial {
        &self.partial
    }

    /// The value of a function that was asked for; `None` where it has none (a deviation of one
    /// record, a bound of nothing but NaNs).
    #[must_use]
    pub fn get(&self, function: Function) -> Option<Aggregated> {
        self.partial.value(function)
    }
}

/// Aggregates one metric; buckets without records are left out.
pub(crate) fn aggregate(
    view: &Arc<View>,
    metric: MetricRef,
    aggregation: &Aggregation,
    report: &mut ReadReport,
) -> Result<Vec<Bucket>, ReadError> {
    let needs = Needs::of(&aggregation.functions);
    let (first, last) = metric.windows(aggregation.from_ns, aggregation.to_ns);
    let mut buckets = Buckets { aggregation, needs, kind: metric.kind, report, done: Vec::new() };
    let mut scratch = Scratch { times: Vec::new(), values: Column::new(metric.kind) };
    for window in layers::find_pieces(view, metric, first, last)? {
        buckets.add_window(view, metric, window, &mut scratch)?;
    }
    let done = buckets.done.into_iter();
    Ok(done.map(|(start_ns, partial)| Bucket { start_ns, partial }).collect())
}

/// Merges the buckets of several metrics into one series of buckets. Metrics of several kinds are
/// merged without rounding: sums and bounds of integers of any kind are exact integers; where
/// floats are among them a sum is a float that is rounded once, and a bound is the float or the
/// integer that it is.
#[must_use]
pub fn combine(series: &[Vec<Bucket>]) -> Vec<Bucket> {
    let mut merged: BTreeMap<i64, Bucket> = BTreeMap::new();
    for bucket in series.iter().flatten() {
        match merged.get_mut(&bucket.start_ns) {
            Some(existing) => existing.partial.merge(&bucket.partial),
            None => drop(merged.insert(bucket.start_ns, bucket.clone())),
        }
    }
    merged.into_values().collect()
}

/// Columns that are reused from chunk to chunk.
struct Scratch {
    times: Vec<i64>,
    values: Column,
}

/// Buckets on their way, rising.
struct Buckets<'a> {
    aggregation: &'a Aggregation,
    needs: Needs,
    kind: Kind,
    report: &'a mut ReadReport,
    done: Vec<(i64, Partial)>,
}

impl Buckets<'_> {
    fn at(&mut self, start_ns: i64) -> &mut Partial {
        if self.done.last().is_none_or(|(last, _)| *last != start_ns) {
            self.done.push((start_ns, Partial::new(self.kind)));
        }
        let last = self.done.len() - 1;
        &mut self.done[last].1
    }

    fn add_window(
        &mut self,
        view: &View,
        metric: MetricRef,
        window: WindowLayers,
        scratch: &mut Scratch,
    ) -> Result<(), ReadError> {
        let tombstones = view.tombstones.of(metric.number);
        let (from_ns, to_ns) = (self.aggregation.from_ns, self.aggregation.to_ns);
        if let Some((live, entry, body)) = window.single_chunk(tombstones) {
            if body.last_ns < from_ns || body.first_ns > to_ns {
                return Ok(());
            }
            let every = self.aggregation.every;
            let start_ns = every.start_of(body.first_ns);
            let is_whole = body.first_ns >= from_ns
                && body.last_ns <= to_ns
                && every.start_of(body.last_ns) == start_ns;
            let statistics = body.statistics.filter(|_| is_whole && !self.needs.variance);
            if let Some(statistics) = statistics {
                self.report.chunks_from_statistics += 1;
                let count = u64::from(body.count);
                self.at(start_ns).add_statistics(&statistics, count, body.first_ns, body.last_ns);
                return Ok(());
            }
            self.report.note(&window);
            let bytes = live.segment.body(entry, body)?;
            let fault = |error: &dyn std::fmt::Display| body_fault(live, body, error);
            let view = BodyView::parse(&bytes, body.count as usize).map_err(|e| fault(&e))?;
            scratch.values.clear();
            view.values_into(entry.kind, &mut scratch.values).map_err(|e| fault(&e))?;
            let times = view.times().map_err(|e| fault(&e))?;
            if let Some((first, step)) = times.regular().filter(|(_, step)| *step > 0) {
                let count = body.count as usize;
                self.add_regular(first, step, count, &scratch.values);
                return Ok(());
            }
            scratch.times.clear();
            times.decode(&mut scratch.times).map_err(|e| fault(&e))?;
            self.add_columns(&scratch.times, &scratch.values);
            return Ok(());
        }
        self.report.note(&window);
        let mut slices = window.slices(metric)?;
        while let Some(block) = slices.next(tombstones).transpose()? {
            self.add_columns(block.times(), block.values());
        }
        Ok(())
    }

    /// Adds records at `first + i * step`, of which there are `count`.
    fn add_regular(&mut self, first: i64, step: i64, count: usize, values: &Column) {
        let time = |index: usize| first.wrapping_add(step.wrapping_mul(index as i64));
        // How many of the times are before a limit.
        let before = |limit: i64| {
            let span = i128::from(limit) - i128::from(first);
            (span.max(0) as u128).div_ceil(step as u128).min(count as u128) as usize
        };
        let mut index = before(self.aggregation.from_ns);
        let end = match self.aggregation.to_ns.checked_add(1) {
            Some(limit) => before(limit),
            None => count,
        };
        while index < end {
            let start_ns = self.aggregation.every.start_of(time(index));
            let next = self.aggregation.every.end_of(start_ns).map_or(count, before).min(end);
            let needs = self.needs;
            let ends_ns = (time(index), time(next - 1));
            self.at(start_ns).add_values(values, index..next, needs, ends_ns);
            index = next;
        }
    }

    fn add_columns(&mut self, times: &[i64], values: &Column) {
        let mut index = times.partition_point(|time| *time < self.aggregation.from_ns);
        let end = times.partition_point(|time| *time <= self.aggregation.to_ns);
        while index < end {
            let start_ns = self.aggregation.every.start_of(times[index]);
            let next = match self.aggregation.every.end_of(start_ns) {
                Some(limit) => index + times[index..end].partition_point(|time| *time < limit),
                None => end,
            };
            let needs = self.needs;
            let ends_ns = (times[index], times[next - 1]);
            self.at(start_ns).add_values(values, index..next, needs, ends_ns);
            index = next;
        }
    }
}
