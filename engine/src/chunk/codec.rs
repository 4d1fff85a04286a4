//! Codecs of a chunk's two columns: times and values.
//!
//! An encoding names its codec in its first byte; [`times_codec_name`] and [`values_codec_name`]
//! are the registry of the ids, which never change their meaning. An encoding knows neither its
//! length nor its count: the chunk's header does.
//!
//! Decoders take bytes from outside. They bound every length before they allocate (at most
//! 8 x input + 32 x count + 1 MiB, parts in between included), and answer anything that is not
//! an encoding of exactly `count` records with an error; numbers and flags that were appended
//! before the error are taken back. The byte layouts are in `docs/format/codecs.md`.
//!
//! What is behind the two columns: `times` (grid and residual), `numbers` (f64, i64, u64;
//! `decimal` for floats that were decimals), `bools`, `var` (text and bytes). All of them reduce
//! to `ints`: a predictor (`predict`) and a coder, which is bit-packing (`pack`) or an entropy
//! coder (`ans` over `bins`).

mod ans;
mod bins;
mod bits;
mod bools;
mod decimal;
pub mod gorilla;
mod ints;
mod numbers;
mod pack;
mod predict;
mod times;
mod var;

#[cfg(test)]
mod tests;

use crate::{Column, Kind};

/// The most records that one encoding may hold.
pub const MAX_COUNT: usize = 16 << 20;

/// The most memory that `count` records of a kind take whose encoding has some length: bytes.
pub(crate) const fn decoded_bytes_max(kind: Kind, count: usize, encoded_bytes: usize) -> usize {
    match kind {
        Kind::F64 | Kind::I64 | Kind::U64 => count.saturating_mul(16),
        Kind::Bool => count.saturating_mul(9),
        Kind::Text | Kind::Bytes => {
            count.saturating_mul(16).saturating_add(var::data_max(encoded_bytes))
        }
    }
}

/// What a seal optimises for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// As few bytes as possible.
    #[default]
    Smallest,
    /// As little CPU as possible, at a moderate size.
    Fastest,
}

/// Why bytes are not an encoding of the expected records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The bytes end too early.
    #[error("the encoding ends before its last record")]
    Truncated,
    /// Bytes are left over after the last record.
    #[error("the encoding has bytes after its last record")]
    Trailing,
    /// The first byte names no codec of this version.
    #[error("codec {0} is unknown to this version")]
    UnknownCodec(u8),
    /// The column to append to has another kind than the one asked for.
    #[error("values of kind {expected} were to be decoded into a column of kind {found}")]
    WrongKind {
        /// The kind that was asked for.
        expected: Kind,
        /// The kind of the column.
        found: Kind,
    },
    /// The encoding holds another number of records.
    #[error("the encoding holds {found} records where {expected} were expected")]
    CountMismatch {
        /// How many were asked for.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// More records are asked for than one encoding may hold.
    #[error("{0} records are more than one encoding may hold (16,777,216)")]
    TooMany(usize),
    /// A length, width or position in the encoding is impossible.
    #[error("the encoding is damaged: {0}")]
    Damaged(&'static str),
}

/// The ids of value codecs: the first byte of an encoding.
mod values {
    pub(super) const RAW: u8 = 0;
    pub(super) const CONSTANT: u8 = 1;
    pub(super) const INTS: u8 = 2;
    pub(super) const DECIMAL: u8 = 3;
    pub(super) const RUNS: u8 = 4;
    pub(super) const DICTIONARY: u8 = 5;
    pub(super) const PCO: u8 = 6;
    pub(super) const ZSTD: u8 = 7;
    pub(super) const BITMAP: u8 = 8;
}

/// The name of the codec of encoded times.
///
/// # Errors
///
/// Where there is no byte, or where it names no codec of this version.
pub fn times_codec_name(bytes: &[u8]) -> Result<&'static str, CodecError> {
    match *bytes.first().ok_or(CodecError::Truncated)? {
        times::REGULAR => Ok("regular"),
        times::GRID => Ok("grid"),
        times::INTS => Ok("ints"),
        other => Err(CodecError::UnknownCodec(other)),
    }
}

/// The name of the codec of encoded values.
///
/// # Errors
///
/// Where there is no byte, or where it names no codec of this version.
pub fn values_codec_name(bytes: &[u8]) -> Result<&'static str, CodecError> {
    match *bytes.first().ok_or(CodecError::Truncated)? {
        values::RAW => Ok("raw"),
        values::CONSTANT => Ok("constant"),
        values::INTS => Ok("ints"),
        values::DECIMAL => Ok("decimal"),
        values::RUNS => Ok("runs"),
        values::DICTIONARY => Ok("dictionary"),
        values::PCO => Ok("pco"),
        values::ZSTD => Ok("zstd"),
        values::BITMAP => Ok("bitmap"),
        other => Err(CodecError::UnknownCodec(other)),
    }
}

