//! Columns of numbers (`f64`, `i64`, `u64`): which codec, and the ones that all three share.

use hashbrown::HashMap;
use pco::metadata::DeltaEncoding;
use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, PagingSpec};

use super::bits::{Cursor, write_part, write_varint};
use super::{CodecError, Policy, decimal, ints, values as ids};

/// A 64-bit number kind.
pub(super) trait Number: pco::data_types::Number {
    fn bits(self) -> u64;
    fn from_number_bits(bits: u64) -> Self;
    /// The bits of an `i64` that sorts as the number does.
    fn rank(self) -> u64;
    fn from_rank(rank: u64) -> Self;
    /// The values as floats, where they are.
    fn floats(values: &[Self]) -> Option<&[f64]>;
    fn floats_mut(values: &mut Vec<Self>) -> Option<&mut Vec<f64>>;
}

impl Number for f64 {
    fn bits(self) -> u64 {
        self.to_bits()
    }

    fn from_number_bits(bits: u64) -> Self {
        Self::from_bits(bits)
    }

    #[inline(always)]
    fn rank(self) -> u64 {
        let bits = self.to_bits();
        bits ^ (bits.cast_signed() >> 63).cast_unsigned() >> 1
    }

    #[inline(always)]
    fn from_rank(rank: u64) -> Self {
        Self::from_bits(rank ^ (rank.cast_signed() >> 63).cast_unsigned() >> 1)
    }

    fn floats(values: &[Self]) -> Option<&[f64]> {
        Some(values)
    }

    fn floats_mut(values: &mut Vec<Self>) -> Option<&mut Vec<f64>> {
        Some(values)
    }
}

impl Number for i64 {
    fn bits(self) -> u64 {
        self.cast_unsigned()
    }

    fn from_number_bits(bits: u64) -> Self {
        bits.cast_signed()
    }

    fn rank(self) -> u64 {
        self.cast_unsigned()
    }

    fn from_rank(rank: u64) -> Self {
        rank.cast_signed()
    }

    fn floats(_: &[Self]) -> Option<&[f64]> {
        None
    }

    fn floats_mut(_: &mut Vec<Self>) -> Option<&mut Vec<f64>> {
        None
    }
}

impl Number for u64 {
    fn bits(self) -> u64 {
        self
    }

    fn from_number_bits(bits: u64) -> Self {
        bits
    }

    fn rank(self) -> u64 {
        self ^ 1 << 63
    }

    fn from_rank(rank: u64) -> Self {
        rank ^ 1 << 63
    }

    fn floats(_: &[Self]) -> Option<&[f64]> {
        None
    }

    fn floats_mut(_: &mut Vec<Self>) -> Option<&mut Vec<f64>> {
        None
    }
}

/// Below so many bits a value, by estimate, nothing but a run can be smaller.
const CHEAP_BITS: f32 = 3.0;
/// Below so many bits a value, `Fastest` does not look for repetition.
const FAST_ENOUGH_BITS: f32 = 18.0;
/// Above so many bits a value, everything is tried.
const WILD_BITS: f32 = 11.5;

/// Appends the values with the codec that suits them.
pub(super) fn encode<T: Number>(values: &[T], policy: Policy, out: &mut Vec<u8>) {
    if encode_constant(values, out) {
        return;
    }
    let before = out.len();
    let changes = values.windows(2).filter(|pair| pair[0].bits() != pair[1].bits()).count();
    // Runs decode by filling, so under Fastest they must only be about as small as packed bits.
    let runs_at_most =
        if policy == Policy::Smallest { values.len() / 3 } else { values.len() / 12 };
    if changes < runs_at_most {
        encode_runs(values, changes + 1, policy, out);
        if policy == Policy::Fastest || changes < values.len() / 64 {
            return;
        }
    }
    let mut other = Vec::new();
    encode_each(values, policy, &mut other);
    keep_smaller(before, &other, out);
}

/// Replaces what `out` holds since `before` by `other`, where that is smaller or `out` has nothing.
fn keep_smaller(before: usize, other: &[u8], out: &mut Vec<u8>) {
    if out.len() == before || other.len() < out.len() - before {
        out.truncate(before);
        out.extend_from_slice(other);
    }
}

