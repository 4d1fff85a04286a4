//! Ways of values through time, and what those of several metrics are together.
//!
//! Counters of two devices have no way together: each metric's is taken by itself. SQL and
//! continuous queries add up by this one file, so that their answers are the same.

/// A compensated sum (Neumaier, ZAMM 54, 1974). Infinities and NaNs make it what plain addition
/// would.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Total {
    pub(crate) sum: f64,
    pub(crate) compensation: f64,
}

impl Total {
    pub(crate) fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        self.compensation += if self.sum.abs() >= value.abs() {
            (self.sum - sum) + value
        } else {
            (value - sum) + self.sum
        };
        self.sum = sum;
    }

    /// Adds another total.
    pub(crate) fn merge(&mut self, other: Self) {
        self.add(other.sum);
        // The compensation of an infinite sum is no number and says nothing.
        if other.compensation.is_finite() {
            self.add(other.compensation);
        }
    }

    pub(crate) fn value(self) -> f64 {
        if self.sum.is_finite() { self.sum + self.compensation } else { self.sum }
    }
}

/// The time from one time to another, both nanoseconds since the epoch: seconds.
pub(crate) fn seconds(from_ns: i64, to_ns: i64) -> f64 {
    (i128::from(to_ns) - i128::from(from_ns)) as f64 / 1e9
}

/// What one metric gives to the answer for a group.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Share {
    /// A rise, a rate or a difference.
    Rise(f64),
    /// The area below the way (value times seconds), how long the way is, and its last value.
    Stand { area: Total, seconds: f64, last: f64 },
}

/// What the metrics of a group have together. Rises add up, as in PromQL's `sum(rate(…))`; in an
/// average every value weighs as long as it stands, whichever metric it is of.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shares {
    /// Of rises, or of areas.
    sum: Total,
    seconds: Total,
    lasts: Total,
    metrics: u64,
    stands: bool,
}

impl Shares {
    pub(crate) fn add(&mut self, share: Share) {
        self.metrics += 1;
        match share {
            Share::Rise(rise) => self.sum.add(rise),
            Share::Stand { area, seconds, last } => {
                self.stands = true;
                self.sum.merge(area);
                self.seconds.add(seconds);
                self.lasts.add(last);
            }
        }
    }

    /// The answer; `None` where no metric has a share.
    pub(crate) fn value(&self) -> Option<f64> {
        match (self.metrics, self.stands) {
            (0, _) => None,
            (_, false) => Some(self.sum.value()),
            // Values that stand for no time weigh the same.
            (metrics, true) if self.seconds.value() == 0.0 => {
                Some(self.lasts.value() / metrics as f64)
            }
            (_, true) => Some(self.sum.value() / self.seconds.value()),
        }
    }
}

impl Extend<Share> for Shares {
    fn extend<I: IntoIterator<Item = Share>>(&mut self, shares: I) {
        shares.into_iter().for_each(|share| self.add(share));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn together(shares: &[Share]) -> Option<f64> {
        let mut all = Shares::default();
        all.extend(shares.iter().copied());
        all.value()
    }

    fn stand(value: f64, seconds: f64) -> Share {
        let area = Total { sum: value * seconds, compensation: 0.0 };
        Share::Stand { area, seconds, last: value }
    }

    #[test]
    fn rises_add_up_and_values_weigh_as_long_as_they_stand() {
        assert_eq!(together(&[Share::Rise(2.0), Share::Rise(0.5)]), Some(2.5));
        assert_eq!(together(&[stand(10.0, 30.0), stand(20.0, 10.0)]), Some(12.5));
        // A single record stands for no time: beside others it does not count.
        assert_eq!(together(&[stand(10.0, 30.0), stand(90.0, 0.0)]), Some(10.0));
        assert_eq!(together(&[stand(10.0, 0.0), stand(90.0, 0.0)]), Some(50.0));
        assert_eq!(together(&[]), None);
    }
}
