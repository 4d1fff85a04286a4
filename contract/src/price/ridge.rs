//! Ridge regression in fixed-point integers.

use super::Row;
use super::features::FEATURES;
use super::fixed::FRACTION;

/// Digits behind the binary point of sums of products, and of coefficients.
const SUMS: u32 = 2 * FRACTION;
/// What is added to the diagonal for standardised features: a tenth. It keeps every pivot above a tenth, so
/// that the elimination needs no exchange of rows, and coefficients of few observations small.
const RIDGE: i128 = (1 << SUMS) / 10;
/// Standardised features end here: 8 spreads.
const SPREADS_MAX: i128 = 8 << FRACTION;

/// A model that was fitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fit {
    means: [i64; FEATURES],
    spreads: [i64; FEATURES],
    coefficients: [i128; FEATURES],
    middle: i64,
}

impl Fit {
    /// The binary logarithm of a price, in units of 2^-16.
    pub(super) fn predict(&self, features: &[i64; FEATURES]) -> i64 {
        let standard = self.standard(features);
        let parts = self.coefficients.iter().zip(standard).map(|(one, other)| one * other);
        let sum = i128::from(self.middle) + (parts.sum::<i128>() >> SUMS);
        i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
    }

    /// Mean, spread and coefficient of each feature.
    pub(super) fn columns(&self) -> impl Iterator<Item = (i64, i64, i64)> {
        let coefficient = |one: &i128| i64::try_from(*one).unwrap_or(i64::MAX);
        let of = self.means.iter().zip(&self.spreads).zip(&self.coefficients);
        of.map(move |((mean, spread), one)| (*mean, *spread, coefficient(one)))
    }

    pub(super) const fn middle(&self) -> i64 {
        self.middle
    }

    /// Features in spreads from the mean; those that never vary are 0.
    fn standard(&self, features: &[i64; FEATURES]) -> [i128; FEATURES] {
        let mut standard = [0; FEATURES];
        let of = features.iter().zip(&self.means).zip(&self.spreads);
        for (to, ((feature, mean), spread)) in standard.iter_mut().zip(of) {
            let off = i128::from(*feature) - i128::from(*mean);
            let spreads = (off << FRACTION).checked_div(i128::from(*spread)).unwrap_or_default();
            *to = spreads.clamp(-SPREADS_MAX, SPREADS_MAX);
        }
        standard
    }
}

/// Fits a model to rows. Of no rows it is that of a price of 1.
pub(super) fn fit(rows: &[Row]) -> Fit {
    let count = i128::try_from(rows.len()).unwrap_or(i128::MAX).max(1);
    let mean = |values: &mut dyn Iterator<Item = i64>| {
        let sum: i128 = values.map(i128::from).sum();
        i64::try_from(sum.div_euclid(count)).unwrap_or_default()
    };
    let mut fit = Fit {
        means: [0; FEATURES],
        spreads: [0; FEATURES],
        coefficients: [0; FEATURES],
        middle: mean(&mut rows.iter().map(|row| row.1)),
    };
    for (at, (to, spread)) in fit.means.iter_mut().zip(&mut fit.spreads).enumerate() {
        let column = || rows.iter().filter_map(|row| row.0.get(at).copied());
        *to = mean(&mut column());
        let squares = column().map(|feature| (i128::from(feature) - i128::from(*to)).pow(2));
        let variance = squares.sum::<i128>() / count;
        *spread = i64::try_from(variance.max(0).isqrt()).unwrap_or_default();
    }
    let mut sums = [[0_i128; FEATURES]; FEATURES];
    let mut right = [0_i128; FEATURES];
    for row in rows {
        let standard = fit.standard(&row.0);
        let off = i128::from(row.1) - i128::from(fit.middle);
        for ((one, line), right) in standard.iter().zip(&mut sums).zip(&mut right) {
            for (other, sum) in standard.iter().zip(line) {
                *sum += one * other;
            }
            *right += one * off;
        }
    }
    for (at, line) in sums.iter_mut().enumerate() {
        for (other, sum) in line.iter_mut().enumerate() {
            *sum = sum.div_euclid(count) + if at == other { RIDGE } else { 0 };
        }
    }
    for right in &mut right {
        *right = right.div_euclid(count);
    }
    fit.coefficients = solve(sums, right);
    fit
}

/// Solves a positive definite system by elimination: all numbers in units of 2^-32.
fn solve(mut sums: [[i128; FEATURES]; FEATURES], mut right: [i128; FEATURES]) -> [i128; FEATURES] {
    let divided = |one: i128, pivot: i128| (one << SUMS).checked_div(pivot).unwrap_or_default();
    for at in 0..FEATURES {
        let (Some(line), Some(value)) = (sums.get(at).copied(), right.get(at).copied()) else {
            continue;
        };
        let pivot = line.get(at).copied().unwrap_or(RIDGE).max(1);
        for (below, to) in sums.iter_mut().zip(&mut right).skip(at + 1) {
            let factor = divided(below.get(at).copied().unwrap_or_default(), pivot);
            for (sum, from) in below.iter_mut().zip(&line) {
                *sum -= (factor * from) >> SUMS;
            }
            *to -= (factor * value) >> SUMS;
        }
    }
    let mut solved = [0; FEATURES];
    for at in (0..FEATURES).rev() {
        let (Some(line), Some(value)) = (sums.get(at), right.get(at)) else { continue };
        let known = line.iter().zip(&solved).skip(at + 1).map(|(sum, one)| (sum * one) >> SUMS);
        let rest = value - known.sum::<i128>();
        let pivot = line.get(at).copied().unwrap_or(RIDGE).max(1);
        if let Some(one) = solved.get_mut(at) {
            *one = divided(rest, pivot);
        }
    }
    solved
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row whose price follows from two features.
    fn row(number: i64) -> Row {
        let (demand, age) = (number * 7_919 % 13, number * 104_729 % 17);
        let features = [demand << FRACTION, 0, 0, age << FRACTION, 5 << FRACTION, 0];
        (features, (40 << FRACTION) + (demand << FRACTION) / 2 - (age << FRACTION) / 4)
    }

    #[test]
    fn a_line_is_found_again() {
        let rows: Vec<Row> = (0..200).map(row).collect();
        let fit = fit(&rows);
        for number in 200..220 {
            let (features, price) = row(number);
            // The ridge draws everything an eleventh of the way to the middle, from up to five doublings.
            assert!(fit.predict(&features).abs_diff(price) < 1 << (FRACTION - 1));
        }
    }

    #[test]
    fn what_never_varies_tells_nothing() {
        let fit = fit(&vec![row(3); 50]);
        assert_eq!(fit.coefficients, [0; FEATURES]);
        assert_eq!(fit.predict(&[i64::MAX; FEATURES]), row(3).1);
        let none = super::fit(&[]);
        assert_eq!(none.predict(&[i64::MIN; FEATURES]), 0);
    }
}
