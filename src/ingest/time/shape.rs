//! What a text looks like that nobody said the format of: a date and time, a date, a time of day,
//! a number; and the format that reads it, where only one can.
//!
//! Dates are ISO, `2019/05/24`, `24.05.2019`, and with slashes or dashes those of which one number
//! can only be the day: `05/24/2019`, `24-05-2019`. `05/04/2019` is one of two days and has no
//! format; years of two digits have none either.

use super::{Decimal, TimeFormat, iso};

/// What a text looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A date and a time of day.
    DateTime(TimeFormat),
    /// A date alone.
    Date(TimeFormat),
    /// Day and month could be either way round; the rest of the pattern.
    EitherDate {
        /// Between the numbers of the date.
        sign: char,
        /// The pattern of what follows the date.
        rest: String,
    },
    /// A time of day alone.
    TimeOfDay,
    /// A number.
    Number,
    /// Something else.
    Other,
}

impl Shape {
    /// Looks at a text.
    pub(crate) fn of(text: &str) -> Self {
        let text = text.trim();
        if Decimal::parse(text).is_some() {
            return Self::Number;
        }
        if clock_pattern(text).is_some() {
            return Self::TimeOfDay;
        }
        let is_date = text.len() == 10;
        if iso::parse(text).is_ok() {
            return match is_date {
                true => Self::Date(TimeFormat::Iso),
                false => Self::DateTime(TimeFormat::Iso),
            };
        }
        let (date, clock) = match text.split_once([' ', 'T']) {
            Some((date, clock)) => (date, Some(clock.trim_start())),
            None => (text, None),
        };
        let separator = match text[date.len()..].starts_with('T') {
            true => "T",
            false => " ",
        };
        let rest = match clock {
            None => String::new(),
            Some(clock) => match clock_pattern(clock) {
                Some(pattern) => format!("{separator}{pattern}"),
                None => return Self::Other,
            },
        };
        let format = |date: &str| TimeFormat::Pattern(format!("{date}{rest}"));
        match (DateOrder::of(date), clock) {
            (Some(DateOrder::Either(sign)), _) => Self::EitherDate { sign, rest },
            (Some(DateOrder::Known(pattern)), None) => Self::Date(format(&pattern)),
            (Some(DateOrder::Known(pattern)), Some(_)) => Self::DateTime(format(&pattern)),
            (None, _) => Self::Other,
        }
    }
}

/// In which order a date names day, month and year.
enum DateOrder {
    /// As this pattern.
    Known(String),
    /// Day and month are both at most 12; the sign between them.
    Either(char),
}

impl DateOrder {
    fn of(date: &str) -> Option<Self> {
        let sign = date.chars().find(|c| matches!(c, '/' | '-' | '.'))?;
        let mut parts = date.split(sign);
        let [first, second, third] = [parts.next()?, parts.next()?, parts.next()?];
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if parts.next().is_some() || ![first, second, third].into_iter().all(is_number) {
            return None;
        }
        let [a, b, c] = [first, second, third].map(|part| part.parse::<u32>().ok());
        let (a, b, c) = (a?, b?, c?);
        let small = |part: &str| (1..=2).contains(&part.len());
        if first.len() == 4 && small(second) && small(third) {
            let exists = (1..=12).contains(&b) && (1..=31).contains(&c);
            return exists.then(|| Self::Known(format!("%Y{sign}%m{sign}%d")));
        }
        if third.len() != 4 || !small(first) || !small(second) {
            return None;
        }
        let day_first = || Self::Known(format!("%d{sign}%m{sign}%Y"));
        match (a, b, sign) {
            (1..=31, 1..=12, '.') => Some(day_first()),
            (1..=12, 1..=12, _) => Some(Self::Either(sign)),
            (13..=31, 1..=12, _) => Some(day_first()),
            (1..=12, 13..=31, _) => Some(Self::Known(format!("%m{sign}%d{sign}%Y"))),
            _ => None,
        }
    }
}

