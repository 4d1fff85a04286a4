//! Mending a damaged segment, in memory.
//!
//! The header is always the same. In a record one damaged byte is found from its checksum. Where
//! more of the index is gone it is made anew: the pages stand one before the other right before
//! it, each ends where the next begins, and bodies stand in the order of their entries. What only
//! the index knew are the signatures of the seal batches; the batches are signed again.

use std::ops::Range;

use chronolith_merkle::HashFunction;

use crate::chunk::ChunkKey;
use crate::encoding::Reader;
use crate::protect::{Protect, Purpose};
use crate::record;

use super::entry::{Before, ChunkEntry};
use super::index::{Index, Page, SealRecord};
use super::{END_MAGIC, HEADER_BYTES, PAGE_CHUNKS, TRAILER_BYTES, header};

/// A chunk as a seal batch counts it: its key, its header's hash and the digest.
pub(crate) type Leaf = (ChunkKey, HashFunction, [u8; 32]);

/// The longest record of a page's entries that is looked for: bytes.
const ENTRIES_BYTES_MAX: usize = 32 << 10;
/// The longest record of a page's digests: bytes, with room for a protection.
const DIGESTS_BYTES_MAX: usize = 32 * PAGE_CHUNKS + 64;
/// How far before the trailer the end of the pages is looked for: bytes.
const INDEX_BYTES_MAX: usize = 64 << 10;

/// Mends what can be mended of the bytes of a segment that should have `size` bytes; whether an
/// index is there then. `sign` makes a seal batch of chunks whose batch is not known any more.
pub(crate) fn mend(
    bytes: &mut Vec<u8>,
    size: u64,
    protect: &dyn Protect,
    sign: &mut dyn FnMut(Vec<Leaf>) -> SealRecord,
) -> bool {
    let Ok(size) = usize::try_from(size) else { return false };
    if size < HEADER_BYTES + TRAILER_BYTES {
        return false;
    }
    bytes.resize(size, 0);
    let is_whole = [false, true].iter().any(|locked| bytes[..HEADER_BYTES] == header(*locked));
    if !is_whole {
        bytes[..HEADER_BYTES].copy_from_slice(&header(false));
    }
    let at = size - TRAILER_BYTES;
    bytes[at + 20..].copy_from_slice(&END_MAGIC);
    let told = record::mend(&mut bytes[at..at + 20]).then(|| index_place(bytes, at)).flatten();
    if let Some(place) = &told {
        record::mend(&mut bytes[place.clone()]);
    }
    let index = told.as_ref().and_then(|place| read_index(bytes, place.clone(), protect));
    let index = match index {
        Some(index) => index,
        None => {
            let rebuilt = rebuild(bytes, told.map(|place| place.start), protect, sign);
            let Some((index, end)) = rebuilt else { return false };
            bytes.truncate(end);
            put_index(bytes, &index, protect);
            index
        }
    };
    if mend_chunks(bytes, &index, protect) && !is_whole {
        bytes[..HEADER_BYTES].copy_from_slice(&header(true));
    }
    true
}

fn index_place(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let mut trailer = Reader::new(&bytes[at..]);
    let start = usize::try_from(trailer.u64().ok()?).ok()?;
    let end = start.checked_add(trailer.u32().ok()? as usize)?;
    (start >= HEADER_BYTES && end == at && start < end).then_some(start..end)
}

fn read_index(bytes: &[u8], place: Range<usize>, protect: &dyn Protect) -> Option<Index> {
    let content = record::get(bytes.get(place)?, protect, Purpose::Footer, "", 0).ok()?;
    Index::read(&content).ok()
}

/// Appends an index and the trailer.
fn put_index(bytes: &mut Vec<u8>, index: &Index, protect: &dyn Protect) {
    let mut trailer = (bytes.len() as u64).to_le_bytes().to_vec();
    let size = record::put(bytes, protect, Purpose::Footer, &index.to_bytes());
    trailer.extend_from_slice(&(size as u32).to_le_bytes());
    let chunks: u32 = index.pages.iter().map(|page| page.chunks).sum();
    trailer.extend_from_slice(&chunks.to_le_bytes());
    let crc = crc32fast::hash(&trailer);
    trailer.extend_from_slice(&crc.to_le_bytes());
    trailer.extend_from_slice(&END_MAGIC);
    bytes.extend_from_slice(&trailer);
}

/// Mends pages, and the bodies that they name; whether some of these are encrypted.
fn mend_chunks(bytes: &mut [u8], index: &Index, protect: &dyn Protect) -> bool {
    let mut is_locked = false;
    let range = |offset: u64, size: u32, limit: usize| {
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(size as usize)?;
        (end <= limit).then_some(start..end)
    };
    let limit = bytes.len();
    for page in &index.pages {
        let digests = page.offset.saturating_add(page.entries_size.into());
        if let Some(place) = range(digests, page.digests_size, limit) {
            record::mend(&mut bytes[place]);
        }
        let Some(place) = range(page.offset, page.entries_size, limit) else { continue };
        if !record::mend(&mut bytes[place.clone()]) {
            continue;
        }
        let entries = read_entries(&bytes[place], page.chunks as usize, page.bodies, protect);
        for entry in entries.unwrap_or_default() {
            is_locked |= entry.tree.is_some();
            let place = entry.body.and_then(|body| range(body.offset, body.size, limit));
            if let Some(place) = place {
                record::mend(&mut bytes[place]);
            }
        }
    }
    is_locked
}

