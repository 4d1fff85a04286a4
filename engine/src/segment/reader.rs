//! Reading a segment.

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use chronolith_disk::{Disk, Mapped};

use crate::chunk::ChunkKey;
use crate::encoding::Reader;
use crate::error::{DiskContext, Fault, ReadError};
use crate::model::Window;
use crate::protect::{Protect, Purpose};
use crate::record;

use super::entry::{Before, Body, ChunkEntry};
use super::index::{Index, Page, SealRecord};
use super::{END_MAGIC, HEADER_BYTES, MAGIC, PAGE_CHUNKS, TRAILER_BYTES, VERSION, header};

/// How many decoded pages all segments together may keep.
pub(crate) struct PageBudget {
    left: AtomicUsize,
}

impl PageBudget {
    /// A budget for about so many bytes of decoded pages.
    pub(crate) fn new(bytes: usize) -> Self {
        let page = PAGE_CHUNKS * size_of::<ChunkEntry>();
        Self { left: AtomicUsize::new(bytes / page) }
    }

    fn take(&self) -> bool {
        let less = |left: usize| left.checked_sub(1);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    fn give_back(&self, pages: usize) {
        self.left.fetch_add(pages, Ordering::Relaxed);
    }
}

type Entries = Arc<[ChunkEntry]>;

/// A chunk with its seal batch and its header's digest.
pub(crate) type Chunk = (ChunkEntry, SealRecord, [u8; 32]);

/// What [`Segment::for_all`] hands every chunk to.
type TakeChunk<'a> = dyn FnMut(&ChunkEntry, &SealRecord, &[u8; 32]) -> Result<(), ReadError> + 'a;

/// A segment on disk. Opened when it is first read from.
pub(crate) struct Segment {
    disk: Arc<dyn Disk>,
    protect: Arc<dyn Protect>,
    budget: Arc<PageBudget>,
    name: String,
    /// The length that the manifest recorded: bytes.
    size_bytes: u64,
    opened: OnceLock<Opened>,
}

struct Opened {
    map: Mapped,
    index: Index,
    pages: Vec<OnceLock<Entries>>,
}

impl Drop for Segment {
    /// What this segment kept in memory may be kept of others.
    fn drop(&mut self) {
        let pages = self.opened.get().map_or(&[][..], |opened| &opened.pages);
        self.budget.give_back(pages.iter().filter(|page| page.get().is_some()).count());
    }
}

impl Segment {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        protect: Arc<dyn Protect>,
        budget: Arc<PageBudget>,
        name: String,
        size_bytes: u64,
    ) -> Self {
        Self { disk, protect, budget, name, size_bytes, opened: OnceLock::new() }
    }

