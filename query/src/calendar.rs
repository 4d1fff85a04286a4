//! Buckets of the clock and of the calendar, in any time zone.
//!
//! As in DuckDB, buckets below a month are counted from Monday, 2000-01-03, those of months from
//! 2000-01-01. In a time zone the origin is midnight there; buckets of hours and less are spans of
//! elapsed time from it, buckets of days and months follow the calendar, so that a day on which
//! clocks change has 23 or 25 hours.

use std::fmt;

use chronolith_engine::Every;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

const DAY_NS: i64 = 86_400_000_000_000;
/// 2000-01-03 and 2000-01-01, midnight UTC.
const MONDAY_NS: i64 = 10_959 * DAY_NS;
/// The widest bucket of months: ten thousand years.
const MONTHS_MAX: i32 = 120_000;

/// How wide buckets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    Nanoseconds(i64),
    Days(i32),
    Months(i32),
}

/// How times are put into buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Buckets {
    width: Width,
    /// A time that a bucket begins at.
    origin_ns: Option<i64>,
    /// Added to every bucket's beginning.
    offset_ns: i64,
    /// `None` is UTC.
    zone: Option<TimeZone>,
}

impl fmt::Display for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.width {
            Width::Nanoseconds(length) => write!(f, "{:?}", SignedDuration::from_nanos(length))?,
            Width::Days(days) => write!(f, "{days} days")?,
            Width::Months(months) => write!(f, "{months} months")?,
        }
        match self.zone.as_ref().and_then(TimeZone::iana_name) {
            Some(zone) => write!(f, " in {zone}"),
            None => Ok(()),
        }
    }
}

impl Width {
    /// A width from the parts of an interval.
    pub(crate) fn new(months: i32, days: i32, nanoseconds: i64) -> Result<Self, String> {
        match (months, days, nanoseconds) {
            (1..=MONTHS_MAX, 0, 0) => Ok(Self::Months(months)),
            (0, 1.., 0) => Ok(Self::Days(days)),
            (0, 0, 1..) => Ok(Self::Nanoseconds(nanoseconds)),
            (0, 0.., 0..) if days > 0 || nanoseconds > 0 => {
                let total = i64::from(days).checked_mul(DAY_NS);
                let total = total.and_then(|days_ns| days_ns.checked_add(nanoseconds));
                total.map(Self::Nanoseconds).ok_or_else(|| "buckets are too wide".to_owned())
            }
            (0, 0, 0) => Err("buckets must be wider than 0".to_owned()),
            (0, ..) => Err("buckets cannot have a negative width".to_owned()),
            (_, 0, 0) => Err(format!("buckets of {months} months cannot be made")),
            _ => Err("a width cannot mix months with days or hours".to_owned()),
        }
    }

