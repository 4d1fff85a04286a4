//! Mending a damaged run, in memory.
//!
//! The header is always the same. In a record one damaged byte is found from its checksum. Where the
//! table or the trailer cannot be mended, the sections are looked for by their marks, and a table of
//! those that are whole is made.

use std::borrow::Cow;
use std::ops::Range;

use crate::encoding::Reader;
use crate::protect::{Protect, Purpose};
use crate::record;

use super::{
    END_MAGIC, HEADER_BYTES, Mark, ROW_BYTES, Section, TRAILER_BYTES, VERSION, VERSION_BARE,
    header, trailer, version_of,
};

/// What became of a damaged run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mended {
    /// The table is there; sections may still be damaged.
    Table,
    /// The table is made of those sections that are whole; how many records they have.
    Sections { records: u64 },
    /// Nothing of it can be read.
    Nothing,
}

/// Mends what can be mended of the bytes of a run that should have `size` bytes and the first of two
/// marks, and gives it the second, that of the file it goes to.
pub(crate) fn mend(
    bytes: &mut Vec<u8>,
    size: u64,
    (mark, new_mark): (Mark, Mark),
    protect: &dyn Protect,
) -> Mended {
    let Ok(size) = usize::try_from(size) else { return Mended::Nothing };
    if size < HEADER_BYTES + TRAILER_BYTES {
        return Mended::Nothing;
    }
    let there = bytes.len().min(size);
    bytes.resize(size, 0);
    let version = version_of(bytes).unwrap_or_else(|| mended_version(bytes, mark));
    bytes[..HEADER_BYTES].copy_from_slice(&header(version));
    let Some(table) = mend_table(bytes) else {
        if version == VERSION_BARE {
            return Mended::Nothing;
        }
        bytes.truncate(there);
        return rebuild(bytes, (mark, new_mark), protect);
    };
    // What cannot be opened for want of a key is left as it is.
    let rows = record::get(&bytes[table.clone()], protect, Purpose::Run, "", 0);
    let rows = rows.map(Cow::into_owned).unwrap_or_default();
    for section in rows.as_chunks::<ROW_BYTES>().0.iter().filter_map(Section::read) {
        if let Some(place) = place(section.offset, section.size.into(), table.start) {
            put_mark(bytes, version, &section, new_mark);
            record::mend(&mut bytes[place]);
        }
    }
    Mended::Table
}

/// Puts the mark before a section.
fn put_mark(bytes: &mut [u8], version: u16, section: &Section, mark: Mark) {
    let end = usize::try_from(section.offset).unwrap_or(usize::MAX);
    let start = end.saturating_sub(Mark::BYTES);
    if version != VERSION_BARE
        && start >= HEADER_BYTES
        && let Some(place) = bytes.get_mut(start..end)
    {
        place.copy_from_slice(&mark.before(section.size));
    }
}

/// The version of a run whose header is damaged: sections of the newer one have marks.
fn mended_version(bytes: &[u8], mark: Mark) -> u16 {
    let has_marks = (HEADER_BYTES..bytes.len()).any(|at| mark.read(&bytes[at..]).is_some());
    if has_marks { VERSION } else { VERSION_BARE }
}

/// Mends the trailer and the table that it names; where that is.
fn mend_table(bytes: &mut [u8]) -> Option<Range<usize>> {
    let at = bytes.len() - TRAILER_BYTES;
    bytes[at + 20..].copy_from_slice(&END_MAGIC);
    if !record::mend(&mut bytes[at..at + 20]) {
        return None;
    }
    let mut trailer = Reader::new(&bytes[at..]);
    let table = place(trailer.u64().ok()?, trailer.u64().ok()?, at)?;
    record::mend(&mut bytes[table.clone()]).then_some(table)
}

/// Makes a table of the sections that are found by their marks.
fn rebuild(bytes: &mut Vec<u8>, (mark, new_mark): (Mark, Mark), protect: &dyn Protect) -> Mended {
    let mut sections: Vec<Section> = Vec::new();
    let (mut at, mut end) = (HEADER_BYTES, HEADER_BYTES);
    while at + Mark::BYTES < bytes.len() {
        let Some((section, behind)) = section_at(bytes, at, mark, protect) else {
            at += 1;
            continue;
        };
        (at, end) = (behind, behind);
        if sections.last().is_none_or(|before| before.key() < section.key()) {
            sections.push(section);
        }
    }
    if sections.is_empty() {
        return Mended::Nothing;
    }
    bytes.truncate(end);
    let mut table = Vec::with_capacity(sections.len() * ROW_BYTES);
    for section in &sections {
        put_mark(bytes, VERSION, section, new_mark);
        section.put(&mut table);
    }
    let size = record::put(bytes, protect, Purpose::Run, &table);
    bytes.extend_from_slice(&trailer(end as u64, size as u64));
    Mended::Sections { records: sections.iter().map(|section| u64::from(section.count)).sum() }
}

/// The section whose mark stands at a place, and where it ends.
fn section_at(
    bytes: &mut [u8],
    at: usize,
    mark: Mark,
    protect: &dyn Protect,
) -> Option<(Section, usize)> {
    let size = mark.read(&bytes[at..])?;
    let start = at + Mark::BYTES;
    let end = start.checked_add(size).filter(|end| *end <= bytes.len())?;
    if size < record::OVERHEAD_BYTES || !record::mend(&mut bytes[start..end]) {
        return None;
    }
    let content = record::get(&bytes[start..end], protect, Purpose::Run, "", 0).ok()?;
    let section = Section::read_words(&mut Reader::new(&content)).ok()?;
    Some((Section { offset: start as u64, size: size as u32, ..section }, end))
}

fn place(offset: u64, size: u64, limit: usize) -> Option<Range<usize>> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(size).ok()?)?;
    (start >= HEADER_BYTES && size >= record::OVERHEAD_BYTES as u64 && end <= limit)
        .then_some(start..end)
}
