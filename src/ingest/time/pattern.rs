//! Times by a pattern of `strptime`, as jiff reads it.

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use super::{Moment, TimeError};
use crate::ingest::error::shown;

/// Checks a pattern: it must be readable, and must name at least a date or an epoch time.
pub(super) fn check(pattern: &str) -> Result<(), String> {
    let example = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
    let wrong = |problem: String| {
        format!(
            "the time pattern {pattern:?} cannot be used: {problem}; \
             a pattern is like \"%m/%d/%Y %H:%M:%S\" or \"%d-%b-%Y %H:%M:%S%.f\""
        )
    };
    let text = strtime::format(pattern, &example).map_err(|error| wrong(error.to_string()))?;
    match parse(pattern, &text) {
        Ok(_) => Ok(()),
        Err(TimeError::NotThePattern { problem, .. }) => Err(wrong(problem)),
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// Reads a time; one without an offset, zone or epoch is a civil time.
pub(super) fn parse(pattern: &str, text: &str) -> Result<Moment, TimeError> {
    let wrong = |error: jiff::Error| TimeError::NotThePattern {
        text: shown(text),
        problem: error.to_string(),
    };
    let parts = strtime::parse(pattern, text).map_err(wrong)?;
    let has_zone = parts.offset().is_some() || parts.iana_time_zone().is_some();
    if !has_zone && parts.timestamp().is_none() {
        let civil = match parts.to_datetime() {
            Ok(civil) => civil,
            // A pattern with a date alone means its midnight.
            Err(error) => {
                let date = parts.to_date().map_err(|_| wrong(error))?;
                date.at(0, 0, 0, 0)
            }
        };
        return Ok(Moment::Civil(civil));
    }
    let timestamp = match parts.timestamp() {
        Some(timestamp) => timestamp,
        None if parts.iana_time_zone().is_some() => parts.to_zoned().map_err(wrong)?.timestamp(),
        None => parts.to_timestamp().map_err(wrong)?,
    };
    i64::try_from(timestamp.as_nanosecond())
        .map(Moment::Instant)
        .map_err(|_| TimeError::out_of_range(text))
}
