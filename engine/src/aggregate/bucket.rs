//! Buckets of time.

use std::str::FromStr;

use crate::civil::{DAY_NS, date_of_day, day_of_date};
use crate::error::ReadError;

/// Monday, 2000-01-03: where buckets shorter than a month are counted from, as DuckDB does.
const ORIGIN_NS: i64 = 10_959 * DAY_NS;

/// How long buckets are. Buckets below a month are aligned to Monday, 2000-01-03, those of months
/// to 2000-01-01, both UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Every {
    /// So many nanoseconds; more than 0.
    Nanoseconds(i64),
    /// So many nanoseconds, counted from another origin than the usual one.
    NanosecondsFrom {
        /// The length; more than 0.
        length_ns: i64,
        /// A time that a bucket begins at: nanoseconds since the epoch.
        origin_ns: i64,
    },
    /// So many calendar months; more than 0.
    Months(u32),
    /// One bucket for everything; it starts at the least time.
    Everything,
}

impl Every {
    /// Checks that buckets have a length.
    pub(crate) fn check(self) -> Result<(), ReadError> {
        match self {
            Self::Nanoseconds(length) | Self::NanosecondsFrom { length_ns: length, .. }
                if length <= 0 =>
            {
                Err(ReadError::Buckets(format!("buckets of {length} ns cannot be made")))
            }
            Self::Months(0) => Err(ReadError::Buckets("buckets of 0 months cannot be made".into())),
            _ => Ok(()),
        }
    }

    /// The first nanosecond of the bucket that a time falls into; buckets at the ends of time
    /// are cut off there.
    pub(crate) fn start_of(self, time_ns: i64) -> i64 {
        match self {
            Self::Nanoseconds(length) => floor(time_ns, length, ORIGIN_NS),
            Self::NanosecondsFrom { length_ns, origin_ns } => floor(time_ns, length_ns, origin_ns),
            Self::Months(months) => {
                let (year, month, _) = date_of_day(time_ns.div_euclid(DAY_NS));
                let count = (year - 2000) * 12 + i64::from(month) - 1;
                start_of_month(count.div_euclid(months.into()) * i64::from(months))
            }
            Self::Everything => i64::MIN,
        }
    }

    /// The first nanosecond behind the bucket that starts at `start_ns`; `None` at the end of time.
    pub(crate) fn end_of(self, start_ns: i64) -> Option<i64> {
        match self {
            Self::Nanoseconds(length) => next(start_ns, length, ORIGIN_NS),
            Self::NanosecondsFrom { length_ns, origin_ns } => next(start_ns, length_ns, origin_ns),
            Self::Months(months) => {
                let (year, month, _) = date_of_day(start_ns.div_euclid(DAY_NS));
                let count = (year - 2000) * 12 + i64::from(month) - 1;
                let next = (count.div_euclid(months.into()) + 1) * i64::from(months);
                let end = start_of_month(next);
                (end < i64::MAX).then_some(end)
            }
            Self::Everything => None,
        }
    }
}

/// The start of the bucket of a length, counted from an origin, that a time falls into.
fn floor(time_ns: i64, length_ns: i64, origin_ns: i64) -> i64 {
    let (time, length) = (i128::from(time_ns), i128::from(length_ns));
    let origin = i128::from(origin_ns);
    clamp((time - origin).div_euclid(length) * length + origin)
}

/// The end of the bucket that starts at a time.
fn next(start_ns: i64, length_ns: i64, origin_ns: i64) -> Option<i64> {
    // A bucket that was cut off at the start of time ends where its whole would.
    if start_ns != i64::MIN {
        return start_ns.checked_add(length_ns);
    }
    let (time, length) = (i128::from(start_ns), i128::from(length_ns));
    let origin = i128::from(origin_ns);
    i64::try_from(((time - origin).div_euclid(length) + 1) * length + origin).ok()
}

