//! Times and lengths of time as Prometheus' API has them.

/// Nanoseconds in a second.
const SECOND_NS: f64 = 1e9;

/// A time as seconds since the epoch, which may have a fraction, or as RFC 3339: nanoseconds.
pub(super) fn time(name: &str, text: &str) -> Result<i64, String> {
    if let Some(time_ns) = seconds(text) {
        return Ok(time_ns);
    }
    let parsed = text.parse::<jiff::Timestamp>().ok();
    parsed.and_then(|time| i64::try_from(time.as_nanosecond()).ok()).ok_or_else(|| {
        format!("invalid parameter {name:?}: cannot parse {text:?} to a valid timestamp")
    })
}

/// A length of time as seconds, which may have a fraction, or as `5m`, `1h30m`: nanoseconds.
pub(super) fn length(name: &str, text: &str) -> Result<i64, String> {
    let problem =
        || format!("invalid parameter {name:?}: cannot parse {text:?} to a valid duration");
    if let Some(length_ns) = seconds(text) {
        return Ok(length_ns);
    }
    let mut rest = text;
    let mut sum_ns: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|digits| *digits > 0);
        let (number, after) = rest.split_at(digits.ok_or_else(problem)?);
        let unit = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let unit_ns: i64 = match unit {
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            "w" => 604_800_000_000_000,
            "y" => 31_536_000_000_000_000,
            _ => return Err(problem()),
        };
        let part = number.parse::<i64>().ok().and_then(|number| number.checked_mul(unit_ns));
        sum_ns = part.and_then(|part| sum_ns.checked_add(part)).ok_or_else(problem)?;
        rest = after;
    }
    if text.is_empty() { Err(problem()) } else { Ok(sum_ns) }
}

/// Seconds with a fraction, exact to the nanosecond where the text has no more than nine digits of it.
fn seconds(text: &str) -> Option<i64> {
    let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    if is_plain(whole) && is_plain(fraction) && fraction.len() <= 9 {
        let whole: i64 = whole.parse().ok()?;
        let fraction: i64 = format!("{fraction:0<9}").parse().ok()?;
        let time_ns = whole.checked_mul(1_000_000_000)?.checked_add(fraction)?;
        return Some(if negative { -time_ns } else { time_ns });
    }
    let time_ns = text.parse::<f64>().ok()? * SECOND_NS;
    // The ends of i64 as floats; what rounds to the upper one is beyond it.
    let range = -9.223_372_036_854_775e18..=9.223_372_036_854_775e18;
    range.contains(&time_ns).then_some(time_ns as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_rfc_3339() {
        assert_eq!(time("t", "1767225600"), Ok(1_767_225_600_000_000_000));
        assert_eq!(time("t", "1767225600.123456789"), Ok(1_767_225_600_123_456_789));
        assert_eq!(time("t", "-1.5"), Ok(-1_500_000_000));
        assert_eq!(time("t", "1.7672256e9"), Ok(1_767_225_600_000_000_000));
        assert_eq!(time("t", "2026-01-01T00:00:00.5Z"), Ok(1_767_225_600_500_000_000));
        for text in
            ["", "now", "1e30", "NaN", "inf", "-", ".", "99999999999999999999", "2026-01-01"]
        {
            assert!(time("t", text).is_err(), "{text}");
        }
    }

    #[test]
    fn lengths_are_seconds_or_have_units() {
        assert_eq!(length("step", "15"), Ok(15_000_000_000));
        assert_eq!(length("step", "0.5"), Ok(500_000_000));
        assert_eq!(length("step", "1h30m"), Ok(5_400_000_000_000));
        assert_eq!(length("step", "250ms"), Ok(250_000_000));
        for text in ["", "m", "5x", "5m3", "999999999y"] {
            assert!(length("step", text).is_err(), "{text}");
        }
    }
}
