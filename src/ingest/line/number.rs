//! Field values and timestamps of line protocol.

use memchr::memchr2;

use chronolith_engine::{Kind, ValueRef};

use super::text::unescape_string;
use super::{Fault, Reason};
use crate::ingest::time::TimeUnit;

/// What a field's value is. As wide as a word, so that values are copied without partial words:
/// reading one back right after it was written in parts costs more than parsing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(super) enum Type {
    F64,
    I64,
    U64,
    Bool,
    Text,
    /// Text with backslashes in it.
    EscapedText,
}

impl Type {
    #[inline]
    pub(super) const fn kind(self) -> Kind {
        match self {
            Self::F64 => Kind::F64,
            Self::I64 => Kind::I64,
            Self::U64 => Kind::U64,
            Self::Bool => Kind::Bool,
            Self::Text | Self::EscapedText => Kind::Text,
        }
    }
}

/// A field's value; text is left where it lies in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scalar {
    /// The bits of the number, 0 or 1, or the offset of the opening quote.
    pub(super) bits: u64,
    /// The offset of the delimiter behind the value.
    pub(super) end: usize,
    pub(super) of: Type,
}

impl Scalar {
    #[inline]
    const fn float(value: f64, end: usize) -> Self {
        Self { bits: value.to_bits(), end, of: Type::F64 }
    }

    /// The value for the sink; `unescaped` is room for text with escapes.
    #[inline]
    pub(super) fn value<'a>(&self, buffer: &'a [u8], unescaped: &'a mut String) -> ValueRef<'a> {
        match self.of {
            Type::F64 => ValueRef::F64(f64::from_bits(self.bits)),
            Type::I64 => ValueRef::I64(self.bits.cast_signed()),
            Type::U64 => ValueRef::U64(self.bits),
            Type::Bool => ValueRef::Bool(self.bits != 0),
            Type::Text | Type::EscapedText => {
                let inner = buffer.get(self.bits as usize + 1..self.end - 1).unwrap_or_default();
                // The bytes were checked when the string was parsed.
                let text = std::str::from_utf8(inner).unwrap_or_default();
                if self.of == Type::Text {
                    return ValueRef::Text(text);
                }
                unescape_string(text, unescaped);
                ValueRef::Text(unescaped)
            }
        }
    }
}

/// The powers of ten that f64 holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// The value that starts at `at`.
#[inline]
pub(super) fn value(buffer: &[u8], at: usize) -> Result<Scalar, Box<Fault>> {
    let scalar = match buffer.get(at) {
        Some(b'0'..=b'9' | b'-' | b'.') => number(buffer, at)?,
        Some(b'"') => string(buffer, at)?,
        Some(b',' | b' ' | b'\n' | b'\r') | None => {
            return Err(Fault::new(at, "a field has no value"));
        }
        _ => truth(buffer, at)?,
    };
    match buffer.get(scalar.end) {
        Some(b',' | b' ' | b'\n' | b'\r') => Ok(scalar),
        _ if matches!(scalar.of, Type::Text | Type::EscapedText) => {
            Err(Fault::stray_quote(scalar.end, "something follows the closing quote"))
        }
        _ => Err(Fault::new(at, "not a number, true, false or quoted text")),
    }
}

/// Takes digits into `number`, wrapping; gives the offset behind them.
#[inline]
fn digits(buffer: &[u8], mut at: usize, number: &mut u64) -> usize {
    while let Some(byte) = buffer.get(at) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        *number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    at
}

/// The number of eight digits, all at once (Daniel Lemire, "Quickly parsing eight digits", 2018).
#[inline]
fn eight_digits(buffer: &[u8], at: usize) -> Option<u64> {
    let bytes: [u8; 8] = buffer.get(at..at + 8)?.try_into().ok()?;
    let text = u64::from_le_bytes(bytes);
    let high = text & 0xf0f0_f0f0_f0f0_f0f0;
    let carried = text.wrapping_add(0x0606_0606_0606_0606) & 0xf0f0_f0f0_f0f0_f0f0;
    if high != 0x3030_3030_3030_3030 || carried != high {
        return None;
    }
    let pairs = (text & 0x0f0f_0f0f_0f0f_0f0f).wrapping_mul(2561) >> 8;
    let fours = (pairs & 0x00ff_00ff_00ff_00ff).wrapping_mul(6_553_601) >> 16;
    Some((fours & 0x0000_ffff_0000_ffff).wrapping_mul(42_949_672_960_001) >> 32)
}

#[inline]
fn number(buffer: &[u8], start: usize) -> Result<Scalar, Box<Fault>> {
    let negative = buffer.get(start) == Some(&b'-');
    let first = start + usize::from(negative);
    let mut digits_read = 0;
    let mut at = digits(buffer, first, &mut digits_read);
    let whole = at - first;
    let mut fraction = 0;
    match buffer.get(at) {
        Some(b'i' | b'u') => return integer(buffer, start, at, digits_read),
        Some(b'.') => {
            let end = digits(buffer, at + 1, &mut digits_read);
            fraction = end - at - 1;
            at = end;
        }
        _ => {}
    }
    if whole + fraction == 0 {
        return Err(Fault::new(start, "not a number, true, false or quoted text"));
    }
    let plain = !matches!(buffer.get(at), Some(b'e' | b'E'));
    // Both sides are exact, so that the one division rounds correctly (Clinger's fast path).
    if plain && whole + fraction <= 19 && digits_read <= 1 << 53 {
        let value = digits_read as f64 / POWERS[fraction];
        return Ok(Scalar::float(if negative { -value } else { value }, at));
    }
    let rest = buffer.get(at..).unwrap_or_default();
    let exponent = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'e' | b'E' | b'+' | b'-');
    let end = at + rest.iter().take_while(exponent).count();
    match fast_float2::parse::<f64, _>(&buffer[start..end]) {
        Ok(value) if value.is_finite() => Ok(Scalar::float(value, end)),
        Ok(_) => Err(Fault::new(start, "the number is outside of the range of f64")),
        Err(_) => Err(Fault::new(start, "not a number")),
    }
}

