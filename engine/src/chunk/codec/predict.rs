//! Predictors: what the next integer of a sequence should be, so that only the rest is coded.
//!
//! All arithmetic wraps at 64 bits, so that every sequence is kept whatever its range. Smoothed
//! predictors are exponentially weighted means (Brown 1956) in fixed point; they suit what
//! sensors report, a slow signal below noise, where a plain delta pays for the noise twice.

/// Bits behind the point of smoothed levels and slopes.
const POINT: u32 = 8;
const HALF: u64 = 1 << (POINT - 1);
const SHIFTS: u8 = 5;
/// Below so many numbers a mean has nothing to learn from.
const SMOOTHED_LEAST: usize = 64;

/// How the next integer is predicted from those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Predictor {
    /// Nothing: frame of reference only.
    None,
    /// The one before.
    Delta,
    /// The one before plus the last step.
    Slope,
    /// A level that moves by 2^-shift of each residual.
    Level(u8),
    /// The one before plus a slope that moves by 2^-shift of each residual.
    Trend(u8),
}

impl Predictor {
    /// The byte that stands for it on disk.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Delta => 1,
            Self::Slope => 2,
            Self::Level(shift) => 2 + shift,
            Self::Trend(shift) => 2 + SHIFTS + shift,
        }
    }

    /// The predictor of a byte on disk.
    pub(super) const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::None),
            1 => Some(Self::Delta),
            2 => Some(Self::Slope),
            3..=7 => Some(Self::Level(code - 2)),
            8..=12 => Some(Self::Trend(code - 2 - SHIFTS)),
            _ => None,
        }
    }

    /// How many numbers at the head are kept as they are.
    pub(super) const fn seeds(self) -> usize {
        match self {
            Self::None => 0,
            Self::Delta | Self::Level(_) => 1,
            Self::Slope | Self::Trend(_) => 2,
        }
    }
}

/// What a predictor remembers of the numbers so far.
pub(super) struct State {
    predictor: Predictor,
    last: u64,
    /// The last step, or the smoothed level or slope in fixed point.
    mean: u64,
    /// How many numbers the mean is made of: a young mean learns faster.
    age: u32,
}

impl State {
    /// The state after the seeds of a sequence.
    pub(super) fn new(predictor: Predictor, seeds: &[u64]) -> Self {
        let last = seeds.last().copied().unwrap_or(0);
        let step = last.wrapping_sub(seeds.first().copied().unwrap_or(0));
        let mean = match predictor {
            Predictor::None | Predictor::Delta | Predictor::Slope => step,
            Predictor::Level(_) => last << POINT,
            Predictor::Trend(_) => step << POINT,
        };
        Self { predictor, last, mean, age: 1 }
    }

    /// Replaces numbers by what is left of them after prediction.
    pub(super) fn residuals(&mut self, numbers: &mut [u64]) {
        let (mut last, mut mean) = (self.last, self.mean);
        match self.predictor {
            Predictor::None => {}
            Predictor::Delta => {
                for number in numbers {
                    let residual = number.wrapping_sub(last);
                    last = std::mem::replace(number, residual);
                }
            }
            Predictor::Slope => {
                for number in numbers {
                    let step = number.wrapping_sub(last);
                    last = std::mem::replace(number, step.wrapping_sub(mean));
                    mean = step;
                }
            }
            Predictor::Level(shift) => {
                for number in numbers {
                    let residual = number.wrapping_sub(round(mean));
                    mean = mean.wrapping_add(residual << self.gain(shift));
                    *number = residual;
                }
            }
            Predictor::Trend(shift) => {
                for number in numbers {
                    let step = number.wrapping_sub(last);
                    let residual = step.wrapping_sub(round(mean));
                    mean = mean.wrapping_add(residual << self.gain(shift));
                    last = std::mem::replace(number, residual);
                }
            }
        }
        (self.last, self.mean) = (last, mean);
    }

    /// The inverse of [`State::residuals`]; `add` is added to each residual first.
    pub(super) fn restore(&mut self, numbers: &mut [u64], add: u64) {
        let (mut last, mut mean) = (self.last, self.mean);
        match self.predictor {
            Predictor::None if add == 0 => {}
            Predictor::None => {
                numbers.iter_mut().for_each(|number| *number = number.wrapping_add(add));
            }
            Predictor::Delta => {
                for number in numbers {
                    last = last.wrapping_add(number.wrapping_add(add));
                    *number = last;
                }
            }
            Predictor::Slope => {
                for number in numbers {
                    mean = mean.wrapping_add(number.wrapping_add(add));
                    last = last.wrapping_add(mean);
                    *number = last;
                }
            }
            Predictor::Level(shift) => {
                let (young, old) = self.split_by_age(shift, numbers);
                for number in young {
                    let residual = number.wrapping_add(add);
                    *number = round(mean).wrapping_add(residual);
                    mean = mean.wrapping_add(residual << self.gain(shift));
                }
                let gain = self.gain(shift);
                for number in old {
                    let residual = number.wrapping_add(add);
                    *number = round(mean).wrapping_add(residual);
                    mean = mean.wrapping_add(residual << gain);
                }
            }
            Predictor::Trend(shift) => {
                let (young, old) = self.split_by_age(shift, numbers);
                for number in young {
                    let residual = number.wrapping_add(add);
                    last = last.wrapping_add(round(mean).wrapping_add(residual));
                    mean = mean.wrapping_add(residual << self.gain(shift));
                    *number = last;
                }
                let gain = self.gain(shift);
                for number in old {
                    let residual = number.wrapping_add(add);
                    last = last.wrapping_add(round(mean).wrapping_add(residual));
                    mean = mean.wrapping_add(residual << gain);
                    *number = last;
                }
            }
        }
        (self.last, self.mean) = (last, mean);
    }

