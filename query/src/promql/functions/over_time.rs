//! Functions of all samples in a window: `sum_over_time` and its kin.

use super::call::{NONE, for_each_series};
use super::{Arguments, Function};
use crate::promql::aggregate::check_quantile;
use crate::promql::error::{Result, execution};
use crate::promql::ranges::{RangeSeries, Ranges};
use crate::promql::source::{Summarized, Summary};
use crate::promql::sum::{Spread, Sum, quantile, running_mean, sort};
use crate::promql::value::{Row, seconds};
use crate::promql::window::{Part, Window, slide};

pub(super) fn applies(function: Function) -> bool {
    function == Function::DoubleExponentialSmoothing || function.name().ends_with("_over_time")
}

pub(super) fn evaluate(arguments: &Arguments<'_, '_>, function: Function) -> Result<Vec<Row>> {
    if function == Function::QuantileOverTime {
        return quantiles(arguments);
    }
    let ranges = arguments.ranges(0)?;
    if let Some(summary) = summary(function)
        && let Some(rows) = summarized(arguments, function, &ranges, summary)?
    {
        return Ok(rows);
    }
    let keeps_name = matches!(function, Function::LastOverTime | Function::FirstOverTime);
    if function == Function::DoubleExponentialSmoothing {
        let (smoothing, trend) = (arguments.scalar(1)?, arguments.scalar(2)?);
        check_factor("smoothing", "sf", &smoothing)?;
        check_factor("trend", "tf", &trend)?;
        return for_each_series(arguments, &ranges, keeps_name, |series, windows| {
            by_window(arguments, series, windows, |step, values| {
                smoothed(values, smoothing[step], trend[step])
            })
        });
    }
    for_each_series(arguments, &ranges, keeps_name, |series, windows| match function {
        Function::MadOverTime => {
            by_window(arguments, series, windows, |_, values| deviation(values))
        }
        function => Ok(sliding(function, series, windows)),
    })
}

/// What a source may know of whole windows.
const fn summary(function: Function) -> Option<Summary> {
    Some(match function {
        Function::CountOverTime => Summary::Count,
        Function::SumOverTime => Summary::Sum,
        Function::AvgOverTime => Summary::Average,
        Function::MinOverTime => Summary::Least,
        Function::MaxOverTime => Summary::Most,
        _ => return None,
    })
}

/// The rows from what the source knows, as of chunks that lie in one window; `None` where it knows
/// nothing.
fn summarized(
    arguments: &Arguments<'_, '_>,
    function: Function,
    ranges: &Ranges<'_>,
    summary: Summary,
) -> Result<Option<Vec<Row>>> {
    let mut rows = Vec::new();
    let knows = ranges.summarize(arguments.evaluator, summary, |summarized| {
        arguments.evaluator.reserve(1, arguments.grid.count)?;
        let row = match summarized {
            Summarized::Windows(labels, values) => {
                Row::new(labels, values.into_iter().map(|value| value.unwrap_or(NONE)).collect())
            }
            Summarized::Samples(series) => {
                let series = RangeSeries::of(series);
                let values = sliding(function, &series, &ranges.windows(&series));
                Row::new(series.labels, values)
            }
        };
        if !row.is_empty() {
            rows.push(row.nameless());
        }
        Ok(())
    })?;
    Ok(knows.then_some(rows))
}