    /// A width as `5m`, `1h30m`, `1d`, `1mo` or `1y`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text.parse::<Every>() {
            Ok(Every::Nanoseconds(length)) if length % DAY_NS == 0 => {
                let days = i32::try_from(length / DAY_NS);
                days.map(Self::Days).map_err(|_| "buckets are too wide".to_owned())
            }
            Ok(Every::Nanoseconds(length)) => Ok(Self::Nanoseconds(length)),
            Ok(Every::Months(months)) => Self::new(i32::try_from(months).unwrap_or(i32::MAX), 0, 0),
            Ok(_) => Err("buckets must have a width".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Buckets {
    pub(crate) fn new(
        width: Width,
        origin_ns: Option<i64>,
        offset_ns: i64,
        zone: Option<TimeZone>,
    ) -> Self {
        let zone = zone.filter(|zone| *zone != TimeZone::UTC);
        Self { width, origin_ns, offset_ns, zone }
    }

    /// The same buckets as the engine's, where it has them.
    pub(crate) fn every(&self) -> Option<Every> {
        match (self.width, &self.zone) {
            (Width::Months(months), None) if self.origin_ns.is_none() && self.offset_ns == 0 => {
                Some(Every::Months(u32::try_from(months).ok()?))
            }
            // What follows the calendar is not always equally long.
            (Width::Months(_), _) | (Width::Days(_), Some(_)) => None,
            (Width::Nanoseconds(length), None)
                if self.origin_ns.is_none() && self.offset_ns == 0 =>
            {
                Some(Every::Nanoseconds(length))
            }
            (width, zone) => {
                let length_ns = width.fixed_ns()?;
                let usual_ns = match zone {
                    None => MONDAY_NS,
                    Some(zone) => instant(monday(), zone)?,
                };
                let origin_ns = self.origin_ns.unwrap_or(usual_ns).checked_add(self.offset_ns)?;
                Some(Every::NanosecondsFrom { length_ns, origin_ns })
            }
        }
    }

    /// The first nanosecond of the bucket that a time falls into; `None` outside of what
    /// timestamps can say.
    pub(crate) fn start_of(&self, time_ns: i64) -> Option<i64> {
        let given_ns = time_ns;
        let time_ns = time_ns.saturating_sub(self.offset_ns);
        let months = |width: i32, zone: &TimeZone| -> Option<i64> {
            let first = first_of_month(self.first_of_months(time_ns, width, zone)?);
            // Buckets that reach beyond the beginning of time are cut off there.
            Some(first.and_then(|first| instant(first, zone)).unwrap_or(i64::MIN))
        };
        let start_ns = match (&self.zone, self.width) {
            (None, Width::Months(width)) => months(width, &TimeZone::UTC)?,
            (Some(zone), Width::Months(width)) => months(width, zone)?,
            (Some(zone), Width::Days(width)) => {
                let first = self.first_of_days(time_ns, width, zone);
                first.and_then(|first| instant(first, zone)).unwrap_or(i64::MIN)
            }
            (None, width) => {
                floor(time_ns, width.fixed_ns()?, self.origin_ns.unwrap_or(MONDAY_NS))?
            }
            (Some(zone), Width::Nanoseconds(length)) => {
                let origin_ns = match self.origin_ns {
                    Some(origin_ns) => origin_ns,
                    None => instant(monday(), zone)?,
                };
                floor(time_ns, length, origin_ns)?
            }
        };
        let start_ns = start_ns.saturating_add(self.offset_ns);
        Some(if start_ns > given_ns { i64::MIN } else { start_ns })
    }

    /// The first nanosecond of the bucket behind the one that a time falls into, where the time is
    /// the beginning of its bucket, or is cut off at the beginning of time.
    pub(crate) fn next(&self, start_ns: i64) -> Option<i64> {
        let plain_ns = start_ns.saturating_sub(self.offset_ns);
        let next_ns = match (&self.zone, self.width) {
            (None, Width::Nanoseconds(_) | Width::Days(_)) | (_, Width::Nanoseconds(_)) => {
                plain_ns.checked_add(self.width.fixed_ns()?)?
            }
            (Some(zone), Width::Days(width)) => {
                let first = self.first_of_days(plain_ns, width, zone)?;
                let day = first.checked_add(jiff::Span::new().try_days(width).ok()?);
                instant(day.ok()?, zone)?
            }
            (zone, Width::Months(width)) => {
                let zone = zone.clone().unwrap_or(TimeZone::UTC);
                let first = self.first_of_months(plain_ns, width, &zone)?;
                instant(first_of_month(first + i64::from(width))?, &zone)?
            }
        };
        next_ns.checked_add(self.offset_ns)
    }

    /// The number of the first month of a bucket.
    fn first_of_months(&self, time_ns: i64, width: i32, zone: &TimeZone) -> Option<i64> {
        let origin = match self.origin_ns {
            Some(origin_ns) => month_number(civil(origin_ns, zone)?.date()),
            None => 2000 * 12,
        };
        let month = month_number(civil(time_ns, zone)?.date());
        let width = i64::from(width);
        Some((month - origin).div_euclid(width) * width + origin)
    }

    /// The local time at which a bucket of days begins.
    fn first_of_days(&self, time_ns: i64, width: i32, zone: &TimeZone) -> Option<DateTime> {
        let origin = match self.origin_ns {
            Some(origin_ns) => civil(origin_ns, zone)?,
            None => monday(),
        };
        let elapsed = civil(time_ns, zone)?.duration_since(origin);
        let days = elapsed.as_nanos().div_euclid(i128::from(DAY_NS));
        let first = days.div_euclid(i128::from(width)) * i128::from(width);
        let hours = i64::try_from(first).ok()?.checked_mul(24)?;
        origin.checked_add(SignedDuration::from_hours(hours)).ok()
    }
}

impl Width {
    /// The width where all buckets are equally long.
    pub(crate) const fn fixed_ns(self) -> Option<i64> {
        match self {
            Self::Nanoseconds(length) => Some(length),
            Self::Days(days) => (days as i64).checked_mul(DAY_NS),
            Self::Months(_) => None,
        }
    }
}

fn floor(time_ns: i64, length_ns: i64, origin_ns: i64) -> Option<i64> {
    let (time, length) = (i128::from(time_ns), i128::from(length_ns));
    let origin = i128::from(origin_ns);
    let start = (time - origin).div_euclid(length) * length + origin;
    // A bucket that reaches beyond the beginning of time is cut off there, as the engine does.
    i64::try_from(start.max(i64::MIN.into())).ok()
}

const fn monday() -> DateTime {
    jiff::civil::date(2000, 1, 3).at(0, 0, 0, 0)
}

fn civil(time_ns: i64, zone: &TimeZone) -> Option<DateTime> {
    Some(zone.to_datetime(Timestamp::from_nanosecond(time_ns.into()).ok()?))
}

/// The instant of a local time; where clocks skip it the one behind the gap, where they repeat it
/// the earlier.
fn instant(civil: DateTime, zone: &TimeZone) -> Option<i64> {
    i64::try_from(zone.to_timestamp(civil).ok()?.as_nanosecond()).ok()
}

fn month_number(date: Date) -> i64 {
    i64::from(date.year()) * 12 + i64::from(date.month()) - 1
}

fn first_of_month(number: i64) -> Option<DateTime> {
    let year = i16::try_from(number.div_euclid(12)).ok()?;
    let month = i8::try_from(number.rem_euclid(12)).ok()? + 1;
    Some(Date::new(year, month, 1).ok()?.at(0, 0, 0, 0))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    fn at(text: &str) -> i64 {
        i64::try_from(text.parse::<Timestamp>().unwrap().as_nanosecond()).unwrap()
    }

    fn buckets(width: &str, zone: Option<&str>) -> Buckets {
        let zone = zone.map(|zone| TimeZone::get(zone).unwrap());
        Buckets::new(Width::parse(width).unwrap(), None, 0, zone)
    }

    #[test]
    fn a_day_of_changing_clocks_is_one_bucket() {
        let days = buckets("1d", Some("Europe/Berlin"));
        for (day, hours) in [("2024-03-30T23:00:00Z", 23), ("2024-10-26T22:00:00Z", 25)] {
            let start_ns = at(day);
            let end_ns = start_ns + hours * 3_600_000_000_000;
            assert_eq!(days.start_of(start_ns), Some(start_ns));
            assert_eq!(days.start_of(end_ns - 1), Some(start_ns));
            assert_eq!(days.start_of(end_ns), Some(end_ns));
            assert_eq!(days.next(start_ns), Some(end_ns));
        }
    }

    #[test]
    fn months_begin_at_local_midnight() {
        let months = buckets("1mo", Some("America/New_York"));
        assert_eq!(months.start_of(at("2024-03-31T23:00:00Z")), Some(at("2024-03-01T05:00:00Z")));
        assert_eq!(months.next(at("2024-03-01T05:00:00Z")), Some(at("2024-04-01T04:00:00Z")));
    }

    #[test]
    fn hours_are_elapsed_time_in_every_zone() {
        let hours = buckets("1h", Some("Europe/Berlin"));
        for time in ["2024-10-27T00:30:00Z", "2024-10-27T01:30:00Z"] {
            assert_eq!(hours.start_of(at(time)), Some(at(time) - 1_800_000_000_000));
        }
    }

    #[test]
    fn without_a_zone_buckets_are_those_of_the_engine() {
        for width in ["7s", "5m", "1h", "1d", "1w", "1mo", "5mo", "1y"] {
            let buckets = buckets(width, None);
            assert!(buckets.every().is_some(), "{width}");
            for time_ns in [at("2024-02-29T12:34:56Z"), at("1999-12-31T23:59:59Z"), 0] {
                let start_ns = buckets.start_of(time_ns).unwrap();
                let end_ns = buckets.next(start_ns).unwrap();
                assert!(start_ns <= time_ns && time_ns < end_ns, "{width}");
                assert_eq!(buckets.start_of(end_ns - 1), Some(start_ns), "{width}");
            }
        }
    }

    #[test]
    fn the_ends_of_time_and_odd_widths_are_no_panic() {
        for width in [Width::Nanoseconds(i64::MAX), Width::Days(i32::MAX), Width::Months(120_000)] {
            for zone in [None, Some(TimeZone::get("Asia/Kathmandu").unwrap())] {
                for origin_ns in [None, Some(i64::MIN), Some(i64::MAX)] {
                    let buckets = Buckets::new(width, origin_ns, 3, zone.clone());
                    for time_ns in [i64::MIN, i64::MIN + 1, 0, i64::MAX - 1, i64::MAX] {
                        let start = buckets.start_of(time_ns);
                        assert!(start.is_none_or(|start_ns| start_ns <= time_ns));
                        let _ = buckets.next(time_ns);
                    }
                }
            }
        }
        assert!(Width::new(1, 1, 0).is_err() && Width::new(0, 0, 0).is_err());
        assert!(Width::new(0, -1, 0).is_err() && Width::new(i32::MAX, 0, 0).is_err());
    }
}
