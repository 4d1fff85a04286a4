//! De-identification: what is done to a metric's records before they are sealed.
//!
//! Each policy is a function of one value or one time, and what was done is said by a text of one form,
//! for the header of what is sealed:
//!
//! ```
//! use chronolith_keys::policy::{Policies, ValueKind};
//! let policies: Policies = "time:3600000000000;round:0.5".parse()?;
//! policies.check(ValueKind::F64)?;
//! assert_eq!(policies.time(3_600_000_000_001), 3_600_000_000_000);
//! assert_eq!(policies.f64(61.3, &mut Never), 61.5);
//! assert_eq!(policies.to_string(), "time:3600000000000;round:0.5");
//! # struct Never;
//! # impl rand_core::TryRng for Never {
//! #     type Error = std::convert::Infallible;
//! #     fn try_next_u32(&mut self) -> Result<u32, Self::Error> { Ok(0) }
//! #     fn try_next_u64(&mut self) -> Result<u64, Self::Error> { Ok(0) }
//! #     fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Self::Error> { Ok(()) }
//! # }
//! # impl rand_core::TryCryptoRng for Never {}
//! # Ok::<(), chronolith_keys::policy::PolicyError>(())
//! ```
//!
//! What this does not do: whoever knows a value from elsewhere may find the record that it became, and
//! many coarse values together may be as telling as one fine one. Noise alone has a bound, its budget.

mod budget;
mod decimal;
mod laplace;
mod text;

use std::borrow::Cow;

use hmac::{Hmac, KeyInit, Mac};
use rand_core::CryptoRng;
use sha2::Sha256;

use crate::secret::Secret;

pub use budget::{BUDGET_BYTES, Budget, BudgetError};
pub use decimal::Decimal;
pub use laplace::{Scale, discrete_laplace};

const DOMAIN: &[u8] = b"\x16chronolith/pseudonym/1";
/// How long a pseudonym is: bytes; as text it is twice as long.
const PSEUDONYM_BYTES: usize = 16;
/// The most policies that are applied one after the other.
const POLICIES_MAX: usize = 8;
/// The most bands.
const BANDS_MAX: usize = 64;
/// The integers that f64 has all of: to here, and to its negative.
const EXACT_MAX: i64 = 1 << 53;

/// The kind of a metric's values, by the engine's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say all of it")]
pub enum ValueKind {
    F64,
    I64,
    U64,
    Bool,
    Text,
    Bytes,
}

/// One thing that is done to every record of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// Nothing of the metric is sealed. It stands alone.
    Drop,
    /// A text or bytes become a keyed hash: the same one always the same, so how often each comes stays
    /// to be seen, and under another key nothing links to it.
    Pseudonym,
    /// A number becomes the nearest multiple of the step.
    Round {
        /// Above 0; whole for integers.
        step: Decimal,
    },
    /// A coordinate becomes the middle of its cell. Of `f64` alone.
    Grid {
        /// Above 0.
        cell: Decimal,
    },
    /// A number becomes the lower bound of its band. What is below the first bound is of the first band.
    Band {
        /// From 1 to 64, rising; whole for integers, not negative for `u64`.
        bounds: Vec<Decimal>,
    },
    /// A time becomes the last one before it that is a multiple of the unit. Records of one metric that
    /// come to the same time replace each other: the last one stays.
    Time {
        /// Above 0: nanoseconds.
        unit_ns: i64,
    },
    /// A number becomes the nearest multiple of the step, and gets discrete Laplace noise in steps:
    /// local, for each record by itself. A record alone has differential privacy of ε = d / scale
    /// against a change by d steps; k records that tell of the same have k times as much.
    Noise {
        /// Above 0; whole for integers.
        step: Decimal,
        /// The scale of the noise: steps.
        scale: Scale,
    },
}

/// What is done to every record of a metric, one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policies(Vec<Policy>);

