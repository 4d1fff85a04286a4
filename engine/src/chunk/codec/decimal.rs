//! Decimal floats: 61.2 is 612 x 10^-1.
//!
//! The idea is ALP's (Afroozeh, Kuffo, Boncz, "ALP: Adaptive Lossless floating-Point
//! Compression", SIGMOD 2024): most floats in databases were decimals once, and an integer with
//! a common exponent gives them back exactly. Here the integer is divided by 10^e, which is
//! correctly rounded and so exact for whatever was parsed from a decimal; products n x 10^-e and
//! decimals that went through a 32-bit float are ways of their own. What does not come back to
//! the same bits is an exception.

use super::bits::{Cursor, write_part, write_varint};
use super::{CodecError, Policy, ints, numbers};

/// Adding this to a float below 2^51 in magnitude leaves the float, rounded, in its low bits.
const MAGIC: f64 = 6_755_399_441_055_744.0;
const EXPONENT_MAX: u8 = 18;

const POWERS: [f64; 19] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18,
];
const INVERSES: [f64; 19] = [
    1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13, 1e-14,
    1e-15, 1e-16, 1e-17, 1e-18,
];

/// How a float comes back from its integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// n / 10^e: what was parsed from decimals.
    Quotient,
    /// n x 10^-e: what was scaled by a factor.
    Product,
    /// n / 10^e, rounded to 32 bits: what was widened from an `f32`.
    Single,
}

/// A way and an exponent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Scale {
    way: Way,
    exponent: u8,
}

impl Scale {
    const fn code(self) -> u8 {
        (self.way as u8) << 6 | self.exponent
    }

    fn from_code(code: u8) -> Option<Self> {
        let way = [Way::Quotient, Way::Product, Way::Single].into_iter().nth(code as usize >> 6)?;
        let exponent = code & 0x1F;
        (exponent <= EXPONENT_MAX).then_some(Self { way, exponent })
    }

    #[inline(always)]
    fn integer(self, value: f64) -> u64 {
        let scaled = value * POWERS[usize::from(self.exponent)];
        (scaled + MAGIC).to_bits().wrapping_sub(MAGIC.to_bits())
    }

    fn is_exact(self, value: f64) -> bool {
        self.float(self.integer(value)).to_bits() == value.to_bits()
    }

    fn float(self, integer: u64) -> f64 {
        let exponent = usize::from(self.exponent);
        match self.way {
            Way::Quotient => quotient(integer, POWERS[exponent]),
            Way::Product => product(integer, INVERSES[exponent]),
            Way::Single => single(integer, POWERS[exponent]),
        }
    }
}

#[inline(always)]
fn to_float(integer: u64) -> f64 {
    f64::from_bits(integer.wrapping_add(MAGIC.to_bits())) - MAGIC
}

#[inline(always)]
fn quotient(integer: u64, power: f64) -> f64 {
    to_float(integer) / power
}

#[inline(always)]
fn product(integer: u64, inverse: f64) -> f64 {
    to_float(integer) * inverse
}

#[inline(always)]
fn single(integer: u64, power: f64) -> f64 {
    f64::from((to_float(integer) / power) as f32)
}

/// Floats as integers, and what is not.
pub(super) struct Decimals {
    scale: Scale,
    pub(super) integers: Vec<u64>,
    exceptions: Vec<usize>,
}

/// The floats as decimals, where most of them are.
pub(super) fn find(values: &[f64]) -> Option<Decimals> {
    let some: Vec<f64> = values.iter().step_by(values.len() / 48 + 1).copied().collect();
    let mut scale = [Way::Quotient, Way::Single, Way::Product]
        .into_iter()
        .find_map(|way| scale_of(&some, way))?;
    for _ in 0..3 {
        let mut integers = Vec::with_capacity(values.len());
        let exact = match scale.way {
            Way::Quotient => convert(scale, values, &mut integers, quotient, &POWERS),
            Way::Product => convert(scale, values, &mut integers, product, &INVERSES),
            Way::Single => convert(scale, values, &mut integers, single, &POWERS),
        };
        if exact {
            return Some(Decimals { scale, integers, exceptions: Vec::new() });
        }
        let wrong = |value: &f64| !scale.is_exact(*value);
        let exceptions: Vec<usize> =
            (0..values.len()).filter(|index| wrong(&values[*index])).collect();
        // The sample may have missed the values with the most decimals.
        let finer = exceptions.len() > values.len() / 64;
        let missed: Vec<f64> = exceptions.iter().take(16).map(|index| values[*index]).collect();
        match scale_of(&missed, scale.way) {
            Some(other) if finer && other.exponent > scale.exponent => scale = other,
            _ if exceptions.len() > values.len() / 4 => {
                // Holes of one bit pattern are cheap, however many they are.
                let holes = exceptions.iter().all(|index| values[*index].is_nan());
                if !holes || exceptions.len() == values.len() {
                    return None;
                }
                return Some(Decimals::with_holes(scale, integers, exceptions));
            }
            _ => return Some(Decimals::with_holes(scale, integers, exceptions)),
        }
    }
    None
}

