//! Amounts of a coin in its smallest unit, and decimals as people write them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most digits behind the point that a coin has.
pub const DECIMALS_MAX: u8 = 38;
/// One hundred percent in basis points.
pub const WHOLE_BP: u16 = 10_000;

/// An amount of a coin in its smallest unit: motes (10^-18) of the native one.
///
/// In canonical bytes it is a decimal text, because CBOR's integers end at 2^64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(pub u128);

/// A text that is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AmountError {
    /// It is no decimal number in its shortest form.
    #[error("write digits, and behind a point no zeros at the end: 12, 0.05")]
    Form,
    /// It has more digits behind the point than the coin.
    #[error("the coin has {decimals} digits behind the point")]
    Fine {
        /// How many the coin has.
        decimals: u8,
    },
    /// It is larger than any amount.
    #[error("the amount is larger than 2^128 - 1 of the smallest unit")]
    Large,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Reads a decimal number of coins: `2.5`.
    ///
    /// # Errors
    /// [`AmountError`] where the text is not the one form of a number, or not a whole number of the smallest
    /// unit.
    pub fn parse(text: &str, decimals: u8) -> Result<Self, AmountError> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let is_short = whole == "0" || !whole.starts_with('0');
        let has_point = text.contains('.');
        if whole.is_empty() || !is_digits(whole) || !is_short || !is_digits(part) {
            return Err(AmountError::Form);
        }
        if has_point && (part.is_empty() || part.ends_with('0')) {
            return Err(AmountError::Form);
        }
        if part.len() > usize::from(decimals.min(DECIMALS_MAX)) {
            return Err(AmountError::Fine { decimals });
        }
        let zeros = usize::from(decimals).saturating_sub(part.len());
        let mut digits = whole.bytes().chain(part.bytes()).chain(std::iter::repeat_n(b'0', zeros));
        digits
            .try_fold(0_u128, |sum, digit| {
                sum.checked_mul(10)?.checked_add(u128::from(digit.wrapping_sub(b'0')))
            })
            .map(Self)
            .ok_or(AmountError::Large)
    }

    /// The decimal number of coins that [`Amount::parse`] reads.
    #[must_use]
    pub fn to_coins(self, decimals: u8) -> String {
        let decimals = usize::from(decimals);
        let digits = format!("{:0>width$}", self.0, width = decimals + 1);
        let (whole, part) = digits.split_at(digits.len() - decimals);
        match part.trim_end_matches('0') {
            "" => whole.to_owned(),
            part => format!("{whole}.{part}"),
        }
    }

    /// So many basis points of it, rounded down; more than all of it is all.
    #[must_use]
    pub fn share(self, points: u16) -> Self {
        let points = u128::from(points.min(WHOLE_BP));
        let whole = u128::from(WHOLE_BP);
        // Neither product is above the amount.
        Self(self.0 / whole * points + self.0 % whole * points / whole)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text, 0).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_have_one_text() {
        assert_eq!(Amount::parse("2.5", 18).unwrap().0, 2_500_000_000_000_000_000);
        for wrong in ["", ".", "1.", ".5", "01", "1.50", "-1", "1e3", "+1", " 1", "1,5", "0.0"] {
            assert_eq!(Amount::parse(wrong, 18), Err(AmountError::Form), "{wrong}");
        }
        assert_eq!(Amount::parse("0.05", 1), Err(AmountError::Fine { decimals: 1 }));
        let large = "340282366920938463463374607431768211456";
        assert_eq!(Amount::parse(large, 0), Err(AmountError::Large));
    }

    proptest! {
        #[test]
        fn amounts_read_back(amount: u128, decimals in 0..=DECIMALS_MAX) {
            let text = Amount(amount).to_coins(decimals);
            prop_assert_eq!(Amount::parse(&text, decimals), Ok(Amount(amount)));
        }

        #[test]
        fn shares_are_rounded_down_and_never_above_the_whole(amount: u128, points in 0..=WHOLE_BP) {
            let share = Amount(amount).share(points).0;
            prop_assert!(share <= amount);
            if let Some(product) = amount.checked_mul(points.into()) {
                prop_assert_eq!(share, product / 10_000);
            }
        }
    }
}
