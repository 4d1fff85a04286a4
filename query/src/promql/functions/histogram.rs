//! Quantiles and shares of classic histograms: series with a label `le` for each bucket.

use std::collections::HashMap;

use super::{Arguments, Function};
use crate::promql::aggregate::{check_quantile, number};
use crate::promql::error::Result;
use crate::promql::evaluate::Evaluator;
use crate::promql::labels::{Labels, NAME};
use crate::promql::sum::almost_equal;
use crate::promql::value::{ABSENT, Row, is_absent};

const BOUND: &str = "le";

/// The buckets of one histogram: upper bounds and rows by index.
struct Histogram {
    labels: Labels,
    name: String,
    buckets: Vec<(f64, usize)>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    bound: f64,
    count: f64,
}

pub(super) fn classic(arguments: &Arguments<'_, '_>, function: Function) -> Result<Vec<Row>> {
    match function {
        Function::HistogramQuantile => {
            let q = arguments.scalar(0)?;
            let rows = arguments.vector(1)?;
            quantiles(arguments, &rows, &q, None)
        }
        Function::HistogramFraction => {
            let (lower, upper) = (arguments.scalar(0)?, arguments.scalar(1)?);
            let rows = arguments.vector(2)?;
            let histograms = histograms(arguments.evaluator, &rows);
            each(arguments, &histograms, &rows, |step, buckets, _| {
                fraction(lower[step], upper[step], buckets)
            })
        }
        _ => {
            let rows = arguments.vector(0)?;
            let label = arguments.text(1)?;
            let mut results = Vec::new();
            for index in 2..arguments.nodes.len() {
                let q = arguments.scalar(index)?;
                results.extend(quantiles(arguments, &rows, &q, Some(&label))?);
            }
            Ok(results)
        }
    }
}

fn quantiles(
    arguments: &Arguments<'_, '_>,
    rows: &[Row],
    q: &[f64],
    label: Option<&str>,
) -> Result<Vec<Row>> {
    let evaluator = arguments.evaluator;
    if !rows.is_empty() {
        for q in q {
            check_quantile(evaluator, *q);
        }
    }
    let histograms = histograms(evaluator, rows);
    let mut results = each(arguments, &histograms, rows, |step, buckets, name| {
        let (value, forced) = quantile(q[step], buckets);
        if forced {
            let of =
                if name.is_empty() { String::new() } else { format!(" for metric name {name:?}") };
            evaluator.inform(format!(
                "input to histogram_quantile needed to be fixed for monotonicity (see \
                 https://prometheus.io/docs/prometheus/latest/querying/functions/\
                 #histogram_quantile){of}"
            ));
        }
        value
    })?;
    if let (Some(label), Some(q)) = (label, q.first()) {
        for row in &mut results {
            row.labels = row.labels.with(label, &number(*q));
        }
    }
    Ok(results)
}

/// Series that differ only in `le` are one histogram.
fn histograms(evaluator: &Evaluator<'_>, rows: &[Row]) -> Vec<Histogram> {
    let mut histograms: Vec<Histogram> = Vec::new();
    let mut places: HashMap<Labels, usize> = HashMap::new();
    for (index, row) in rows.iter().enumerate() {
        let text = row.labels.get(BOUND);
        let Some(bound) = crate::promql::parse::number_value(text) else {
            let name = row.labels.name();
            let of =
                if name.is_empty() { String::new() } else { format!(" for metric name {name:?}") };
            evaluator.warn(format!(
                "bucket label \"le\" is missing or has a malformed value of {text:?}{of}"
            ));
            continue;
        };
        let key = row.labels.filter(|label| label != BOUND);
        let place = *places.entry(key).or_insert_with_key(|key| {
            let labels = key.filter(|label| label != NAME);
            let name = key.name().to_owned();
            histograms.push(Histogram { labels, name, buckets: Vec::new() });
            histograms.len() - 1
        });
        histograms[place].buckets.push((bound, index));
    }
    for histogram in &mut histograms {
        histogram.buckets.sort_by(|(left, _), (right, _)| left.total_cmp(right));
    }
    histograms
}

