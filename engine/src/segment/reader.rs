//! Reading a segment.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use chronolith_disk::{Disk, Mapped};
use chronolith_keys::ChunkSlot;

use crate::chunk::ChunkKey;
use crate::chunk::stored::{LockedError, StoredBody};
use crate::encoding::{Malformed, Reader};
use crate::error::{DiskContext, Fault, ReadError};
use crate::key_trees::{ChunkKeys, KeyError};
use crate::model::Window;
use crate::protect::{Protect, Purpose};
use crate::record;

use super::entry::{Before, Body, ChunkEntry};
use super::index::{Index, Page, SealRecord};
use super::moved::{MovedBodies, read_start, write_tail};
use super::{
    END_MAGIC, HEADER_BYTES, MAGIC, PAGE_CHUNKS, TRAILER_BYTES, VERSION, VERSION_LOCKED, header,
    unknown,
};

/// Where a record stands in a file whose first byte behind the header is that at `start`.
fn in_file(start: u64, offset: u64, size: u32) -> Option<Range<usize>> {
    let at = offset.checked_sub(start)?.checked_add(HEADER_BYTES as u64)?;
    let at = usize::try_from(at).ok()?;
    Some(at..at.checked_add(size as usize)?)
}

/// Whether this program reads segments of a version.
fn is_known(version: Option<[u8; 2]>) -> bool {
    version.is_some_and(|bytes| [VERSION, VERSION_LOCKED].contains(&u16::from_le_bytes(bytes)))
}

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
    /// What it is called, moved or not.
    name: String,
    /// Where its bodies are, and the file of its footer, where they are not in its own.
    moved: Option<(MovedBodies, String)>,
    /// The keys that encrypted bodies are opened with.
    keys: Option<ChunkKeys>,
    /// The length that the manifest recorded: bytes.
    size_bytes: u64,
    opened: OnceLock<Opened>,
}

