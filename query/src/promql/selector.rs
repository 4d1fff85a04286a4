//! Selectors on a grid: the current value of each series.

use super::ast::{At, Selector, Shift};
use super::error::Result;
use super::evaluate::Evaluator;
use super::source::{Series, is_stale};
use super::value::{ABSENT, Grid, Row, seconds};
use super::window::first_after;

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

    pub(crate) const fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Whether it looks at one time, whenever it is evaluated.
    pub(crate) const fn is_fixed(&self) -> bool {
        self.fixed_ns.is_some()
    }

    fn shifted(&self, time_ns: i64) -> i64 {
        self.fixed_ns.unwrap_or(time_ns).saturating_sub(self.offset_ns)
    }

    pub(crate) fn first(&self) -> i64 {
        self.shifted(self.grid.start_ns)
    }

    pub(crate) fn last(&self) -> i64 {
        self.shifted(self.grid.end_ns())
    }

    /// When it is evaluated and what it looks at then.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
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
    let mut rows = Vec::new();
    evaluator.read(&selector.matchers, first_ns, ends.last(), |series| {
        evaluator.reserve(1, grid.count)?;
        let mut next = 0;
        let values = ends.iter().map(|(_, end_ns)| {
            next = first_after(&series.times, next, end_ns);
            let Some(index) = next.checked_sub(1) else { return ABSENT };
            let too_old = series.times[index] <= end_ns.saturating_sub(lookback_ns);
            if too_old || is_stale(series.values[index]) { ABSENT } else { value(&series, index) }
        });
        let values = values.collect();
        let row = Row::new(series.labels, values);
        if !row.is_empty() {
            rows.push(row);
        }
        Ok(())
    })?;
    Ok(rows)
}
