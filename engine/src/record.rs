//! The record in which all files but the log frame protected bytes: scheme, key id, content and
//! a checksum over all of it. Where the length of a record is known from an index, it is not
//! repeated here.
//!
//! ```text
//! scheme u8 · key id varint (absent for scheme 0) · content · crc32 of all before u32
//! ```

mod mend;

use std::borrow::Cow;

use crate::encoding::{Reader, put_varint};
use crate::error::Fault;
use crate::protect::{Protect, Protection, Purpose};

pub(crate) use mend::mend;

/// Bytes that a record adds to content in the clear.
pub(crate) const OVERHEAD_BYTES: usize = 5;

/// Appends a record that holds `content`; returns its length in bytes.
pub(crate) fn put(
    out: &mut Vec<u8>,
    protect: &dyn Protect,
    purpose: Purpose,
    content: &[u8],
) -> usize {
    let start = out.len();
    let (protection, content) = protect.protect(purpose, content);
    out.push(protection.scheme);
    if protection.scheme != 0 {
        put_varint(out, u64::from(protection.key_id));
    }
    out.extend_from_slice(&content);
    let crc = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
    out.len() - start
}

/// The schemes that records may have, and how many bytes each adds: those in the clear, and those that are
/// protected as now.
pub(crate) fn forms(protect: &dyn Protect, purpose: Purpose) -> Vec<(u8, usize)> {
    let mut empty = Vec::new();
    let overhead = put(&mut empty, protect, purpose, &[]);
    let mut forms = vec![(0, OVERHEAD_BYTES), (empty.first().copied().unwrap_or(0), overhead)];
    forms.dedup();
    forms
}

/// Whether the checksum of a whole record holds.
pub(crate) fn checksum_holds(record: &[u8]) -> bool {
    record
        .split_last_chunk::<4>()
        .is_some_and(|(bytes, crc)| crc32fast::hash(bytes) == u32::from_le_bytes(*crc))
}

/// The content of a whole record that stands in `file` at `offset`.
pub(crate) fn get<'a>(
    record: &'a [u8],
    protect: &dyn Protect,
    purpose: Purpose,
    file: &str,
    offset: u64,
) -> Result<Cow<'a, [u8]>, Fault> {
    let (protection, content) = protected(record, file, offset)?;
    let opened = protect.open(purpose, protection, content);
    opened.map_err(|error| Fault::new(file, offset, error.to_string()))
}

/// The content of a whole record as it is protected, and how it is.
pub(crate) fn protected<'a>(
    record: &'a [u8],
    file: &str,
    offset: u64,
) -> Result<(Protection, &'a [u8]), Fault> {
    if record.len() < OVERHEAD_BYTES || !checksum_holds(record) {
        return Err(Fault::new(file, offset, "the checksum of the record does not match"));
    }
    let mut reader = Reader::new(&record[..record.len() - 4]);
    let mut protection = Protection::CLEAR;
    let fault = |problem: String| Fault::new(file, offset, problem);
    protection.scheme = reader.u8().map_err(|error| fault(error.to_string()))?;
    if protection.scheme != 0 {
        protection.key_id = reader.varint_u32().map_err(|error| fault(error.to_string()))?;
    }
    let size = reader.remaining();
    let content = reader.bytes(size).map_err(|error| fault(error.to_string()))?;
    Ok((protection, content))
}
