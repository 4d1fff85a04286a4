//! Decimal commas: `1,5` and `1.234,5`, as half of the world writes numbers.
//!
//! Whether a file has them is settled before its first row is read, by the rows that are there
//! already: numbers with a comma and none with a point have decimal commas; where there are both,
//! the user must say.

use std::borrow::Cow;

use super::split::{Cut, Row, Splitter};
use crate::ingest::value;

/// How much of the input is looked at.
const SAMPLE_BYTES: usize = 256 << 10;

/// The number with a point, where a text is one with a decimal comma: `1.234,5` is `1234.5`.
/// Points stand before groups of three digits only.
pub(super) fn with_point(text: &str) -> Option<String> {
    let (whole, fraction) = text.split_once(',')?;
    let digits = whole.strip_prefix(['-', '+']).unwrap_or(whole);
    let mut groups = digits.split('.');
    let first = groups.next()?;
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let mut grouped = false;
    for group in groups {
        grouped = true;
        if group.len() != 3 || !is_number(group) {
            return None;
        }
    }
    if first.is_empty() || !is_number(first) || (grouped && first.len() > 3) {
        return None;
    }
    let ends_in_number = fraction.starts_with(|c: char| c.is_ascii_digit());
    let point = format!("{}.{fraction}", whole.replace('.', ""));
    (ends_in_number && value::f64_of(&point).is_ok()).then_some(point)
}

/// A number as a file with decimal commas writes it; `1.5` is none there, and `1.234` is 1234.
pub(super) fn read(text: &str) -> Option<Cow<'_, str>> {
    if let Some(point) = with_point(text) {
        return Some(Cow::Owned(point));
    }
    if !text.contains('.') {
        return Some(Cow::Borrowed(text));
    }
    let grouped = with_point(&format!("{text},0"))?;
    Some(Cow::Owned(grouped.strip_suffix(".0")?.to_owned()))
}

/// A number with a decimal comma that cannot be one with commas between groups of three digits.
fn is_certain(text: &str) -> bool {
    let (whole, fraction) = text.split_once(',').unwrap_or((text, ""));
    let digits = whole.trim_start_matches(['-', '+']);
    fraction.len() != 3 || digits.len() > 3 || digits == "0"
}

/// A number with a decimal point that cannot be one with points between groups of three digits.
fn has_point(text: &str) -> bool {
    text.contains('.') && value::f64_of(text).is_ok() && read(text).is_none()
}

/// What the rows of a sample say of decimal commas: the first number with one, where none has a
/// point; both, as an error, where some have.
pub(super) fn sniff(window: &[u8], delimiter: u8) -> Result<Option<String>, (String, String)> {
    let mut splitter = Splitter::new(delimiter);
    let (mut comma, mut point) = (None, None);
    let mut rest = &window[..window.len().min(SAMPLE_BYTES)];
    while let Cut::Row { bytes, .. } = splitter.cut(rest) {
        if let Ok(row) = Row::new(rest, bytes, 0, &splitter) {
            for cell in row.cells().map(|cell| cell.text) {
                // Between commas a quoted cell may be 1,234: one thousand and so on.
                let counts = || delimiter != b',' || is_certain(cell);
                if comma.is_none() && cell.contains(',') && with_point(cell).is_some() && counts() {
                    comma = Some(cell.to_owned());
                } else if point.is_none() && has_point(cell) {
                    point = Some(cell.to_owned());
                }
            }
        }
        rest = &rest[bytes..];
    }
    match (comma, point) {
        (Some(comma), Some(point)) => Err((comma, point)),
        (comma, _) => Ok(comma),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn decimal_commas_are_told_from_other_commas() {
        for (text, number) in
            [("1,5", "1.5"), ("-1.234,50", "-1234.50"), ("0,25e3", "0.25e3"), ("1234,5", "1234.5")]
        {
            assert_eq!(with_point(text).as_deref(), Some(number), "{text}");
        }
        for text in ["1,234,567", "1.23,5", ",5", "1,", "a,b", "1,5x", "1234.567,8", "1,-5", "1.5"]
        {
            assert_eq!(with_point(text), None, "{text}");
        }
        assert_eq!(read("1.234").as_deref(), Some("1234"));
        assert_eq!(read("12").as_deref(), Some("12"));
        assert_eq!(read("1.5"), None);
    }

    #[test]
    fn a_sample_says_which_sign_there_is() {
        let sniff = |text: &str, delimiter| sniff(text.as_bytes(), delimiter);
        assert_eq!(sniff("a;1\nb;1,5\n", b';'), Ok(Some("1,5".to_owned())));
        assert_eq!(sniff("a;1.234\n", b';'), Ok(None));
        assert_eq!(sniff("a,\"1,234\"\n", b','), Ok(None));
        assert_eq!(sniff("a,\"1,23\"\n", b','), Ok(Some("1,23".to_owned())));
        assert!(sniff("1,5;2.5\n", b';').is_err());
    }
}
