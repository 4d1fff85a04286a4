//! Functions of dates, in UTC.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{Arguments, Function};
use crate::promql::error::Result;
use crate::promql::labels::Labels;
use crate::promql::value::{Row, seconds};

/// A part of a date as a number.
pub(super) type Part = fn(DateTime) -> i32;

pub(super) fn part(function: Function) -> Option<Part> {
    Some(match function {
        Function::Minute => |date| date.minute().into(),
        Function::Hour => |date| date.hour().into(),
        Function::DayOfWeek => |date| date.date().weekday().to_sunday_zero_offset().into(),
        Function::DayOfMonth => |date| date.day().into(),
        Function::DayOfYear => |date| date.day_of_year().into(),
        Function::DaysInMonth => |date| date.days_in_month().into(),
        Function::Month => |date| date.month().into(),
        Function::Year => |date| date.year().into(),
        _ => return None,
    })
}

/// The part of each value, taken as seconds since the epoch; of the time without an argument.
pub(super) fn evaluate(arguments: &Arguments<'_, '_>, part: Part) -> Result<Vec<Row>> {
    let rows = if arguments.nodes.is_empty() {
        let times = arguments.grid.times().map(seconds).collect();
        vec![Row::new(Labels::default(), times)]
    } else {
        arguments.vector(0)?
    };
    let of = |value: f64| {
        // What is no time of the calendar has no date.
        let timestamp = Timestamp::from_second(value.floor() as i64);
        let date = timestamp.ok().filter(|_| value.is_finite());
        date.map_or(f64::NAN, |date| part(TimeZone::UTC.to_datetime(date)).into())
    };
    Ok(rows.into_iter().map(|row| row.map(|_, value| of(value)).nameless()).collect())
}
