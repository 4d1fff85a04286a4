//! Coin: amounts that are checked, and shares of them.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use ethnum::U256;

use crate::hash::CoinId;

/// How many motes make one coin.
pub const MOTES_PER_COIN: u128 = 1_000_000_000_000_000_000;

/// An amount of a coin in its smallest unit: motes (10⁻¹⁸) of the native one.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    BorshSerialize,
    BorshDeserialize,
)]
pub struct Amount(pub u128);

/// Why a sum cannot be computed.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    thiserror::Error,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
#[borsh(use_discriminant = false)]
pub enum CoinError {
    /// The result is larger than any amount.
    #[error("the amount is larger than 2^128 - 1")]
    Overflow,
    /// More is taken than there is.
    #[error("{need} are needed and {have} are there")]
    Short {
        /// What is there.
        have: Amount,
        /// What was asked for.
        need: Amount,
    },
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// An amount of whole native coins.
    #[must_use]
    pub const fn coins(count: u64) -> Self {
        // 2^64 x 10^18 is below 2^124.
        Self(count as u128 * MOTES_PER_COIN)
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum.
    pub fn plus(self, other: Self) -> Result<Self, CoinError> {
        self.0.checked_add(other.0).map(Self).ok_or(CoinError::Overflow)
    }

    /// The difference.
    pub fn minus(self, other: Self) -> Result<Self, CoinError> {
        let short = CoinError::Short { have: self, need: other };
        self.0.checked_sub(other.0).map(Self).ok_or(short)
    }

    /// The amount so many times.
    pub fn times(self, count: u64) -> Result<Self, CoinError> {
        self.0.checked_mul(u128::from(count)).map(Self).ok_or(CoinError::Overflow)
    }

    /// `self × part / whole`, rounded down. Nothing of nothing is nothing.
    pub fn share(self, part: u128, whole: u128) -> Result<Self, CoinError> {
        mul_div(self.0, part, whole).map(Self)
    }

    /// So many basis points (hundredths of a percent) of it, rounded down.
    pub fn basis_points(self, points: BasisPoints) -> Result<Self, CoinError> {
        self.share(u128::from(points.0), u128::from(BasisPoints::WHOLE.0))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// `a × b / c`, rounded down, with a product of 256 bits; 0 where `c` is 0.
pub fn mul_div(a: u128, b: u128, c: u128) -> Result<u128, CoinError> {
    if c == 0 {
        return Ok(0);
    }
    let quotient = U256::from(a) * U256::from(b) / U256::from(c);
    u128::try_from(quotient).map_err(|_| CoinError::Overflow)
}

/// Hundredths of a percent.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    BorshSerialize,
    BorshDeserialize,
)]
pub struct BasisPoints(pub u16);

impl BasisPoints {
    /// One hundred percent.
    pub const WHOLE: Self = Self(10_000);

    /// Whether it is at most one hundred percent.
    #[must_use]
    pub fn is_share(self) -> bool {
        self <= Self::WHOLE
    }
}

/// Which coin an amount is of.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub enum Coin {
    /// The chain's own coin: pays fees and bonds.
    #[default]
    Native,
    /// A coin that an account issued.
    Issued(CoinId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_is_checked() {
        let (most, one) = (Amount(u128::MAX), Amount(1));
        assert_eq!(most.plus(one), Err(CoinError::Overflow));
        assert_eq!(most.times(2), Err(CoinError::Overflow));
        assert_eq!(one.minus(Amount(2)), Err(CoinError::Short { have: one, need: Amount(2) }));
        assert_eq!(most.share(u128::MAX, u128::MAX), Ok(most));
        assert_eq!(most.share(3, 2), Err(CoinError::Overflow));
        assert_eq!(most.share(3, 0), Ok(Amount::ZERO));
        assert_eq!(Amount(19_999).basis_points(BasisPoints(1)), Ok(one));
    }
}
