//! Ranges on a grid: the samples of each series in a window that ends at each time.
//!
//! Series are read and evaluated one at a time, so that a query over more samples than fit into
//! memory needs no more than its longest series.

use super::ast::{Expr, Node};
use super::error::{Result, execution};
use super::evaluate::Evaluator;
use super::labels::Labels;
use super::selector::Ends;
use super::source::{Matcher, Series, Summarized, Summary, Tiles, is_stale};
use super::value::{Grid, Row, is_absent};
use super::window::{Window, windows};

/// The samples of one series that windows slide over.
#[derive(Debug)]
pub(crate) struct RangeSeries {
    pub(crate) labels: Labels,
    pub(crate) drops_name: bool,
    pub(crate) times: Vec<i64>,
    pub(crate) values: Vec<f64>,
}

/// A range selector or a subquery, and the windows that a function sees at each time.
pub(crate) struct Ranges<'a> {
    samples: Samples<'a>,
    ends: Ends,
    pub(crate) range_ns: i64,
}

/// Where the samples come from.
enum Samples<'a> {
    Selected(&'a [Matcher]),
    /// Of an expression at the times of another grid, if there are any.
    Evaluated(&'a Node, Option<Grid>),
}

impl<'a> Ranges<'a> {
    pub(crate) fn new(evaluator: &Evaluator<'_>, node: &'a Node, grid: &Grid) -> Result<Self> {
        let (range, shift) = match &node.bare().expr {
            Expr::Range { selector, range } => (range, &selector.shift),
            Expr::Subquery { range, shift, .. } => (range, shift),
            _ => return execution("expected a range vector"),
        };
        let range_ns = positive_ns(evaluator.span_ns(range)?)?;
        let ends = Ends::new(evaluator, shift, grid)?;
        let samples = match &node.bare().expr {
            Expr::Subquery { inner, step, .. } => {
                let step_ns = match step {
                    Some(span) => evaluator.span_ns(span)?,
                    None => evaluator.limits.subquery_step_ns,
                };
                Samples::Evaluated(inner, inner_grid(&ends, range_ns, positive_ns(step_ns)?))
            }
            Expr::Range { selector, .. } => Samples::Selected(&selector.matchers),
            _ => return execution("expected a range vector"),
        };
        Ok(Self { samples, ends, range_ns })
    }

    /// Calls `each` with every series and its windows.
    pub(crate) fn for_each(
        &self,
        evaluator: &Evaluator<'_>,
        mut each: impl FnMut(&RangeSeries, &[Window]) -> Result<()>,
    ) -> Result<()> {
        match self.samples {
            Samples::Selected(matchers) => {
                let (first_ns, last_ns) = self.reach();
                evaluator.read(matchers, first_ns, last_ns, |series| {
                    let series = RangeSeries::of(series);
                    each(&series, &self.windows(&series))
                })
            }
            Samples::Evaluated(_, None) => Ok(()),
            Samples::Evaluated(node, Some(grid)) => {
                // A single series must fit, before a grid of hostile length is walked.
                evaluator.reserve(1, grid.count)?;
                for row in evaluator.vector(node, &grid)? {
                    evaluator.tick()?;
                    let series = RangeSeries::of_row(row, &grid);
                    each(&series, &self.windows(&series))?;
                }
                Ok(())
            }
        }
    }

    /// Calls `each` with every series and what the source knows of its windows; whether it knows
    /// anything, which it does only of windows that lie side by side.
    pub(crate) fn summarize(
        &self,
        evaluator: &Evaluator<'_>,
        summary: Summary,
        each: impl FnMut(Summarized) -> Result<()>,
    ) -> Result<bool> {
        let (Samples::Selected(matchers), Some(tiles)) = (&self.samples, self.tiles()) else {
            return Ok(false);
        };
        evaluator.summarize(matchers, &tiles, summary, each)
    }

    /// The windows, where they lie side by side.
    fn tiles(&self) -> Option<Tiles> {
        let grid = self.ends.grid();
        if grid.count > 1 && (self.ends.is_fixed() || grid.step_ns != self.range_ns) {
            return None;
        }
        let start_ns = self.ends.first().checked_sub(self.range_ns)?;
        Some(Tiles { start_ns, length_ns: self.range_ns, count: grid.count })
    }

    /// The first and the last time that any window holds.
    fn reach(&self) -> (i64, i64) {
        let first_ns = self.ends.first().saturating_sub(self.range_ns).saturating_add(1);
        (first_ns, self.ends.last())
    }

    /// The windows of one series.
    pub(crate) fn windows(&self, series: &RangeSeries) -> Vec<Window> {
        windows(&series.times, self.ends.iter(), self.range_ns)
    }

    /// The samples of the last window, of series that have any.
    pub(crate) fn samples(&self, evaluator: &Evaluator<'_>) -> Result<Vec<Series>> {
        let mut found = Vec::new();
        self.for_each(evaluator, |series, windows| {
            let Some(window) = windows.last().filter(|window| window.len() > 0) else {
                return Ok(());
            };
            evaluator.reserve(1, window.len())?;
            let labels = match series.drops_name {
                true => series.labels.without_name(),
                false => series.labels.clone(),
            };
            let times = series.times[window.low..window.high].to_vec();
            let values = series.values[window.low..window.high].to_vec();
            found.push(Series { labels, times, values });
            Ok(())
        })?;
        Ok(found)
    }
}

impl RangeSeries {
    /// Without the markers of where it ends.
    pub(crate) fn of(series: Series) -> Self {
        let Series { labels, mut times, mut values } = series;
        if values.iter().any(|value| is_stale(*value)) {
            (times, values) =
                times.into_iter().zip(values).filter(|(_, value)| !is_stale(*value)).unzip();
        }
        Self { labels, drops_name: false, times, values }
    }

    fn of_row(row: Row, grid: &Grid) -> Self {
        let present = grid.times().zip(row.values).filter(|(_, value)| !is_absent(*value));
        let (times, values) = present.unzip();
        Self { labels: row.labels, drops_name: row.drops_name, times, values }
    }
}

fn positive_ns(length_ns: i64) -> Result<i64> {
    if length_ns <= 0 {
        return execution("duration must be greater than 0");
    }
    Ok(length_ns)
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
