//! Times: from text to nanoseconds since the Unix epoch, UTC.
//!
//! A number is a time only where its unit is said (`--time-format`); the one exception is
//! `--time-format auto`, which takes the unit from the size of the first time and keeps it for
//! the file. A time without an offset is UTC, or a wall clock of the zone that was named.

mod decimal;
mod iso;
mod pattern;
mod shape;
mod zone;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::error::shown;
pub(super) use decimal::Decimal;
pub(super) use iso::days_from_civil;
pub(super) use shape::Shape;
use zone::WallClock;

/// The unit of numeric times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
}

impl TimeUnit {
    /// The power of ten from the unit to nanoseconds.
    pub(super) const fn exponent(self) -> i32 {
        match self {
            Self::Seconds => 9,
            Self::Millis => 6,
            Self::Micros => 3,
            Self::Nanos => 0,
        }
    }

    /// The unit of an epoch time of this size: a time between 1973 and 5138 in seconds,
    /// milliseconds, microseconds or nanoseconds.
    pub(super) const fn likely(size: u64) -> Self {
        match size {
            0..100_000_000_000 => Self::Seconds,
            100_000_000_000..100_000_000_000_000 => Self::Millis,
            100_000_000_000_000..100_000_000_000_000_000 => Self::Micros,
            _ => Self::Nanos,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Millis => "milliseconds",
            Self::Micros => "microseconds",
            Self::Nanos => "nanoseconds",
        }
    }
}

/// How times are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeFormat {
    /// Numbers of a unit since the epoch, or since the start that was given.
    Epoch(TimeUnit),
    /// Date and time of ISO 8601 and RFC 3339, with an offset or without.
    Iso,
    /// Either of these; the unit of numbers is taken from the size of the first.
    Auto,
    /// A pattern of `strptime`.
    Pattern(String),
    /// A time of day, `18:11:00`: of the day of the start that was given, and of the days that
    /// follow where the clock passes midnight.
    TimeOfDay,
}

impl TimeFormat {
    /// Reads what `--time-format` takes.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "s" => Self::Epoch(TimeUnit::Seconds),
            "ms" => Self::Epoch(TimeUnit::Millis),
            "us" | "µs" => Self::Epoch(TimeUnit::Micros),
            "ns" => Self::Epoch(TimeUnit::Nanos),
            "rfc3339" | "iso" => Self::Iso,
            "auto" => Self::Auto,
            _ if text.contains('%') => {
                pattern::check(text)?;
                Self::Pattern(text.to_owned())
            }
            _ => {
                return Err(format!(
                    "{text:?} is not a time format; give s, ms, us, ns, rfc3339, auto, \
                     or a pattern such as \"%d-%b-%Y %H:%M:%S%.f\""
                ));
            }
        })
    }
}

/// Why a time cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeError {
    /// The cell is empty.
    #[error("the row has no time")]
    Missing,
    /// A number was expected.
    #[error("{text} is not a number of {unit}")]
    NotANumber {
        /// The text, quoted and cut.
        text: String,
        /// The unit.
        unit: &'static str,
    },
    /// An ISO date and time was expected.
    #[error("{text} is not a date and time such as 2007-08-20T06:52:28Z")]
    NotIso {
        /// The text, quoted and cut.
        text: String,
    },
    /// The pattern does not fit.
    #[error("{text} does not fit the pattern: {problem}")]
    NotThePattern {
        /// The text, quoted and cut.
        text: String,
        /// What the pattern's reader says.
        problem: String,
    },
    /// A time of day was expected.
    #[error("{text} is not a time of day such as 18:11:00")]
    NotTimeOfDay {
        /// The text, quoted and cut.
        text: String,
    },
    /// The date and the time of day are in two columns, and one is empty.
    #[error("the row has only half of its time, {half}")]
    Half {
        /// What there is, quoted and cut.
        half: String,
    },
    /// A day, hour or the like that does not exist.
    #[error("{text} names a date or time that does not exist")]
    NoSuchTime {
        /// The text, quoted and cut.
        text: String,
    },
    /// The wall clock skipped the time at a change to daylight saving.
    #[error("{text} never was: the clocks of {zone} skipped it at a daylight-saving change")]
    Skipped {
        /// The text, quoted and cut.
        text: String,
        /// The zone.
        zone: String,
    },
    /// Times are relative, and nothing says to what.
    #[error("times are relative and the file has no date; give --start TIME")]
    NoStart,
    /// Outside of what i64 nanoseconds hold.
    #[error("{text} is outside of the years 1677 to 2262 that nanosecond times cover")]
    OutOfRange {
        /// The text, quoted and cut.
        text: String,
    },
}

impl TimeError {
    fn out_of_range(text: &str) -> Self {
        Self::OutOfRange { text: shown(text) }
    }
}

