//! `and`, `or` and `unless`.

use std::collections::HashMap;

use super::matching::signature;
use crate::promql::ast::{Binary, Operator};
use crate::promql::error::Result;
use crate::promql::evaluate::Evaluator;
use crate::promql::labels::Labels;
use crate::promql::value::{ABSENT, Grid, Row, is_absent};

pub(super) fn evaluate(
    evaluator: &Evaluator<'_>,
    binary: &Binary,
    mut left: Vec<Row>,
    mut right: Vec<Row>,
    grid: &Grid,
) -> Result<Vec<Row>> {
    match binary.operator {
        Operator::Or => {
            let taken = presence(evaluator, binary, &left, grid)?;
            keep(binary, &mut right, &taken, false);
            left.append(&mut right);
        }
        operator => {
            let other = presence(evaluator, binary, &right, grid)?;
            keep(binary, &mut left, &other, operator == Operator::And);
        }
    }
    left.retain(|row| !row.is_empty());
    Ok(left)
}

/// At which times there is any series of a signature.
fn presence(
    evaluator: &Evaluator<'_>,
    binary: &Binary,
    rows: &[Row],
    grid: &Grid,
) -> Result<HashMap<Labels, Vec<bool>>> {
    let mut present: HashMap<Labels, Vec<bool>> = HashMap::new();
    for row in rows {
        evaluator.tick()?;
        let key = signature(&binary.matching, row);
        let times = present.entry(key).or_insert_with(|| vec![false; grid.count]);
        for (time, value) in times.iter_mut().zip(&row.values) {
            *time |= !is_absent(*value);
        }
    }
    Ok(present)
}

/// Keeps the values at times when the signature's presence is `wanted`.
fn keep(binary: &Binary, rows: &mut [Row], presence: &HashMap<Labels, Vec<bool>>, wanted: bool) {
    for row in rows {
        let times = presence.get(&signature(&binary.matching, row));
        for (index, value) in row.values.iter_mut().enumerate() {
            if times.is_some_and(|times| times[index]) != wanted {
                *value = ABSENT;
            }
        }
    }
}
