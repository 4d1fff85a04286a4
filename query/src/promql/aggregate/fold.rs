//! Aggregations of many values to one.

use crate::promql::ast::Aggregator;
use crate::promql::sum::{Spread, Sum, running_mean};
use crate::promql::window::Part;

/// What an aggregator gives for values, of which there are some.
pub(super) fn fold(aggregator: Aggregator, values: &[f64]) -> f64 {
    let sum = || values.iter().fold(Sum::default(), |sum, value| sum.add(*value));
    match aggregator {
        Aggregator::Sum => sum().total(),
        Aggregator::Average => match sum().mean() {
            Some(mean) => mean,
            None => running_mean(values.iter().copied()),
        },
        Aggregator::Count => values.len() as f64,
        Aggregator::Group => 1.0,
        Aggregator::Least => values.iter().copied().reduce(least).unwrap_or(f64::NAN),
        Aggregator::Most => values.iter().copied().reduce(most).unwrap_or(f64::NAN),
        Aggregator::StandardDeviation => variance(values).sqrt(),
        _ => variance(values),
    }
}

fn variance(values: &[f64]) -> f64 {
    let spread = values.iter().copied().map(Spread::of).reduce(Part::join);
    spread.map_or(f64::NAN, Spread::variance)
}

/// NaN only where there is nothing else.
pub(crate) fn least(left: f64, right: f64) -> f64 {
    if right < left || left.is_nan() { right } else { left }
}

/// NaN only where there is nothing else.
pub(crate) fn most(left: f64, right: f64) -> f64 {
    if right > left || left.is_nan() { right } else { left }
}