/// A moment as text states it: with an offset or zone of its own, or of a wall clock.
enum Moment {
    Instant(i64),
    Civil(DateTime),
}

/// Whether a text is an ISO date and time.
pub(super) fn looks_iso(text: &str) -> bool {
    iso::parse(text).is_ok()
}

/// Reads an RFC 3339 time with UTC where it has no offset; for options.
pub(super) fn parse_instant(text: &str, zone: Option<&TimeZone>) -> Result<i64, TimeError> {
    TimeReader::new(TimeFormat::Iso, None, zone.cloned()).read(text)
}

/// Reads the times of one file.
pub(super) struct TimeReader {
    format: TimeFormat,
    start_ns: Option<i64>,
    clock: WallClock,
    /// The unit that `auto` settled on.
    settled: Option<TimeUnit>,
    /// The last moment that a time of day came to, on the wall clock as if it were of UTC.
    last_of_day_ns: Option<i64>,
}

impl TimeReader {
    /// A reader; numbers count from `start_ns` where it is given.
    pub(super) fn new(format: TimeFormat, start_ns: Option<i64>, zone: Option<TimeZone>) -> Self {
        Self { format, start_ns, clock: WallClock::new(zone), settled: None, last_of_day_ns: None }
    }

    /// What the user should know: the unit that `auto` chose.
    pub(super) fn note(&self) -> Option<String> {
        let unit = self.settled?;
        Some(format!("--time-format auto: times are {}", unit.name()))
    }

    /// Reads one time.
    pub(super) fn read(&mut self, text: &str) -> Result<i64, TimeError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TimeError::Missing);
        }
        let moment = match &self.format {
            TimeFormat::Epoch(unit) => return self.number(text, *unit),
            TimeFormat::Iso => iso::parse(text)?,
            TimeFormat::Pattern(pattern) => pattern::parse(pattern, text)?,
            TimeFormat::TimeOfDay => self.of_day(text)?,
            TimeFormat::Auto => match Decimal::parse(text) {
                None => iso::parse(text)?,
                Some(number) => {
                    let unit = *self.settled.get_or_insert_with(|| number.likely_unit());
                    return self.number(text, unit);
                }
            },
        };
        match moment {
            Moment::Instant(time_ns) => {
                self.clock.saw(time_ns);
                Ok(time_ns)
            }
            Moment::Civil(civil) => self.clock.resolve(civil, text),
        }
    }

    /// A time of day, on the day that is nearest to the time before.
    fn of_day(&mut self, text: &str) -> Result<Moment, TimeError> {
        let start_ns = self.start_ns.ok_or(TimeError::NoStart)?;
        let time_of_day_ns = shape::time_of_day_ns(text)
            .ok_or_else(|| TimeError::NotTimeOfDay { text: shown(text) })?;
        let civil_ns = match self.last_of_day_ns {
            Some(last_ns) => nearest_of_day(last_ns, time_of_day_ns),
            None => on_day_of(self.clock.civil_ns(start_ns), time_of_day_ns),
        };
        self.last_of_day_ns = Some(civil_ns);
        let civil = jiff::Timestamp::from_nanosecond(civil_ns.into());
        let civil = civil.map_err(|_| TimeError::out_of_range(text))?;
        Ok(Moment::Civil(jiff::tz::Offset::UTC.to_datetime(civil)))
    }

    fn number(&self, text: &str, unit: TimeUnit) -> Result<i64, TimeError> {
        let number = Decimal::parse(text)
            .ok_or_else(|| TimeError::NotANumber { text: shown(text), unit: unit.name() })?;
        let time_ns = number.scaled(unit.exponent());
        let time_ns = time_ns.and_then(|time| match self.start_ns {
            Some(start) => start.checked_add(time),
            None => Some(time),
        });
        time_ns.ok_or_else(|| TimeError::out_of_range(text))
    }
}

/// A day in nanoseconds.
pub(super) const DAY_NS: i64 = 86_400_000_000_000;

/// The moment with this time of day on the day of another moment.
pub(super) const fn on_day_of(time_ns: i64, time_of_day_ns: i64) -> i64 {
    time_ns.div_euclid(DAY_NS).saturating_mul(DAY_NS).saturating_add(time_of_day_ns)
}

/// The moment with this time of day that is nearest to another moment.
pub(super) fn nearest_of_day(to_ns: i64, time_of_day_ns: i64) -> i64 {
    let same_day = on_day_of(to_ns, time_of_day_ns);
    if same_day.saturating_sub(to_ns) > DAY_NS / 2 {
        same_day.saturating_sub(DAY_NS)
    } else if to_ns.saturating_sub(same_day) > DAY_NS / 2 {
        same_day.saturating_add(DAY_NS)
    } else {
        same_day
    }
}

#[cfg(test)]
mod tests;
