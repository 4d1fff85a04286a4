//! Columns of flags: a bitmap, or the lengths of runs.

use bitvec::field::BitField;
use bitvec::order::Lsb0;
use bitvec::slice::BitSlice;
use bitvec::vec::BitVec;

use super::bits::{Cursor, write_varint};
use super::{CodecError, Policy, ints, values as ids};

/// Appends the flags.
pub(super) fn encode(values: &[bool], policy: Policy, out: &mut Vec<u8>) {
    let first = values.first().copied().unwrap_or(false);
    let runs: Vec<u64> = values.chunk_by(|a, b| a == b).map(|run| run.len() as u64).collect();
    if runs.len() <= 1 {
        return out.extend_from_slice(&[ids::CONSTANT, u8::from(first)]);
    }
    let before = out.len();
    let bitmap_bytes = values.len().div_ceil(8);
    // A run costs a byte, more or less.
    if runs.len() < values.len() / 4 {
        out.extend_from_slice(&[ids::RUNS, u8::from(first)]);
        write_varint(runs.len() as u64, out);
        ints::encode(&runs, policy, out);
        if out.len() - before <= bitmap_bytes {
            return;
        }
        out.truncate(before);
    }
    let bitmap: BitVec<u8, Lsb0> = values.iter().collect();
    out.push(ids::BITMAP);
    out.extend_from_slice(bitmap.as_raw_slice());
}

/// Appends `count` flags.
pub(super) fn decode(bytes: &[u8], count: usize, values: &mut Vec<bool>) -> Result<(), CodecError> {
    let mut cursor = Cursor::new(bytes);
    match cursor.byte()? {
        ids::CONSTANT => {
            let value = flag(cursor.byte()?)?;
            cursor.finish()?;
            values.resize(values.len() + count, value);
            Ok(())
        }
        ids::RUNS => decode_runs(cursor, count, values),
        ids::BITMAP => {
            let bitmap = cursor.take(count.div_ceil(8))?;
            cursor.finish()?;
            let bits = BitSlice::<u8, Lsb0>::from_slice(bitmap);
            let (head, rest) = bits.split_at(count.min(bits.len()));
            values.extend(head.iter().by_vals());
            let unused = if rest.is_empty() { 0 } else { rest.load_le::<u8>() };
            if unused == 0 { Ok(()) } else { Err(CodecError::Trailing) }
        }
        other => Err(CodecError::UnknownCodec(other)),
    }
}

const fn flag(byte: u8) -> Result<bool, CodecError> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(CodecError::Damaged("a flag is neither 0 nor 1")),
    }
}

fn decode_runs(
    mut cursor: Cursor<'_>,
    count: usize,
    values: &mut Vec<bool>,
) -> Result<(), CodecError> {
    let mut value = flag(cursor.byte()?)?;
    let runs = cursor.length(count)?;
    let mut left = count;
    values.reserve(count);
    ints::decode(cursor.rest(), runs, |block| {
        for length in block {
            let length = usize::try_from(*length).unwrap_or(usize::MAX).min(left);
            left -= length;
            values.resize(values.len() + length, value);
            value = !value;
        }
    })?;
    if left > 0 {
        return Err(CodecError::CountMismatch { expected: count, found: count - left });
    }
    Ok(())
}
