//! Gorilla: the codec of open chunks, which grows record by record.
//!
//! Delta-of-delta times and XOR-ed 64-bit values in one bit stream (Pelkonen et al., "Gorilla: A
//! Fast, Scalable, In-Memory Time Series Database", VLDB 2015, sections 4.1.1 and 4.1.2). Times
//! here are nanoseconds, so the classes of the delta of delta count milliseconds where they can.
//!
//! The stream is read from the most significant bit of each byte: the first record's time and
//! bits (64 bits each), then for every further record a time code and a value code. All
//! arithmetic wraps, so that any order of times is kept. `docs/format/codecs.md` has the table.

use super::CodecError;

const MS: i64 = 1_000_000;
const US: i64 = 1_000;
/// Bytes of the first record at the head of a stream.
const HEAD_BYTES: usize = 16;
/// By how much the encoder grows its stream at least.
const GROW_BYTES: usize = 32;

/// A growing Gorilla stream: records are pushed one by one, in any order of time.
#[derive(Debug, Clone, Default)]
pub struct Gorilla {
    /// Whole 64-bit words of the stream after the first record, big-endian.
    stream: Vec<u8>,
    /// Bits that do not fill a word yet, from the top.
    pending: u64,
    count: usize,
    first_time: i64,
    first_bits: u64,
    last_time: i64,
    last_delta: i64,
    last_bits: u64,
    pending_bits: u8,
    /// The window of meaningful bits that a value may reuse; a length of 0 is none.
    leading: u8,
    length: u8,
}

impl Gorilla {
    /// An empty stream; it owns no memory until the second record.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a record: a time in nanoseconds and the 64 bits of its value.
    #[inline]
    pub fn push(&mut self, time_ns: i64, bits: u64) {
        if self.count == 0 {
            self.first_time = time_ns;
            self.first_bits = bits;
        } else {
            let delta = time_ns.wrapping_sub(self.last_time);
            self.push_time(delta.wrapping_sub(self.last_delta));
            self.last_delta = delta;
            self.push_bits(bits ^ self.last_bits);
        }
        self.last_time = time_ns;
        self.last_bits = bits;
        self.count += 1;
    }

    /// Adds records in their order, as [`Gorilla::push`] does.
    pub fn extend(&mut self, times: &[i64], bits: &[u64]) {
        // A record takes two bits at least. Many at once make room in few steps, and never more than a quarter too much.
        let least = times.len() / 4;
        if least > GROW_BYTES && self.stream.capacity() - self.stream.len() < least {
            self.stream.reserve_exact((least.max(self.stream.len() / 4) + 7) & !7);
        }
        times.iter().zip(bits).for_each(|(time_ns, bits)| self.push(*time_ns, *bits));
    }

    /// How many records there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The time and bits that were pushed last.
    #[must_use]
    pub const fn last(&self) -> Option<(i64, u64)> {
        if self.count == 0 { None } else { Some((self.last_time, self.last_bits)) }
    }

    /// The time that was pushed first.
    #[must_use]
    pub const fn first_time(&self) -> Option<i64> {
        if self.count == 0 { None } else { Some(self.first_time) }
    }