/// What can be told in O(1) for each window from what is known of the one before.
fn sliding(function: Function, series: &RangeSeries, windows: &[Window]) -> Vec<f64> {
    let values = &series.values;
    let at = |index: usize| seconds(series.times[index]);
    let plain = |of: &dyn Fn(&Window) -> f64| {
        let of = |window: &Window| if window.len() == 0 { NONE } else { of(window) };
        windows.iter().map(of).collect()
    };
    match function {
        Function::CountOverTime => plain(&|window| window.len() as f64),
        Function::PresentOverTime => plain(&|_| 1.0),
        Function::FirstOverTime => plain(&|window| values[window.low]),
        Function::LastOverTime => plain(&|window| values[window.high - 1]),
        Function::TsOfFirstOverTime => plain(&|window| at(window.low)),
        Function::TsOfLastOverTime => plain(&|window| at(window.high - 1)),
        Function::SumOverTime => {
            let part = |index: usize| Sum::of(values[index]);
            slide(windows, part, |sum, _| sum.map_or(NONE, Sum::total))
        }
        Function::AvgOverTime => {
            let part = |index: usize| Sum::of(values[index]);
            slide(windows, part, |sum, window| match sum {
                None => NONE,
                Some(sum) => sum.mean().unwrap_or_else(|| {
                    running_mean(values[window.low..window.high].iter().copied())
                }),
            })
        }
        Function::StddevOverTime | Function::StdvarOverTime => {
            let part = |index: usize| Spread::of(values[index]);
            slide(windows, part, |spread, _| match spread {
                None => NONE,
                Some(spread) if function == Function::StdvarOverTime => spread.variance(),
                Some(spread) => spread.variance().sqrt(),
            })
        }
        _ => {
            let most = matches!(function, Function::MaxOverTime | Function::TsOfMaxOverTime);
            let is_time = matches!(function, Function::TsOfMaxOverTime | Function::TsOfMinOverTime);
            let part = |index: usize| Extreme { value: values[index], index, most };
            slide(windows, part, |extreme, _| match extreme {
                None => NONE,
                Some(extreme) if is_time => at(extreme.index),
                Some(extreme) => extreme.value,
            })
        }
    }
}

/// The least or greatest value and the last sample that has it.
#[derive(Debug, Clone, Copy)]
struct Extreme {
    value: f64,
    index: usize,
    most: bool,
}

impl Part for Extreme {
    fn join(self, later: Self) -> Self {
        let wins = if self.most { later.value >= self.value } else { later.value <= self.value };
        if wins || self.value.is_nan() { later } else { self }
    }
}

/// What needs all values of each window, in an own buffer; windows of the same samples are not
/// worked out again.
fn by_window(
    arguments: &Arguments<'_, '_>,
    series: &RangeSeries,
    windows: &[Window],
    mut of: impl FnMut(usize, &mut Vec<f64>) -> f64,
) -> Result<Vec<f64>> {
    let mut buffer = Vec::new();
    let mut results = Vec::with_capacity(windows.len());
    for (step, window) in windows.iter().enumerate() {
        arguments.evaluator.tick()?;
        buffer.clear();
        buffer.extend_from_slice(&series.values[window.low..window.high]);
        results.push(if buffer.is_empty() { NONE } else { of(step, &mut buffer) });
    }
    Ok(results)
}

fn quantiles(arguments: &Arguments<'_, '_>) -> Result<Vec<Row>> {
    let q = arguments.scalar(0)?;
    let ranges = arguments.ranges(1)?;
    let mut is_checked = false;
    for_each_series(arguments, &ranges, false, |series, windows| {
        if !is_checked {
            q.iter().for_each(|q| check_quantile(arguments.evaluator, *q));
            is_checked = true;
        }
        by_window(arguments, series, windows, |step, values| {
            sort(values);
            quantile(q[step], values)
        })
    })
}

/// The median distance from the median.
fn deviation(values: &mut [f64]) -> f64 {
    sort(values);
    let median = quantile(0.5, values);
    for value in values.iter_mut() {
        *value = (*value - median).abs();
    }
    sort(values);
    quantile(0.5, values)
}

fn check_factor(what: &str, short: &str, factors: &[f64]) -> Result<()> {
    match factors.iter().find(|factor| !(**factor > 0.0 && **factor < 1.0)) {
        None => Ok(()),
        Some(factor) => {
            execution(format!("invalid {what} factor. Expected: 0 < {short} < 1, got: {factor:.6}"))
        }
    }
}

/// Holt's linear method: a level and a trend, each smoothed.
fn smoothed(values: &[f64], smoothing: f64, trend: f64) -> f64 {
    let [first, second, ..] = *values else { return NONE };
    let (mut before, mut level, mut slope) = (0.0, first, second - first);
    for (index, value) in values.iter().enumerate().skip(1) {
        if index > 1 {
            slope = trend * (level - before) + (1.0 - trend) * slope;
        }
        before = level;
        level = smoothing * value + (1.0 - smoothing) * (level + slope);
    }
    level
}
