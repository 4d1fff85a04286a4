//! Calls: the arguments of functions, and the functions that cut time into windows.

use jiff::tz::TimeZone;
use sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments};

use crate::calendar::{Buckets, Width};
use crate::continuous::window::Windows;

use super::conditions::{column, text, time};
use super::options::{length_ns, width};

/// An argument of a function; `None` is the star.
pub(super) type Argument<'a> = Option<&'a Expr>;

pub(super) fn arguments(function: &Function) -> Result<Vec<Argument<'_>>, String> {
    let plain = function.filter.is_none()
        && function.over.is_none()
        && function.within_group.is_empty()
        && function.null_treatment.is_none()
        && matches!(function.parameters, FunctionArguments::None);
    let FunctionArguments::List(list) = &function.args else {
        return Err(format!("{function} needs arguments in brackets"));
    };
    if !plain || list.duplicate_treatment.is_some() || !list.clauses.is_empty() {
        return Err(format!(
            "{function} cannot be kept up to date: leave out DISTINCT, FILTER, ORDER BY and OVER"
        ));
    }
    list.args.iter().map(argument).collect()
}

fn argument(argument: &FunctionArg) -> Result<Argument<'_>, String> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Ok(Some(expression)),
        FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => Ok(None),
        other => Err(format!("{other} is no argument that a continuous query knows")),
    }
}

pub(super) fn is_time(argument: Option<&Argument<'_>>) -> bool {
    argument.copied().flatten().and_then(column).as_deref() == Some("time")
}

/// The text of a width: a text or an interval.
fn width_text(argument: Option<&Argument<'_>>, function: &str) -> Result<String, String> {
    let expression = argument.copied().flatten();
    let found = match expression {
        Some(Expr::Interval(interval)) => {
            let number = text(&interval.value);
            match (&interval.leading_field, number) {
                (Some(field), Some(number)) => Some(format!("{number} {field}")),
                (None, number) => number,
                _ => None,
            }
        }
        Some(expression) => text(expression),
        None => None,
    };
    found.ok_or_else(|| format!("{function} wants a length like '5m' or INTERVAL '5 minutes'"))
}

/// What follows the time: a zone, an origin, or both.
fn zone_and_origin(more: &[Argument<'_>]) -> Result<(Option<TimeZone>, Option<i64>), String> {
    let (mut zone, mut origin_ns) = (None, None);
    for argument in more {
        let Some(expression) = argument else { return Err("* is no time zone".to_owned()) };
        if let (Some(name), None) = (text(expression), &zone) {
            if let Ok(found) = TimeZone::get(&name) {
                zone = Some(found);
                continue;
            }
            return Err(format!(
                "{name:?} is not a time zone; write one like 'Europe/Berlin' or 'UTC', and an \
                 origin as TIMESTAMP '2026-01-01'"
            ));
        }
        match (expression, origin_ns) {
            (Expr::TypedString(_), None) => origin_ns = time(expression)?,
            _ => return Err(format!("{expression} is neither a time zone nor an origin")),
        }
    }
    Ok((zone, origin_ns))
}

pub(super) fn tumbling(arguments: &[Argument<'_>]) -> Result<Windows, String> {
    if !is_time(arguments.get(1)) {
        return Err("time_bucket wants a width and the time: time_bucket('5m', time)".to_owned());
    }
    let width = width(&width_text(arguments.first(), "time_bucket")?)?;
    let (zone, origin_ns) = zone_and_origin(&arguments[2..])?;
    Ok(Windows::tumbling(Buckets::new(width, origin_ns, 0, zone)))
}

pub(super) fn hopping(arguments: &[Argument<'_>]) -> Result<Windows, String> {
    if !is_time(arguments.get(2)) {
        return Err("hop wants a size, a step and the time: hop('10m', '1m', time)".to_owned());
    }
    let size = width(&width_text(arguments.first(), "hop")?)?;
    let every = width(&width_text(arguments.get(1), "hop")?)?;
    if matches!(size, Width::Months(_)) != matches!(every, Width::Months(_)) {
        return Err("hop cannot mix months with days or hours".to_owned());
    }
    let (zone, origin_ns) = zone_and_origin(&arguments[3..])?;
    let buckets = |width| Buckets::new(width, origin_ns, 0, zone.clone());
    Windows::hopping(buckets(every), buckets(size), every, size)
}

pub(super) fn session(arguments: &[Argument<'_>]) -> Result<Windows, String> {
    if !is_time(arguments.get(1)) || arguments.len() > 2 {
        return Err("session wants a gap and the time: session('5m', time)".to_owned());
    }
    match length_ns(&width_text(arguments.first(), "session")?)? {
        gap_ns if gap_ns > 0 => Ok(Windows::session(gap_ns)),
        _ => Err("the gap of a session must be longer than 0".to_owned()),
    }
}