/// The least exponent that is exact for nearly all of some values.
fn scale_of(values: &[f64], way: Way) -> Option<Scale> {
    let mut counts = [0_usize; EXPONENT_MAX as usize + 1];
    let mut usable = 0;
    for value in values.iter().filter(|value| value.is_finite()) {
        usable += 1;
        let exact =
            (0..=EXPONENT_MAX).find(|exponent| Scale { way, exponent: *exponent }.is_exact(*value));
        if let Some(exponent) = exact {
            counts[usize::from(exponent)] += 1;
        }
    }
    let found: usize = counts.iter().sum();
    if usable == 0 || found * 10 < usable * 9 {
        return None;
    }
    let most = counts.iter().rposition(|count| *count > 0)?;
    Some(Scale { way, exponent: most as u8 })
}

/// Converts all values; whether all of them come back.
#[inline(always)]
fn convert(
    scale: Scale,
    values: &[f64],
    integers: &mut Vec<u64>,
    back: impl Fn(u64, f64) -> f64,
    factors: &[f64; 19],
) -> bool {
    let factor = factors[usize::from(scale.exponent)];
    let mut wrong = 0;
    integers.extend(values.iter().map(|value| {
        let integer = scale.integer(*value);
        wrong |= back(integer, factor).to_bits() ^ value.to_bits();
        integer
    }));
    wrong == 0
}

impl Decimals {
    /// Fills the places of exceptions with the integer before, which costs the least.
    fn with_holes(scale: Scale, mut integers: Vec<u64>, exceptions: Vec<usize>) -> Self {
        let mut holes = exceptions.iter().copied().peekable();
        let first = (0..integers.len()).find(|index| holes.next_if_eq(index).is_none());
        let mut before = first.map_or(0, |index| integers[index]);
        let mut holes = exceptions.iter().copied().peekable();
        for (index, integer) in integers.iter_mut().enumerate() {
            if holes.next_if_eq(&index).is_some() {
                *integer = before;
            }
            before = *integer;
        }
        Self { scale, integers, exceptions }
    }

    /// Whether all values are what their integers say.
    pub(super) fn is_exact(&self) -> bool {
        self.exceptions.is_empty()
    }

    /// Appends the encoding: scale, exceptions, integers.
    pub(super) fn encode(&self, values: &[f64], policy: Policy, out: &mut Vec<u8>) {
        out.push(self.scale.code());
        write_varint(self.exceptions.len() as u64, out);
        if !self.exceptions.is_empty() {
            let places: Vec<u64> = self.exceptions.iter().map(|index| *index as u64).collect();
            let wrong: Vec<f64> = self.exceptions.iter().map(|index| values[*index]).collect();
            write_part(out, |out| ints::encode(&places, policy, out));
            write_part(out, |out| numbers::encode_plain(&wrong, policy, out));
        }
        ints::encode(&self.integers, policy, out);
    }
}

/// Appends `count` values.
pub(super) fn decode(
    mut cursor: Cursor<'_>,
    count: usize,
    values: &mut Vec<f64>,
) -> Result<(), CodecError> {
    let scale =
        Scale::from_code(cursor.byte()?).ok_or(CodecError::Damaged("the scale is unknown"))?;
    let exceptions = cursor.length(count)?;
    let (mut places, mut wrong) = (Vec::new(), Vec::new());
    if exceptions > 0 {
        ints::decode(cursor.part()?, exceptions, |block| places.extend_from_slice(block))?;
        numbers::decode_plain(cursor.part()?, exceptions, &mut wrong)?;
    }
    let before = values.len();
    values.reserve(count);
    let exponent = usize::from(scale.exponent);
    let (power, inverse) = (POWERS[exponent], INVERSES[exponent]);
    let integers = cursor.rest();
    match scale.way {
        Way::Quotient if exponent == 0 => ints::decode(integers, count, |block| {
            values.extend(block.iter().map(|integer| to_float(*integer)));
        }),
        Way::Quotient => ints::decode(integers, count, |block| {
            values.extend(block.iter().map(|integer| quotient(*integer, power)));
        }),
        Way::Product => ints::decode(integers, count, |block| {
            values.extend(block.iter().map(|integer| product(*integer, inverse)));
        }),
        Way::Single => ints::decode(integers, count, |block| {
            values.extend(block.iter().map(|integer| single(*integer, power)));
        }),
    }?;
    let decoded = values.get_mut(before..).unwrap_or_default();
    for (place, value) in places.into_iter().zip(wrong) {
        let place = usize::try_from(place).ok().and_then(|place| decoded.get_mut(place));
        *place.ok_or(CodecError::Damaged("an exception is out of range"))? = value;
    }
    Ok(())
}
