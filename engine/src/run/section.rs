//! Sections of a run: what the table and the sections themselves say of them.

use crate::chunk::codec::decoded_bytes_max;
use crate::encoding::{Malformed, Reader, put_signed, put_varint};
use crate::model::{Kind, Window};

use super::ROW_BYTES;

/// One metric's records of one window in a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Section {
    pub(crate) metric: u32,
    pub(crate) window: Window,
    pub(crate) count: u32,
    pub(crate) first_ns: i64,
    pub(crate) last_ns: i64,
    pub(super) offset: u64,
    pub(super) size: u32,
    pub(super) form: u32,
}

impl Section {
    /// Appends the row of the table.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.metric.to_le_bytes());
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&self.window.to_le_bytes());
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(&self.size.to_le_bytes());
        out.extend_from_slice(&self.form.to_le_bytes());
        out.extend_from_slice(&self.first_ns.to_le_bytes());
        out.extend_from_slice(&self.last_ns.to_le_bytes());
    }

    /// Reads a row of the table.
    pub(super) fn read(row: &[u8; ROW_BYTES]) -> Option<Self> {
        let mut reader = Reader::new(row);
        let signed = |reader: &mut Reader<'_>| Some(reader.u64().ok()? as i64);
        Some(Self {
            metric: reader.u32().ok()?,
            count: reader.u32().ok()?,
            window: signed(&mut reader)?,
            offset: reader.u64().ok()?,
            size: reader.u32().ok()?,
            form: reader.u32().ok()?,
            first_ns: signed(&mut reader)?,
            last_ns: signed(&mut reader)?,
        })
    }

    /// Appends what a section says of itself before its content: all but its place.
    pub(super) fn put_words(&self, out: &mut Vec<u8>) {
        put_varint(out, u64::from(self.metric));
        put_signed(out, self.window);
        put_varint(out, u64::from(self.count));
        put_varint(out, u64::from(self.form));
        put_signed(out, self.first_ns);
        put_varint(out, self.last_ns.wrapping_sub(self.first_ns) as u64);
    }

    /// Reads what a section says of itself; its place is left open.
    pub(super) fn read_words(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let metric = reader.varint_u32()?;
        let window = reader.signed()?;
        let (count, form) = (reader.varint_u32()?, reader.varint_u32()?);
        let first_ns = reader.signed()?;
        let last_ns = first_ns.wrapping_add(reader.varint()? as i64);
        Ok(Self { metric, window, count, first_ns, last_ns, offset: 0, size: 0, form })
    }

    /// The key that sections are in the order of.
    pub(super) const fn key(&self) -> (u32, Window, i64) {
        (self.metric, self.window, self.first_ns)
    }

    /// The most memory that the records take decoded: bytes.
    pub(crate) const fn decoded_bytes_max(&self, kind: Kind) -> usize {
        decoded_bytes_max(kind, self.count as usize, self.size as usize)
    }
}

/// What stands before each section of one file, and of no other: a value may hold a piece of some
/// run, and is no section wherever a repair looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark([u8; 4]);

impl Mark {
    /// Mark and length: bytes.
    pub(super) const BYTES: usize = 8;

    /// The mark of run `number` of the database that these bytes name.
    pub(crate) fn new(database: &[u8], number: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("chronolith run file v2");
        hasher.update(&number.to_le_bytes()).update(database);
        let [a, b, c, d, ..] = *hasher.finalize().as_bytes();
        Self([a, b, c, d])
    }

    /// The bytes before a section whose record has `size` bytes.
    pub(super) fn before(self, size: u32) -> [u8; Self::BYTES] {
        let [a, b, c, d] = self.0;
        let [e, f, g, h] = size.to_le_bytes();
        [a, b, c, d, e, f, g, h]
    }

    /// Whether the mark stands at the front, and the length behind it.
    pub(super) fn read(self, bytes: &[u8]) -> Option<usize> {
        let (mark, rest) = bytes.split_first_chunk::<4>()?;
        let size = u32::from_le_bytes(*rest.first_chunk::<4>()?);
        (*mark == self.0).then_some(size as usize)
    }
}
