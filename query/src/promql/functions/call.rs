//! From a call to the function's own code.

use super::{Function, absent, date, histogram, info, labels, math, over_time, rate, sort};
use crate::promql::ast::{Expr, Node};
use crate::promql::error::{Result, execution};
use crate::promql::evaluate::Evaluator;
use crate::promql::labels::Labels;
use crate::promql::ranges::{RangeSeries, Ranges};
use crate::promql::selector::sample_times;
use crate::promql::value::{ABSENT, Grid, Row, Value, is_absent, seconds};
use crate::promql::window::Window;

/// The arguments of a call and where they are evaluated.
pub(crate) struct Arguments<'a, 'b> {
    pub(crate) evaluator: &'a Evaluator<'b>,
    pub(crate) nodes: &'a [Node],
    pub(crate) grid: &'a Grid,
}

impl Arguments<'_, '_> {
    pub(crate) fn node(&self, index: usize) -> Result<&Node> {
        match self.nodes.get(index) {
            Some(node) => Ok(node),
            None => execution("a function has too few arguments"),
        }
    }

    pub(crate) fn vector(&self, index: usize) -> Result<Vec<Row>> {
        self.evaluator.vector(self.node(index)?, self.grid)
    }

    pub(crate) fn scalar(&self, index: usize) -> Result<Vec<f64>> {
        self.evaluator.scalar(self.node(index)?, self.grid)
    }

    pub(crate) fn text(&self, index: usize) -> Result<String> {
        self.evaluator.text(self.node(index)?, self.grid)
    }

    pub(crate) fn ranges(&self, index: usize) -> Result<Ranges<'_>> {
        Ranges::new(self.evaluator, self.node(index)?, self.grid)
    }
}

/// What a call gives on a grid.
pub(crate) fn call(
    evaluator: &Evaluator<'_>,
    function: Function,
    nodes: &[Node],
    grid: &Grid,
) -> Result<Value> {
    let arguments = Arguments { evaluator, nodes, grid };
    if let Some(scalars) = scalars(&arguments, function)? {
        return Ok(Value::Scalar(scalars));
    }
    Ok(Value::Vector(rows(&arguments, function)?))
}

/// What functions that give a scalar give.
fn scalars(arguments: &Arguments<'_, '_>, function: Function) -> Result<Option<Vec<f64>>> {
    let Arguments { evaluator, grid, .. } = arguments;
    let query = &evaluator.query;
    let everywhere = |value: f64| vec![value; grid.count];
    let pairs = |choose: fn(f64, f64) -> f64| -> Result<Vec<f64>> {
        let pairs = arguments.scalar(0)?.into_iter().zip(arguments.scalar(1)?);
        Ok(pairs.map(|(left, right)| choose(left, right)).collect())
    };
    Ok(Some(match function {
        Function::Time => grid.times().map(seconds).collect(),
        Function::Pi => everywhere(std::f64::consts::PI),
        Function::Start => everywhere(seconds(query.start_ns)),
        Function::End => everywhere(seconds(query.end_ns())),
        Function::Step => everywhere(seconds(query.step_ns)),
        Function::Range => everywhere(seconds(query.end_ns().saturating_sub(query.start_ns))),
        Function::MaxOf => pairs(f64::max)?,
        Function::MinOf => pairs(f64::min)?,
        Function::Scalar => {
            let rows = arguments.vector(0)?;
            let only = |step: usize| {
                let mut values =
                    rows.iter().map(|row| row.values[step]).filter(|value| !is_absent(*value));
                values.next().filter(|_| values.next().is_none()).unwrap_or(f64::NAN)
            };
            (0..grid.count).map(only).collect()
        }
        _ => return Ok(None),
    }))
}

/// What functions that give a vector give.
fn rows(arguments: &Arguments<'_, '_>, function: Function) -> Result<Vec<Row>> {
    match function {
        Function::Vector => Ok(vec![Row::new(Labels::default(), arguments.scalar(0)?)]),
        Function::Timestamp => timestamps(arguments),
        Function::Absent => absent::absent(arguments),
        Function::AbsentOverTime => absent::absent_over_time(arguments),
        Function::LabelReplace => labels::replace(arguments),
        Function::LabelJoin => labels::join(arguments),
        Function::Info => info::info(arguments),
        Function::Sort | Function::SortDesc | Function::SortByLabel | Function::SortByLabelDesc => {
            sort::sort(arguments, function)
        }
        Function::HistogramQuantile
        | Function::HistogramQuantiles
        | Function::HistogramFraction => histogram::classic(arguments, function),
        Function::HistogramAvg
        | Function::HistogramCount
        | Function::HistogramStddev
        | Function::HistogramStdvar
        | Function::HistogramSum => {
            // They are of native histograms, and plain numbers are left out.
            arguments.vector(0)?;
            Ok(Vec::new())
        }
        Function::Rate
        | Function::Increase
        | Function::Delta
        | Function::Irate
        | Function::Idelta
        | Function::Resets
        | Function::Changes
        | Function::Deriv
        | Function::PredictLinear => rate::evaluate(arguments, function),
        _ => match date::part(function) {
            Some(part) => date::evaluate(arguments, part),
            None if over_time::applies(function) => over_time::evaluate(arguments, function),
            None => math::evaluate(arguments, function),
        },
    }
}

/// The times of samples where the argument is a selector; else those of the evaluation.
fn timestamps(arguments: &Arguments<'_, '_>) -> Result<Vec<Row>> {
    let Arguments { evaluator, grid, .. } = arguments;
    let rows = match &arguments.node(0)?.bare().expr {
        Expr::Selector(selector) => sample_times(evaluator, selector, grid)?,
        _ => {
            let rows = arguments.vector(0)?.into_iter();
            rows.map(|row| row.map(|step, _| seconds(grid.time(step)))).collect()
        }
    };
    Ok(rows.into_iter().map(Row::nameless).collect())
}

/// One row for each series of ranges; [`NONE`] for a window without a value.
pub(super) fn for_each_series(
    arguments: &Arguments<'_, '_>,
    ranges: &Ranges<'_>,
    keeps_name: bool,
    mut values: impl FnMut(&RangeSeries, &[Window]) -> Result<Vec<f64>>,
) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    ranges.for_each(arguments.evaluator, |series, windows| {
        arguments.evaluator.reserve(1, arguments.grid.count)?;
        let mut row = Row::new(series.labels.clone(), values(series, windows)?);
        row.drops_name = series.drops_name || !keeps_name;
        debug_assert_eq!(row.values.len(), arguments.grid.count);
        if !row.is_empty() {
            rows.push(row);
        }
        Ok(())
    })?;
    Ok(rows)
}

/// No value, for windows with too few samples.
pub(super) const NONE: f64 = ABSENT;