/// One row for each histogram: what `of` gives for its buckets at each step.
fn each(
    arguments: &Arguments<'_, '_>,
    histograms: &[Histogram],
    rows: &[Row],
    of: impl Fn(usize, &mut Vec<Bucket>, &str) -> f64,
) -> Result<Vec<Row>> {
    let mut results = Vec::with_capacity(histograms.len());
    let mut buckets: Vec<Bucket> = Vec::new();
    for histogram in histograms {
        arguments.evaluator.reserve(1, arguments.grid.count)?;
        let mut values = Vec::with_capacity(arguments.grid.count);
        for step in 0..arguments.grid.count {
            buckets.clear();
            for (bound, index) in &histogram.buckets {
                let count = rows[*index].values[step];
                match buckets.last_mut() {
                    _ if is_absent(count) => {}
                    // Bounds that are written in two ways are one bucket.
                    Some(last) if last.bound == *bound => last.count += count,
                    _ => buckets.push(Bucket { bound: *bound, count }),
                }
            }
            let value =
                if buckets.is_empty() { ABSENT } else { of(step, &mut buckets, &histogram.name) };
            values.push(value);
        }
        let row = Row::new(histogram.labels.clone(), values);
        if !row.is_empty() {
            results.push(row.nameless());
        }
    }
    Ok(results)
}

/// The quantile, and whether counts had to be made to rise.
fn quantile(q: f64, buckets: &mut [Bucket]) -> (f64, bool) {
    if q.is_nan() {
        return (f64::NAN, false);
    }
    if !(0.0..=1.0).contains(&q) {
        return (if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY }, false);
    }
    let count = buckets.len();
    if count == 0 || buckets[count - 1].bound != f64::INFINITY {
        return (f64::NAN, false);
    }
    let forced = make_monotonic(buckets);
    let observations = buckets[count - 1].count;
    if count < 2 || observations == 0.0 || observations.is_nan() {
        return (f64::NAN, forced);
    }
    let rank = q * observations;
    let index = buckets[..count - 1].partition_point(|bucket| bucket.count < rank);
    if index == count - 1 {
        return (buckets[count - 2].bound, forced);
    }
    let end = buckets[index].bound;
    if index == 0 && end <= 0.0 {
        return (end, forced);
    }
    let (start, below) = match index.checked_sub(1) {
        Some(before) => (buckets[before].bound, buckets[before].count),
        None => (0.0, 0.0),
    };
    let share = (rank - below) / (buckets[index].count - below);
    (start + (end - start) * share, forced)
}

/// Lifts counts that are below the one before them. Whether any was lower by more than rounding.
fn make_monotonic(buckets: &mut [Bucket]) -> bool {
    let mut forced = false;
    let Some(mut before) = buckets.first().map(|bucket| bucket.count) else { return false };
    for bucket in buckets.iter_mut().skip(1) {
        if bucket.count == before {
            continue;
        }
        if almost_equal(before, bucket.count, 1e-12) {
            bucket.count = before;
        } else if bucket.count < before {
            bucket.count = before;
            forced = true;
        } else {
            before = bucket.count;
        }
    }
    forced
}

/// Which share of the observations lies between two bounds.
fn fraction(lower: f64, upper: f64, buckets: &[Bucket]) -> f64 {
    let Some(last) = buckets.last() else { return f64::NAN };
    let unknown = last.bound != f64::INFINITY || last.count == 0.0 || last.count.is_nan();
    if unknown || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank(upper, buckets) - rank(lower, buckets)) / last.count
}

/// How many observations lie below a value, by a straight line inside its bucket.
fn rank(value: f64, buckets: &[Bucket]) -> f64 {
    let total = buckets.last().map_or(0.0, |bucket| bucket.count);
    let mut below = 0.0;
    let mut start = f64::NEG_INFINITY;
    for (index, bucket) in buckets.iter().enumerate() {
        if start >= value {
            return f64::min(below, total);
        }
        if bucket.bound > value {
            // The first bucket of what is never negative begins at zero.
            let start = if index == 0 && bucket.bound > 0.0 { 0.0 } else { start };
            let share = if start.is_infinite() || bucket.bound.is_infinite() {
                0.0
            } else {
                ((value - start) / (bucket.bound - start)).max(0.0)
            };
            return f64::min(below + (bucket.count - below) * share, total);
        }
        below = bucket.count;
        start = bucket.bound;
    }
    total
}
