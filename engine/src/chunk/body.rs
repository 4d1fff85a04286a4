//! The body of a chunk: its two encoded columns.
//!
//! ```text
//! length of the inner header varint (0 where the public header shows everything) · inner header
//! length of the times varint · times · values
//! ```

use crate::block::Block;
use crate::encoding::{Malformed, Reader, put_bytes};
use crate::model::{Column, Kind};

use super::codec::{
    CodecError, Policy, TimesView, decode_times, decode_values, encode_times, encode_values,
    times_codec_name, values_codec_name,
};

/// The largest body: bytes. More records make more parts.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 20;
/// The most records of one chunk.
pub(crate) const RECORDS_MAX: usize = 1 << 24;

/// Why a body cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body of the chunk {0}")]
    Malformed(Malformed),
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error("the times of the chunk do not rise")]
    Times,
    #[error("a text value of the chunk is not UTF-8")]
    Text,
}

impl From<Malformed> for BodyError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// A body, taken apart but not decoded.
pub(crate) struct BodyView<'a> {
    inner: &'a [u8],
    times: &'a [u8],
    values: &'a [u8],
    count: usize,
}

/// The encoded columns of a block.
pub(crate) fn encode_columns(block: &Block, policy: Policy) -> Vec<u8> {
    let mut times = Vec::new();
    encode_times(block.times(), policy, &mut times);
    let mut out = Vec::with_capacity(times.len() + 16 + block.len() * 2);
    put_bytes(&mut out, &times);
    encode_values(block.values(), policy, &mut out);
    out
}

/// A body from an inner header (empty where the public header shows everything) and columns.
pub(crate) fn assemble(inner: &[u8], columns: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(inner.len() + columns.len() + 4);
    put_bytes(&mut out, inner);
    out.extend_from_slice(columns);
    out
}

impl<'a> BodyView<'a> {
    pub(crate) fn parse(body: &'a [u8], count: usize) -> Result<Self, BodyError> {
        let mut reader = Reader::new(body);
        let inner = reader.sized()?;
        let rest = reader.bytes(reader.remaining())?;
        Self::parse_columns(rest, count).map(|view| Self { inner, ..view })
    }

    /// Parses columns without an inner header before them.
    pub(crate) fn parse_columns(columns: &'a [u8], count: usize) -> Result<Self, BodyError> {
        let mut reader = Reader::new(columns);
        if count > RECORDS_MAX {
            return Err(reader.malformed("says that it has too many records").into());
        }
        let times = reader.sized()?;
        let values = reader.bytes(reader.remaining())?;
        Ok(Self { inner: &[], times, values, count })
    }

    /// The part of the header that only the body shows.
    pub(crate) const fn inner(&self) -> &'a [u8] {
        self.inner
    }

    pub(crate) fn times(&self) -> Result<TimesView<'a>, BodyError> {
        Ok(TimesView::parse(self.times, self.count)?)
    }

    pub(crate) fn values_into(&self, kind: Kind, values: &mut Column) -> Result<(), BodyError> {
        Ok(decode_values(kind, self.values, self.count, values)?)
    }

    /// The columns of a body, without the inner header before them.
    pub(crate) fn columns(body: &'a [u8]) -> Result<&'a [u8], BodyError> {
        let mut reader = Reader::new(body);
        reader.sized()?;
        Ok(reader.bytes(reader.remaining())?)
    }

    /// The names of the two codecs: times, values.
    pub(crate) fn codec_names(&self) -> Result<(&'static str, &'static str), BodyError> {
        Ok((times_codec_name(self.times)?, values_codec_name(self.values)?))
    }

    /// All records.
    pub(crate) fn decode(&self, kind: Kind) -> Result<Block, BodyError> {
        let mut times = Vec::new();
        decode_times(self.times, self.count, &mut times)?;
        let mut values = Column::new(kind);
        self.values_into(kind, &mut values)?;
        if times.len() != values.len() || !times.is_sorted_by(|a, b| a < b) {
            return Err(BodyError::Times);
        }
        if !values.texts_are_whole() {
            return Err(BodyError::Text);
        }
        Ok(Block::from_columns(times, values))
    }
}
