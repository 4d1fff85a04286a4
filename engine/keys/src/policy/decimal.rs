//! Decimals: steps, cells and bounds as people write them, without the error of a binary fraction.

use std::cmp::Ordering;
use std::fmt;

/// The most digits behind the point.
const SCALE_MAX: u8 = 15;
/// The largest number of digits: what f64 holds exactly.
const DIGITS_MAX: i64 = (1 << 53) - 1;

/// A decimal number: digits · 10^-scale, in lowest terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    digits: i64,
    scale: u8,
}

impl Decimal {
    /// `digits` · 10^-`scale`: 0.05 is 5 and 2. None where the digits are 2^53 or more, or more than 15
    /// stand behind the point.
    #[must_use]
    pub fn new(digits: i64, scale: u8) -> Option<Self> {
        if scale > SCALE_MAX || !(-DIGITS_MAX..=DIGITS_MAX).contains(&digits) {
            return None;
        }
        let (mut digits, mut scale) = (digits, scale);
        while scale > 0 && digits % 10 == 0 {
            digits /= 10;
            scale -= 1;
        }
        Some(Self { digits, scale })
    }

    pub(super) const fn digits(&self) -> i64 {
        self.digits
    }

    pub(super) const fn is_positive(&self) -> bool {
        self.digits > 0
    }

    pub(super) const fn is_whole(&self) -> bool {
        self.scale == 0
    }

    /// 10^scale, which f64 holds exactly.
    fn unit(self) -> i64 {
        10_i64.pow(self.scale.into())
    }

    /// The nearest f64: both numbers are exact, and a division is rounded once.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.digits as f64 / self.unit() as f64
    }

    /// How many times it is in a value.
    pub(super) fn count_f64(self, value: f64) -> f64 {
        value * self.unit() as f64 / self.digits as f64
    }

    /// So many times of it. What is -0 is 0.
    pub(super) fn multiple_f64(self, count: f64) -> f64 {
        count * self.digits as f64 / self.unit() as f64 + 0.0
    }

    /// Reads the one form that [`Decimal`]'s `Display` writes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let scale = u8::try_from(part.len()).ok().filter(|scale| *scale <= SCALE_MAX)?;
        // No more than 16 digits, so that the sum fits.
        let digits: String = [whole, part].concat();
        let is_digits = digits.strip_prefix('-').unwrap_or(&digits);
        if is_digits.len() > 17 || !is_digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let decimal = Self::new(digits.parse().ok()?, scale)?;
        (decimal.to_string() == text).then_some(decimal)
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let common = |one: &Self, other: &Self| i128::from(one.digits) * i128::from(other.unit());
        common(self, other).cmp(&common(other, self))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (digits, unit) = (self.digits.unsigned_abs(), self.unit().unsigned_abs());
        let sign = if self.digits < 0 { "-" } else { "" };
        write!(f, "{sign}{}", digits / unit)?;
        match self.scale {
            0 => Ok(()),
            scale => write!(f, ".{:0width$}", digits % unit, width = scale.into()),
        }
    }
}
