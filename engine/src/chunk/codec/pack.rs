//! Bit-packing with a frame of reference for each block (Lemire and Boytsov, "Decoding billions
//! of integers per second through vectorization", 2015; without the vector layout).

use super::CodecError;
use super::bits::{BitWriter, Cursor, mask, peek, write_varint};

/// Numbers that share a frame of reference and a width.
pub(super) const BLOCK: usize = 256;

/// Appends the numbers: for each block its least number, a width in bits, and the differences.
pub(super) fn encode(numbers: &[u64], out: &mut Vec<u8>) {
    for block in numbers.chunks(BLOCK) {
        let (low, high) = block
            .iter()
            .fold((u64::MAX, 0), |(low, high), number| (low.min(*number), high.max(*number)));
        let width_bits = super::bins::bit_length(high - low);
        write_varint(low, out);
        out.push(width_bits as u8);
        let mut writer = BitWriter::new(out);
        block.iter().for_each(|number| writer.write(number - low, width_bits));
        writer.finish();
    }
}

/// Reads blocks of [`BLOCK`] numbers.
pub(super) struct Decoder<'a> {
    cursor: Cursor<'a>,
    add: u64,
}

impl<'a> Decoder<'a> {
    /// A decoder that adds `add` to each number.
    pub(super) const fn new(bytes: &'a [u8], add: u64) -> Self {
        Self { cursor: Cursor::new(bytes), add }
    }

    /// Fills the next blocks; only the last call may ask for a part of a block.
    pub(super) fn fill(&mut self, numbers: &mut [u64]) -> Result<(), CodecError> {
        for block in numbers.chunks_mut(BLOCK) {
            let low = self.cursor.varint()?.wrapping_add(self.add);
            let width_bits = usize::from(self.cursor.byte()?);
            if width_bits > 64 {
                return Err(CodecError::Damaged("a packed width is more than 64 bits"));
            }
            let behind = self.cursor.rest();
            let packed = self.cursor.take((block.len() * width_bits).div_ceil(8))?;
            unpack_block(behind, packed.len(), width_bits, low, block);
        }
        Ok(())
    }

    pub(super) const fn finish(&self) -> Result<(), CodecError> {
        self.cursor.finish()
    }
}

/// Unpacks a block from the first `packed` of some bytes; the others may be loaded too.
fn unpack_block(bytes: &[u8], packed: usize, width_bits: usize, low: u64, block: &mut [u64]) {
    macro_rules! by_width {
        ($($width:literal)*) => {
            match width_bits {
                0 => block.fill(low),
                $($width => unpack::<$width>(bytes, low, block),)*
                _ => unpack_wide(&bytes[..packed], width_bits as u32, low, block),
            }
        };
    }
    by_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
        33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56);
}

/// Numbers that begin at a byte again: eight of `WIDTH` bits are `WIDTH` bytes.
const OCTET: usize = 8;

fn unpack<const WIDTH: usize>(bytes: &[u8], low: u64, block: &mut [u64]) {
    let (octets, rest) = block.as_chunks_mut::<OCTET>();
    let mut at = 0;
    for octet in octets {
        unpack_octet::<WIDTH>(bytes.get(at..).unwrap_or_default(), low, octet);
        at += WIDTH;
    }
    if !rest.is_empty() {
        let mut octet = [0; OCTET];
        unpack_octet::<WIDTH>(bytes.get(at..).unwrap_or_default(), low, &mut octet);
        rest.iter_mut().zip(octet).for_each(|(to, from)| *to = from);
    }
}

#[inline(always)]
fn unpack_octet<const WIDTH: usize>(bytes: &[u8], low: u64, octet: &mut [u64; OCTET]) {
    // A load of eight bytes may begin at the last byte.
    let mut padded = [0; 64];
    let window = match bytes.get(..WIDTH + 8) {
        Some(window) => window,
        None => {
            padded.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            &padded[..WIDTH + 8]
        }
    };
    for (index, number) in octet.iter_mut().enumerate() {
        let (byte, shift) = (index * WIDTH / 8, index * WIDTH % 8);
        let word = window[byte..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        *number = (word >> shift & mask(WIDTH as u32)).wrapping_add(low);
    }
}

/// For numbers that one load may not hold.
fn unpack_wide(bytes: &[u8], width_bits: u32, low: u64, block: &mut [u64]) {
    let mut at = 0;
    for number in block {
        let first = peek(bytes, at) & mask(32);
        let second = peek(bytes, at + 32) & mask(width_bits - 32);
        *number = (second << 32 | first).wrapping_add(low);
        at += width_bits as usize;
    }
}
