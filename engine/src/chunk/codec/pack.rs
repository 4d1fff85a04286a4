//! Bit-packing with a frame of reference for each block (Lemire and Boytsov, "Decoding billions
//! of integers per second through vectorization", 2015; without the vector layout).

use super::CodecError;
use super::bits::{BitWriter, Cursor, mask, write_varint};

/// Numbers that share a frame of reference and a width.
pub(super) const BLOCK: usize = 256;
const GROUP: usize = 64;

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
}

impl<'a> Decoder<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { cursor: Cursor::new(bytes) }
    }

    /// Fills the next blocks; only the last call may ask for a part of a block.
    pub(super) fn fill(&mut self, numbers: &mut [u64]) -> Result<(), CodecError> {
        for block in numbers.chunks_mut(BLOCK) {
            let low = self.cursor.varint()?;
            let width_bits = usize::from(self.cursor.byte()?);
            if width_bits > 64 {
                return Err(CodecError::Damaged("a packed width is more than 64 bits"));
            }
            let mut packed = self.cursor.take((block.len() * width_bits).div_ceil(8))?;
            let (groups, rest) = block.as_chunks_mut::<GROUP>();
            for group in groups {
                let (head, tail) =
                    packed.split_at_checked(width_bits * 8).ok_or(CodecError::Truncated)?;
                unpack_group(head, width_bits, low, group);
                packed = tail;
            }
            if !rest.is_empty() {
                let mut padded = [0; GROUP * 8];
                padded[..packed.len()].copy_from_slice(packed);
                let mut group = [0; GROUP];
                unpack_group(&padded[..width_bits * 8], width_bits, low, &mut group);
                rest.copy_from_slice(&group[..rest.len()]);
            }
        }
        Ok(())
    }

    pub(super) const fn finish(&self) -> Result<(), CodecError> {
        self.cursor.finish()
    }
}

/// Unpacks 64 numbers from `width_bits` words, and adds the frame of reference.
fn unpack_group(bytes: &[u8], width_bits: usize, low: u64, out: &mut [u64; GROUP]) {
    macro_rules! by_width {
        ($($width:literal)*) => {
            match width_bits {
                $($width => unpack::<$width>(bytes, low, out),)*
                _ => out.fill(low),
            }
        };
    }
    by_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
        33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
        64);
}

fn unpack<const WIDTH: usize>(bytes: &[u8], low: u64, out: &mut [u64; GROUP]) {
    let mut words = [0_u64; WIDTH];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    for (index, number) in out.iter_mut().enumerate() {
        let (word, shift) = (index * WIDTH / 64, index * WIDTH % 64);
        let mut bits = words[word] >> shift;
        if shift + WIDTH > 64 {
            bits |= words[word + 1] << (64 - shift);
        }
        *number = (bits & mask(WIDTH as u32)).wrapping_add(low);
    }
}
