//! Statistics of a chunk: what answers a question about all of it without decoding.

use crate::encoding::{Malformed, Reader, put_signed, put_signed_wide, put_varint};
use crate::model::{Column, Kind, ValueRef};
use crate::sum::FloatSum;

/// A sum: exact for integers and flags, compensated for floats.
#[derive(Debug, Clone, Copy)]
pub enum Sum {
    /// Of floats.
    Float {
        /// The sum, rounded; NaN where one of the values is.
        rounded: f64,
        /// What rounding took off: sums of chunks that cancel each other need it.
        rest: f64,
    },
    /// Of integers; of flags the number of those that are true.
    Integer(i128),
}

/// Equality by bits.
impl PartialEq for Sum {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float { rounded: a, rest: c }, Self::Float { rounded: b, rest: d }) => {
                a.to_bits() == b.to_bits() && c.to_bits() == d.to_bits()
            }
            (Self::Integer(a), Self::Integer(b)) => a == b,
            _ => false,
        }
    }
}

/// Statistics of numbers or flags. Values are kept as their 64 bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Statistics {
    /// The least value; NaNs are skipped, and it is NaN where all are.
    pub(crate) min_bits: u64,
    /// The greatest value; NaNs are skipped, and it is NaN where all are.
    pub(crate) max_bits: u64,
    /// The value with the first time.
    pub(crate) first_bits: u64,
    /// The value with the last time.
    pub(crate) last_bits: u64,
    /// The sum of all values.
    pub(crate) sum: Sum,
}

impl Statistics {
    /// The statistics of a column; `None` for text, bytes and empty columns.
    pub(crate) fn of(values: &Column) -> Option<Self> {
        match values {
            Column::F64(values) => Self::of_floats(values),
            Column::I64(values) => Self::of_ordered(values, |value| value as u64, i128::from),
            Column::U64(values) => Self::of_ordered(values, |value| value, i128::from),
            Column::Bool(values) => Self::of_ordered(values, u64::from, i128::from),
            Column::Text(_) | Column::Bytes(_) => None,
        }
    }

    fn of_floats(values: &[f64]) -> Option<Self> {
        let (first, last) = (values.first()?, values.last()?);
        let (mut min, mut max, mut sum) = (f64::NAN, f64::NAN, FloatSum::default());
        for value in values {
            min = if min.is_nan() || *value < min { *value } else { min };
            max = if max.is_nan() || *value > max { *value } else { max };
            sum.add(*value);
        }
        let (rounded, rest) = sum.parts();
        Some(Self {
            min_bits: min.to_bits(),
            max_bits: max.to_bits(),
            first_bits: first.to_bits(),
            last_bits: last.to_bits(),
            sum: Sum::Float { rounded, rest },
        })
    }

    fn of_ordered<T: Ord + Copy>(
        values: &[T],
        bits: impl Fn(T) -> u64,
        wide: impl Fn(T) -> i128,
    ) -> Option<Self> {
        Some(Self {
            min_bits: bits(*values.iter().min()?),
            max_bits: bits(*values.iter().max()?),
            first_bits: bits(*values.first()?),
            last_bits: bits(*values.last()?),
            sum: Sum::Integer(values.iter().map(|value| wide(*value)).sum()),
        })
    }

    /// The value with the last time.
    pub(crate) fn last(&self, kind: Kind) -> Option<ValueRef<'static>> {
        crate::batch::bits_value(kind, self.last_bits)
    }

    /// Appends the statistics: decimal floats as small integers, integers as differences.
    pub(crate) fn put(&self, kind: Kind, out: &mut Vec<u8>) {
        let bits = [self.min_bits, self.max_bits, self.first_bits, self.last_bits];
        match (kind, self.sum) {
            (Kind::F64, Sum::Float { rounded, rest }) => {
                let has_rest = if rest == 0.0 { 0 } else { HAS_REST };
                if let Some((exponent, integers)) = as_decimals(bits) {
                    out.push(exponent | has_rest);
                    put_signed(out, integers[0]);
                    integers[1..].iter().for_each(|n| put_varint(out, (n - integers[0]) as u64));
                } else {
                    out.push(RAW | has_rest);
                    bits.iter().for_each(|bits| out.extend_from_slice(&bits.to_le_bytes()));
                }
                out.extend_from_slice(&rounded.to_le_bytes());
                if rest != 0.0 {
                    // A rest has few significant bits: its bytes that are 0 come last.
                    put_varint(out, rest.to_bits().swap_bytes());
                }
            }
            (_, sum) => {
                put_signed(out, bits[0] as i64);
                for bits in &bits[1..] {
                    put_signed(out, (*bits as i64).wrapping_sub(self.min_bits as i64));
                }
                put_signed_wide(out, if let Sum::Integer(sum) = sum { sum } else { 0 });
            }
        }
    }

    /// Reads what [`Statistics::put`] wrote.
    pub(crate) fn read(kind: Kind, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut bits = [0_u64; 4];
        let sum = if kind == Kind::F64 {
            let form = reader.u8()?;
            let exponent = form & !HAS_REST;
            if exponent == RAW {
                for bits in &mut bits {
                    *bits = reader.u64()?;
                }
            } else {
                let scale = *POWERS
                    .get(exponent as usize)
                    .ok_or(reader.malformed("statistics with an impossible exponent"))?;
                let min = reader.signed()?;
                bits[0] = (min as f64 / scale).to_bits();
                for bits in &mut bits[1..] {
                    let integer = min.wrapping_add(reader.varint()? as i64);
                    *bits = (integer as f64 / scale).to_bits();
                }
            }
            let rounded = f64::from_bits(reader.u64()?);
            let rest = match form & HAS_REST {
                0 => 0.0,
                _ => f64::from_bits(reader.varint()?.swap_bytes()),
            };
            Sum::Float { rounded, rest }
        } else {
            let min = reader.signed()?;
            bits[0] = min as u64;
            for bits in &mut bits[1..] {
                *bits = min.wrapping_add(reader.signed()?) as u64;
            }
            Sum::Integer(reader.signed_wide()?)
        };
        let [min_bits, max_bits, first_bits, last_bits] = bits;
        Ok(Self { min_bits, max_bits, first_bits, last_bits, sum })
    }
}