/// Appends a self-describing encoding of rising times (nanoseconds, strictly increasing).
pub fn encode_times(times: &[i64], policy: Policy, out: &mut Vec<u8>) {
    times::encode(times, policy, out);
}

/// Appends exactly `count` times to `times`.
///
/// # Errors
///
/// Where the bytes are anything else than an encoding of `count` times.
pub fn decode_times(bytes: &[u8], count: usize, times: &mut Vec<i64>) -> Result<(), CodecError> {
    TimesView::parse(bytes, count)?.decode(times)
}

/// Encoded times, parsed but not decoded: finds positions without decoding all.
#[derive(Debug, Clone, Copy)]
pub struct TimesView<'a> {
    parsed: times::Parsed<'a>,
    count: usize,
}

impl<'a> TimesView<'a> {
    /// Checks the head of an encoding of `count` times.
    ///
    /// # Errors
    ///
    /// Where the bytes are not an encoding of `count` times, as far as the head shows it.
    pub fn parse(bytes: &'a [u8], count: usize) -> Result<Self, CodecError> {
        times_codec_name(bytes)?;
        Ok(Self { parsed: times::Parsed::parse(bytes, count)?, count })
    }

    /// The first time and the step, in nanoseconds, where all steps are equal.
    #[must_use]
    pub fn regular(&self) -> Option<(i64, i64)> {
        self.parsed.regular()
    }

    /// How many of the times are before `time_ns`: constant work where times are regular.
    ///
    /// # Errors
    ///
    /// Where the bytes turn out to be damaged.
    pub fn lower_bound(&self, time_ns: i64) -> Result<usize, CodecError> {
        if let Some((first, step)) = self.regular() {
            let gone = i128::from(time_ns) - i128::from(first);
            let before = (gone + i128::from(step) - 1).div_euclid(i128::from(step));
            return Ok(usize::try_from(before.max(0)).map_or(self.count, |n| n.min(self.count)));
        }
        let mut times = Vec::new();
        self.decode(&mut times)?;
        Ok(times.partition_point(|time| *time < time_ns))
    }

    /// Appends all times.
    ///
    /// # Errors
    ///
    /// Where the bytes turn out to be damaged; `times` is then as it was.
    pub fn decode(&self, times: &mut Vec<i64>) -> Result<(), CodecError> {
        let before = times.len();
        self.parsed.decode(times).inspect_err(|_| times.truncate(before))
    }
}

/// Appends a self-describing encoding of all values of a column.
pub fn encode_values(values: &Column, policy: Policy, out: &mut Vec<u8>) {
    match values {
        Column::F64(values) => numbers::encode(values, policy, out),
        Column::I64(values) => numbers::encode(values, policy, out),
        Column::U64(values) => numbers::encode(values, policy, out),
        Column::Bool(values) => bools::encode(values, policy, out),
        Column::Text(values) | Column::Bytes(values) => var::encode(values, policy, out),
    }
}

/// Appends exactly `count` values of a kind to a column of the same kind.
///
/// # Errors
///
/// Where the bytes are anything else than an encoding of `count` values of the kind, and where
/// the column has another kind; a column of numbers or flags is then as it was, and so is one of
/// text or bytes up to the values before the fault.
pub fn decode_values(
    kind: Kind,
    bytes: &[u8],
    count: usize,
    values: &mut Column,
) -> Result<(), CodecError> {
    values_codec_name(bytes)?;
    if kind != values.kind() {
        return Err(CodecError::WrongKind { expected: kind, found: values.kind() });
    }
    if count > MAX_COUNT {
        return Err(CodecError::TooMany(count));
    }
    let before = values.len();
    match values {
        Column::F64(values) => {
            numbers::decode(bytes, count, values).inspect_err(|_| values.truncate(before))
        }
        Column::I64(values) => {
            numbers::decode(bytes, count, values).inspect_err(|_| values.truncate(before))
        }
        Column::U64(values) => {
            numbers::decode(bytes, count, values).inspect_err(|_| values.truncate(before))
        }
        Column::Bool(values) => {
            bools::decode(bytes, count, values).inspect_err(|_| values.truncate(before))
        }
        Column::Text(values) | Column::Bytes(values) => var::decode(kind, bytes, count, values),
    }
}

/// Decompresses a zstd frame that must hold at most `most` bytes.
fn unzstd(bytes: &[u8], most: usize) -> Result<Vec<u8>, CodecError> {
    zstd::bulk::decompress(bytes, most).map_err(|_| CodecError::Damaged("zstd refuses its part"))
}
