//! From the text of a cell to a value of a kind.

use std::borrow::Cow;

use chronolith_engine::Kind;

use super::error::shown;

/// A cell whose text is no value of its column's kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// The text is something else.
    #[error("{text} is not a {kind} value")]
    NotA {
        /// The kind of the column.
        kind: Kind,
        /// The text, quoted and cut.
        text: String,
    },
    /// A whole number that f64 would round.
    #[error("f64 cannot hold {text} exactly; give --type {column}=i64 or u64")]
    Inexact {
        /// The text.
        text: String,
        /// The column.
        column: String,
    },
    /// A number outside of the kind's range.
    #[error("{text} is outside of the range of {kind}")]
    OutOfRange {
        /// The kind of the column.
        kind: Kind,
        /// The text.
        text: String,
    },
}

impl ValueError {
    fn not_a(kind: Kind, text: &str) -> Self {
        Self::NotA { kind, text: shown(text) }
    }

    /// The same with the name of the column, for the advice.
    pub(super) fn of_column(self, name: &str) -> Self {
        match self {
            Self::Inexact { text, .. } => Self::Inexact { text, column: name.to_owned() },
            other => other,
        }
    }
}

/// A value read from a cell.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell<'a> {
    F64(f64),
    I64(i64),
    U64(u64),
    Bool(bool),
    Text(Cow<'a, str>),
    Bytes(Vec<u8>),
}

impl Cell<'_> {
    /// The same value without the text that it was read from.
    pub(super) fn into_owned(self) -> Cell<'static> {
        match self {
            Self::F64(value) => Cell::F64(value),
            Self::I64(value) => Cell::I64(value),
            Self::U64(value) => Cell::U64(value),
            Self::Bool(value) => Cell::Bool(value),
            Self::Text(value) => Cell::Text(Cow::Owned(value.into_owned())),
            Self::Bytes(value) => Cell::Bytes(value),
        }
    }

    pub(super) fn as_ref(&self) -> chronolith_engine::ValueRef<'_> {
        use chronolith_engine::ValueRef;
        match self {
            Self::F64(value) => ValueRef::F64(*value),
            Self::I64(value) => ValueRef::I64(*value),
            Self::U64(value) => ValueRef::U64(*value),
            Self::Bool(value) => ValueRef::Bool(*value),
            Self::Text(value) => ValueRef::Text(value),
            Self::Bytes(value) => ValueRef::Bytes(value),
        }
    }
}

/// Whether a cell counts as empty.
pub(super) fn is_empty(cell: &str) -> bool {
    match cell.len() {
        0 => true,
        1 => cell == "-",
        2 => cell.eq_ignore_ascii_case("na"),
        3 => cell.eq_ignore_ascii_case("n/a"),
        4 => cell.eq_ignore_ascii_case("null") || cell.eq_ignore_ascii_case("#n/a"),
        _ => false,
    }
}

/// The kind of a column by its first cell that is not empty: numbers are f64.
pub(super) fn kind_of(cell: &str) -> Kind {
    if bool_of(cell).is_some() {
        Kind::Bool
    } else if matches!(f64_of(cell), Err(ValueError::NotA { .. })) {
        Kind::Text
    } else {
        Kind::F64
    }
}

/// Reads a cell, without blanks around it, as a kind.
pub(super) fn read(cell: &str, kind: Kind) -> Result<Cell<'_>, ValueError> {
    match kind {
        Kind::F64 => f64_of(cell).map(Cell::F64),
        Kind::I64 => integer_of(cell, kind).map(Cell::I64),
        Kind::U64 => integer_of(cell, kind).map(Cell::U64),
        Kind::Bool => match cell {
            "0" => Ok(Cell::Bool(false)),
            "1" => Ok(Cell::Bool(true)),
            _ => bool_of(cell).map(Cell::Bool).ok_or_else(|| ValueError::not_a(kind, cell)),
        },
        Kind::Text => Ok(Cell::Text(Cow::Borrowed(cell))),
        Kind::Bytes => hex_of(cell).map(Cell::Bytes).ok_or_else(|| ValueError::not_a(kind, cell)),
    }
}

fn bool_of(cell: &str) -> Option<bool> {
    if cell.eq_ignore_ascii_case("true") {
        Some(true)
    } else if cell.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// Pairs of hexadecimal digits, with or without `0x` before them.
pub(super) fn hex_of(cell: &str) -> Option<Vec<u8>> {
    let digits = cell.strip_prefix("0x").unwrap_or(cell).as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits.chunks_exact(2).map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?)).collect()
}