fn encode_constant<T: Number>(values: &[T], out: &mut Vec<u8>) -> bool {
    let first = values.first().map_or(0, |first| first.bits());
    let constant = values.iter().all(|value| value.bits() == first);
    if constant {
        out.push(ids::CONSTANT);
        out.extend_from_slice(&first.to_le_bytes());
    }
    constant
}

/// Runs of equal values: their number, their values, their lengths.
fn encode_runs<T: Number>(values: &[T], runs: usize, policy: Policy, out: &mut Vec<u8>) {
    let (mut each, mut lengths) = (Vec::with_capacity(runs), Vec::with_capacity(runs));
    for run in values.chunk_by(|a, b| a.bits() == b.bits()) {
        each.push(run[0]);
        lengths.push(run.len() as u64);
    }
    out.push(ids::RUNS);
    write_varint(each.len() as u64, out);
    write_part(out, |out| encode_each(&each, policy, out));
    ints::encode(&lengths, policy, out);
}

/// All codecs that keep a code for each value.
fn encode_each<T: Number>(values: &[T], policy: Policy, out: &mut Vec<u8>) {
    let before = out.len();
    let decimals = T::floats(values).and_then(|floats| Some((floats, decimal::find(floats)?)));
    let mut exact = true;
    if let Some((floats, decimals)) = &decimals {
        out.push(ids::DECIMAL);
        decimals.encode(floats, policy, out);
        exact = decimals.is_exact();
        if !exact {
            let mut plain = Vec::new();
            encode_plain(values, policy, &mut plain);
            keep_smaller(before, &plain, out);
        }
    } else {
        encode_plain(values, policy, out);
        exact &= T::floats(values).is_none();
    }
    if values.len() < 16 {
        return;
    }
    let found_bits = (out.len() - before) as f32 * 8.0 / values.len() as f32;
    let enough = if policy == Policy::Smallest { CHEAP_BITS } else { FAST_ENOUGH_BITS };
    if found_bits < enough {
        return;
    }
    let mut other = Vec::new();
    if may_repeat(values, found_bits) && encode_dictionary(values, policy, &mut other) {
        keep_smaller(before, &other, out);
    }
    if policy == Policy::Fastest {
        return;
    }
    let wild = !exact || found_bits > WILD_BITS;
    if wild || repeats(values) {
        other.clear();
        encode_zstd(values, &mut other);
        keep_smaller(before, &other, out);
    }
    if wild {
        other.clear();
        if encode_pco(values, &mut other) {
            keep_smaller(before, &other, out);
        }
    }
}

/// Whether a dictionary may be smaller than `estimate` bits a value, by a sample.
fn may_repeat<T: Number>(values: &[T], estimate: f32) -> bool {
    let (total, distinct) = sample_distinct(values);
    distinct * 4 < total * 3 && (distinct as f32).log2() < estimate + 1.0
}

/// Whether there is so much repetition that a general compressor may find patterns.
fn repeats<T: Number>(values: &[T]) -> bool {
    let (total, distinct) = sample_distinct(values);
    distinct * 16 < total
}

fn sample_distinct<T: Number>(values: &[T]) -> (usize, usize) {
    let mut some: Vec<u64> =
        values.iter().step_by(values.len() / 256 + 1).map(|value| value.bits()).collect();
    some.sort_unstable();
    let total = some.len();
    some.dedup();
    (total, some.len())
}

/// Distinct values in order, and which of them each value is.
fn encode_dictionary<T: Number>(values: &[T], policy: Policy, out: &mut Vec<u8>) -> bool {
    let most = (values.len() * 3 / 4).min(1 << 20);
    let mut codes: HashMap<u64, u64, foldhash::fast::RandomState> = HashMap::default();
    for value in values {
        codes.insert(value.rank(), 0);
        if codes.len() > most {
            return false;
        }
    }
    let mut distinct: Vec<u64> = codes.keys().copied().collect();
    distinct.sort_unstable_by_key(|rank| rank.cast_signed());
    for (code, rank) in distinct.iter().enumerate() {
        codes.insert(*rank, code as u64);
    }
    let entries: Vec<T> = distinct.iter().map(|rank| T::from_rank(*rank)).collect();
    let indices: Vec<u64> =
        values.iter().map(|value| codes.get(&value.rank()).copied().unwrap_or(0)).collect();
    out.push(ids::DICTIONARY);
    write_varint(entries.len() as u64, out);
    write_part(out, |out| encode_entries(&entries, policy, out));
    ints::encode(&indices, policy, out);
    true
}

