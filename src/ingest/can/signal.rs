//! Signals: bits of a payload as a physical value.
//!
//! The value of a signal is raw x factor + offset. It is a float, unless floats would round it: a
//! signal of integers, with an integer factor and offset, that can go beyond 2^53 is a metric of
//! kind `i64` where it can be negative and `u64` where it cannot. One that 64 bits do not hold is
//! a float.

use chronolith_engine::{Kind, ValueRef};

/// How the bits of a signal are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Unsigned,
    Signed,
    Float32,
    Float64,
}

/// When a multiplexed signal is present: while its switch has one of these raw values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Multiplex {
    /// The number of the switch among the message's signals.
    pub(super) switch: usize,
    pub(super) ranges: Vec<(u64, u64)>,
}

/// A signal of a message.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Signal {
    pub(super) name: String,
    pub(super) unit: String,
    /// The start bit as the DBC file counts it.
    pub(super) start: usize,
    /// 1 to 64 bits.
    pub(super) size: usize,
    /// Motorola byte order.
    pub(super) big_endian: bool,
    pub(super) coding: Coding,
    pub(super) factor: f64,
    pub(super) offset: f64,
    /// Whether the kind of the signal is an integer: see [`Signal::kind`].
    pub(super) exact: bool,
    pub(super) multiplex: Option<Multiplex>,
}

/// What a payload holds of a signal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    /// raw x factor + offset.
    Physical(Physical),
    /// Some of its bits are beyond the payload.
    Outside,
    /// Its multiplexer has selected another signal.
    Inactive,
}

/// A physical value: exact, or the nearest float.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Physical {
    Integer(i128),
    Float(f64),
}

impl Physical {
    /// The value for a metric of a kind; none where it would be rounded, or is of no such kind.
    pub(super) fn of_kind(self, kind: Kind) -> Option<ValueRef<'static>> {
        match (self, kind) {
            (Self::Float(value), Kind::F64) => Some(ValueRef::F64(value)),
            (Self::Integer(value), Kind::F64) => {
                let float = value as f64;
                (float as i128 == value).then_some(ValueRef::F64(float))
            }
            (Self::Integer(value), Kind::I64) => i64::try_from(value).ok().map(ValueRef::I64),
            (Self::Integer(value), Kind::U64) => u64::try_from(value).ok().map(ValueRef::U64),
            _ => None,
        }
    }
}

/// Integers from here on may be no float.
const FLOAT_EXACT: i128 = 1 << 53;

/// The integer that a float is.
fn integer(float: f64) -> Option<i128> {
    (float.fract() == 0.0 && float.abs() <= FLOAT_EXACT as f64).then_some(float as i128)
}

impl Signal {
    /// The kind of the signal's metric.
    pub(super) fn kind(&self) -> Kind {
        let (low, high) = match self.coding {
            Coding::Unsigned => (0, (1i128 << self.size) - 1),
            Coding::Signed => (-1i128 << (self.size - 1), (1i128 << (self.size - 1)) - 1),
            Coding::Float32 | Coding::Float64 => return Kind::F64,
        };
        let (Some(factor), Some(offset)) = (integer(self.factor), integer(self.offset)) else {
            return Kind::F64;
        };
        // At most 64 bits times 53, and 53 more: i128 holds them.
        let ends = [low * factor + offset, high * factor + offset];
        let fits = |low: i128, high: i128| ends.iter().all(|end| (low..=high).contains(end));
        if fits(-FLOAT_EXACT, FLOAT_EXACT) {
            Kind::F64
        } else if fits(0, u64::MAX.into()) {
            Kind::U64
        } else if fits(i64::MIN.into(), i64::MAX.into()) {
            Kind::I64
        } else {
            Kind::F64
        }
    }

    /// The signal's bits in the order of the payload's bytes: the first bit and the one behind the
    /// last. Bits of Motorola signals are counted from the top of each byte, of Intel signals from
    /// the bottom.
    const fn bits(&self) -> (usize, usize) {
        let first =
            if self.big_endian { self.start / 8 * 8 + 7 - self.start % 8 } else { self.start };
        (first, first + self.size)
    }

    /// The raw bits, or none where they go beyond the payload.
    pub(super) fn raw(&self, payload: &[u8]) -> Option<u64> {
        let (first, end) = self.bits();
        let bytes = payload.get(first / 8..end.div_ceil(8))?;
        // At most nine bytes.
        let (gathered, shift) = if self.big_endian {
            let gathered = bytes.iter().fold(0u128, |sum, byte| sum << 8 | u128::from(*byte));
            (gathered, end.div_ceil(8) * 8 - end)
        } else {
            let gathered = bytes.iter().rev().fold(0u128, |sum, byte| sum << 8 | u128::from(*byte));
            (gathered, first % 8)
        };
        let mask = if self.size >= 64 { u64::MAX } else { (1 << self.size) - 1 };
        Some((gathered >> shift) as u64 & mask)
    }

