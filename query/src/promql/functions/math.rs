//! Functions of single values.

use super::{Arguments, Function};
use crate::promql::error::{Result, execution};
use crate::promql::value::{ABSENT, Row, is_absent};

pub(super) fn evaluate(arguments: &Arguments<'_, '_>, function: Function) -> Result<Vec<Row>> {
    let rows = arguments.vector(0)?;
    match function {
        Function::Clamp => {
            let (least, most) = (arguments.scalar(1)?, arguments.scalar(2)?);
            Ok(mapped(rows, |step, value| clamp(value, least[step], most[step])))
        }
        Function::ClampMin => {
            let least = arguments.scalar(1)?;
            Ok(mapped(rows, |step, value| maximum(value, least[step])))
        }
        Function::ClampMax => {
            let most = arguments.scalar(1)?;
            Ok(mapped(rows, |step, value| minimum(value, most[step])))
        }
        Function::Round => {
            let nearest = if arguments.nodes.len() > 1 { Some(arguments.scalar(1)?) } else { None };
            let nearest = |step: usize| nearest.as_ref().map_or(1.0, |nearest| nearest[step]);
            Ok(mapped(rows, |step, value| {
                // The inverse keeps decimals such as 0.1 exact.
                let inverse = 1.0 / nearest(step);
                (value * inverse + 0.5).floor() / inverse
            }))
        }
        _ => match simple(function) {
            Some(change) => Ok(mapped(rows, |_, value| change(value))),
            None => execution(format!("the function {} is not supported", function.name())),
        },
    }
}

fn mapped(rows: Vec<Row>, change: impl Fn(usize, f64) -> f64) -> Vec<Row> {
    let rows = rows.into_iter().map(|row| row.map(&change).nameless());
    rows.filter(|row| !row.is_empty()).collect()
}

/// NaN where either is, unlike [`f64::max`].
fn maximum(left: f64, right: f64) -> f64 {
    if left.is_nan() || right.is_nan() { f64::NAN } else { left.max(right) }
}

fn minimum(left: f64, right: f64) -> f64 {
    if left.is_nan() || right.is_nan() { f64::NAN } else { left.min(right) }
}

fn clamp(value: f64, least: f64, most: f64) -> f64 {
    if is_absent(value) || least > most {
        return ABSENT;
    }
    maximum(least, minimum(most, value))
}

fn simple(function: Function) -> Option<fn(f64) -> f64> {
    Some(match function {
        Function::Abs => f64::abs,
        Function::Ceil => f64::ceil,
        Function::Floor => f64::floor,
        Function::Exp => f64::exp,
        Function::Sqrt => f64::sqrt,
        Function::Ln => f64::ln,
        Function::Log2 => f64::log2,
        Function::Log10 => f64::log10,
        Function::Sin => f64::sin,
        Function::Cos => f64::cos,
        Function::Tan => f64::tan,
        Function::Asin => f64::asin,
        Function::Acos => f64::acos,
        Function::Atan => f64::atan,
        Function::Sinh => f64::sinh,
        Function::Cosh => f64::cosh,
        Function::Tanh => f64::tanh,
        Function::Asinh => f64::asinh,
        Function::Acosh => f64::acosh,
        Function::Atanh => f64::atanh,
        Function::Deg => f64::to_degrees,
        Function::Rad => f64::to_radians,
        Function::Sgn => |value| {
            if value < 0.0 {
                -1.0
            } else if value > 0.0 {
                1.0
            } else {
                value
            }
        },
        _ => return None,
    })
}
