//! How fast series change: counters, gauges and straight lines through them.

use super::call::{NONE, for_each_series};
use super::{Arguments, Function};
use crate::promql::error::Result;
use crate::promql::ranges::RangeSeries;
use crate::promql::value::{Row, seconds};
use crate::promql::window::{Part, Window, slide};

pub(super) fn evaluate(arguments: &Arguments<'_, '_>, function: Function) -> Result<Vec<Row>> {
    let ranges = arguments.ranges(0)?;
    let is_counter = matches!(function, Function::Rate | Function::Increase);
    let ahead = match function {
        Function::PredictLinear => Some(arguments.scalar(1)?),
        _ => None,
    };
    for_each_series(arguments, &ranges, false, |series, windows| {
        if is_counter {
            inform_of_gauge(arguments, series, windows);
        }
        Ok(match function {
            Function::Rate | Function::Increase | Function::Delta => {
                extrapolated(function, series, windows, ranges.range_ns)
            }
            Function::Irate => last_two(series, windows, true),
            Function::Idelta => last_two(series, windows, false),
            Function::Resets => counted(series, windows, |before, value| value < before),
            Function::Changes => counted(series, windows, |before, value| {
                value != before && !(value.is_nan() && before.is_nan())
            }),
            _ => lines(series, windows, ahead.as_deref()),
        })
    })
}

/// Says where the name does not look like that of a counter.
fn inform_of_gauge(arguments: &Arguments<'_, '_>, series: &RangeSeries, windows: &[Window]) {
    let name = series.labels.name();
    let endings = ["_total", "_sum", "_count", "_bucket"];
    let is_named_so = name.is_empty() || endings.iter().any(|ending| name.ends_with(ending));
    if !is_named_so && windows.iter().any(|window| window.len() > 1) {
        arguments.evaluator.inform(format!(
            "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \
             {name:?}"
        ));
    }
}

/// What counters lost when they were set back.
#[derive(Debug, Clone, Copy)]
struct Lost(f64);

impl Part for Lost {
    fn join(self, later: Self) -> Self {
        Self(self.0 + later.0)
    }
}

/// `rate`, `increase` and `delta`: the change between first and last sample, extended to the ends
/// of the window where they are near, and never below zero of a counter.
fn extrapolated(
    function: Function,
    series: &RangeSeries,
    windows: &[Window],
    range_ns: i64,
) -> Vec<f64> {
    let values = &series.values;
    let is_counter = function != Function::Delta;
    // Resets are few, and windows slide over them alone: over those behind their first sample.
    let is_reset = |index: &usize| is_counter && values[*index] < values[*index - 1];
    let resets: Vec<usize> = (1..values.len()).filter(is_reset).collect();
    let inside = |window: &Window| {
        let low = resets.partition_point(|reset| *reset <= window.low);
        let high = low + resets[low..].partition_point(|reset| *reset < window.high);
        Window { low, high, ..*window }
    };
    let inside: Vec<Window> = windows.iter().map(inside).collect();
    let mut all = windows.iter();
    slide(
        &inside,
        |index| Lost(values[resets[index] - 1]),
        |lost, _| {
            let Some(window) = all.next().filter(|window| window.len() > 1) else { return NONE };
            let lost = lost.map_or(0.0, |Lost(lost)| lost);
            let change = values[window.high - 1] - values[window.low] + lost;
            let factor = extension(series, window, change, is_counter);
            let factor =
                if function == Function::Rate { factor / seconds(range_ns) } else { factor };
            change * factor
        },
    )
}

/// By how much the change grows when it is extended to the ends of the window.
fn extension(series: &RangeSeries, window: &Window, change: f64, is_counter: bool) -> f64 {
    let (first_ns, last_ns) = (series.times[window.low], series.times[window.high - 1]);
    let mut to_start = seconds(first_ns.saturating_sub(window.start_ns));
    let mut to_end = seconds(window.end_ns.saturating_sub(last_ns));
    let sampled = seconds(last_ns.saturating_sub(first_ns));
    let between = sampled / (window.len() - 1) as f64;
    // Samples this far from an end say that the series begins or ends inside.
    let threshold = between * 1.1;
    if to_start >= threshold {
        to_start = between / 2.0;
    }
    let first = series.values[window.low];
    if is_counter && change > 0.0 && first >= 0.0 {
        // The counter was zero at most this long ago.
        to_start = to_start.min(sampled * (first / change));
    }
    if to_end >= threshold {
        to_end = between / 2.0;
    }
    (sampled + to_start + to_end) / sampled
}

/// `irate` and `idelta`: of the last two samples.
fn last_two(series: &RangeSeries, windows: &[Window], is_rate: bool) -> Vec<f64> {
    let of = |window: &Window| {
        if window.len() < 2 {
            return NONE;
        }
        let (before, last) = (window.high - 2, window.high - 1);
        let (earlier, value) = (series.values[before], series.values[last]);
        if !is_rate {
            return value - earlier;
        }
        // A counter that was set back began at zero.
        let change = if value < earlier { value } else { value - earlier };
        change / seconds(series.times[last].saturating_sub(series.times[before]))
    };
    windows.iter().map(of).collect()
}

/// How many samples of each window stand so to the one before them.
fn counted(
    series: &RangeSeries,
    windows: &[Window],
    counts: impl Fn(f64, f64) -> bool,
) -> Vec<f64> {
    let mut total = 0_u64;
    let mut until: Vec<u64> = Vec::with_capacity(series.values.len());
    for (index, value) in series.values.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| series.values[before]);
        total += u64::from(before.is_some_and(|before| counts(before, *value)));
        until.push(total);
    }
    let of = |window: &Window| match window.len() {
        0 => NONE,
        _ => (until[window.high - 1] - until[window.low]) as f64,
    };
    windows.iter().map(of).collect()
}

/// Moments of samples around their mean, from which the line of least squares follows.
#[derive(Debug, Clone, Copy)]
struct Moments {
    count: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
}

impl Part for Moments {
    fn join(self, later: Self) -> Self {
        let count = self.count + later.count;
        let (dx, dy) = (later.x - self.x, later.y - self.y);
        let weight = self.count * later.count / count;
        let share = later.count / count;
        Self {
            count,
            x: self.x + dx * share,
            y: self.y + dy * share,
            xx: self.xx + later.xx + dx * dx * weight,
            xy: self.xy + later.xy + dx * dy * weight,
        }
    }
}

/// `deriv`, and `predict_linear` where `ahead` says how many seconds.
fn lines(series: &RangeSeries, windows: &[Window], ahead: Option<&[f64]>) -> Vec<f64> {
    let Some(origin_ns) = series.times.first().copied() else {
        return vec![NONE; windows.len()];
    };
    let part = |index: usize| Moments {
        count: 1.0,
        x: seconds(series.times[index].saturating_sub(origin_ns)),
        y: series.values[index],
        xx: 0.0,
        xy: 0.0,
    };
    let mut step = 0;
    slide(windows, part, |moments, window| {
        let index = step;
        step += 1;
        let Some(moments) = moments.filter(|moments| moments.count > 1.0) else { return NONE };
        if !moments.y.is_finite() {
            return f64::NAN;
        }
        let slope = moments.xy / moments.xx;
        match ahead {
            None => slope,
            Some(ahead) => {
                let now = seconds(window.time_ns.saturating_sub(origin_ns));
                moments.y + slope * (now + ahead[index] - moments.x)
            }
        }
    })
}
