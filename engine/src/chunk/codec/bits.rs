//! Bit streams that fill each byte from its lowest bit, and a cursor over bytes from outside.

use super::CodecError;

/// Appends bits to a vector of bytes, lowest first.
pub(super) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    pending: u64,
    used: u32,
}

impl<'a> BitWriter<'a> {
    pub(super) const fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, pending: 0, used: 0 }
    }

    /// Appends the low `count` (0 to 64) bits of `bits`; the others must be zero.
    #[inline(always)]
    pub(super) fn write(&mut self, bits: u64, count: u32) {
        self.pending |= bits << self.used;
        let total = self.used + count;
        if total >= 64 {
            self.out.extend_from_slice(&self.pending.to_le_bytes());
            self.pending = if self.used == 0 { 0 } else { bits >> (64 - self.used) };
            self.used = total - 64;
        } else {
            self.used = total;
        }
    }

    /// Fills the last byte with zeros.
    pub(super) fn finish(self) {
        let bytes = self.used.div_ceil(8) as usize;
        self.out.extend_from_slice(&self.pending.to_le_bytes()[..bytes]);
    }
}

/// The bits from position `at` on, lowest first: at least 57 of them, zeros behind the end.
#[inline(always)]
pub(super) fn peek(bytes: &[u8], at: usize) -> u64 {
    let word = match bytes.get(at / 8..).and_then(|rest| rest.first_chunk()) {
        Some(word) => u64::from_le_bytes(*word),
        None => peek_end(bytes, at / 8),
    };
    word >> (at % 8)
}

#[cold]
fn peek_end(bytes: &[u8], byte: usize) -> u64 {
    let mut rest = bytes.get(byte..).unwrap_or_default().iter();
    u64::from_le_bytes(std::array::from_fn(|_| rest.next().copied().unwrap_or(0)))
}

/// A mask of the low `count` (0 to 64) bits.
#[inline(always)]
pub(super) const fn mask(count: u32) -> u64 {
    if count >= 64 { u64::MAX } else { (1 << count) - 1 }
}

/// Reads bits one field at a time; for heads, not for the hot loops.
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next `count` (0 to 57) bits.
    pub(super) fn read(&mut self, count: u32) -> Result<u64, CodecError> {
        let value = peek(self.bytes, self.at) & mask(count);
        self.at += count as usize;
        if self.at > self.bytes.len() * 8 { Err(CodecError::Truncated) } else { Ok(value) }
    }

    /// Position in bits.
    pub(super) const fn at(&self) -> usize {
        self.at
    }
}

/// Appends a number in LEB128: seven bits a byte, lowest first.
pub(super) fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Signed to unsigned, small magnitudes to small numbers.
#[inline(always)]
pub(super) const fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

/// The inverse of [`zigzag`].
#[inline(always)]
pub(super) const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// Reads fields from the front of bytes that come from outside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(super) fn byte(&mut self) -> Result<u8, CodecError> {
        let (first, rest) = self.bytes.split_first().ok_or(CodecError::Truncated)?;
        self.bytes = rest;
        Ok(*first)
    }

    pub(super) fn varint(&mut self) -> Result<u64, CodecError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                let too_long = shift == 63 && byte > 1;
                return if too_long { Err(CodecError::Damaged(VARINT)) } else { Ok(value) };
            }
        }
        Err(CodecError::Damaged(VARINT))
    }

    /// A number of bytes or records that must not exceed `most`.
    pub(super) fn length(&mut self, most: usize) -> Result<usize, CodecError> {
        let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        if length > most {
            Err(CodecError::Damaged("a length is out of range"))
        } else {
            Ok(length)
        }
    }

    pub(super) fn signed(&mut self) -> Result<i64, CodecError> {
        self.varint().map(unzigzag)
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], CodecError> {
        let (head, rest) = self.bytes.split_at_checked(count).ok_or(CodecError::Truncated)?;
        self.bytes = rest;
        Ok(head)
    }

    /// A part that is preceded by its length in bytes.
    pub(super) fn part(&mut self) -> Result<&'a [u8], CodecError> {
        let length = self.length(self.bytes.len()).map_err(|_| CodecError::Truncated)?;
        self.take(length)
    }

    pub(super) fn word(&mut self) -> Result<u64, CodecError> {
        let (head, rest) = self.bytes.split_first_chunk().ok_or(CodecError::Truncated)?;
        self.bytes = rest;
        Ok(u64::from_le_bytes(*head))
    }

    pub(super) const fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    pub(super) const fn finish(&self) -> Result<(), CodecError> {
        if self.bytes.is_empty() { Ok(()) } else { Err(CodecError::Trailing) }
    }
}

const VARINT: &str = "a number has more than 64 bits";

/// Appends what `write` appends, preceded by its length in bytes.
pub(super) fn write_part(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let mut part = Vec::new();
    write(&mut part);
    write_varint(part.len() as u64, out);
    out.extend_from_slice(&part);
}