fn clamp(time_ns: i128) -> i64 {
    time_ns.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// The first nanosecond of a month counted from January 2000.
fn start_of_month(count: i64) -> i64 {
    let (year, month) = (2000 + count.div_euclid(12), count.rem_euclid(12) as u8 + 1);
    clamp(i128::from(day_of_date(year, month, 1)) * i128::from(DAY_NS))
}

/// `5m`, `1h30m`, `250ms`, `1d`, `2w`, `1mo`, `1y` or `all`.
impl FromStr for Every {
    type Err = ReadError;

    fn from_str(text: &str) -> Result<Self, ReadError> {
        let problem = || {
            let hint = "write for example 250ms, 5m, 1h30m, 1d, 2w, 1mo, 1y or all";
            ReadError::Buckets(format!("{text:?} is not a length of time; {hint}"))
        };
        if text == "all" {
            return Ok(Self::Everything);
        }
        let (mut rest, mut total_ns, mut months) = (text, 0_i64, 0_u32);
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(problem)?;
            let number: i64 = rest[..digits].parse().map_err(|_| problem())?;
            rest = &rest[digits..];
            let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let unit_ns = match &rest[..end] {
                "ns" => 1,
                "us" | "µs" => 1_000,
                "ms" => 1_000_000,
                "s" => 1_000_000_000,
                "m" | "min" => 60_000_000_000,
                "h" => 3_600_000_000_000,
                "d" => DAY_NS,
                "w" => 7 * DAY_NS,
                unit @ ("mo" | "y") => {
                    let factor = if unit == "y" { 12 } else { 1 };
                    let count = u32::try_from(number).ok().and_then(|n| n.checked_mul(factor));
                    let count = count.filter(|count| *count <= 12_000).ok_or_else(problem)?;
                    months = months.checked_add(count).ok_or_else(problem)?;
                    0
                }
                _ => return Err(problem()),
            };
            let part = number.checked_mul(unit_ns).ok_or_else(problem)?;
            total_ns = total_ns.checked_add(part).ok_or_else(problem)?;
            rest = &rest[end..];
        }
        match (total_ns, months) {
            (1.., 0) => Ok(Self::Nanoseconds(total_ns)),
            (0, 1..) => Ok(Self::Months(months)),
            _ => Err(problem()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    const MINUTE_NS: i64 = 60_000_000_000;

    #[test]
    fn lengths_are_read_and_nonsense_is_refused() {
        assert_eq!("5m".parse::<Every>().unwrap(), Every::Nanoseconds(5 * MINUTE_NS));
        assert_eq!("1h30m".parse::<Every>().unwrap(), Every::Nanoseconds(90 * MINUTE_NS));
        assert_eq!("1y".parse::<Every>().unwrap(), Every::Months(12));
        assert_eq!("all".parse::<Every>().unwrap(), Every::Everything);
        for text in ["", "5", "m", "0s", "1mo2d", "-1m", "99999999999d", "5 m"] {
            assert!(text.parse::<Every>().is_err(), "{text}");
        }
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_the_first() {
        let week = Every::Nanoseconds(7 * DAY_NS);
        let monday = day_of_date(2024, 2, 26) * DAY_NS;
        let leap_day = day_of_date(2024, 2, 29) * DAY_NS + 17;
        assert_eq!(week.start_of(leap_day), monday);
        assert_eq!(week.end_of(monday), Some(monday + 7 * DAY_NS));
        let quarter = Every::Months(3);
        assert_eq!(quarter.start_of(leap_day), day_of_date(2024, 1, 1) * DAY_NS);
        assert_eq!(
            quarter.end_of(quarter.start_of(leap_day)),
            Some(day_of_date(2024, 4, 1) * DAY_NS)
        );
    }

    #[test]
    fn buckets_reach_to_the_ends_of_time() {
        let odd = Every::NanosecondsFrom { length_ns: 11, origin_ns: i64::MAX };
        for every in [Every::Nanoseconds(7), Every::Nanoseconds(i64::MAX), Every::Months(5), odd] {
            for time_ns in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX] {
                let start_ns = every.start_of(time_ns);
                assert!(start_ns <= time_ns);
                assert!(every.end_of(start_ns).is_none_or(|end_ns| end_ns > time_ns));
            }
        }
    }
}
