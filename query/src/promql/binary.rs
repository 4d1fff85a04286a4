//! Operators between scalars and vectors.

mod matching;
mod sets;

use super::ast::{Binary, Operator};
use super::error::Result;
use super::evaluate::Evaluator;
use super::value::{ABSENT, Grid, Row, Value};

/// What an operator gives on a grid.
pub(crate) fn evaluate(evaluator: &Evaluator<'_>, binary: &Binary, grid: &Grid) -> Result<Value> {
    let left = evaluator.evaluate(&binary.left, grid)?;
    let right = evaluator.evaluate(&binary.right, grid)?;
    let operator = binary.operator;
    Ok(match (left, right) {
        (Value::Scalar(left), Value::Scalar(right)) => {
            let pairs = left.into_iter().zip(right);
            Value::Scalar(pairs.map(|(left, right)| scalar(operator, left, right)).collect())
        }
        (Value::Vector(rows), Value::Scalar(scalars)) => {
            let change =
                |index: usize, value: f64| one_vector(binary, value, value, scalars[index]);
            Value::Vector(changed(rows, binary, change))
        }
        (Value::Scalar(scalars), Value::Vector(rows)) => {
            let change =
                |index: usize, value: f64| one_vector(binary, value, scalars[index], value);
            Value::Vector(changed(rows, binary, change))
        }
        (Value::Vector(left), Value::Vector(right)) if operator.is_set() => {
            Value::Vector(sets::evaluate(evaluator, binary, left, right, grid)?)
        }
        (Value::Vector(left), Value::Vector(right)) => {
            Value::Vector(matching::evaluate(evaluator, binary, left, right, grid)?)
        }
        (other, _) => other,
    })
}

fn changed(rows: Vec<Row>, binary: &Binary, change: impl Fn(usize, f64) -> f64) -> Vec<Row> {
    let rows = rows.into_iter().map(|row| row.map(&change)).filter(|row| !row.is_empty());
    if drops_name(binary) { rows.map(Row::nameless).collect() } else { rows.collect() }
}

/// Whether the result is no longer the metric of its name.
fn drops_name(binary: &Binary) -> bool {
    binary.returns_bool || !binary.operator.is_comparison()
}

/// A comparison that holds keeps the vector's value.
fn one_vector(binary: &Binary, vector: f64, left: f64, right: f64) -> f64 {
    let operator = binary.operator;
    if !operator.is_comparison() {
        return arithmetic(operator, left, right);
    }
    let holds = compare(operator, left, right);
    match (binary.returns_bool, holds) {
        (true, holds) => f64::from(u8::from(holds)),
        (false, true) => vector,
        (false, false) => ABSENT,
    }
}

fn scalar(operator: Operator, left: f64, right: f64) -> f64 {
    if operator.is_comparison() {
        return f64::from(u8::from(compare(operator, left, right)));
    }
    arithmetic(operator, left, right)
}

fn compare(operator: Operator, left: f64, right: f64) -> bool {
    match operator {
        Operator::Equal => left == right,
        Operator::NotEqual => left != right,
        Operator::Greater => left > right,
        Operator::Less => left < right,
        Operator::GreaterEqual => left >= right,
        _ => left <= right,
    }
}

pub(crate) fn arithmetic(operator: Operator, left: f64, right: f64) -> f64 {
    match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        Operator::Modulo => left % right,
        Operator::Power => left.powf(right),
        Operator::Atan2 => left.atan2(right),
        _ => f64::NAN,
    }
}
