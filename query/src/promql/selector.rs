//! Selectors on a grid: the current value of each series, and its samples in windows.

use super::ast::{At, Expr, Node, Selector, Shift};
use super::error::{Result, execution};
use super::evaluate::{Charge, Evaluator};
use super::labels::Labels;
use super::source::{Series, is_stale};
use super::value::{ABSENT, Grid, Row, is_absent, seconds};
use super::window::{Window, windows};

/// The times that a selector with `@` and `offset` looks at, for each time of a grid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    grid: Grid,
    fixed_ns: Option<i64>,
    offset_ns: i64,
}

impl Ends {
    pub(crate) fn new(evaluator: &Evaluator<'_>, shift: &Shift, grid: &Grid) -> Result<Self> {
        let fixed_ns = shift.at.map(|at| match at {
            At::Start => evaluator.query.start_ns,
            At::End => evaluator.query.end_ns(),
            At::Nanoseconds(time_ns) => time_ns,
        });
        let offset_ns = match &shift.offset {
            Some(span) => evaluator.span_ns(span)?,
            None => 0,
        };
        Ok(Self { grid: *grid, fixed_ns, offset_ns })
    }

    fn shifted(&self, time_ns: i64) -> i64 {
        self.fixed_ns.unwrap_or(time_ns).saturating_sub(self.offset_ns)
    }

    fn first(&self) -> i64 {
        self.shifted(self.grid.start_ns)
    }

    fn last(&self) -> i64 {
        self.shifted(self.grid.end_ns())
    }

    /// When it is evaluated and what it looks at then.
    fn iter(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.grid.times().map(|time_ns| (time_ns, self.shifted(time_ns)))
    }
}

/// The value of each series at each time: its last sample that is not older than the lookback,
/// unless the series has ended.
pub(crate) fn rows(
    evaluator: &Evaluator<'_>,
    selector: &Selector,
    grid: &Grid,
) -> Result<Vec<Row>> {
    pick(evaluator, selector, grid, |series, index| series.values[index])
}

/// The time of each such sample, in seconds.
pub(crate) fn sample_times(
    evaluator: &Evaluator<'_>,
    selector: &Selector,
    grid: &Grid,
) -> Result<Vec<Row>> {
    pick(evaluator, selector, grid, |series, index| seconds(series.times[index]))
}

fn pick(
    evaluator: &Evaluator<'_>,
    selector: &Selector,
    grid: &Grid,
    value: impl Fn(&Series, usize) -> f64,
) -> Result<Vec<Row>> {
    let ends = Ends::new(evaluator, &selector.shift, grid)?;
    let lookback_ns = evaluator.limits.lookback_ns;
    // The sample that is exactly as old as the lookback is too old.
    let first_ns = ends.first().saturating_sub(lookback_ns).saturating_add(1);
    let mut charge = Charge(evaluator);
    let found = evaluator.source.select(&selector.matchers, first_ns, ends.last(), &mut charge)?;
    evaluator.reserve(found.len(), grid.count)?;
    let rows = found.into_iter().map(|series| {
        let mut next = 0;
        let values = ends.iter().map(|(_, end_ns)| {
            while next < series.times.len() && series.times[next] <= end_ns {
                next += 1;
            }
            let Some(index) = next.checked_sub(1) else { return ABSENT };
            let too_old = series.times[index] <= end_ns.saturating_sub(lookback_ns);
            if too_old || is_stale(series.values[index]) { ABSENT } else { value(&series, index) }
        });
        let values = values.collect();
        Row::new(series.labels, values)
    });
    Ok(rows.filter(|row| !row.is_empty()).collect())
}

/// The samples of one series that windows slide over.
#[derive(Debug)]
pub(crate) struct RangeSeries {
    pub(crate) labels: Labels,
    pub(crate) drops_name: bool,
    pub(crate) times: Vec<i64>,
    pub(crate) values: Vec<f64>,
}

/// Series and the windows that a function of ranges sees at each time.
pub(crate) struct Ranges {
    pub(crate) series: Vec<RangeSeries>,
    ends: Ends,
    pub(crate) range_ns: i64,
}

