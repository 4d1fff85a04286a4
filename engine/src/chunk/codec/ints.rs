//! Sequences of 64-bit integers: a predictor, and a coder for what it leaves.
//!
//! Numbers are handled as `u64` that hold the bits of an `i64`; all arithmetic wraps.

use super::bits::{Cursor, write_varint, zigzag};
use super::predict::{self, Predictor, State};
use super::{CodecError, Policy, ans, pack};

/// How the residuals are written.
const SAME: u8 = 0;
const PACKED: u8 = 1;
const ENTROPY: u8 = 2;

/// Numbers that are decoded at a time: a multiple of the packing block and of the lanes.
pub(super) const BLOCK: usize = 1024;
const _: () = assert!(BLOCK.is_multiple_of(pack::BLOCK) && BLOCK.is_multiple_of(4));

/// The predictor for a sequence, and a measure of what it leaves; see [`predict::choose`].
pub(super) fn choose(numbers: &[u64], policy: Policy) -> (Predictor, u64) {
    predict::choose(numbers, policy == Policy::Smallest)
}

/// Appends the numbers; the encoding knows neither its length nor its count.
pub(super) fn encode(numbers: &[u64], policy: Policy, out: &mut Vec<u8>) {
    encode_with(choose(numbers, policy).0, numbers, policy, out);
}

/// Appends the numbers as a predictor leaves them.
pub(super) fn encode_with(
    predictor: Predictor,
    numbers: &[u64],
    policy: Policy,
    out: &mut Vec<u8>,
) {
    let (seeds, rest) = numbers.split_at(predictor.seeds().min(numbers.len()));
    let mut residuals = rest.to_vec();
    State::new(predictor, seeds).residuals(&mut residuals);
    let (low, high) = residuals.iter().fold((i64::MAX, i64::MIN), |(low, high), residual| {
        (low.min(residual.cast_signed()), high.max(residual.cast_signed()))
    });
    let (low, high) = if residuals.is_empty() { (0, 0) } else { (low, high) };
    let range = high.wrapping_sub(low).cast_unsigned();
    let head = out.len();
    out.push(predictor.code());
    seeds.iter().for_each(|seed| write_varint(zigzag(seed.cast_signed()), out));
    write_varint(zigzag(low), out);
    if range == 0 {
        out[head] |= SAME << 4;
        return;
    }
    residuals
        .iter_mut()
        .for_each(|residual| *residual = residual.wrapping_sub(low.cast_unsigned()));
    let body = out.len();
    if policy == Policy::Smallest && ans::encode(&residuals, range, out) {
        out[head] |= ENTROPY << 4;
        // Where the head of the entropy coder weighs, packing may be smaller.
        if residuals.len() < 512 {
            let mut packed = Vec::new();
            pack::encode(&residuals, &mut packed);
            if packed.len() < out.len() - body {
                out.truncate(body);
                out.extend_from_slice(&packed);
                out[head] = predictor.code() | PACKED << 4;
            }
        }
        return;
    }
    out[head] |= PACKED << 4;
    pack::encode(&residuals, out);
}

enum Coder<'a> {
    Same,
    Packed(pack::Decoder<'a>),
    Entropy(Box<ans::Decoder<'a>>),
}

/// Hands `count` numbers to `sink`, block by block.
pub(super) fn decode(
    bytes: &[u8],
    count: usize,
    mut sink: impl FnMut(&[u64]),
) -> Result<(), CodecError> {
    let mut cursor = Cursor::new(bytes);
    let head = cursor.byte()?;
    let predictor =
        Predictor::from_code(head & 0xF).ok_or(CodecError::Damaged("the predictor is unknown"))?;
    let mut seeds = [0; 2];
    let seeds = &mut seeds[..predictor.seeds().min(count)];
    for seed in &mut *seeds {
        *seed = cursor.signed()?.cast_unsigned();
    }
    let low = cursor.signed()?.cast_unsigned();
    let mut left = count - seeds.len();
    let mut coder = match head >> 4 {
        SAME => {
            cursor.finish()?;
            Coder::Same
        }
        PACKED => Coder::Packed(pack::Decoder::new(cursor.rest(), low)),
        ENTROPY => Coder::Entropy(Box::new(ans::Decoder::parse(cursor.rest())?)),
        _ => return Err(CodecError::Damaged("the integer coder is unknown")),
    };
    sink(seeds);
    let mut state = State::new(predictor, seeds);
    let mut buffer = [0; BLOCK];
    while left > 0 {
        let block = &mut buffer[..left.min(BLOCK)];
        match &mut coder {
            Coder::Same => {
                block.fill(low);
                state.restore(block, 0);
            }
            Coder::Packed(decoder) => {
                decoder.fill(block)?;
                state.restore(block, 0);
            }
            Coder::Entropy(decoder) => {
                decoder.fill(block)?;
                state.restore(block, low);
            }
        }
        sink(block);
        left -= block.len();
    }
    match coder {
        Coder::Same => Ok(()),
        Coder::Packed(decoder) => decoder.finish(),
        Coder::Entropy(decoder) => decoder.finish(),
    }
}