/// The pattern of a time of day: `18:11`, `6:11:00.5 PM`.
fn clock_pattern(text: &str) -> Option<String> {
    let bare = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let half = match text[bare.len()..].to_ascii_lowercase().as_str() {
        "" => "",
        "am" | "pm" if bare.ends_with(' ') => " %p",
        "am" | "pm" => "%p",
        _ => return None,
    };
    let bare = bare.trim_end();
    let (whole, fraction) = bare.split_once('.').map_or((bare, None), |(a, b)| (a, Some(b)));
    let mut parts = whole.split(':');
    let two = |part: &str, least: usize| {
        (least..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next());
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_clock = two(hour, 1)
        && two(minute, 2)
        && second.is_none_or(|second| two(second, 2))
        && parts.next().is_none()
        && fraction.is_none_or(|fraction| second.is_some() && digits(fraction));
    if !is_clock {
        return None;
    }
    let hours = if half.is_empty() { "%H" } else { "%I" };
    let seconds = if second.is_some() { ":%S%.f" } else { "" };
    Some(format!("{hours}:%M{seconds}{half}"))
}

/// A time of day in nanoseconds since midnight; 24:00 is the end of the day.
pub(super) fn time_of_day_ns(text: &str) -> Option<i64> {
    let pattern = clock_pattern(text)?;
    if matches!(text, "24:00" | "24:00:00") {
        return Some(86_400_000_000_000);
    }
    let time = jiff::fmt::strtime::parse(pattern, text).ok()?.to_time().ok()?;
    let seconds = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60;
    let nanoseconds = (seconds + i64::from(time.second())) * 1_000_000_000;
    Some(nanoseconds + i64::from(time.subsec_nanosecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_has_a_format_where_only_one_can_read_it() {
        let pattern = |pattern: &str| TimeFormat::Pattern(pattern.to_owned());
        for (text, shape) in [
            ("2020-01-01", Shape::Date(TimeFormat::Iso)),
            ("2020-01-01T10:00:00Z", Shape::DateTime(TimeFormat::Iso)),
            ("2020-01-01 9:05", Shape::DateTime(pattern("%Y-%m-%d %H:%M"))),
            ("2020/1/31", Shape::Date(pattern("%Y/%m/%d"))),
            ("24.05.2019 18:11:00.5", Shape::DateTime(pattern("%d.%m.%Y %H:%M:%S%.f"))),
            ("04.05.2019", Shape::Date(pattern("%d.%m.%Y"))),
            ("5/24/2019 6:11 PM", Shape::DateTime(pattern("%m/%d/%Y %I:%M %p"))),
            ("24-05-2019", Shape::Date(pattern("%d-%m-%Y"))),
            ("05/04/2019", Shape::EitherDate { sign: '/', rest: String::new() }),
            ("05/04/2019 10:00", Shape::EitherDate { sign: '/', rest: " %H:%M".to_owned() }),
            ("10:00", Shape::TimeOfDay),
            ("6:11:00.25am", Shape::TimeOfDay),
            ("12.5", Shape::Number),
            ("24/05/19", Shape::Other),
            ("13/13/2019", Shape::Other),
            ("24-May-2019", Shape::Other),
            ("10:0", Shape::Other),
            ("10:00.5", Shape::Other),
            ("", Shape::Other),
            ("é", Shape::Other),
        ] {
            assert_eq!(Shape::of(text), shape, "{text}");
        }
    }

    #[test]
    fn times_of_day_count_from_midnight() {
        let second = 1_000_000_000;
        assert_eq!(time_of_day_ns("9:05"), Some((9 * 3600 + 5 * 60) * second));
        assert_eq!(time_of_day_ns("12:00:00.5 AM"), Some(second / 2));
        assert_eq!(time_of_day_ns("24:00:00"), Some(86_400 * second));
        assert_eq!([time_of_day_ns("25:00"), time_of_day_ns("24:01")], [None, None]);
    }
}