impl Ranges {
    /// The windows of one series.
    pub(crate) fn windows(&self, series: &RangeSeries) -> Vec<Window> {
        windows(&series.times, self.ends.iter(), self.range_ns)
    }

    /// The samples of the last window, of series that have any.
    pub(crate) fn into_series(self) -> Vec<Series> {
        let ends = self.ends;
        let range_ns = self.range_ns;
        let series = self.series.into_iter().filter_map(|series| {
            let window = windows(&series.times, ends.iter(), range_ns).pop()?;
            let labels =
                if series.drops_name { series.labels.without_name() } else { series.labels };
            let times = series.times[window.low..window.high].to_vec();
            let values = series.values[window.low..window.high].to_vec();
            (!times.is_empty()).then_some(Series { labels, times, values })
        });
        series.collect()
    }
}

/// The samples of a range selector or a subquery.
pub(crate) fn range_series(evaluator: &Evaluator<'_>, node: &Node, grid: &Grid) -> Result<Ranges> {
    match &node.bare().expr {
        Expr::Range { selector, range } => {
            let range_ns = evaluator.span_ns(range)?;
            if range_ns <= 0 {
                return execution("duration must be greater than 0");
            }
            let ends = Ends::new(evaluator, &selector.shift, grid)?;
            let first_ns = ends.first().saturating_sub(range_ns).saturating_add(1);
            let mut charge = Charge(evaluator);
            let found =
                evaluator.source.select(&selector.matchers, first_ns, ends.last(), &mut charge)?;
            let series = found.into_iter().map(without_stale).collect();
            Ok(Ranges { series, ends, range_ns })
        }
        Expr::Subquery { inner, range, step, shift } => {
            let range_ns = evaluator.span_ns(range)?;
            let step_ns = match step {
                Some(span) => evaluator.span_ns(span)?,
                None => evaluator.limits.subquery_step_ns,
            };
            if range_ns <= 0 || step_ns <= 0 {
                return execution("duration must be greater than 0");
            }
            let ends = Ends::new(evaluator, shift, grid)?;
            let Some(inside) = inner_grid(&ends, range_ns, step_ns) else {
                return Ok(Ranges { series: Vec::new(), ends, range_ns });
            };
            // A single series must fit, before a grid of hostile length is walked.
            evaluator.reserve(1, inside.count)?;
            let rows = evaluator.vector(inner, &inside)?;
            evaluator.reserve(rows.len(), inside.count)?;
            let series = rows.into_iter().map(|row| samples_of(row, &inside)).collect();
            Ok(Ranges { series, ends, range_ns })
        }
        _ => execution("expected a range vector"),
    }
}

/// The times of a subquery: multiples of its step, so that it gives the same wherever the query
/// begins.
fn inner_grid(ends: &Ends, range_ns: i64, step_ns: i64) -> Option<Grid> {
    let before_ns = ends.first().saturating_sub(range_ns);
    let start_ns = before_ns.div_euclid(step_ns).saturating_add(1).saturating_mul(step_ns);
    let last_ns = ends.last();
    if start_ns > last_ns {
        return None;
    }
    let steps = last_ns.abs_diff(start_ns) / step_ns.unsigned_abs();
    let count = usize::try_from(steps).unwrap_or(usize::MAX).saturating_add(1);
    Some(Grid { start_ns, step_ns, count })
}

fn without_stale(series: Series) -> RangeSeries {
    let Series { labels, mut times, mut values } = series;
    if values.iter().any(|value| is_stale(*value)) {
        (times, values) =
            times.into_iter().zip(values).filter(|(_, value)| !is_stale(*value)).unzip();
    }
    RangeSeries { labels, drops_name: false, times, values }
}

fn samples_of(row: Row, grid: &Grid) -> RangeSeries {
    let present = grid.times().zip(row.values).filter(|(_, value)| !is_absent(*value));
    let (times, values) = present.unzip();
    RangeSeries { labels: row.labels, drops_name: row.drops_name, times, values }
}
