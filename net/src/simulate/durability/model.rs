//! The model beside the simulation: a chain of live fragments that fall one by one and are all repaired
//! at once.
//!
//! States are the numbers of live fragments from all down to those that are needed, and the loss. From
//! `i` live ones the next falls at rate `i`/lifetime; from the threshold down everything is repaired at
//! rate 1/repair time. The chance to be in the loss after some time is the exponential of the generator,
//! by uniformisation (Jensen 1953; Stewart, *Introduction to the Numerical Solution of Markov Chains*,
//! section 8.2) and squaring: all terms are positive, so that small chances keep their digits.

use super::{Config, HOUR_S, YEAR_S};

type Matrix = Vec<Vec<f64>>;

/// The chance that one pack is lost within the time of a configuration, without failures of regions.
#[must_use]
pub fn loss_probability(config: &Config) -> f64 {
    let profile = config.profile;
    let (all, needed) = (usize::from(profile.fragments()), usize::from(profile.needed()));
    let size = all - needed + 2;
    let lifetime_s = config.lifetime_days * 24.0 * HOUR_S;
    let repair_rate = 1.0 / (config.repair_hours * HOUR_S);
    // State `s` has `all - s` live fragments; the last is the loss.
    let mut rates: Matrix = vec![vec![0.0; size]; size];
    for (state, row) in rates.iter_mut().enumerate().take(size - 1) {
        let live = all - state;
        let mut leaving = live as f64 / lifetime_s;
        row[state + 1] = leaving;
        if live <= usize::from(profile.repair_at()) {
            row[0] += repair_rate;
            leaving += repair_rate;
        }
        row[state] -= leaving;
    }
    exponential(&rates, config.years * YEAR_S)
        .first()
        .and_then(|row| row.last().copied())
        .unwrap_or_default()
}

fn multiply(a: &Matrix, b: &Matrix) -> Matrix {
    let size = a.len();
    let row = |row: &Vec<f64>| {
        let mut out = vec![0.0; size];
        for (factor, other) in row.iter().zip(b).filter(|(factor, _)| **factor != 0.0) {
            for (out, value) in out.iter_mut().zip(other) {
                *out += factor * value;
            }
        }
        out
    };
    a.iter().map(row).collect()
}

/// The exponential of a generator times a time.
fn exponential(rates: &Matrix, time: f64) -> Matrix {
    let size = rates.len();
    let fastest = rates.iter().enumerate().map(|(state, row)| -row[state]).fold(0.0, f64::max);
    // Halve the time until less than one event is expected.
    let halvings = (fastest * time).log2().ceil().max(0.0) as u32 + 1;
    let expected = fastest * time / 2_f64.powi(halvings as i32);
    // What happens at one event of the fastest rate.
    let mut step = rates.clone();
    for (state, row) in step.iter_mut().enumerate() {
        for (other, rate) in row.iter_mut().enumerate() {
            *rate = *rate / fastest + f64::from(u8::from(state == other));
        }
    }
    let mut power = identity(size);
    let mut weight = (-expected).exp();
    let mut sum: Matrix = vec![vec![0.0; size]; size];
    for term in 1..=40 {
        for (sum, power) in sum.iter_mut().zip(&power) {
            for (sum, power) in sum.iter_mut().zip(power) {
                *sum += weight * power;
            }
        }
        power = multiply(&power, &step);
        weight *= expected / f64::from(term);
    }
    for _ in 0..halvings {
        sum = multiply(&sum, &sum);
    }
    sum
}

fn identity(size: usize) -> Matrix {
    (0..size)
        .map(|row| (0..size).map(|column| f64::from(u8::from(row == column))).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_that_of_a_chain_that_can_be_solved_by_hand() {
        // Two states, rates a and b: the chance to be in the second is a/(a+b) · (1 − e^−(a+b)t).
        for (a, b, time) in [(0.1, 0.0, 3.0), (2.0, 5.0, 0.7), (1e-9, 30.0, 50.0)] {
            let found = exponential(&vec![vec![-a, a], vec![b, -b]], time);
            let expected = a / (a + b) * -(-(a + b) * time).exp_m1();
            assert!((found[0][1] / expected - 1.0).abs() < 1e-9, "{found:?} {expected}");
        }
    }
}
