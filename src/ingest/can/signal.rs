//! Signals: bits of a payload as a physical value.

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
    pub(super) multiplex: Option<Multiplex>,
}

/// What a payload holds of a signal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    /// raw x factor + offset.
    Physical(f64),
    /// Some of its bits are beyond the payload.
    Outside,
    /// Its multiplexer has selected another signal.
    Inactive,
}

impl Signal {
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

    /// The physical value of raw bits.
    pub(super) fn physical(&self, raw: u64) -> f64 {
        let number = match self.coding {
            Coding::Unsigned => raw as f64,
            Coding::Signed => {
                let unused = 64 - self.size.min(64);
                ((raw << unused) as i64 >> unused) as f64
            }
            Coding::Float32 => f64::from(f32::from_bits(raw as u32)),
            Coding::Float64 => f64::from_bits(raw),
        };
        number * self.factor + self.offset
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
        assert_eq!(minus_one.physical(0xfff), -1.0);
        assert_eq!(signal(0, 64, false, Coding::Signed).physical(u64::MAX), -1.0);
        let float = signal(0, 32, false, Coding::Float32);
        assert_eq!(float.physical(u64::from(1.5f32.to_bits())), 1.5);
        assert_eq!(signal(0, 64, false, Coding::Float64).physical((-2.5f64).to_bits()), -2.5);
        let scaled =
            Signal { factor: 0.01, offset: -67.67, ..signal(7, 16, true, Coding::Unsigned) };
        assert_eq!(scaled.physical(0), -67.67);
    }
}