/// The entries of a page: `None` where they are not as many, or not all there is.
fn read_entries(
    record: &[u8],
    count: usize,
    bodies: u64,
    protect: &dyn Protect,
) -> Option<Vec<ChunkEntry>> {
    let content = record::get(record, protect, Purpose::Footer, "", 0).ok()?;
    let (mut reader, mut before) = (Reader::new(&content), Before::page(bodies));
    let mut entries = Vec::new();
    for _ in 0..count {
        entries.push(ChunkEntry::read(&mut before, &mut reader).ok()?);
    }
    reader.finish().ok()?;
    Some(entries)
}

/// The records of a page: of its entries and of its digests.
struct PagePlace {
    entries: Range<usize>,
    digests: Range<usize>,
    chunks: usize,
}

/// The page that ends at `end`.
fn page_before(bytes: &[u8], end: usize, protect: &dyn Protect) -> Option<PagePlace> {
    let starts = |end: usize, longest: usize| {
        let least = end.saturating_sub(longest).max(HEADER_BYTES);
        (least..end.saturating_sub(record::OVERHEAD_BYTES)).rev()
    };
    for start in starts(end, DIGESTS_BYTES_MAX) {
        let record = &bytes[start..end];
        if !record::checksum_holds(record) {
            continue;
        }
        let Ok(digests) = record::get(record, protect, Purpose::Footer, "", 0) else { continue };
        let chunks = digests.len() / 32;
        if digests.len() % 32 != 0 || !(1..=PAGE_CHUNKS).contains(&chunks) {
            continue;
        }
        let entries = starts(start, ENTRIES_BYTES_MAX).find(|first| {
            let record = &bytes[*first..start];
            record::checksum_holds(record) && read_entries(record, chunks, 0, protect).is_some()
        })?;
        return Some(PagePlace { entries: entries..start, digests: start..end, chunks });
    }
    None
}

/// The index of the pages that stand before `end`, or where that is not known before the trailer;
/// and where they end.
fn rebuild(
    bytes: &[u8],
    end: Option<usize>,
    protect: &dyn Protect,
    sign: &mut dyn FnMut(Vec<Leaf>) -> SealRecord,
) -> Option<(Index, usize)> {
    let limit = bytes.len() - TRAILER_BYTES;
    let end = match end {
        Some(end) => end,
        None => {
            let least = limit.saturating_sub(INDEX_BYTES_MAX).max(HEADER_BYTES);
            let forms = record::forms(protect, Purpose::Footer);
            (least..=limit).rev().find(|end| ends_page(bytes, *end, &forms))?
        }
    };
    if let Some(index) = read_index(bytes, end..limit, protect) {
        return Some((index, end));
    }
    let (mut places, mut at) = (Vec::new(), end);
    while let Some(place) = page_before(bytes, at, protect) {
        at = place.entries.start;
        places.push(place);
    }
    places.reverse();
    let mut index = Index::default();
    let mut batches: Vec<Vec<Leaf>> = Vec::new();
    let mut next = HEADER_BYTES as u64;
    for place in places {
        let record = &bytes[place.entries.clone()];
        let entries = read_entries(record, place.chunks, next, protect)?;
        let digests =
            record::get(&bytes[place.digests.clone()], protect, Purpose::Footer, "", 0).ok()?;
        let first = entries.first()?.key;
        index.pages.push(Page {
            first,
            bodies: next,
            offset: place.entries.start as u64,
            entries_size: place.entries.len() as u32,
            digests_size: place.digests.len() as u32,
            chunks: place.chunks as u32,
        });
        for (entry, digest) in entries.iter().zip(digests.as_chunks::<32>().0) {
            let batch = entry.batch as usize;
            if batch > usize::from(u16::MAX) {
                return None;
            }
            if batches.len() <= batch {
                batches.resize_with(batch + 1, Vec::new);
            }
            batches[batch].push((entry.key, entry.function, *digest));
            next = entry.body.map_or(next, |body| body.offset + u64::from(body.size));
        }
    }
    // Bodies fill what is before the pages, or some page between is missing.
    if index.pages.is_empty() || next != at as u64 {
        return None;
    }
    index.seals = batches.into_iter().map(sign).collect();
    Some((index, end))
}

/// Whether a record of digests ends here, of one of some forms.
fn ends_page(bytes: &[u8], end: usize, forms: &[(u8, usize)]) -> bool {
    (1..=PAGE_CHUNKS).any(|chunks| {
        forms.iter().any(|(scheme, overhead)| {
            let start = end.checked_sub(32 * chunks + overhead);
            let record = start.and_then(|start| bytes.get(start..end));
            record.is_some_and(|record| record[0] == *scheme && record::checksum_holds(record))
        })
    })
}
