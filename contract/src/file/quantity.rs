//! Times and deadlines as people write them.

use crate::model::Clock;

/// The longest time: a hundred years.
const MILLISECONDS_MAX: u64 = 100 * 366 * 86_400_000;
/// The most blocks: as many as such a time has at one a second, and more.
const BLOCKS_MAX: u64 = 10_000_000_000;

/// Reads a time, `500ms`, `10s`, `5m`, `2h` or `30d`: milliseconds.
pub(crate) fn duration_ms(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 5] =
        [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    let digits = text.trim_end_matches(|sign: char| !sign.is_ascii_digit());
    let unit = text.get(digits.len()..)?;
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
    whole(digits)?.checked_mul(*factor).filter(|time| (1..=MILLISECONDS_MAX).contains(time))
}

/// Reads `20 blocks`, or a time.
pub(crate) fn deadline(text: &str) -> Option<(Clock, u64)> {
    match text.strip_suffix(" blocks") {
        Some(digits) => whole(digits)
            .filter(|blocks| (1..=BLOCKS_MAX).contains(blocks))
            .map(|b| (Clock::Blocks, b)),
        None => duration_ms(text).map(|time| (Clock::Time, time)),
    }
}

/// A whole number in its one form.
fn whole(digits: &str) -> Option<u64> {
    let is_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits || digits.starts_with('0') { None } else { digits.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_and_bounds() {
        assert_eq!(duration_ms("500ms"), Some(500));
        assert_eq!(duration_ms("30d"), Some(2_592_000_000));
        assert_eq!(deadline("20 blocks"), Some((Clock::Blocks, 20)));
        assert_eq!(deadline("2h"), Some((Clock::Time, 7_200_000)));
        for wrong in
            ["", "5", "m", "0s", "05s", "-1s", "1.5h", "1 h", "20blocks", "0 blocks", "9999999999d"]
        {
            assert_eq!(deadline(wrong), None, "{wrong}");
        }
    }
}