    /// The numbers that come before the mean has its final gain, and the others.
    fn split_by_age<'n>(
        &self,
        shift: u8,
        numbers: &'n mut [u64],
    ) -> (&'n mut [u64], &'n mut [u64]) {
        let grown = (1_usize << shift).saturating_sub(self.age as usize);
        let at = grown.min(numbers.len());
        numbers.split_at_mut(at)
    }

    /// By how many bits a residual is shifted before it is added to the mean.
    #[inline(always)]
    fn gain(&mut self, shift: u8) -> u32 {
        self.age = self.age.saturating_add(1);
        POINT - self.age.ilog2().min(u32::from(shift))
    }
}

/// The integer nearest to a fixed-point number.
#[inline(always)]
const fn round(mean: u64) -> u64 {
    (mean.wrapping_add(HALF).cast_signed() >> POINT).cast_unsigned()
}

/// Which predictor leaves the least to be coded, judged by a sample; and a measure of how much
/// it leaves, to be compared with that of other sequences of the same length.
pub(super) fn choose(numbers: &[u64], thorough: bool) -> (Predictor, u64) {
    let samples = sample(numbers);
    let mut residuals = Vec::new();
    let mut cost = |predictor: Predictor| {
        residuals.clear();
        for run in &samples {
            let seeds = predictor.seeds().min(run.len());
            let start = residuals.len();
            residuals.extend_from_slice(&run[seeds..]);
            State::new(predictor, &run[..seeds]).residuals(&mut residuals[start..]);
        }
        (predictor, magnitude(&residuals))
    };
    let best_of = |a: (Predictor, u64), b: (Predictor, u64)| if b.1 < a.1 { b } else { a };
    let plain = [Predictor::None, Predictor::Delta, Predictor::Slope].map(&mut cost);
    let best = plain.into_iter().reduce(best_of).unwrap_or(plain[0]);
    if !thorough || best.1 == 0 || numbers.len() < SMOOTHED_LEAST {
        return best;
    }
    // A smoothed predictor must win clearly: the measure is only a sample's.
    let handicap = best.1 / 128;
    let mut cost = |predictor: Predictor| {
        let (predictor, cost) = cost(predictor);
        (predictor, cost + handicap)
    };
    let smoothed = [Predictor::Level(2), Predictor::Level(4), Predictor::Trend(3)].map(&mut cost);
    let best = smoothed.into_iter().fold(best, best_of);
    let others: &[Predictor] = match best.0 {
        Predictor::Delta => &[Predictor::Level(1), Predictor::Trend(5)],
        Predictor::Slope => &[Predictor::Trend(1), Predictor::Trend(2)],
        Predictor::Level(2) => &[Predictor::Level(1), Predictor::Level(3)],
        Predictor::None | Predictor::Level(_) => &[Predictor::Level(3), Predictor::Level(5)],
        Predictor::Trend(_) => &[Predictor::Trend(2), Predictor::Trend(4), Predictor::Trend(5)],
    };
    others.iter().map(|predictor| cost(*predictor)).fold(best, best_of)
}

/// Three runs of the sequence, or all of it where it is short.
pub(super) fn sample<T>(numbers: &[T]) -> Vec<&[T]> {
    const RUN: usize = 256;
    let Some(last) = numbers.len().checked_sub(RUN).filter(|last| *last >= 2 * RUN) else {
        return vec![numbers];
    };
    [0, last / 2, last].map(|start| &numbers[start..start + RUN]).to_vec()
}

/// The sum of log2(1 + |residual - median|), roughly and in units of 2^-23 bits: for noise of
/// one shape it differs by what the entropy differs by.
fn magnitude(residuals: &[u64]) -> u64 {
    let Some(last) = residuals.len().checked_sub(1) else { return 0 };
    let mut some: [u64; 9] = std::array::from_fn(|index| residuals[index * last / 8]);
    some.sort_unstable_by_key(|residual| residual.cast_signed());
    let middle = some[4];
    let bits = |residual: &u64| {
        let distance = residual.wrapping_sub(middle).cast_signed() as f32;
        // The exponent and mantissa of a float, read as one number, are its logarithm.
        u64::from((distance.abs() + 1.0).to_bits() - 1_f32.to_bits())
    };
    residuals.iter().map(bits).sum()
}
