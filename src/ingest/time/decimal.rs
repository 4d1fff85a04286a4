//! Decimal numbers scaled to integers exactly: 1.5 s is 1,500,000,000 ns with no float between.

use super::TimeUnit;

/// A decimal number: digits times a power of ten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    digits: i128,
    exponent: i32,
}

impl Decimal {
    /// Reads `[+-]digits[.digits][e[+-]digits]`. Digits after the 30th place are dropped; they are
    /// below 10^-11 of a nanosecond for any time that nanoseconds hold.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, mut rest) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            all => (false, all),
        };
        let (mut digits, mut exponent, mut seen, mut point) = (0i128, 0i32, false, false);
        while let [byte, after @ ..] = rest {
            match byte {
                b'0'..=b'9' => {
                    seen = true;
                    if digits < 10i128.pow(30) {
                        digits = digits * 10 + i128::from(byte - b'0');
                        exponent = exponent.saturating_sub(i32::from(point));
                    } else {
                        exponent = exponent.saturating_add(i32::from(!point));
                    }
                }
                b'.' if !point => point = true,
                b'e' | b'E' if seen => {
                    let power: i32 = std::str::from_utf8(after).ok()?.parse().ok()?;
                    exponent = exponent.saturating_add(power);
                    break;
                }
                _ => return None,
            }
            rest = after;
        }
        seen.then_some(Self { digits: if negative { -digits } else { digits }, exponent })
    }

    /// The number times 10^`power`, rounded to the nearest integer, ties away from zero.
    pub(crate) fn scaled(self, power: i32) -> Option<i64> {
        let exponent = self.exponent.saturating_add(power);
        if self.digits == 0 {
            return Some(0);
        }
        let size = exponent.unsigned_abs();
        let scaled = if exponent >= 0 {
            self.digits.checked_mul(10i128.checked_pow(size)?)?
        } else if size > 37 {
            0
        } else {
            let divisor = 10i128.pow(size);
            let half = if self.digits < 0 { -divisor / 2 } else { divisor / 2 };
            (self.digits + half) / divisor
        };
        i64::try_from(scaled).ok()
    }

    /// The unit of an epoch time of this size.
    pub(super) fn likely_unit(self) -> TimeUnit {
        TimeUnit::likely(self.scaled(0).map_or(u64::MAX, i64::unsigned_abs))
    }
}