/// The values as decimals or plain, without further trials.
fn encode_entries<T: Number>(values: &[T], policy: Policy, out: &mut Vec<u8>) {
    match T::floats(values).and_then(|floats| Some((floats, decimal::find(floats)?))) {
        Some((floats, decimals)) => {
            out.push(ids::DECIMAL);
            decimals.encode(floats, policy, out);
        }
        None => encode_plain(values, policy, out),
    }
}

/// The values as ranked integers, or one constant.
pub(super) fn encode_plain<T: Number>(values: &[T], policy: Policy, out: &mut Vec<u8>) {
    if encode_constant(values, out) {
        return;
    }
    let ranks: Vec<u64> = values.iter().map(|value| value.rank()).collect();
    let before = out.len();
    out.push(ids::INTS);
    ints::encode(&ranks, policy, out);
    if out.len() - before > values.len() * 8 {
        out.truncate(before);
        out.push(ids::RAW);
        out.extend(values.iter().flat_map(|value| value.bits().to_le_bytes()));
    }
}

fn encode_zstd<T: Number>(values: &[T], out: &mut Vec<u8>) {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.bits().to_le_bytes()).collect();
    if let Ok(packed) = zstd::bulk::compress(&bytes, 3) {
        out.push(ids::ZSTD);
        out.extend_from_slice(&packed);
    } else {
        out.push(ids::RAW);
        out.extend_from_slice(&bytes);
    }
}

fn encode_pco<T: Number>(values: &[T], out: &mut Vec<u8>) -> bool {
    let config = ChunkConfig::default().with_paging_spec(PagingSpec::Exact(vec![values.len()]));
    let file = FileCompressor::default();
    out.push(ids::PCO);
    let Ok(mut chunk) = file.chunk_compressor(values, &config) else { return false };
    file.write_header(&mut *out).is_ok()
        && chunk.write_meta(&mut *out).is_ok()
        && chunk.write_page(0, &mut *out).is_ok()
}

/// Appends `count` values.
pub(super) fn decode<T: Number>(
    bytes: &[u8],
    count: usize,
    values: &mut Vec<T>,
) -> Result<(), CodecError> {
    let mut cursor = Cursor::new(bytes);
    match cursor.byte()? {
        ids::RUNS => decode_runs(cursor, count, values),
        ids::DICTIONARY => decode_dictionary(cursor, count, values),
        _ => decode_plain(bytes, count, values),
    }
}

/// Appends `count` values of a codec that nests no other values.
pub(super) fn decode_plain<T: Number>(
    bytes: &[u8],
    count: usize,
    values: &mut Vec<T>,
) -> Result<(), CodecError> {
    let mut cursor = Cursor::new(bytes);
    match cursor.byte()? {
        ids::CONSTANT => {
            let value = T::from_number_bits(cursor.word()?);
            cursor.finish()?;
            values.resize(values.len() + count, value);
            Ok(())
        }
        ids::INTS => {
            values.reserve(count);
            ints::decode(cursor.rest(), count, |block| {
                values.extend(block.iter().map(|rank| T::from_rank(*rank)));
            })
        }
        ids::DECIMAL => match T::floats_mut(values) {
            Some(floats) => decimal::decode(cursor, count, floats),
            None => Err(CodecError::Damaged("decimals are floats")),
        },
        ids::PCO => decode_pco(cursor.rest(), count, values),
        ids::ZSTD => {
            let bytes = super::unzstd(cursor.rest(), count * 8)?;
            decode_raw(&bytes, count, values)
        }
        ids::RAW => decode_raw(cursor.rest(), count, values),
        other => Err(CodecError::UnknownCodec(other)),
    }
}

