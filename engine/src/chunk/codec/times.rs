//! Times: a nominal grid plus what each record strays from it.
//!
//! A sampled sensor reports on a grid with jitter of its own for each record, so its times cost
//! least as residuals from that grid: as deltas, each jitter would count twice. Times without
//! jitter are a first time and a step. Where most steps are irregular, times are integers.

use super::bits::{Cursor, write_varint, zigzag};
use super::{CodecError, MAX_COUNT, Policy, ints};

pub(super) const REGULAR: u8 = 1;
pub(super) const GRID: u8 = 2;
pub(super) const INTS: u8 = 3;

/// The greatest power of ten that an `i64` of nanoseconds may be a multiple of.
const UNIT_EXPONENT_MAX: u8 = 18;

/// Appends an encoding of rising times.
pub(super) fn encode(times: &[i64], policy: Policy, out: &mut Vec<u8>) {
    let (exponent, offsets) = scale(times);
    let first = times.first().copied().unwrap_or(0) / power_of_ten(exponent);
    let mut head = |id: u8| {
        out.push(id);
        out.push(exponent);
        write_varint(zigzag(first), out);
    };
    let step = offsets.get(1).copied().unwrap_or(1);
    let even = offsets.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == step);
    if even && step > 0 && times.is_sorted() {
        head(REGULAR);
        return write_varint(step, out);
    }
    if let Some(grid) = Grid::fit(&offsets) {
        let (predictor, left) = ints::choose(&grid.residuals, policy);
        // Without a grid, deltas or their deltas are what suits times.
        if left <= ints::choose(&offsets, Policy::Fastest).1 {
            head(GRID);
            write_varint(grid.step, out);
            write_varint(grid.gaps.len() as u64, out);
            let mut before = 0;
            for (index, cells) in &grid.gaps {
                write_varint((index - before) as u64, out);
                write_varint(cells - 2, out);
                before = *index;
            }
            return ints::encode_with(predictor, &grid.residuals, policy, out);
        }
    }
    head(INTS);
    ints::encode(&offsets, policy, out);
}

const fn power_of_ten(exponent: u8) -> i64 {
    10_i64.pow(exponent as u32)
}

/// The exponent of the largest power of ten that divides all times, and the times from the first
/// on in that unit.
fn scale(times: &[i64]) -> (u8, Vec<u64>) {
    let Some(first) = times.first() else { return (0, Vec::new()) };
    let divides = |number: i64| {
        let exponents = (0..=UNIT_EXPONENT_MAX).rev();
        exponents.into_iter().find(|exponent| number % power_of_ten(*exponent) == 0).unwrap_or(0)
    };
    let offset = |time: &i64| time.wrapping_sub(*first).cast_unsigned();
    let some = times.iter().step_by(times.len() / 8 + 1);
    let mut exponent = some.fold(divides(*first), |exponent, time| exponent.min(divides(*time)));
    let mut offsets = Vec::with_capacity(times.len());
    loop {
        // Exact division by 10^e (Warren, Hacker's Delight, 10-17): multiply by the inverse of
        // 5^e modulo 2^64 and rotate by e; small exactly where no remainder is left.
        let shift = u32::from(exponent);
        let inverse = inverse(5_u64.pow(shift));
        let most = u64::MAX / power_of_ten(exponent).cast_unsigned();
        let mut bad = false;
        offsets.clear();
        offsets.extend(times.iter().map(|time| {
            let quotient = offset(time).wrapping_mul(inverse).rotate_right(shift);
            bad |= quotient > most;
            quotient
        }));
        if !bad {
            return (exponent, offsets);
        }
        exponent -= 1;
    }
}

/// The inverse of an odd number modulo 2^64 (Newton's method, five bits at first).
fn inverse(odd: u64) -> u64 {
    let start = odd.wrapping_mul(3) ^ 2;
    (0..4).fold(start, |x, _| x.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(x))))
}

/// A nominal grid: the cell of each record, and how far the record is from it.
struct Grid {
    step: u64,
    /// Records that come more than one cell after the one before: index and cells.
    gaps: Vec<(usize, u64)>,
    residuals: Vec<u64>,
}

impl Grid {
    /// The grid that most steps follow, where there is one.
    fn fit(offsets: &[u64]) -> Option<Self> {
        let step = nominal_step(offsets)?;
        let near = step.checked_mul(3)? / 2;
        let gaps_max = offsets.len() / 8;
        let mut grid = Self { step, gaps: Vec::new(), residuals: vec![0; offsets.len()] };
        let (mut before, mut line) = (*offsets.first()?, 0_u64);
        for (index, (offset, residual)) in offsets.iter().zip(&mut grid.residuals).enumerate() {
            let gone = offset.wrapping_sub(before);
            let mut cells = u64::from(index > 0);
            if gone > near && index > 0 {
                cells = gone.checked_add(step / 2)? / step;
                grid.gaps.push((index, cells));
                if grid.gaps.len() > gaps_max {
                    return None;
                }
            }
            line = line.wrapping_add(cells.wrapping_mul(step));
            *residual = offset.wrapping_sub(line);
            before = *offset;
        }
        Some(grid)
    }
}

