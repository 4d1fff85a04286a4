//! Sums of floats that lose nothing worth speaking of.

/// A compensated sum (Neumaier, ZAMM 54, 1974): the error does not grow with the number of values.
/// Infinities and NaNs make it what plain addition would.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FloatSum {
    sum: f64,
    compensation: f64,
}

impl FloatSum {
    pub(crate) fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        self.compensation += if self.sum.abs() >= value.abs() {
            (self.sum - sum) + value
        } else {
            (value - sum) + self.sum
        };
        self.sum = sum;
    }

    /// Adds many values: four sums side by side, which a processor adds at once.
    pub(crate) fn add_all(&mut self, values: &[f64]) {
        let (chunks, rest) = values.as_chunks::<8>();
        let (mut sums, mut compensations) = ([0.0_f64; 8], [0.0_f64; 8]);
        for chunk in chunks {
            for lane in 0..8 {
                let (before, value) = (sums[lane], chunk[lane]);
                // Knuth's two-sum: no branch, so that all lanes go together.
                let sum = before + value;
                let part = sum - before;
                compensations[lane] += (before - (sum - part)) + (value - part);
                sums[lane] = sum;
            }
        }
        // The lanes' compensations may be large where the lanes cancel each other, so they are
        // added as carefully as the sums.
        sums.iter().for_each(|sum| self.add(*sum));
        compensations.iter().for_each(|part| self.compensate(*part));
        rest.iter().for_each(|value| self.add(*value));
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.add(other.sum);
        self.compensate(other.compensation);
    }

    /// Adds the compensation of another sum; that of an infinite one is no number and says nothing.
    fn compensate(&mut self, part: f64) {
        if part.is_finite() {
            self.add(part);
        }
    }

    /// Adds an integer without rounding it: as up to three floats.
    pub(crate) fn add_integer(&mut self, mut rest: i128) {
        while rest != 0 {
            let part = rest as f64;
            self.add(part);
            rest = rest.saturating_sub(part as i128);
        }
    }

    pub(crate) fn value(&self) -> f64 {
        if self.sum.is_finite() { self.sum + self.compensation } else { self.sum }
    }

    /// The rounded sum and what rounding it took off: all that the sum knows, always in the same
    /// two floats. The rest of an infinite sum, and of one that is no number, is 0.
    pub(crate) fn parts(&self) -> (f64, f64) {
        let rounded = self.value();
        let part = rounded - self.sum;
        let rest = (self.sum - (rounded - part)) + (self.compensation - part);
        // Not −0.0, so that there is one way to say that nothing was taken off.
        let is_rest = rounded.is_finite() && rest.is_finite() && rest != 0.0;
        (rounded, if is_rest { rest } else { 0.0 })
    }

    /// The sum of what [`FloatSum::parts`] gave.
    pub(crate) const fn of_parts(rounded: f64, rest: f64) -> Self {
        Self { sum: rounded, compensation: rest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_terms_survive_large_ones() {
        let values = [1.0, 1e100, 1.0, -1e100];
        let mut sum = FloatSum::default();
        values.iter().for_each(|value| sum.add(*value));
        assert_eq!(sum.value(), 2.0);
        let many: Vec<f64> = values.iter().copied().cycle().take(4096).collect();
        let mut sum = FloatSum::default();
        sum.add_all(&many);
        assert_eq!(sum.value(), 2048.0);
    }

    #[test]
    fn the_parts_of_a_sum_know_what_it_knows() {
        let mut sum = FloatSum::default();
        [1e16, 1.0, 2.5, -1e3].iter().for_each(|value| sum.add(*value));
        let (rounded, rest) = sum.parts();
        let mut again = FloatSum::of_parts(rounded, rest);
        assert_eq!(again.parts(), (rounded, rest));
        again.add(-1e16);
        assert_eq!(again.value(), 3.5 - 1e3);
        assert_eq!(FloatSum::default().parts(), (0.0, 0.0));
        let mut infinite = FloatSum::default();
        [f64::MAX, f64::MAX].iter().for_each(|value| infinite.add(*value));
        assert_eq!(infinite.parts(), (f64::INFINITY, 0.0));
    }

    #[test]
    fn integers_are_added_without_rounding() {
        for integer in [0, 1, -1, (1 << 126) + 1, -(1 << 126), (1 << 100) + 1, (1 << 60) + 1] {
            let mut sum = FloatSum::default();
            sum.add_integer(integer);
            sum.add_integer(1 - integer);
            assert_eq!(sum.value(), 1.0, "{integer}");
        }
    }

    #[test]
    fn infinities_and_nans_stay_what_they_are() {
        for (values, check) in [
            (vec![f64::INFINITY; 20], f64::is_infinite as fn(f64) -> bool),
            (vec![f64::NAN; 20], f64::is_nan),
            ([f64::INFINITY, f64::NEG_INFINITY].repeat(9), f64::is_nan),
            (vec![f64::MAX; 20], f64::is_infinite),
        ] {
            let (mut one, mut all) = (FloatSum::default(), FloatSum::default());
            values.iter().for_each(|value| one.add(*value));
            all.add_all(&values);
            assert!(check(one.value()) && check(all.value()), "{values:?}");
        }
    }
}
