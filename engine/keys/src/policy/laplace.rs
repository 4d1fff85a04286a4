//! Discrete Laplace noise, exactly: with integers alone, so that no rounding of floats gives a value
//! away (Mironov, "On Significance of the Least Significant Bits For Differential Privacy", CCS 2012).

use std::fmt;

use rand_core::CryptoRng;

/// The scale of noise: a fraction in lowest terms, above 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scale {
    numerator: u32,
    denominator: u32,
}

impl Scale {
    /// `numerator` / `denominator`; none where one of them is 0.
    #[must_use]
    pub fn new(numerator: u32, denominator: u32) -> Option<Self> {
        if numerator == 0 || denominator == 0 {
            return None;
        }
        let (mut divisor, mut rest) = (numerator, denominator);
        while rest != 0 {
            (divisor, rest) = (rest, divisor % rest);
        }
        Some(Self { numerator: numerator / divisor, denominator: denominator / divisor })
    }

    /// What one answer costs where a person changes it by at most `sensitivity` steps: ε, in millionths,
    /// rounded up.
    #[must_use]
    pub fn epsilon_micro(self, sensitivity: u32) -> u64 {
        // At most 2^84.
        let whole = 1_000_000 * u128::from(sensitivity) * u128::from(self.denominator);
        u64::try_from(whole.div_ceil(self.numerator.into())).unwrap_or(u64::MAX)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let (numerator, denominator) = text.split_once('/')?;
        let scale = Self::new(numerator.parse().ok()?, denominator.parse().ok()?)?;
        (scale.to_string() == text).then_some(scale)
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.numerator, self.denominator)
    }
}

/// An integer z with probability in proportion to exp(-|z| / scale).
///
/// By algorithm 2 of Canonne, Kamath and Steinke, "The Discrete Gaussian for Differential Privacy"
/// (NeurIPS 2020), with t / s for the scale. How long it takes depends on what is drawn, and not on what the
/// noise is added to.
pub fn discrete_laplace(scale: Scale, rng: &mut impl CryptoRng) -> i64 {
    let (t, s) = (u64::from(scale.numerator), u64::from(scale.denominator));
    loop {
        let u = below(t, rng);
        if !bernoulli_exp(u, t, rng) {
            continue;
        }
        let mut v = 0_u64;
        while bernoulli_exp(1, 1, rng) {
            v += 1;
        }
        let y = t.saturating_mul(v).saturating_add(u) / s;
        let is_negative = below(2, rng) == 1;
        if is_negative && y == 0 {
            continue;
        }
        let y = i64::try_from(y).unwrap_or(i64::MAX);
        return if is_negative { -y } else { y };
    }
}

/// True with probability exp(-n / d), for n at most d: algorithm 1 of the paper.
fn bernoulli_exp(n: u64, d: u64, rng: &mut impl CryptoRng) -> bool {
    let mut k = 1_u64;
    // d is below 2^32, and k, which grows with probability 1 / k!, does not get there.
    while below(d.saturating_mul(k), rng) < n {
        k += 1;
    }
    k % 2 == 1
}

/// A number below `bound`, each as likely: the lowest bits that can hold it, drawn until they do.
fn below(bound: u64, rng: &mut impl CryptoRng) -> u64 {
    let mask = u64::MAX.checked_shr(bound.saturating_sub(1).leading_zeros()).unwrap_or(0);
    loop {
        let drawn = rng.next_u64() & mask;
        if drawn < bound.max(1) {
            return drawn;
        }
    }
}