/// Policies that there cannot be, or not for these values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A text is not the one form of its policies.
    #[error("policy {position} is none: {problem}")]
    Text {
        /// Which, from 1.
        position: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// There are too many.
    #[error("{found} policies where at most {POLICIES_MAX} are applied to a metric")]
    Many {
        /// How many there are.
        found: usize,
    },
    /// It is one that stands alone.
    #[error("what is dropped has no other policy")]
    Together,
    /// A number in it is out of its range.
    #[error("policy {position} is none: {problem}")]
    Number {
        /// Which, from 1.
        position: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// It is none for values of this kind.
    #[error("policy {position} is none for values of this kind: {problem}")]
    Kind {
        /// Which, from 1.
        position: usize,
        /// The kind.
        kind: ValueKind,
        /// Why.
        problem: &'static str,
    },
}

impl Policy {
    /// What is wrong with its numbers.
    fn problem(&self) -> Option<&'static str> {
        let not_above = |number: &Decimal| !number.is_positive();
        match self {
            Self::Round { step } | Self::Noise { step, .. } if not_above(step) => {
                Some("its step must be above 0")
            }
            Self::Grid { cell } if not_above(cell) => Some("its cells must be larger than 0"),
            Self::Time { unit_ns } if *unit_ns <= 0 => Some("its unit must be above 0"),
            Self::Band { bounds } if bounds.is_empty() || bounds.len() > BANDS_MAX => {
                Some("it must have from 1 to 64 bounds")
            }
            Self::Band { bounds } if bounds.windows(2).any(|two| two.first() >= two.last()) => {
                Some("its bounds must rise")
            }
            _ => None,
        }
    }

    /// What is wrong with it for values of a kind.
    fn problem_with(&self, kind: ValueKind) -> Option<&'static str> {
        let is_integer = matches!(kind, ValueKind::I64 | ValueKind::U64);
        let is_number = is_integer || kind == ValueKind::F64;
        let is_text = matches!(kind, ValueKind::Text | ValueKind::Bytes);
        match self {
            Self::Drop | Self::Time { .. } => None,
            Self::Pseudonym => (!is_text).then_some("text and bytes have pseudonyms"),
            Self::Grid { .. } => (kind != ValueKind::F64).then_some("coordinates are f64"),
            _ if !is_number => Some("it is for numbers"),
            Self::Round { step } | Self::Noise { step, .. } => {
                (is_integer && !step.is_whole()).then_some("the step of integers must be whole")
            }
            Self::Band { bounds } => {
                let is_below = |bound: &Decimal| kind == ValueKind::U64 && bound.digits() < 0;
                if is_integer && !bounds.iter().all(Decimal::is_whole) {
                    Some("the bounds of integers must be whole")
                } else {
                    bounds.iter().any(is_below).then_some("no bound of u64 is below 0")
                }
            }
        }
    }
}

impl Policies {
    /// Policies in the order in which they are applied.
    ///
    /// # Errors
    /// Where there are too many, a number in one is out of its range, or one that stands alone does not.
    pub fn new(policies: Vec<Policy>) -> Result<Self, PolicyError> {
        let found = policies.len();
        if found > POLICIES_MAX {
            return Err(PolicyError::Many { found });
        }
        if found > 1 && policies.contains(&Policy::Drop) {
            return Err(PolicyError::Together);
        }
        for (policy, position) in policies.iter().zip(1..) {
            if let Some(problem) = policy.problem() {
                return Err(PolicyError::Number { position, problem });
            }
        }
        Ok(Self(policies))
    }

