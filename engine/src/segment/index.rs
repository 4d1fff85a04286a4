//! The index of a segment: its seal batches, and the first key and place of every page.

use crate::chunk::ChunkKey;
use crate::encoding::{Malformed, Reader, put_signed, put_varint};
use crate::wal::Sequence;

/// Chunks that were sealed together, as every segment that holds some of them records it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SealRecord {
    /// The number of the batch in this database.
    pub(crate) number: u64,
    /// The records of its chunks came in this range of sequences.
    pub(crate) first_sequence: Sequence,
    pub(crate) last_sequence: Sequence,
    /// How many chunks were sealed.
    pub(crate) count: u64,
    /// The Merkle root over their header ids in the order of their keys.
    pub(crate) root: [u8; 32],
    pub(crate) producer: [u8; 32],
    pub(crate) signature: [u8; 64],
    /// When it was sealed, nanoseconds since the epoch.
    pub(crate) sealed_ns: i64,
}

impl SealRecord {
    /// A batch whose chunks are not all known yet.
    pub(crate) const UNSIGNED: Self = Self {
        number: u64::MAX,
        first_sequence: 0,
        last_sequence: 0,
        count: 0,
        root: [0; 32],
        producer: [0; 32],
        signature: [0; 64],
        sealed_ns: 0,
    };
}

/// Where one page is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Page {
    pub(crate) first: ChunkKey,
    /// Where the bodies of its chunks begin in the file.
    pub(crate) bodies: u64,
    /// Where its record of entries begins in the file.
    pub(crate) offset: u64,
    pub(crate) entries_size: u32,
    pub(crate) digests_size: u32,
    pub(crate) chunks: u32,
}

/// What the end of a segment says of all of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Index {
    pub(crate) seals: Vec<SealRecord>,
    pub(crate) pages: Vec<Page>,
}

impl Index {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.seals.len() as u64);
        for seal in &self.seals {
            put_varint(&mut out, seal.number);
            put_varint(&mut out, seal.first_sequence);
            put_varint(&mut out, seal.last_sequence - seal.first_sequence);
            put_varint(&mut out, seal.count);
            out.extend_from_slice(&seal.root);
            out.extend_from_slice(&seal.producer);
            out.extend_from_slice(&seal.signature);
            put_signed(&mut out, seal.sealed_ns);
        }
        put_varint(&mut out, self.pages.len() as u64);
        for page in &self.pages {
            put_varint(&mut out, page.first.metric.into());
            put_signed(&mut out, page.first.window);
            put_varint(&mut out, page.first.generation.into());
            put_varint(&mut out, page.first.part.into());
            put_varint(&mut out, page.bodies);
            put_varint(&mut out, page.offset);
            put_varint(&mut out, page.entries_size.into());
            put_varint(&mut out, page.digests_size.into());
            put_varint(&mut out, page.chunks.into());
        }
        out
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let reader = &mut Reader::new(bytes);
        let mut index = Self::default();
        for _ in 0..reader.varint_usize(reader.remaining() / 128)? {
            let number = reader.varint()?;
            let first_sequence = reader.varint()?;
            let last_sequence = first_sequence.checked_add(reader.varint()?);
            index.seals.push(SealRecord {
                number,
                first_sequence,
                last_sequence: last_sequence.ok_or(reader.malformed("a sequence too high"))?,
                count: reader.varint()?,
                root: reader.array()?,
                producer: reader.array()?,
                signature: reader.array()?,
                sealed_ns: reader.signed()?,
            });
        }
        for _ in 0..reader.varint_usize(reader.remaining() / 9)? {
            let first = ChunkKey {
                metric: reader.varint_u32()?,
                window: reader.signed()?,
                generation: reader.varint_u32()?,
                part: reader.varint_u32()?,
            };
            index.pages.push(Page {
                first,
                bodies: reader.varint()?,
                offset: reader.varint()?,
                entries_size: reader.varint_u32()?,
                digests_size: reader.varint_u32()?,
                chunks: reader.varint_u32()?,
            });
        }
        reader.finish()?;
        if !index.pages.is_sorted_by(|a, b| a.first < b.first) {
            return Err(reader.malformed("pages that are not in order"));
        }
        Ok(index)
    }
}
