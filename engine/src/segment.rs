//! Segments: files of sealed chunks.
//!
//! ```text
//! header, 16 bytes: "CLSEG\0" · version u16 · reserved [u8; 8]
//! chunk bodies, one record each, in the order of their keys (metric, window, generation, part)
//! pages of the footer: for every 64 chunks a record of their entries and one of their digests
//! index: one record { seal batches · first key and place of every page }
//! trailer, 28 bytes: index offset u64 · index length u32 · chunks u32 · crc32 u32 · "CLSEGEND"
//! ```
//!
//! A segment is written once, synced, and named in the manifest; from then on it is only read and
//! at last removed. Its footer is read when it is first needed, page by page.

mod entry;
mod index;
mod mend;
mod reader;
mod writer;

use crate::civil;

pub(crate) use entry::{Body, ChunkEntry};
pub(crate) use index::SealRecord;
pub(crate) use mend::{Leaf, mend};
pub(crate) use reader::{PageBudget, Segment};
pub(crate) use writer::{ChunkSource, SegmentWriter};

/// The folder of all segments.
pub(crate) const DIR: &str = "segments";
/// The version that this program writes.
const VERSION: u16 = 1;
const MAGIC: [u8; 6] = *b"CLSEG\0";
const END_MAGIC: [u8; 8] = *b"CLSEGEND";
const HEADER_BYTES: usize = 16;
const TRAILER_BYTES: usize = 28;
/// Chunks per page of the footer.
const PAGE_CHUNKS: usize = 64;

fn header() -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..6].copy_from_slice(&MAGIC);
    header[6..8].copy_from_slice(&VERSION.to_le_bytes());
    header
}

/// The name of the segment with a number in a partition.
pub(crate) fn file_name(partition: i64, number: u64) -> String {
    format!("{}/{number:012}.seg", folder(partition))
}

/// The folder of a partition: a month of UTC, counted from January 1970.
pub(crate) fn folder(partition: i64) -> String {
    format!("{DIR}/{:04}-{:02}", 1970 + partition.div_euclid(12), partition.rem_euclid(12) + 1)
}

/// The partition that a time falls into.
pub(crate) fn partition_of(time_ns: i64) -> i64 {
    let (year, month, _) = civil::date_of_day(time_ns.div_euclid(civil::DAY_NS));
    (year - 1970) * 12 + i64::from(month) - 1
}
