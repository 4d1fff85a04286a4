//! Totals: sums whose error does not grow with the number of terms.

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