fn decode_raw<T: Number>(
    bytes: &[u8],
    count: usize,
    values: &mut Vec<T>,
) -> Result<(), CodecError> {
    if bytes.len() != count * 8 {
        return Err(CodecError::CountMismatch { expected: count, found: bytes.len() / 8 });
    }
    let words = bytes.as_chunks().0.iter();
    values.extend(words.map(|word| T::from_number_bits(u64::from_le_bytes(*word))));
    Ok(())
}

fn decode_runs<T: Number>(
    mut cursor: Cursor<'_>,
    count: usize,
    values: &mut Vec<T>,
) -> Result<(), CodecError> {
    let runs = cursor.length(count)?;
    let mut each = Vec::new();
    let part = cursor.part()?;
    match part.first() {
        Some(&ids::DICTIONARY) => decode_dictionary(Cursor::new(&part[1..]), runs, &mut each)?,
        _ => decode_plain(part, runs, &mut each)?,
    }
    let mut left = count;
    let mut next = each.into_iter();
    values.reserve(count);
    ints::decode(cursor.rest(), runs, |block| {
        for (length, value) in block.iter().zip(&mut next) {
            let length = usize::try_from(*length).unwrap_or(usize::MAX).min(left);
            left -= length;
            values.resize(values.len() + length, value);
        }
    })?;
    if left > 0 {
        return Err(CodecError::CountMismatch { expected: count, found: count - left });
    }
    Ok(())
}

fn decode_dictionary<T: Number>(
    mut cursor: Cursor<'_>,
    count: usize,
    values: &mut Vec<T>,
) -> Result<(), CodecError> {
    let distinct = cursor.length(count)?;
    let mut entries: Vec<T> = Vec::new();
    decode_plain(cursor.part()?, distinct, &mut entries)?;
    let mut wrong = false;
    let first = entries.first().copied().ok_or(CodecError::Truncated)?;
    values.reserve(count);
    ints::decode(cursor.rest(), count, |block| {
        values.extend(block.iter().map(|index| {
            let entry = usize::try_from(*index).ok().and_then(|index| entries.get(index));
            wrong |= entry.is_none();
            entry.copied().unwrap_or(first)
        }));
    })?;
    if wrong { Err(CodecError::Damaged("a dictionary has no such entry")) } else { Ok(()) }
}

/// What the low bits of pco's metadata say of a mode that our encoder never chooses, and whose
/// decoder reserves as much as the bytes claim (`Mode::Dict` in pco 1.1).
const PCO_DICTIONARY_MODE: u8 = 4;

/// The shortest window that pco's encoder looks back over, however few values there are.
const PCO_WINDOW_MIN: usize = 1 << 4;

fn decode_pco<T: Number>(
    bytes: &[u8],
    count: usize,
    values: &mut Vec<T>,
) -> Result<(), CodecError> {
    let damaged = |_| CodecError::Damaged("pco refuses its part");
    let (file, rest) = FileDecompressor::new(bytes).map_err(damaged)?;
    if rest.first().is_some_and(|first| first & 0xF == PCO_DICTIONARY_MODE) {
        return Err(CodecError::Damaged("pco's own dictionaries are not used"));
    }
    let (mut chunk, rest) = file.chunk_decompressor::<T, _>(rest).map_err(damaged)?;
    // The page reserves its window at once; the encoder takes no longer one than its values need.
    let window_max = count.next_power_of_two().max(PCO_WINDOW_MIN);
    if let DeltaEncoding::Lookback { config, .. } = &chunk.meta().delta_encoding
        && 1_usize.checked_shl(config.window_n_log).is_none_or(|window| window > window_max)
    {
        return Err(CodecError::Damaged("pco looks back further than it has values"));
    }
    let mut page = chunk.page_decompressor(rest, count).map_err(damaged)?;
    let before = values.len();
    values.resize(before + count, T::from_number_bits(0));
    let progress = page.read(values.get_mut(before..).unwrap_or_default()).map_err(damaged)?;
    if progress.n_processed != count {
        return Err(CodecError::CountMismatch { expected: count, found: progress.n_processed });
    }
    if page.into_src().is_empty() { Ok(()) } else { Err(CodecError::Trailing) }
}