struct Opened {
    map: Mapped,
    /// Whether some of its chunks may be encrypted.
    may_be_locked: bool,
    /// Where in the segment its footer begins.
    footer: u64,
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
        let (moved, keys, opened) = (None, None, OnceLock::new());
        Self { disk, protect, budget, name, moved, keys, size_bytes, opened }
    }

    /// The same segment with keys for its encrypted bodies.
    pub(crate) fn with_keys(mut self, keys: Option<ChunkKeys>) -> Self {
        self.keys = keys;
        self
    }

    /// The same segment with its bodies in a store; its footer is in the file `tail`.
    pub(crate) fn with_bodies_in(mut self, bodies: MovedBodies, tail: String) -> Self {
        self.moved = Some((bodies, tail));
        self
    }

    /// The file, relative to the database directory; what a moved one was called here.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The file of the footer.
    pub(crate) fn footer_file(&self) -> &str {
        self.moved.as_ref().map_or(&self.name, |(_, tail)| tail)
    }

    /// The bodies, where they are in a store.
    pub(crate) fn moved(&self) -> Option<&MovedBodies> {
        self.moved.as_ref().map(|(bodies, _)| bodies)
    }

    fn fault(&self, offset: u64, what: impl Into<String>) -> Fault {
        Fault::new(self.footer_file(), offset, what)
    }

    /// The file that holds a place of the footer, and where in it that is. A file of the footer
    /// alone begins at `footer`.
    fn file_and_offset(&self, footer: u64, offset: u64) -> (&str, u64) {
        match &self.moved {
            None => (&self.name, offset),
            Some((_, tail)) => {
                (tail, (HEADER_BYTES as u64).saturating_add(offset.saturating_sub(footer)))
            }
        }
    }

    fn fault_at(&self, footer: u64, offset: u64, what: impl Into<String>) -> Fault {
        let (file, offset) = self.file_and_offset(footer, offset);
        Fault::new(file, offset, what)
    }

    fn opened(&self) -> Result<&Opened, ReadError> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let file = self.footer_file();
        let map = match self.disk.map(file).at(&*self.disk, "read", file) {
            Ok(map) => map,
            // Whoever removes a file has it open: since the look above, in that case.
            Err(error) => return self.opened.get().ok_or_else(|| error.into()),
        };
        let (start, may_be_locked) = self.read_header(&map)?;
        let (footer, index) = self.read_index(&map, start)?;
        let pages = index.pages.iter().map(|_| OnceLock::new()).collect();
        Ok(self.opened.get_or_init(|| Opened { map, may_be_locked, footer, index, pages }))
    }

    /// Whether some of its chunks may be encrypted.
    pub(crate) fn may_be_locked(&self) -> Result<bool, ReadError> {
        Ok(self.opened()?.may_be_locked)
    }

    /// Opens the file, which stays readable from then on.
    pub(crate) fn hold(&self) -> Result<(), ReadError> {
        self.opened().map(drop)
    }

    /// Checks the header; where in the segment the first byte behind it stands, and whether some of
    /// the chunks may be encrypted.
    fn read_header(&self, map: &[u8]) -> Result<(u64, bool), Fault> {
        if self.moved.is_some() {
            let start = read_start(map, self.size_bytes);
            return start.map_err(|(offset, what)| self.fault(offset, what));
        }
        if map.len() as u64 != self.size_bytes {
            let (found, expected) = (map.len(), self.size_bytes);
            return Err(self.fault(
                expected.min(found as u64),
                format!("the file has {found} bytes instead of {expected}"),
            ));
        }
        match map.get(..HEADER_BYTES) {
            Some(found) if found == header(false) => Ok((HEADER_BYTES as u64, false)),
            Some(found) if found == header(true) => Ok((HEADER_BYTES as u64, true)),
            Some(found) if found[..6] == MAGIC && !is_known(found[6..8].try_into().ok()) => {
                Err(self.fault(6, unknown(u16::from_le_bytes([found[6], found[7]]))))
            }
            _ => Err(self.fault(0, "the header of the segment is damaged")),
        }
    }

    /// Where in the segment the footer begins, and the index; `start` as of the header.
    fn read_index(&self, map: &[u8], start: u64) -> Result<(u64, Index), Fault> {
        let at = map.len().saturating_sub(TRAILER_BYTES);
        let damaged = || self.fault(at as u64, "the trailer of the segment is damaged");
        let trailer: &[u8; TRAILER_BYTES] = map[at..].try_into().map_err(|_| damaged())?;
        let mut reader = Reader::new(trailer);
        let read = (reader.u64(), reader.u32(), reader.u32(), reader.u32());
        let (Ok(offset), Ok(size), Ok(chunks), Ok(crc)) = read else { return Err(damaged()) };
        if crc != crc32fast::hash(&trailer[..16]) || trailer[20..] != END_MAGIC {
            return Err(damaged());
        }
        let place = in_file(start, offset, size).ok_or_else(damaged)?;
        let record = map.get(place).ok_or_else(damaged)?;
        let (file, at) = self.file_and_offset(start, offset);
        let bytes = record::get(record, &*self.protect, Purpose::Footer, file, at)?;
        let index =
            Index::read(&bytes).map_err(|error| self.fault_at(start, offset, error.to_string()))?;
        let counted: u64 = index.pages.iter().map(|page| u64::from(page.chunks)).sum();
        if counted != u64::from(chunks) {
            let what = "the pages of the footer do not add up";
            return Err(self.fault_at(start, offset, what));
        }
        let footer = index.pages.first().map_or(offset, |page| page.offset);
        if self.moved.is_some() && footer != start {
            return Err(self.fault(8, "the tail of the segment does not begin with its footer"));
        }
        Ok((footer, index))
    }

    /// The content of a record of the footer.
    fn footer_record<'a>(
        &self,
        opened: &'a Opened,
        offset: u64,
        size: u32,
    ) -> Result<Cow<'a, [u8]>, Fault> {
        let start = if self.moved.is_some() { opened.footer } else { HEADER_BYTES as u64 };
        let place = in_file(start, offset, size);
        let record = place.and_then(|place| opened.map.get(place)).ok_or_else(|| {
            self.fault_at(opened.footer, offset, "a record reaches past the end of the file")
        })?;
        let (file, at) = self.file_and_offset(opened.footer, offset);
        record::get(record, &*self.protect, Purpose::Footer, file, at)
    }

    /// The whole record of a body.
    fn body_bytes<'a>(&self, opened: &'a Opened, body: &Body) -> Result<Cow<'a, [u8]>, ReadError> {
        let (offset, size) = (body.offset, body.size);
        let end = offset.checked_add(size.into()).filter(|end| *end <= opened.footer);
        if end.is_none() || offset < HEADER_BYTES as u64 {
            let what = "a chunk's body reaches past the bodies of the segment";
            return Err(Fault::new(&self.name, offset, what).into());
        }
        if let Some((bodies, _)) = &self.moved {
            return Ok(Cow::Owned(bodies.record(&self.name, offset, size)?));
        }
        let record = in_file(HEADER_BYTES as u64, offset, size).and_then(|at| opened.map.get(at));
        let beyond = || self.fault(offset, "a record reaches past the end of the file");
        Ok(Cow::Borrowed(record.ok_or_else(beyond)?))
    }

    fn read_page(&self, opened: &Opened, page: &Page) -> Result<Entries, Fault> {
        let bytes = self.footer_record(opened, page.offset, page.entries_size)?;
        let mut reader = Reader::new(&bytes);
        let mut before = Before::page(page.bodies);
        let mut entries = Vec::new();
        for _ in 0..page.chunks {
            let entry = ChunkEntry::read(&mut before, &mut reader);
            let entry = entry
                .map_err(|error| self.fault_at(opened.footer, page.offset, error.to_string()))?;
            if entry.batch as usize >= opened.index.seals.len() {
                let what = "a chunk names a seal batch that is not here";
                return Err(self.fault_at(opened.footer, page.offset, what));
            }
            entries.push(entry);
        }
        reader
            .finish()
            .map_err(|error| self.fault_at(opened.footer, page.offset, error.to_string()))?;
        if !entries.is_sorted_by(|a, b| a.key < b.key)
            || entries.first().map(|entry| entry.key) != Some(page.first)
        {
            let what = "the entries of a page are not in order";
            return Err(self.fault_at(opened.footer, page.offset, what));
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
            let digests = self.footer_record(opened, offset, page.digests_size)?;
            let digests = digests.as_chunks::<32>().0;
            if digests.len() != entries.len() {
                let what = "a page has not one digest for each chunk";
                return Err(self.fault_at(opened.footer, offset, what).into());
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
            let digests = self.footer_record(opened, offset, page.digests_size);
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
        let digests = self.footer_record(opened, offset, page.digests_size)?;
        Ok(digests.as_chunks::<32>().0.get(at).copied())
    }

    /// A chunk's body as it is stored, checked against its checksum.
    pub(crate) fn stored(
        &self,
        entry: &ChunkEntry,
        body: &Body,
    ) -> Result<StoredBody<'_>, ReadError> {
        let opened = self.opened()?;
        let content = match self.body_bytes(opened, body)? {
            Cow::Borrowed(record) => self.open_record(record, body)?,
            Cow::Owned(record) => Cow::Owned(self.open_record(&record, body)?.into_owned()),
        };
        let stored = StoredBody::parse(content, entry.tree);
        let fault = |error: Malformed| Fault::new(&self.name, body.offset, error.to_string());
        Ok(stored.map_err(fault)?)
    }

    /// A chunk's body, opened.
    pub(crate) fn body(&self, entry: &ChunkEntry, body: &Body) -> Result<Cow<'_, [u8]>, ReadError> {
        self.open(entry, body, self.stored(entry, body)?)
    }

    /// Opens a body that was read.
    pub(crate) fn open<'a>(
        &self,
        entry: &ChunkEntry,
        body: &Body,
        stored: StoredBody<'a>,
    ) -> Result<Cow<'a, [u8]>, ReadError> {
        let Some(lock) = stored.lock() else { return Ok(stored.into_clear()) };
        let ChunkKey { window, generation, part, .. } = entry.key;
        let place = || format!("{} at byte {}", self.name, body.offset);
        let tree = lock.encryption.tree;
        let keys = self.keys.as_ref();
        let keys = keys.ok_or_else(|| KeyError::NotGiven { place: place(), tree, window })?;
        let key = keys.opening_key(&lock.encryption, ChunkSlot { window, generation, part });
        let key = key.ok_or_else(|| KeyError::NotHeld { place: place(), tree, window })?;
        let fault = |error: LockedError| Fault::new(&self.name, body.offset, error.to_string());
        Ok(Cow::Owned(lock.open(&key, stored.block()).map_err(fault)?))
    }

    fn open_record<'a>(&self, record: &'a [u8], body: &Body) -> Result<Cow<'a, [u8]>, ReadError> {
        let (protect, purpose) = (&*self.protect, Purpose::Chunk);
        Ok(record::get(record, protect, purpose, &self.name, body.offset)?)
    }

    /// The whole record of a chunk's body, checked against its checksum, to be copied.
    pub(crate) fn body_record(&self, body: &Body) -> Result<Cow<'_, [u8]>, ReadError> {
        let opened = self.opened()?;
        let record = self.body_bytes(opened, body)?;
        if !record::checksum_holds(&record) {
            let what = "the checksum of the chunk's body does not match";
            return Err(Fault::new(&self.name, body.offset, what).into());
        }
        Ok(record)
    }

    /// All bytes of a segment whose bodies are here.
    pub(crate) fn bytes(&self) -> Result<&[u8], ReadError> {
        Ok(&self.opened()?.map)
    }

    /// Writes the footer of a segment whose bodies are here to a file of its own, and syncs that.
    pub(crate) fn write_tail(&self, name: String) -> Result<(), ReadError> {
        let opened = self.opened()?;
        let start = usize::try_from(opened.footer).unwrap_or(usize::MAX);
        let footer = opened.map.get(start..).unwrap_or_default();
        let start = (opened.footer, opened.may_be_locked);
        Ok(write_tail(&*self.disk, name, start, footer)?)
    }

    /// Writes a moved segment as it was to a file of another disk, and syncs that; how long it is.
    pub(crate) fn copy_to(&self, disk: &dyn Disk, name: &str) -> Result<u64, ReadError> {
        let opened = self.opened()?;
        if let Some((bodies, _)) = &self.moved {
            let footer = opened.map.get(HEADER_BYTES..).unwrap_or_default();
            let header = header(opened.may_be_locked);
            bodies.copy_to(disk, name, &header, opened.footer, footer)?;
        }
        Ok(self.size_bytes)
    }

    /// Every byte of the file that no record covers, or that lies in a gap, is a fault; returns
    /// the places where that is so. Bodies and pages check themselves when they are read.
    pub(crate) fn gaps(&self) -> Result<Vec<Fault>, ReadError> {
        let opened = self.opened()?;
        let mut at = HEADER_BYTES as u64;
        let mut faults = Vec::new();
        let mut expect = |offset: u64, size: u64| {
            if offset != at {
                let what = format!("bytes up to {offset} belong to nothing");
                faults.push(Fault::new(&self.name, at, what));
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
