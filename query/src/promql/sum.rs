//! Sums that lose little, as Prometheus makes them.

use super::window::Part;

/// A sum with what rounding lost of it (Neumaier, "Rundungsfehleranalyse einiger Verfahren zur
/// Summation endlicher Summen", 1974).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum {
    sum: f64,
    lost: f64,
    pub(crate) count: u64,
}

impl Sum {
    pub(crate) const fn of(value: f64) -> Self {
        Self { sum: value, lost: 0.0, count: 1 }
    }

    pub(crate) fn add(self, value: f64) -> Self {
        self.join(Self::of(value))
    }

    pub(crate) fn total(self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.sum + self.lost }
    }

    /// The mean, where the sum itself is not too large.
    pub(crate) fn mean(self) -> Option<f64> {
        let count = self.count as f64;
        self.sum.is_finite().then(|| self.sum / count + self.lost / count)
    }
}

impl Part for Sum {
    fn join(self, later: Self) -> Self {
        let sum = self.sum + later.sum;
        let lost = if sum.is_infinite() {
            0.0
        } else if self.sum.abs() >= later.sum.abs() {
            (self.sum - sum) + later.sum
        } else {
            (later.sum - sum) + self.sum
        };
        Self { sum, lost: self.lost + later.lost + lost, count: self.count + later.count }
    }
}

/// The mean of values whose sum is too large for a float, or not finite; each step is a mean.
pub(crate) fn running_mean(values: impl Iterator<Item = f64>) -> f64 {
    let (mut mean, mut lost, mut count) = (0.0_f64, 0.0, 0.0);
    for value in values {
        count += 1.0;
        if count == 1.0 {
            mean = value;
            continue;
        }
        if mean.is_infinite() && (value.is_finite() || value == mean) {
            continue;
        }
        let share = (count - 1.0) / count;
        let joined = Sum { sum: mean * share, lost: lost * share, count: 0 }.add(value / count);
        (mean, lost) = (joined.sum, joined.lost);
    }
    if mean.is_infinite() { mean } else { mean + lost }
}

/// Mean and squared distances from it (Chan, Golub, LeVeque, "Updating Formulae and a Pairwise
/// Algorithm for Computing Sample Variances", 1979).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Spread {
    pub(crate) const fn of(value: f64) -> Self {
        let squares = if value.is_finite() { 0.0 } else { f64::NAN };
        Self { count: 1.0, mean: value, squares }
    }

    pub(crate) fn variance(self) -> f64 {
        self.squares / self.count
    }
}

impl Part for Spread {
    fn join(self, later: Self) -> Self {
        let count = self.count + later.count;
        let distance = later.mean - self.mean;
        let mean = self.mean + distance * (later.count / count);
        let squares =
            self.squares + later.squares + distance * distance * (self.count * later.count / count);
        Self { count, mean, squares }
    }
}

/// The value at share `q` of sorted values, between two of them by weight.
pub(crate) fn quantile(q: f64, sorted: &[f64]) -> f64 {
    if sorted.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let rank = q * (sorted.len() - 1) as f64;
    let lower = (rank.floor() as usize).min(sorted.len() - 1);
    let upper = (lower + 1).min(sorted.len() - 1);
    let weight = rank - rank.floor();
    sorted[lower] * (1.0 - weight) + sorted[upper] * weight
}

/// Sorts as quantiles need it: NaN is less than everything.
pub(crate) fn sort(values: &mut [f64]) {
    values.sort_by(|left, right| match (left.is_nan(), right.is_nan()) {
        (false, false) => left.total_cmp(right),
        (left, right) => right.cmp(&left),
    });
}

/// Whether two values are as good as equal; as Prometheus compares them.
pub(crate) fn almost_equal(left: f64, right: f64, tolerance: f64) -> bool {
    if left == right || (left.is_nan() && right.is_nan() && is_like(left, right)) {
        return true;
    }
    let sum = left.abs() + right.abs();
    let difference = (left - right).abs();
    if left == 0.0 || right == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < tolerance * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < tolerance
}

/// A marker of staleness equals no other NaN.
fn is_like(left: f64, right: f64) -> bool {
    super::source::is_stale(left) == super::source::is_stale(right)
}
