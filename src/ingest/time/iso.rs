//! Date and time of ISO 8601 and RFC 3339, by hand: the time column of a log is read as often as
//! its values.

use jiff::civil::DateTime;

use super::{Moment, TimeError};
use crate::ingest::error::shown;

/// Days from 1970-01-01 to a date of the Gregorian calendar (Howard Hinnant, "chrono-compatible
/// low-level date algorithms", days_from_civil). The date must exist.
pub(crate) const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A date and a time of day, checked.
struct Fields {
    year: i64,
    month: i64,
    day: i64,
    second_of_day: i64,
    nanosecond: i64,
}

/// Reads `YYYY-MM-DD`, alone or followed by `T` or a blank, `HH:MM[:SS[.fraction]]` and an offset
/// (`Z`, `+HH:MM`, `+HHMM`, `+HH`) or none. A leap second counts as the second after it, 24:00:00
/// as the midnight that ends the day.
pub(super) fn parse(text: &str) -> Result<Moment, TimeError> {
    let not_iso = || TimeError::NotIso { text: shown(text) };
    let no_such = || TimeError::NoSuchTime { text: shown(text) };
    let mut rest = text.as_bytes();
    let year = number(&mut rest, 4).ok_or_else(not_iso)?;
    let month = after(&mut rest, b'-').and_then(|()| number(&mut rest, 2)).ok_or_else(not_iso)?;
    let day = after(&mut rest, b'-').and_then(|()| number(&mut rest, 2)).ok_or_else(not_iso)?;
    if !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
        return Err(no_such());
    }
    let mut fields = Fields { year, month, day, second_of_day: 0, nanosecond: 0 };
    if rest.is_empty() {
        return civil(&fields).ok_or_else(no_such);
    }
    let [b'T' | b't' | b' ', tail @ ..] = rest else { return Err(not_iso()) };
    rest = tail;
    let (hour, minute, second, nanosecond) = time_of_day(&mut rest).ok_or_else(not_iso)?;
    let ends_day = (hour, minute, second, nanosecond) == (24, 0, 0, 0);
    if (hour > 23 && !ends_day) || minute > 59 || second > 60 {
        return Err(no_such());
    }
    fields.second_of_day = hour * 3600 + minute * 60 + second;
    fields.nanosecond = nanosecond;
    if let [b' ', tail @ ..] = rest {
        rest = tail;
    }
    if rest.is_empty() {
        return civil(&fields).ok_or_else(no_such);
    }
    let offset = offset_seconds(rest).ok_or_else(not_iso)?;
    instant(&fields, offset).ok_or_else(|| TimeError::out_of_range(text))
}

fn instant(fields: &Fields, offset: i64) -> Option<Moment> {
    let days = days_from_civil(fields.year, fields.month, fields.day);
    let seconds = days * 86_400 + fields.second_of_day - offset;
    let nanoseconds = i128::from(seconds) * 1_000_000_000 + i128::from(fields.nanosecond);
    i64::try_from(nanoseconds).ok().map(Moment::Instant)
}

fn civil(fields: &Fields) -> Option<Moment> {
    let second = fields.second_of_day.min(86_399);
    let date_time = DateTime::new(
        i16::try_from(fields.year).ok()?,
        i8::try_from(fields.month).ok()?,
        i8::try_from(fields.day).ok()?,
        i8::try_from(second / 3600).ok()?,
        i8::try_from(second / 60 % 60).ok()?,
        i8::try_from(second % 60).ok()?,
        i32::try_from(fields.nanosecond).ok()?,
    );
    let leap = jiff::SignedDuration::from_secs(fields.second_of_day - second);
    Some(Moment::Civil(date_time.ok()?.checked_add(leap).ok()?))
}

fn time_of_day(rest: &mut &[u8]) -> Option<(i64, i64, i64, i64)> {
    let hour = number(rest, 2)?;
    after(rest, b':')?;
    let minute = number(rest, 2)?;
    if after(rest, b':').is_none() {
        return Some((hour, minute, 0, 0));
    }
    let second = number(rest, 2)?;
    let nanosecond = match *rest {
        [b'.' | b',', tail @ ..] => {
            *rest = tail;
            fraction(rest)?
        }
        _ => 0,
    };
    Some((hour, minute, second, nanosecond))
}

/// The digits of a fraction as nanoseconds; what is below a nanosecond is cut off.
fn fraction(rest: &mut &[u8]) -> Option<i64> {
    let (mut nanosecond, mut unit) = (0, 100_000_000);
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    for digit in &rest[..digits] {
        nanosecond += i64::from(digit - b'0') * unit;
        unit /= 10;
    }
    *rest = &rest[digits..];
    (digits > 0).then_some(nanosecond)
}

fn offset_seconds(rest: &[u8]) -> Option<i64> {
    let (sign, mut digits) = match rest {
        [b'Z' | b'z'] | b"UTC" | b"GMT" => return Some(0),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let hour = number(&mut digits, 2)?;
    if let [b':', tail @ ..] = digits {
        digits = tail;
    }
    let minute = if digits.is_empty() { 0 } else { number(&mut digits, 2)? };
    let valid = digits.is_empty() && hour < 24 && minute < 60;
    valid.then_some(sign * (hour * 3600 + minute * 60))
}

/// Takes a number of exactly so many digits.
fn number(rest: &mut &[u8], digits: usize) -> Option<i64> {
    let (taken, tail) = rest.split_at_checked(digits)?;
    let mut number = 0;
    for byte in taken {
        if !byte.is_ascii_digit() {
            return None;
        }
        number = number * 10 + i64::from(byte - b'0');
    }
    *rest = tail;
    Some(number)
}

fn after(rest: &mut &[u8], byte: u8) -> Option<()> {
    *rest = rest.strip_prefix(&[byte])?;
    Some(())
}