    /// The memory it takes, itself included: bytes.
    #[must_use]
    pub const fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.stream.capacity()
    }

    /// Appends the finished stream, pending bits included, as [`decode`] reads it.
    pub fn copy_stream(&self, out: &mut Vec<u8>) {
        if self.count == 0 {
            return;
        }
        let pending_bytes = usize::from(self.pending_bits).div_ceil(8);
        out.reserve(HEAD_BYTES + self.stream.len() + pending_bytes);
        out.extend_from_slice(&self.first_time.to_be_bytes());
        out.extend_from_slice(&self.first_bits.to_be_bytes());
        out.extend_from_slice(&self.stream);
        out.extend_from_slice(&self.pending.to_be_bytes()[..pending_bytes]);
    }

    /// Appends all records.
    pub fn decode_into(&self, times: &mut Vec<i64>, bits: &mut Vec<u64>) {
        if self.count == 0 {
            return;
        }
        let reader = Reader { bytes: &self.stream, tail: self.pending, at: 0 };
        decode_records(reader, (self.first_time, self.first_bits), self.count, times, bits);
    }

    #[inline]
    fn push_time(&mut self, dod: i64) {
        if dod == 0 {
            return self.write(0, 1);
        }
        let ms = dod / MS;
        if ms * MS == dod {
            if (-64..64).contains(&ms) {
                return self.write(0b10 << 7 | low_bits(ms, 7), 9);
            }
            if (-2048..2048).contains(&ms) {
                return self.write(0b110 << 12 | low_bits(ms, 12), 15);
            }
            if i32::try_from(ms).is_ok() {
                return self.write(0b11_1000 << 32 | low_bits(ms, 32), 38);
            }
        }
        self.push_fine_time(dod);
    }

    #[cold]
    fn push_fine_time(&mut self, dod: i64) {
        let us = dod / US;
        if us * US == dod && (-(1 << 19)..1 << 19).contains(&us) {
            self.write(0b11_1001 << 20 | low_bits(us, 20), 26);
        } else if i32::try_from(dod).is_ok() {
            self.write(0b11_1010 << 32 | low_bits(dod, 32), 38);
        } else {
            self.write(0b11_1011, 6);
            self.write(dod.cast_unsigned(), 64);
        }
    }

    #[inline]
    fn push_bits(&mut self, xor: u64) {
        if xor == 0 {
            return self.write(0, 1);
        }
        let leading = xor.leading_zeros().min(31);
        let trailing = xor.trailing_zeros();
        let (old_leading, old_length) = (u32::from(self.leading), u32::from(self.length));
        let old_trailing = 64 - old_leading - old_length;
        let reuse = old_length != 0 && leading >= old_leading && trailing >= old_trailing;
        // A window that is far too wide costs more than a new one.
        let length = 64 - leading - trailing;
        if reuse && old_length <= length + 11 {
            self.write(0b10, 2);
            self.write(xor >> old_trailing, old_length);
        } else {
            self.write(0b11 << 11 | u64::from(leading) << 6 | u64::from(length - 1), 13);
            self.write(xor >> trailing, length);
            (self.leading, self.length) = (leading as u8, length as u8);
        }
    }

    /// Appends the low `count` (1 to 64) bits of `bits`; the others are zero.
    #[inline]
    fn write(&mut self, bits: u64, count: u32) {
        let free = 64 - u32::from(self.pending_bits);
        if count < free {
            self.pending |= bits << (free - count);
            self.pending_bits += count as u8;
        } else {
            let over = count - free;
            let word = self.pending | bits >> over;
            if self.stream.capacity() - self.stream.len() < 8 {
                // By a quarter and not to the double: a million open chunks must stay small.
                self.stream.reserve_exact(((self.stream.len() / 4 + 7) & !7).max(GROW_BYTES));
            }
            self.stream.extend_from_slice(&word.to_be_bytes());
            self.pending = if over == 0 { 0 } else { bits << (64 - over) };
            self.pending_bits = over as u8;
        }
    }
}

/// The low `count` bits of a number, two's complement.
const fn low_bits(value: i64, count: u32) -> u64 {
    value.cast_unsigned() & (u64::MAX >> (64 - count))
}

/// Appends the `count` records of a finished stream; see [`Gorilla::copy_stream`].
///
/// # Errors
///
/// Where the stream ends before its last record, and where it is longer than its records.
pub fn decode(
    stream: &[u8],
    count: usize,
    times: &mut Vec<i64>,
    bits: &mut Vec<u64>,
) -> Result<(), CodecError> {
    if count == 0 {
        return if stream.is_empty() { Ok(()) } else { Err(CodecError::Trailing) };
    }
    // Each further record takes at least two bits.
    let least = HEAD_BYTES + (count - 1).div_ceil(4);
    let (Some((head, rest)), true) = (stream.split_at_checked(HEAD_BYTES), stream.len() >= least)
    else {
        return Err(CodecError::Truncated);
    };
    let word = |at: usize| head[at..].first_chunk().map_or(0, |word| u64::from_be_bytes(*word));
    let reader = Reader { bytes: rest, tail: 0, at: 0 };
    let end = decode_records(reader, (word(0).cast_signed(), word(8)), count, times, bits);
    match end.div_ceil(8).cmp(&rest.len()) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(CodecError::Truncated),
        std::cmp::Ordering::Less => Err(CodecError::Trailing),
    }
}

