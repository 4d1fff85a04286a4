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
mod moved;
mod reader;
mod writer;

use crate::civil;

pub(crate) use entry::{Body, ChunkEntry};
pub(crate) use index::SealRecord;
pub(crate) use mend::{Leaf, mend};
pub(crate) use moved::MovedBodies;
pub(crate) use reader::{PageBudget, Segment};
pub(crate) use writer::{ChunkSource, SegmentWriter};

/// The folder of all segments.
pub(crate) const DIR: &str = "segments";
/// The version of segments whose chunks are in the clear.
const VERSION: u16 = 1;
/// The version of segments that may hold encrypted chunks, and the newest that this program knows.
const VERSION_LOCKED: u16 = 2;
const MAGIC: [u8; 6] = *b"CLSEG\0";
const END_MAGIC: [u8; 8] = *b"CLSEGEND";
const HEADER_BYTES: usize = 16;
const TRAILER_BYTES: usize = 28;
/// Chunks per page of the footer.
const PAGE_CHUNKS: usize = 64;

fn header(may_be_locked: bool) -> [u8; HEADER_BYTES] {
    let version = if may_be_locked { VERSION_LOCKED } else { VERSION };
    let mut header = [0; HEADER_BYTES];
    header[..6].copy_from_slice(&MAGIC);
    header[6..8].copy_from_slice(&version.to_le_bytes());
    header
}

/// What is wrong with a version.
fn unknown(version: u16) -> String {
    format!("format version {version}; this program reads versions up to {VERSION_LOCKED}")
}

/// The name of the segment with a number in a partition.
pub(crate) fn file_name(partition: i64, number: u64) -> String {
    format!("{}/{number:012}.seg", folder(partition))
}

/// The name of what stays of a moved segment.
pub(crate) fn tail_name(partition: i64, number: u64) -> String {
    format!("{}/{number:012}.tail", folder(partition))
}

/// The partition and the number that a segment's name has.
pub(crate) fn place_of(name: &str) -> Option<(i64, u64)> {
    let (month, number) = name.strip_prefix(DIR)?.strip_prefix('/')?.split_once('/')?;
    let (year, month) = month.rsplit_once('-')?;
    let (year, month): (i64, i64) = (year.parse().ok()?, month.parse().ok()?);
    let number = number.strip_suffix(".seg")?.parse().ok()?;
    let partition = year.checked_sub(1970)?.checked_mul(12)?.checked_add(month - 1)?;
    (file_name(partition, number) == name).then_some((partition, number))
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