    /// The file, relative to the database directory.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn fault(&self, offset: u64, what: impl Into<String>) -> Fault {
        Fault::new(&self.name, offset, what)
    }

    fn opened(&self) -> Result<&Opened, ReadError> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let map = self.disk.map(&self.name).at(&*self.disk, "read", &self.name)?;
        let index = self.read_index(&map)?;
        let pages = index.pages.iter().map(|_| OnceLock::new()).collect();
        Ok(self.opened.get_or_init(|| Opened { map, index, pages }))
    }

    /// Opens the file, which stays readable from then on.
    pub(crate) fn hold(&self) -> Result<(), ReadError> {
        self.opened().map(drop)
    }

    fn read_index(&self, map: &[u8]) -> Result<Index, Fault> {
        if map.len() as u64 != self.size_bytes {
            let (found, expected) = (map.len(), self.size_bytes);
            return Err(self.fault(
                expected.min(found as u64),
                format!("the file has {found} bytes instead of {expected}"),
            ));
        }
        match map.get(..HEADER_BYTES) {
            Some(found) if found == header() => {}
            Some(found) if found[..6] == MAGIC && found[6..8] != VERSION.to_le_bytes() => {
                let version = u16::from_le_bytes([found[6], found[7]]);
                return Err(self.fault(
                    6,
                    format!("format version {version}; this program reads version {VERSION}"),
                ));
            }
            _ => return Err(self.fault(0, "the header of the segment is damaged")),
        }
        let at = map.len().saturating_sub(TRAILER_BYTES);
        let damaged = || self.fault(at as u64, "the trailer of the segment is damaged");
        let trailer: &[u8; TRAILER_BYTES] = map[at..].try_into().map_err(|_| damaged())?;
        let mut reader = Reader::new(trailer);
        let read = (reader.u64(), reader.u32(), reader.u32(), reader.u32());
        let (Ok(offset), Ok(size), Ok(chunks), Ok(crc)) = read else { return Err(damaged()) };
        if crc != crc32fast::hash(&trailer[..16]) || trailer[20..] != END_MAGIC {
            return Err(damaged());
        }
        let record = usize::try_from(offset)
            .ok()
            .and_then(|start| map.get(start..start.checked_add(size as usize)?))
            .ok_or_else(damaged)?;
        let bytes = record::get(record, &*self.protect, Purpose::Footer, &self.name, offset)?;
        let index = Index::read(&bytes).map_err(|error| self.fault(offset, error.to_string()))?;
        let counted: u64 = index.pages.iter().map(|page| u64::from(page.chunks)).sum();
        if counted != u64::from(chunks) {
            return Err(self.fault(offset, "the pages of the footer do not add up"));
        }
        Ok(index)
    }

    fn record_at<'a>(
        &self,
        opened: &'a Opened,
        offset: u64,
        size: u32,
        purpose: Purpose,
    ) -> Result<Cow<'a, [u8]>, Fault> {
        let record = self.raw_at(opened, offset, size)?;
        record::get(record, &*self.protect, purpose, &self.name, offset)
    }

    fn raw_at<'a>(&self, opened: &'a Opened, offset: u64, size: u32) -> Result<&'a [u8], Fault> {
        usize::try_from(offset)
            .ok()
            .and_then(|start| opened.map.get(start..start.checked_add(size as usize)?))
            .ok_or_else(|| self.fault(offset, "a record reaches past the end of the file"))
    }

    fn read_page(&self, opened: &Opened, page: &Page) -> Result<Entries, Fault> {
        let bytes = self.record_at(opened, page.offset, page.entries_size, Purpose::Footer)?;
        let mut reader = Reader::new(&bytes);
        let mut before = Before::page(page.bodies);
        let mut entries = Vec::new();
        for _ in 0..page.chunks {
            let entry = ChunkEntry::read(&mut before, &mut reader);
            let entry = entry.map_err(|error| self.fault(page.offset, error.to_string()))?;
            if entry.batch as usize >= opened.index.seals.len() {
                return Err(self.fault(page.offset, "a chunk names a seal batch that is not here"));
            }
            entries.push(entry);
        }
        reader.finish().map_err(|error| self.fault(page.offset, error.to_string()))?;
        if !entries.is_sorted_by(|a, b| a.key < b.key)
            || entries.first().map(|entry| entry.key) != Some(page.first)
        {
            return Err(self.fault(page.offset, "the entries of a page are not in order"));
        }
        Ok(entries.into())
    }

    fn page(&self, opened: &Opened, number: usize) -> Result<Entries, Fault> {
        if let Some(entries) = opened.pages[number].get() {
            return Ok(Arc::clone(entries));
        }
        let entries = self.read_page(opened, &opened.index.pages[number])?;
        if self.budget.take() {
            return Ok(Arc::clone(opened.pages[number].get_or_init(|| entries)));
        }
        Ok(entries)
    }

    /// Hands the metric's chunks with windows from `first` to `last` to `take`, in order.
    pub(crate) fn for_each(
        &self,
        metric: u32,
        first: Window,
        last: Window,
        take: &mut dyn FnMut(&ChunkEntry, &SealRecord),
    ) -> Result<(), ReadError> {
        let opened = self.opened()?;
        let low = ChunkKey { metric, window: first, generation: 0, part: 0 };
        let after = opened.index.pages.partition_point(|page| page.first <= low);
        for number in after.saturating_sub(1)..opened.index.pages.len() {
            let starts = opened.index.pages[number].first;
            if (starts.metric, starts.window) > (metric, last) {
                break;
            }
            let entries = self.page(opened, number)?;
            let start = entries.partition_point(|entry| entry.key < low);
            for entry in &entries[start..] {
                if (entry.key.metric, entry.key.window) > (metric, last) {
                    return Ok(());
                }
                take(entry, &opened.index.seals[entry.batch as usize]);
            }
        }
        Ok(())
    }

    /// The metric's chunk with the highest key at or below a window.
    pub(crate) fn last_at_or_before(
        &self,
        metric: u32,
        window: Window,
    ) -> Result<Option<ChunkEntry>, ReadError> {
        let opened = self.opened()?;
        let high = ChunkKey { metric, window, generation: u32::MAX, part: u32::MAX };
        let after = opened.index.pages.partition_point(|page| page.first <= high);
        let Some(number) = after.checked_sub(1) else { return Ok(None) };
        let entries = self.page(opened, number)?;
        let after = entries.partition_point(|entry| entry.key <= high);
        let entry = after.checked_sub(1).and_then(|at| entries.get(at));
        Ok(entry.filter(|entry| entry.key.metric == metric).cloned())
    }

    /// Hands every chunk with its seal batch and its header's digest to `take`, in order.
    pub(crate) fn for_all(&self, take: &mut TakeChunk<'_>) -> Result<(), ReadError> {
        let opened = self.opened()?;
        for (number, page) in opened.index.pages.iter().enumerate() {
            let entries = match opened.pages[number].get() {
                Some(entries) => Arc::clone(entries),
                None => self.read_page(opened, page)?,
            };
            let offset = page.offset.saturating_add(page.entries_size.into());
            let digests = self.record_at(opened, offset, page.digests_size, Purpose::Footer)?;
            let digests = digests.as_chunks::<32>().0;
            if digests.len() != entries.len() {
                return Err(self.fault(offset, "a page has not one digest for each chunk").into());
            }
            for (entry, digest) in entries.iter().zip(digests) {
                take(entry, &opened.index.seals[entry.batch as usize], digest)?;
            }
        }
        Ok(())
    }

    /// The chunks of all pages that can be read, and what the others held.
    pub(crate) fn whole_pages(&self) -> Result<(Vec<Chunk>, Vec<String>), ReadError> {
        let opened = self.opened()?;
        let (mut chunks, mut lost) = (Vec::new(), Vec::new());
        for page in &opened.index.pages {
            let offset = page.offset.saturating_add(page.entries_size.into());
            let entries = self.read_page(opened, page);
            let digests = self.record_at(opened, offset, page.digests_size, Purpose::Footer);
            let (Ok(entries), Ok(digests)) = (entries, digests) else {
                let first = page.first;
                lost.push(format!(
                    "{} chunks from metric {} and window {} on, in {}",
                    page.chunks, first.metric, first.window, self.name
                ));
                continue;
            };
            for (entry, digest) in entries.iter().zip(digests.as_chunks::<32>().0) {
                chunks.push((entry.clone(), opened.index.seals[entry.batch as usize], *digest));
            }
        }
        Ok((chunks, lost))
    }

    /// The digest of one chunk's header.
    pub(crate) fn digest(&self, key: ChunkKey) -> Result<Option<[u8; 32]>, ReadError> {
        let opened = self.opened()?;
        let after = opened.index.pages.partition_point(|page| page.first <= key);
        let Some(number) = after.checked_sub(1) else { return Ok(None) };
        let entries = self.page(opened, number)?;
        let Ok(at) = entries.binary_search_by_key(&key, |entry| entry.key) else {
            return Ok(None);
        };
        let page = &opened.index.pages[number];
        let offset = page.offset.saturating_add(page.entries_size.into());
        let digests = self.record_at(opened, offset, page.digests_size, Purpose::Footer)?;
        Ok(digests.as_chunks::<32>().0.get(at).copied())
    }

    /// A chunk's body, checked against its checksum.
    pub(crate) fn body(&self, body: &Body) -> Result<Cow<'_, [u8]>, ReadError> {
        let opened = self.opened()?;
        Ok(self.record_at(opened, body.offset, body.size, Purpose::Chunk)?)
    }

    /// The whole record of a chunk's body, checked against its checksum, to be copied.
    pub(crate) fn body_record(&self, body: &Body) -> Result<&[u8], ReadError> {
        let opened = self.opened()?;
        let record = self.raw_at(opened, body.offset, body.size)?;
        if !record::checksum_holds(record) {
            let what = "the checksum of the chunk's body does not match";
            return Err(self.fault(body.offset, what).into());
        }
        Ok(record)
    }

    /// Every byte of the file that no record covers, or that lies in a gap, is a fault; returns
    /// the places where that is so. Bodies and pages check themselves when they are read.
    pub(crate) fn gaps(&self) -> Result<Vec<Fault>, ReadError> {
        let opened = self.opened()?;
        let mut at = HEADER_BYTES as u64;
        let mut faults = Vec::new();
        let mut expect = |offset: u64, size: u64| {
            if offset != at {
                faults.push(self.fault(at, format!("bytes up to {offset} belong to nothing")));
            }
            at = offset.saturating_add(size);
        };
        for page in &opened.index.pages {
            for entry in self.read_page(opened, page)?.iter() {
                if let Some(body) = &entry.body {
                    expect(body.offset, body.size.into());
                }
            }
        }
        for page in &opened.index.pages {
            expect(page.offset, u64::from(page.entries_size) + u64::from(page.digests_size));
        }
        Ok(faults)
    }
}