/// Reads bits from the top; behind `bytes` come the bits of `tail`, then zeros.
struct Reader<'a> {
    bytes: &'a [u8],
    tail: u64,
    /// Position in bits.
    at: usize,
}

impl Reader<'_> {
    /// The next bits from the top of the word; the upper 57 of them are valid.
    #[inline(always)]
    fn peek(&self) -> u64 {
        let byte = self.at / 8;
        let word = match self.bytes.get(byte..).and_then(|rest| rest.first_chunk()) {
            Some(word) => u64::from_be_bytes(*word),
            None => self.peek_tail(byte),
        };
        word << (self.at % 8)
    }

    #[cold]
    fn peek_tail(&self, byte: usize) -> u64 {
        let rest = self.bytes.get(byte..).unwrap_or_default();
        let over = byte.saturating_sub(self.bytes.len());
        let tail = self.tail.to_be_bytes();
        let mut next = rest.iter().chain(tail.get(over..).unwrap_or_default()).copied();
        u64::from_be_bytes(std::array::from_fn(|_| next.next().unwrap_or(0)))
    }

    /// The next `count` (0 to 64) bits.
    #[inline(always)]
    fn read(&mut self, count: usize) -> u64 {
        if count > 56 {
            let high = self.peek() >> 32;
            self.at += 32;
            let rest = count - 32;
            let low = self.peek() >> (64 - rest);
            self.at += rest;
            return high << rest | low;
        }
        // In two steps, since a shift by 64 is none.
        let value = self.peek() >> 1 >> (63 - count);
        self.at += count;
        value
    }
}

/// Prefix bits, value bits and unit of the time codes 0, 10 and 110.
const TIME_CLASSES: [(u32, u32, i64); 4] = [(1, 0, 0), (2, 7, MS), (3, 12, MS), (3, 12, MS)];

/// Decodes `count` ≥ 1 records and returns the position after the last, which may lie behind the
/// end of a stream that is too short.
fn decode_records(
    mut reader: Reader<'_>,
    first: (i64, u64),
    count: usize,
    times: &mut Vec<i64>,
    bits: &mut Vec<u64>,
) -> usize {
    let (mut time, mut value) = first;
    let (mut delta, mut length, mut trailing) = (0_i64, 0_usize, 0_u32);
    times.reserve(count);
    bits.reserve(count);
    times.push(time);
    bits.push(value);
    for _ in 1..count {
        let peek = reader.peek();
        let class = (!peek).leading_zeros();
        let dod = if class < 3 {
            let (prefix, width, unit) = TIME_CLASSES[class as usize & 3];
            reader.at += (prefix + width) as usize;
            ((peek << prefix).cast_signed() >> 1 >> (63 - width)).wrapping_mul(unit)
        } else {
            read_rare_time(&mut reader)
        };
        delta = delta.wrapping_add(dod);
        time = time.wrapping_add(delta);
        let peek = reader.peek();
        if peek >> 63 == 0 {
            reader.at += 1;
        } else {
            reader.at += 2;
            if peek >> 62 == 0b11 {
                reader.at += 11;
                let leading = (peek >> 57 & 31) as u32;
                length = (peek >> 51 & 63) as usize + 1;
                trailing = 64_u32.saturating_sub(leading + length as u32) & 63;
            }
            value ^= reader.read(length) << trailing;
        }
        times.push(time);
        bits.push(value);
    }
    reader.at
}

#[cold]
fn read_rare_time(reader: &mut Reader<'_>) -> i64 {
    let class = reader.peek() >> 58 & 0b11;
    reader.at += 6;
    let sign_extend = |bits: u64, width: u32| (bits << (64 - width)).cast_signed() >> (64 - width);
    match class {
        0b00 => sign_extend(reader.read(32), 32).wrapping_mul(MS),
        0b01 => sign_extend(reader.read(20), 20).wrapping_mul(US),
        0b10 => sign_extend(reader.read(32), 32),
        _ => reader.read(64).cast_signed(),
    }
}