/// The mean of some steps that are no gaps.
fn nominal_step(offsets: &[u64]) -> Option<u64> {
    let samples = super::predict::sample(offsets);
    let steps = || {
        let runs = samples.iter().flat_map(|run| run.windows(2));
        runs.map(|pair| pair[1].wrapping_sub(pair[0]))
    };
    let mut some: Vec<u64> = steps().step_by(11).collect();
    some.sort_unstable();
    let median = *some.get(some.len() / 2)?;
    let most = median.checked_add(median / 2)?;
    let (sum, count) = steps()
        .filter(|step| *step <= most)
        .fold((0_u64, 0_u64), |(sum, count), step| (sum.saturating_add(step), count + 1));
    // Jitter cancels out in the sum, but for that of the first and the last of a run.
    sum.checked_add(count / 2)?.checked_div(count).filter(|step| *step > 0)
}

/// The parts of an encoding.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parsed<'a> {
    unit: u64,
    /// In nanoseconds.
    first: i64,
    count: usize,
    layout: Layout<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Layout<'a> {
    Regular { step_ns: i64 },
    Grid { step_ns: u64, gap_count: usize, rest: Cursor<'a> },
    Ints(&'a [u8]),
}

impl<'a> Parsed<'a> {
    /// Reads the head of an encoding whose first byte is one of the ids above.
    pub(super) fn parse(bytes: &'a [u8], count: usize) -> Result<Self, CodecError> {
        let mut cursor = Cursor::new(bytes);
        let id = cursor.byte()?;
        if count > MAX_COUNT {
            return Err(CodecError::TooMany(count));
        }
        let exponent = cursor.byte()?;
        if exponent > UNIT_EXPONENT_MAX {
            return Err(CodecError::Damaged("the time unit is out of range"));
        }
        let unit = power_of_ten(exponent);
        let range = CodecError::Damaged("a time is out of range");
        let first = cursor.signed()?.checked_mul(unit).ok_or(range.clone())?;
        let layout = match id {
            REGULAR => {
                let step = i128::from(cursor.varint()?) * i128::from(unit);
                cursor.finish()?;
                let span = step.checked_mul((count.max(1) - 1) as i128);
                let last = span.and_then(|span| span.checked_add(i128::from(first)));
                if step == 0 || last.is_none_or(|last| last > i128::from(i64::MAX)) {
                    return Err(range);
                }
                // Between two times there may be more than an i64 holds, but not between three.
                Layout::Regular { step_ns: step as i64 }
            }
            GRID => {
                let step_ns = cursor.varint()?.wrapping_mul(unit.cast_unsigned());
                let gap_count = cursor.length(count)?;
                Layout::Grid { step_ns, gap_count, rest: cursor }
            }
            INTS => Layout::Ints(cursor.rest()),
            other => return Err(CodecError::UnknownCodec(other)),
        };
        Ok(Self { unit: unit.cast_unsigned(), first, count, layout })
    }

    /// The first time and the step in nanoseconds where all steps are equal.
    pub(super) const fn regular(&self) -> Option<(i64, i64)> {
        match self.layout {
            Layout::Regular { step_ns } if step_ns > 0 && self.count > 0 => {
                Some((self.first, step_ns))
            }
            _ => None,
        }
    }

    /// Appends all times.
    pub(super) fn decode(&self, times: &mut Vec<i64>) -> Result<(), CodecError> {
        let first = self.first.cast_unsigned();
        let unit = self.unit;
        match self.layout {
            Layout::Regular { step_ns } => {
                let step = step_ns.cast_unsigned();
                let mut next = first;
                times.extend((0..self.count).map(|_| {
                    let time = next;
                    next = next.wrapping_add(step);
                    time.cast_signed()
                }));
                Ok(())
            }
            Layout::Ints(bytes) => {
                times.reserve(self.count);
                ints::decode(bytes, self.count, |block| {
                    let time = |offset: &u64| first.wrapping_add(offset.wrapping_mul(unit));
                    times.extend(block.iter().map(|offset| time(offset).cast_signed()));
                })
            }
            Layout::Grid { step_ns, gap_count, rest } => {
                self.decode_grid(step_ns, gap_count, rest, times)
            }
        }
    }

    fn decode_grid(
        &self,
        step_ns: u64,
        gap_count: usize,
        mut rest: Cursor<'_>,
        times: &mut Vec<i64>,
    ) -> Result<(), CodecError> {
        let mut gaps = rest;
        for _ in 0..gap_count * 2 {
            rest.varint()?;
        }
        let mut next_gap = |before: usize, left: &mut usize| -> Result<(usize, u64), CodecError> {
            let Some(less) = left.checked_sub(1) else { return Ok((usize::MAX, 0)) };
            *left = less;
            let index = before.saturating_add(gaps.length(self.count)?);
            Ok((index, gaps.varint()?.wrapping_add(1).wrapping_mul(step_ns)))
        };
        let mut left = gap_count;
        let mut gap = next_gap(0, &mut left)?;
        let mut line = self.first.cast_unsigned();
        let mut index = 0;
        let mut outcome = Ok(());
        let unit = self.unit;
        times.reserve(self.count);
        ints::decode(rest.rest(), self.count, |mut block| {
            while !block.is_empty() {
                if gap.0 <= index {
                    line = line.wrapping_add(gap.1);
                    match next_gap(gap.0, &mut left) {
                        Ok(next) => gap = next,
                        Err(error) => {
                            outcome = Err(error);
                            gap = (usize::MAX, 0);
                        }
                    }
                    continue;
                }
                let (plain, others) = block.split_at(block.len().min(gap.0 - index));
                // A variable of its own, which stays in a register.
                let mut cell = line;
                times.extend(plain.iter().map(|residual| {
                    let time = cell.wrapping_add(residual.wrapping_mul(unit));
                    cell = cell.wrapping_add(step_ns);
                    time.cast_signed()
                }));
                line = cell;
                index += plain.len();
                block = others;
            }
        })?;
        outcome
    }
}