    /// The policies, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Policy] {
        &self.0
    }

    /// Whether all of them can be applied to values of a kind. To ask once for a metric; a policy that
    /// is none for a value leaves it as it is.
    ///
    /// # Errors
    /// [`PolicyError::Kind`] with the first that cannot.
    pub fn check(&self, kind: ValueKind) -> Result<(), PolicyError> {
        for (policy, position) in self.0.iter().zip(1..) {
            if let Some(problem) = policy.problem_with(kind) {
                return Err(PolicyError::Kind { position, kind, problem });
            }
        }
        Ok(())
    }

    /// Whether nothing of the metric is sealed.
    #[must_use]
    pub fn is_dropped(&self) -> bool {
        self.0.contains(&Policy::Drop)
    }

    /// What a time becomes: nanoseconds since the epoch.
    #[must_use]
    pub fn time(&self, at_ns: i64) -> i64 {
        self.0.iter().fold(at_ns, |at, policy| match policy {
            // What would be before the first time there is becomes the first.
            Policy::Time { unit_ns } => {
                at.saturating_sub(at.checked_rem_euclid(*unit_ns).unwrap_or(0))
            }
            _ => at,
        })
    }

    /// What a value becomes. NaN stays NaN, and so do infinities where there is no noise.
    pub fn f64(&self, value: f64, rng: &mut impl CryptoRng) -> f64 {
        self.0.iter().fold(value, |value, policy| match policy {
            Policy::Round { step } => round_f64(value, step),
            Policy::Grid { cell } => middle(value, cell),
            Policy::Band { bounds } => match bounds.first() {
                Some(first) if !value.is_nan() => {
                    let below = bounds.partition_point(|bound| bound.to_f64() <= value);
                    bounds.get(below.saturating_sub(1)).unwrap_or(first).to_f64()
                }
                _ => value,
            },
            Policy::Noise { step, scale } if !value.is_nan() => {
                let steps = step.count_f64(value).round_ties_even();
                // Conversion of floats saturates.
                let steps = (steps as i64).clamp(-EXACT_MAX, EXACT_MAX);
                let noisy = steps.saturating_add(discrete_laplace(*scale, rng));
                step.multiple_f64(noisy.clamp(-EXACT_MAX, EXACT_MAX) as f64)
            }
            _ => value,
        })
    }

    /// What a value becomes.
    pub fn i64(&self, value: i64, rng: &mut impl CryptoRng) -> i64 {
        let bounds = (i64::MIN.into(), i64::MAX.into());
        let changed = self.integer(value.into(), bounds, rng);
        i64::try_from(changed).unwrap_or(value)
    }

    /// What a value becomes.
    pub fn u64(&self, value: u64, rng: &mut impl CryptoRng) -> u64 {
        let changed = self.integer(value.into(), (0, u64::MAX.into()), rng);
        u64::try_from(changed).unwrap_or(value)
    }

    fn integer(&self, value: i128, (min, max): (i128, i128), rng: &mut impl CryptoRng) -> i128 {
        self.0.iter().fold(value, |value, policy| match policy {
            Policy::Round { step } if step.is_whole() => {
                nearest(value, step.digits().into(), (min, max))
            }
            Policy::Band { bounds } if bounds.iter().all(Decimal::is_whole) => {
                let bound = |bound: &Decimal| i128::from(bound.digits());
                let below = bounds.partition_point(|one| bound(one) <= value);
                bounds.get(below.saturating_sub(1)).map_or(value, bound).clamp(min, max)
            }
            Policy::Noise { step, scale } if step.is_whole() => {
                let step = i128::from(step.digits());
                let noise = step.saturating_mul(discrete_laplace(*scale, rng).into());
                nearest(nearest(value, step, (min, max)).saturating_add(noise), step, (min, max))
            }
            _ => value,
        })
    }

    /// What a text becomes.
    #[must_use]
    pub fn text<'a>(&self, value: &'a str, key: &Secret) -> Cow<'a, str> {
        self.0.iter().fold(Cow::Borrowed(value), |value, policy| match policy {
            Policy::Pseudonym => pseudonym(value.as_bytes(), key)
                .iter()
                .flat_map(|byte| [byte >> 4, byte & 15])
                .filter_map(|digit| char::from_digit(digit.into(), 16))
                .collect(),
            _ => value,
        })
    }

    /// What bytes become.
    #[must_use]
    pub fn bytes<'a>(&self, value: &'a [u8], key: &Secret) -> Cow<'a, [u8]> {
        self.0.iter().fold(Cow::Borrowed(value), |value, policy| match policy {
            Policy::Pseudonym => Cow::Owned(pseudonym(&value, key).to_vec()),
            _ => value,
        })
    }
}

/// The beginning of an HMAC-SHA256 under the key.
fn pseudonym(value: &[u8], key: &Secret) -> [u8; PSEUDONYM_BYTES] {
    let mut pseudonym = [0; PSEUDONYM_BYTES];
    // A key may have any length.
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.bytes()) {
        mac.update(DOMAIN);
        mac.update(value);
        let whole = mac.finalize().into_bytes();
        pseudonym.iter_mut().zip(whole).for_each(|(byte, from)| *byte = from);
    }
    pseudonym
}

/// The nearest multiple of `step` in the bounds, the upper one of two. `step` is above 0, and 0 is in
/// the bounds.
fn nearest(value: i128, step: i128, (min, max): (i128, i128)) -> i128 {
    let floor = |value: i128| value - value.checked_rem_euclid(step).unwrap_or(0);
    let (lowest, highest) = (floor(min + step - 1), floor(max));
    floor(value.clamp(min, max) + step / 2).max(lowest).min(highest)
}

fn round_f64(value: f64, step: &Decimal) -> f64 {
    let count = step.count_f64(value).round_ties_even();
    // Where there are no more digits below the step, the value is what it is rounded to.
    if count.abs() < EXACT_MAX as f64 { step.multiple_f64(count) } else { value }
}

/// The middle of a value's cell.
fn middle(value: f64, cell: &Decimal) -> f64 {
    let count = cell.count_f64(value).floor();
    if count.abs() < EXACT_MAX as f64 { cell.multiple_f64(count + 0.5) } else { value }
}

impl From<Policies> for Vec<Policy> {
    fn from(policies: Policies) -> Self {
        policies.0
    }
}