/// An integer whose `i` or `u` is at `suffix`.
fn integer(
    buffer: &[u8],
    start: usize,
    suffix: usize,
    digits_read: u64,
) -> Result<Scalar, Box<Fault>> {
    let end = suffix + 1;
    let signed = buffer[suffix] == b'i';
    if suffix - start <= 18 && buffer[start] != b'-' && suffix > start {
        let of = if signed { Type::I64 } else { Type::U64 };
        return Ok(Scalar { bits: digits_read, end, of });
    }
    let text = std::str::from_utf8(&buffer[start..suffix]).unwrap_or_default();
    let bits = if signed {
        text.parse::<i64>().ok().map(|number| (number.cast_unsigned(), Type::I64))
    } else {
        text.parse::<u64>().ok().map(|number| (number, Type::U64))
    };
    let wrong = "not an integer, or outside of the range of i64 (suffix i) or u64 (suffix u)";
    bits.map(|(bits, of)| Scalar { bits, end, of }).ok_or_else(|| Fault::new(start, wrong))
}

fn truth(buffer: &[u8], start: usize) -> Result<Scalar, Box<Fault>> {
    let rest = buffer.get(start..).unwrap_or_default();
    let length = rest.iter().take(6).take_while(|byte| byte.is_ascii_alphabetic()).count();
    let truth = match &rest[..length] {
        b"t" | b"T" | b"true" | b"True" | b"TRUE" => true,
        b"f" | b"F" | b"false" | b"False" | b"FALSE" => false,
        other if other.eq_ignore_ascii_case(b"nan") || other.eq_ignore_ascii_case(b"inf") => {
            return Err(Fault::new(start, "line protocol has no NaN and no infinity"));
        }
        _ => return Err(Fault::new(start, "not a number, true, false or quoted text")),
    };
    Ok(Scalar { bits: u64::from(truth), end: start + length, of: Type::Bool })
}

fn string(buffer: &[u8], start: usize) -> Result<Scalar, Box<Fault>> {
    let (mut at, mut of) = (start + 1, Type::Text);
    loop {
        let rest = buffer.get(at..).unwrap_or_default();
        let Some(found) = memchr2(b'"', b'\\', rest) else {
            return Err(Fault::open_quote(start));
        };
        at += found;
        if buffer[at] == b'"' {
            break;
        }
        of = Type::EscapedText;
        at += 2;
    }
    if let Err(error) = std::str::from_utf8(&buffer[start + 1..at]) {
        let wrong = start + 1 + error.valid_up_to();
        let reason = Reason::NotUtf8(buffer.get(wrong).copied().unwrap_or_default());
        return Err(Fault::of(wrong, reason));
    }
    Ok(Scalar { bits: start as u64, end: at + 1, of })
}

/// A time: an integer with or without a minus, and the offset behind it.
#[inline]
pub(super) fn timestamp(buffer: &[u8], start: usize) -> Result<(i64, usize), Box<Fault>> {
    let negative = buffer.get(start) == Some(&b'-');
    let first = start + usize::from(negative);
    let (mut number, mut at) = (0u64, first);
    while let Some(eight) = eight_digits(buffer, at) {
        number = number.wrapping_mul(100_000_000).wrapping_add(eight);
        at += 8;
    }
    let end = digits(buffer, at, &mut number);
    let signed = match end - first {
        0 => None,
        // 19 digits fit u64.
        1..=19 if negative => 0i64.checked_sub_unsigned(number),
        1..=19 => i64::try_from(number).ok(),
        _ => std::str::from_utf8(&buffer[start..end]).ok().and_then(|text| text.parse().ok()),
    };
    signed.map(|signed| (signed, end)).ok_or_else(|| {
        Fault::new(start, "not a time: an integer within i64 is expected after the fields")
    })
}

/// The unit of a time of this size, for `auto`.
pub(super) const fn likely_unit(time: i64) -> TimeUnit {
    TimeUnit::likely(time.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::eight_digits;

    #[test]
    fn eight_digits_are_read_at_once_and_nothing_else_is() {
        for number in [0, 1, 12_345_678, 99_999_999, 90_000_009, 10_203_040] {
            assert_eq!(eight_digits(format!("{number:08}").as_bytes(), 0), Some(number));
        }
        for byte in (0..=u8::MAX).filter(|byte| !byte.is_ascii_digit()) {
            for at in 0..8 {
                let mut text = *b"12345678";
                text[at] = byte;
                assert_eq!(eight_digits(&text, 0), None, "{byte} at {at}");
            }
        }
        assert_eq!(eight_digits(b"1234567", 0), None);
    }
}
