//! Times as people write them.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The time now, as the ledger counts: in milliseconds since the epoch. A clock before 1970 says 1970.
pub(crate) fn now_ms() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default()
}

/// A time as [`parse`] takes it, as the ledger counts: in milliseconds since the epoch.
pub(crate) fn parse_ms(text: &str) -> Result<u64, String> {
    let ms = u64::try_from(parse(text)?.div_euclid(1_000_000));
    ms.map_err(|_| format!("{text}: the ledger knows no time before 1970"))
}

/// A time as RFC 3339, a date, or nanoseconds since the epoch: in nanoseconds since the epoch. What is
/// not one is said.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    if let Ok(time_ns) = text.parse::<i64>() {
        if (1_600..=2_400).contains(&time_ns) {
            return Err(format!(
                "{text} would be nanoseconds after 1970; where it is a year, write {text}-01-01"
            ));
        }
        return Ok(time_ns);
    }
    let timestamp = text.parse::<jiff::Timestamp>().or_else(|error| {
        let civil = text.parse::<DateTime>().map_err(|_| error)?;
        civil.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp())
    });
    let timestamp = timestamp.map_err(|_| {
        format!("{text:?} is not a time; write 2026-01-31T08:00:00Z, 2026-01-31 or nanoseconds")
    })?;
    i64::try_from(timestamp.as_nanosecond())
        .map_err(|_| format!("{text} is outside of the years 1677 to 2262"))
}