/// The value of a hexadecimal digit.
pub(super) const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// A float: decimal, with or without exponent, or `nan`, `inf`, `infinity` in any case. A whole
/// number must be one that f64 holds exactly.
pub(super) fn f64_of(cell: &str) -> Result<f64, ValueError> {
    let not_a = || ValueError::not_a(Kind::F64, cell);
    let (negative, digits) = match cell.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    };
    match digits.first() {
        Some(b'0'..=b'9' | b'.') => {}
        Some(b'n' | b'N') if digits.eq_ignore_ascii_case(b"nan") => {
            return Ok(if negative { -f64::NAN } else { f64::NAN });
        }
        Some(b'N') if cell.starts_with("NaN:") => return nan_of(cell).ok_or_else(not_a),
        Some(b'i' | b'I')
            if digits.eq_ignore_ascii_case(b"inf") || digits.eq_ignore_ascii_case(b"infinity") =>
        {
            return Ok(if negative { f64::NEG_INFINITY } else { f64::INFINITY });
        }
        _ => return Err(not_a()),
    }
    let value: f64 = fast_float2::parse(digits).map_err(|_| not_a())?;
    if value.is_infinite() {
        return Err(ValueError::OutOfRange { kind: Kind::F64, text: shown(cell) });
    }
    if digits.len() > 15 && digits.iter().all(u8::is_ascii_digit) && !holds(value, digits) {
        return Err(ValueError::Inexact { text: cell.to_owned(), column: "COLUMN".to_owned() });
    }
    Ok(if negative { -value } else { value })
}

/// `NaN:` and 16 hexadecimal digits, as exports write a NaN that is not the usual one.
fn nan_of(cell: &str) -> Option<f64> {
    let digits = cell.strip_prefix("NaN:").filter(|digits| digits.len() == 16)?;
    let value = f64::from_bits(u64::from_str_radix(digits, 16).ok()?);
    value.is_nan().then_some(value)
}

/// Whether the float is exactly the whole number of these digits.
fn holds(value: f64, digits: &[u8]) -> bool {
    let text = std::str::from_utf8(digits).unwrap_or_default();
    // Every f64 below 2^127 that is whole converts to u128 without loss.
    text.parse::<u128>().is_ok_and(|whole| value < 1.7e38 && value as u128 == whole)
}

/// A whole number; `61.0` and `6.1e1` are whole too.
fn integer_of<T: std::str::FromStr + TryFrom<i128>>(
    cell: &str,
    kind: Kind,
) -> Result<T, ValueError> {
    if let Ok(value) = cell.parse() {
        return Ok(value);
    }
    let out_of_range = || ValueError::OutOfRange { kind, text: shown(cell) };
    if let Ok(whole) = cell.parse::<i128>() {
        return T::try_from(whole).map_err(|_| out_of_range());
    }
    let digits = cell.strip_prefix(['-', '+']).unwrap_or(cell);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(out_of_range());
    }
    match f64_of(cell) {
        Ok(value) if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 => {
            T::try_from(value as i128).map_err(|_| out_of_range())
        }
        _ => Err(ValueError::not_a(kind, cell)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn numbers_are_read_to_the_nearest_float() {
        for (text, value) in [
            ("61.2", 61.2f64),
            ("-0", -0.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("7.119999900000001", 7.119_999_900_000_001),
            ("9007199254740992", 9_007_199_254_740_992.0),
            ("100000000000000000000", 1e20),
        ] {
            assert_eq!(f64_of(text).unwrap().to_bits(), value.to_bits(), "{text}");
        }
        assert!(f64_of("NaN").unwrap().is_nan());
        assert_eq!(f64_of("NaN:fff8000000001234").unwrap().to_bits(), 0xFFF8_0000_0000_1234);
        assert!(f64_of("NaN:3ff0000000000000").is_err());
        assert_eq!(f64_of("-Infinity").unwrap(), f64::NEG_INFINITY);
    }

    #[test]
    fn a_whole_number_that_f64_would_round_is_refused() {
        for text in ["9007199254740993", "-9007199254740993", "18446744073709551615"] {
            assert!(matches!(f64_of(text), Err(ValueError::Inexact { .. })), "{text}");
        }
        assert!(matches!(f64_of("1e999"), Err(ValueError::OutOfRange { .. })));
    }

    #[test]
    fn what_is_not_a_number_is_refused() {
        for text in ["", "x", "1x", "0x10", "1,5", "--1", "+-1", "e5", "nanx", "1 2", "."] {
            assert!(matches!(f64_of(text), Err(ValueError::NotA { .. })), "{text:?}");
        }
    }

    #[test]
    fn integers_keep_every_digit() {
        assert_eq!(read("-9223372036854775808", Kind::I64).unwrap(), Cell::I64(i64::MIN));
        assert_eq!(read("18446744073709551615", Kind::U64).unwrap(), Cell::U64(u64::MAX));
        assert_eq!(read("61.0", Kind::I64).unwrap(), Cell::I64(61));
        assert!(matches!(read("61.5", Kind::I64), Err(ValueError::NotA { .. })));
        assert!(matches!(read("-1", Kind::U64), Err(ValueError::OutOfRange { .. })));
        assert!(matches!(
            read("9223372036854775808", Kind::I64),
            Err(ValueError::OutOfRange { .. })
        ));
    }

    #[test]
    fn kinds_come_from_the_first_cell() {
        assert_eq!(kind_of("12"), Kind::F64);
        assert_eq!(kind_of("9007199254740993"), Kind::F64);
        assert_eq!(kind_of("TRUE"), Kind::Bool);
        assert_eq!(kind_of("Automotive"), Kind::Text);
        assert_eq!(read("0x00ff", Kind::Bytes).unwrap(), Cell::Bytes(vec![0, 255]));
        assert!(read("f", Kind::Bytes).is_err());
    }
}
