//! Mending a damaged run, in memory.

use crate::encoding::Reader;
use crate::record;

use super::{END_MAGIC, HEADER_BYTES, ROW_BYTES, Section, TRAILER_BYTES, header};

/// Mends what can be mended of the bytes of a run that should have `size` bytes: the header is
/// always the same, and in a record one damaged byte is found from its checksum. Whether the table
/// is there; sections may still be damaged.
pub(crate) fn mend(bytes: &mut Vec<u8>, size: u64) -> bool {
    let Ok(size) = usize::try_from(size) else { return false };
    if size < HEADER_BYTES + TRAILER_BYTES {
        return false;
    }
    bytes.resize(size, 0);
    bytes[..HEADER_BYTES].copy_from_slice(&header());
    let at = size - TRAILER_BYTES;
    bytes[at + 20..].copy_from_slice(&END_MAGIC);
    if !record::mend(&mut bytes[at..at + 20]) {
        return false;
    }
    let mut trailer = Reader::new(&bytes[at..]);
    let (Ok(offset), Ok(length)) = (trailer.u64(), trailer.u64()) else { return false };
    let Some(table) = place(offset, length, at) else { return false };
    if !record::mend(&mut bytes[table.clone()]) {
        return false;
    }
    // In the clear; a table that is not is mended, and its sections are left as they are.
    if bytes[table.start] == 0 {
        let rows = bytes[table.start + 1..table.end - 4].to_vec();
        for section in rows.as_chunks::<ROW_BYTES>().0.iter().filter_map(Section::read) {
            if let Some(place) = place(section.offset, section.size.into(), table.start) {
                record::mend(&mut bytes[place]);
            }
        }
    }
    true
}

fn place(offset: u64, size: u64, limit: usize) -> Option<std::ops::Range<usize>> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(size).ok()?)?;
    (start >= HEADER_BYTES && size >= record::OVERHEAD_BYTES as u64 && end <= limit)
        .then_some(start..end)
}