    /// The physical value of raw bits, exact where the signal's kind is an integer.
    pub(super) fn physical(&self, raw: u64) -> Physical {
        let number = match self.coding {
            Coding::Unsigned => i128::from(raw),
            Coding::Signed => {
                let unused = 64 - self.size.min(64);
                i128::from((raw << unused) as i64 >> unused)
            }
            Coding::Float32 => return self.scaled(f64::from(f32::from_bits(raw as u32))),
            Coding::Float64 => return self.scaled(f64::from_bits(raw)),
        };
        match (self.exact, integer(self.factor), integer(self.offset)) {
            (true, Some(factor), Some(offset)) => Physical::Integer(number * factor + offset),
            _ => self.scaled(number as f64),
        }
    }

    fn scaled(&self, number: f64) -> Physical {
        Physical::Float(number * self.factor + self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(start: usize, size: usize, big_endian: bool, coding: Coding) -> Signal {
        Signal {
            name: "s".to_owned(),
            unit: String::new(),
            start,
            size,
            big_endian,
            coding,
            factor: 1.0,
            offset: 0.0,
            exact: false,
            multiplex: None,
        }
    }

    /// The bits one by one, as the DBC format defines them.
    fn naive(signal: &Signal, payload: &[u8]) -> Option<u64> {
        let (mut raw, mut bit) = (0u64, signal.start);
        for index in 0..signal.size {
            let value = u64::from(*payload.get(bit / 8)? >> (bit % 8) & 1);
            if signal.big_endian {
                raw = raw << 1 | value;
                bit = if bit.is_multiple_of(8) { bit + 15 } else { bit - 1 };
            } else {
                raw |= value << index;
                bit += 1;
            }
        }
        Some(raw)
    }

    #[test]
    fn every_start_and_size_gives_the_bits_of_the_definition() {
        let payload = [0x36, 0x72, 0x9a, 0x16, 0x02, 0x1a, 0xb8, 0x0d];
        for start in 0..72 {
            for size in 1..=64 {
                for big_endian in [false, true] {
                    let signal = signal(start, size, big_endian, Coding::Unsigned);
                    assert_eq!(signal.raw(&payload), naive(&signal, &payload), "{start}|{size}");
                }
            }
        }
    }

    #[test]
    fn codings_are_signed_and_floating() {
        let minus_one = signal(0, 12, false, Coding::Signed);
        let float = Physical::Float;
        assert_eq!(minus_one.physical(0xfff), float(-1.0));
        assert_eq!(signal(0, 64, false, Coding::Signed).physical(u64::MAX), float(-1.0));
        let single = signal(0, 32, false, Coding::Float32);
        assert_eq!(single.physical(u64::from(1.5f32.to_bits())), float(1.5));
        let double = signal(0, 64, false, Coding::Float64);
        assert_eq!(double.physical((-2.5f64).to_bits()), float(-2.5));
        let scaled =
            Signal { factor: 0.01, offset: -67.67, ..signal(7, 16, true, Coding::Unsigned) };
        assert_eq!(scaled.physical(0), float(-67.67));
    }

    #[test]
    fn integers_that_a_float_would_round_are_integers() {
        let unsigned = |size| signal(0, size, false, Coding::Unsigned);
        let signed = |size| signal(0, size, false, Coding::Signed);
        assert_eq!([unsigned(53), signed(54)].map(|s| s.kind()), [Kind::F64; 2]);
        assert_eq!([unsigned(54), unsigned(64)].map(|s| s.kind()), [Kind::U64; 2]);
        assert_eq!([signed(55), signed(64)].map(|s| s.kind()), [Kind::I64; 2]);
        let kind = |factor, offset| Signal { factor, offset, ..unsigned(60) }.kind();
        assert_eq!([kind(8.0, 0.0), kind(-4.0, 1.0)], [Kind::U64, Kind::I64]);
        assert_eq!([kind(0.5, 0.0), kind(1.0, 0.5), kind(1e6, 0.0)], [Kind::F64; 3]);
        assert_eq!(signal(0, 64, false, Coding::Float64).kind(), Kind::F64);
        let exact = Signal { exact: true, factor: -1.0, offset: 5.0, ..unsigned(62) };
        let physical = exact.physical((1 << 60) + 1);
        assert_eq!(physical, Physical::Integer(4 - (1 << 60)));
        let value = physical.of_kind(Kind::I64).map(|value| value.to_value());
        assert_eq!(value, Some(chronolith_engine::Value::I64(4 - (1 << 60))));
        assert!(Physical::Integer((1 << 53) + 1).of_kind(Kind::F64).is_none());
    }
}
