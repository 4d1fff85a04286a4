//! Aggregations: groups of series become one each, or some of them are chosen.

mod choose;
mod fold;

use std::collections::HashMap;

use super::ast::{Aggregate, Aggregator};
use super::error::{Result, execution};
use super::evaluate::Evaluator;
use super::labels::{Labels, NAME};
use super::sum::{quantile, sort};
use super::value::{ABSENT, Grid, Row, is_absent};

/// The series of one group: its labels and the rows by index.
pub(super) struct Group {
    labels: Labels,
    drops_name: bool,
    rows: Vec<usize>,
}

pub(crate) fn evaluate(
    evaluator: &Evaluator<'_>,
    aggregate: &Aggregate,
    grid: &Grid,
) -> Result<Vec<Row>> {
    let rows = evaluator.vector(&aggregate.inner, grid)?;
    let groups = groups(aggregate, &rows);
    match aggregate.aggregator {
        Aggregator::CountValues => count_values(evaluator, aggregate, grid, &rows, &groups),
        Aggregator::Top | Aggregator::Bottom | Aggregator::Limit | Aggregator::LimitRatio => {
            let parameter = parameter(evaluator, aggregate, grid)?;
            choose::evaluate(evaluator, aggregate.aggregator, &parameter, rows, &groups)
        }
        Aggregator::Quantile => {
            let parameter = parameter(evaluator, aggregate, grid)?;
            if !rows.is_empty() {
                for q in &parameter {
                    check_quantile(evaluator, *q);
                }
            }
            folded(evaluator, grid, &rows, &groups, |step, values| {
                sort(values);
                quantile(parameter[step], values)
            })
        }
        aggregator => {
            folded(evaluator, grid, &rows, &groups, |_, values| fold::fold(aggregator, values))
        }
    }
}

/// Warns of a quantile that is none.
pub(crate) fn check_quantile(evaluator: &Evaluator<'_>, q: f64) {
    if q.is_nan() || !(0.0..=1.0).contains(&q) {
        let shown = number(q);
        evaluator.warn(format!("quantile value should be between 0 and 1, got {shown}"));
    }
}

/// A number as Go prints it.
pub(crate) fn number(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if value != 0.0 && !(1e-4..1e21).contains(&value.abs()) && value.is_finite() {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    format!("{value}")
}

fn parameter(evaluator: &Evaluator<'_>, aggregate: &Aggregate, grid: &Grid) -> Result<Vec<f64>> {
    match &aggregate.parameter {
        Some(node) => evaluator.scalar(node, grid),
        None => execution("the aggregation needs a parameter"),
    }
}

/// Groups in the order of their first series.
fn groups(aggregate: &Aggregate, rows: &[Row]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut places: HashMap<Labels, usize> = HashMap::new();
    for (index, row) in rows.iter().enumerate() {
        let labels = if aggregate.without {
            row.labels
                .filter(|name| name != NAME && aggregate.labels.iter().all(|other| other != name))
        } else {
            row.labels.only(&aggregate.labels)
        };
        let place = *places.entry(labels.clone()).or_insert_with(|| {
            groups.push(Group { labels, drops_name: false, rows: Vec::new() });
            groups.len() - 1
        });
        let group = &mut groups[place];
        group.drops_name |= row.drops_name;
        group.rows.push(index);
    }
    groups
}

/// One row for each group: what `fold` gives for the values at each step.
fn folded(
    evaluator: &Evaluator<'_>,
    grid: &Grid,
    rows: &[Row],
    groups: &[Group],
    mut fold: impl FnMut(usize, &mut Vec<f64>) -> f64,
) -> Result<Vec<Row>> {
    let mut values = Vec::new();
    let mut results = Vec::with_capacity(groups.len());
    for group in groups {
        evaluator.reserve(1, grid.count)?;
        let mut row = Row::new(group.labels.clone(), Vec::with_capacity(grid.count));
        row.drops_name = group.drops_name;
        for step in 0..grid.count {
            values.clear();
            let present = group.rows.iter().map(|index| rows[*index].values[step]);
            values.extend(present.filter(|value| !is_absent(*value)));
            row.values.push(if values.is_empty() { ABSENT } else { fold(step, &mut values) });
        }
        results.push(row);
    }
    Ok(results)
}

/// One row for each group and value: how often it occurs.
fn count_values(
    evaluator: &Evaluator<'_>,
    aggregate: &Aggregate,
    grid: &Grid,
    rows: &[Row],
    groups: &[Group],
) -> Result<Vec<Row>> {
    let Some(parameter) = &aggregate.parameter else {
        return execution("count_values needs the name of a label");
    };
    let label = evaluator.text(parameter, grid)?;
    if label.is_empty() {
        return execution(format!("invalid label name {label:?}"));
    }
    let mut results: Vec<Row> = Vec::new();
    let mut places: HashMap<Labels, usize> = HashMap::new();
    for group in groups {
        for index in &group.rows {
            evaluator.tick()?;
            for (step, value) in rows[*index].values.iter().enumerate() {
                if is_absent(*value) {
                    continue;
                }
                let text = if value.is_infinite() { number(*value) } else { value.to_string() };
                let labels = group.labels.with(&label, &text);
                let place = match places.get(&labels) {
                    Some(place) => *place,
                    None => {
                        evaluator.reserve(1, grid.count)?;
                        places.insert(labels.clone(), results.len());
                        results.push(Row::new(labels, vec![ABSENT; grid.count]));
                        results.len() - 1
                    }
                };
                let count = &mut results[place].values[step];
                *count = if is_absent(*count) { 1.0 } else { *count + 1.0 };
            }
        }
    }
    Ok(results)
}