/// In place of an exponent: the values stand as they are.
const RAW: u8 = 127;
/// Beside the exponent: what rounding took off the sum is not 0 and follows it.
const HAS_REST: u8 = 128;
const POWERS: [f64; 11] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];

/// The least exponent at which all values are integers over that power of ten, and the integers,
/// the first of which is the least.
fn as_decimals(bits: [u64; 4]) -> Option<(u8, [i64; 4])> {
    'exponents: for (exponent, scale) in POWERS.iter().enumerate() {
        let mut integers = [0; 4];
        for (integer, bits) in integers.iter_mut().zip(bits) {
            let value = f64::from_bits(bits);
            let scaled = (value * scale).round();
            // By way of the integer, so that −0.0 is seen to be none.
            *integer = scaled as i64;
            if scaled.abs() >= 9e15 || (*integer as f64 / scale).to_bits() != bits {
                continue 'exponents;
            }
        }
        // Not so where a first or last value is NaN and hence no bound holds.
        if integers[1..].iter().all(|integer| *integer >= integers[0]) {
            return Some((exponent as u8, integers));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    fn there_and_back(values: &Column) {
        let statistics = Statistics::of(values).unwrap();
        let mut bytes = Vec::new();
        statistics.put(values.kind(), &mut bytes);
        let mut reader = Reader::new(&bytes);
        assert_eq!(Statistics::read(values.kind(), &mut reader), Ok(statistics));
        assert!(reader.is_empty());
    }

    #[test]
    fn statistics_come_back_bit_for_bit() {
        there_and_back(&Column::F64(vec![61.2, 60.9, 0.0, 13.37]));
        there_and_back(&Column::F64(vec![-0.0, 1.0]));
        there_and_back(&Column::F64(vec![f64::NAN, 1.5]));
        there_and_back(&Column::F64(vec![f64::NAN, f64::NAN]));
        there_and_back(&Column::F64(vec![f64::NEG_INFINITY, f64::INFINITY, 5e-324]));
        there_and_back(&Column::F64(vec![1e300, -1e300, 7.119_999_900_000_001]));
        there_and_back(&Column::F64(vec![1e16, 1.0]));
        there_and_back(&Column::F64(vec![f64::MAX, f64::MAX, -5e-324]));
        there_and_back(&Column::I64(vec![i64::MIN, i64::MAX, 0]));
        there_and_back(&Column::U64(vec![u64::MAX, 0, u64::MAX]));
        there_and_back(&Column::Bool(vec![true, false, true]));
    }

    #[test]
    fn what_rounding_took_off_a_sum_costs_few_bytes() {
        let size = |values: Vec<f64>| {
            let mut bytes = Vec::new();
            Statistics::of(&Column::F64(values)).unwrap().put(Kind::F64, &mut bytes);
            bytes.len()
        };
        assert_eq!(size(vec![0.5, 1.5]), 13);
        let decimals = (0..3600).map(|number| f64::from(number % 977) / 10.0).collect();
        assert!(size(decimals) <= 15 + 6, "a sum of decimals is rounded");
    }

    #[test]
    fn nan_is_skipped_by_bounds_and_kept_by_the_sum() {
        let statistics = Statistics::of(&Column::F64(vec![f64::NAN, 2.0, 1.0])).unwrap();
        assert_eq!(f64::from_bits(statistics.min_bits), 1.0);
        assert_eq!(f64::from_bits(statistics.max_bits), 2.0);
        assert!(matches!(statistics.sum, Sum::Float { rounded, .. } if rounded.is_nan()));
        let statistics = Statistics::of(&Column::U64(vec![u64::MAX, u64::MAX])).unwrap();
        assert_eq!(statistics.sum, Sum::Integer(2 * i128::from(u64::MAX)));
    }
}
