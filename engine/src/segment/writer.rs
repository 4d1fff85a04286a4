//! Writing a segment.

use chronolith_disk::Disk;

use crate::chunk::ChunkKey;
use crate::error::DiskError;
use crate::new_file::NewFile;
use crate::protect::{Clear, Protect, Purpose};
use crate::record;
use crate::wal::Sequence;

use super::entry::{Before, Body, ChunkEntry};
use super::index::{Index, Page, SealRecord};
use super::{END_MAGIC, PAGE_CHUNKS, TRAILER_BYTES, header};

/// The bytes of a body on their way into a segment.
pub(crate) enum ChunkSource<'a> {
    /// A body that is not protected yet, with what is stored before an encrypted one.
    Body(&'a [u8]),
    /// A whole record out of another segment, copied unchanged.
    Record(&'a [u8]),
    /// No body: it was dropped, and the header's digest stays.
    Dropped,
}

/// A segment under construction, removed again where it is not finished. Chunks must come in the
/// order of their keys.
pub(crate) struct SegmentWriter<'a> {
    protect: &'a dyn Protect,
    file: NewFile<'a>,
    index: Index,
    entries: Vec<(ChunkEntry, [u8; 32])>,
}

/// What a finished segment is to the manifest.
#[derive(Debug, Clone)]
pub(crate) struct WrittenSegment {
    pub(crate) size_bytes: u64,
    pub(crate) chunks: u32,
    pub(crate) first_sequence: Sequence,
    pub(crate) last_sequence: Sequence,
}

impl<'a> SegmentWriter<'a> {
    /// Begins a file; `may_be_locked` where some of its chunks may be encrypted.
    pub(crate) fn create(
        disk: &'a dyn Disk,
        protect: &'a dyn Protect,
        name: String,
        may_be_locked: bool,
    ) -> Result<Self, DiskError> {
        let file = NewFile::create(disk, name, &header(may_be_locked))?;
        Ok(Self { protect, file, index: Index::default(), entries: Vec::new() })
    }

    /// The place of a seal batch in this segment's list of batches.
    pub(crate) fn seal(&mut self, seal: &SealRecord) -> u32 {
        let known = self.index.seals.iter().position(|known| known.number == seal.number);
        known.unwrap_or_else(|| {
            self.index.seals.push(*seal);
            self.index.seals.len() - 1
        }) as u32
    }

    /// Replaces a batch that was listed before it was complete.
    pub(crate) fn fill_seal(&mut self, place: u32, seal: &SealRecord) {
        if let Some(listed) = self.index.seals.get_mut(place as usize) {
            *listed = *seal;
        }
    }

    /// The key of the chunk that was added last.
    pub(crate) fn last_key(&self) -> Option<ChunkKey> {
        self.entries.last().map(|(entry, _)| entry.key)
    }

    /// Whether no chunk was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many chunks were added.
    pub(crate) const fn chunks(&self) -> usize {
        self.entries.len()
    }

    /// How long the file is so far: bytes.
    pub(crate) const fn len(&self) -> u64 {
        self.file.len()
    }

    /// Adds a chunk; its place in the file is filled in here.
    pub(crate) fn push(
        &mut self,
        mut entry: ChunkEntry,
        digest: [u8; 32],
        source: ChunkSource<'_>,
    ) -> Result<(), DiskError> {
        debug_assert!(self.entries.last().is_none_or(|(before, _)| before.key < entry.key));
        let offset = self.file.len();
        let size = match source {
            ChunkSource::Body(body) => {
                // What is encrypted for the world needs nothing more on this disk.
                let protect = if entry.tree.is_some() { &Clear } else { self.protect };
                record::put(self.file.buffer(), protect, Purpose::Chunk, body)
            }
            ChunkSource::Record(record) => {
                self.file.buffer().extend_from_slice(record);
                record.len()
            }
            ChunkSource::Dropped => 0,
        };
        match source {
            ChunkSource::Dropped => entry.body = None,
            _ => {
                let place = |body: Body| Body { offset, size: size as u32, ..body };
                entry.body = entry.body.map(place);
            }
        }
        self.entries.push((entry, digest));
        self.file.relieve()
    }

    fn put_page(&mut self, first: usize, last: usize) -> Option<()> {
        let chunks = self.entries.get(first..last)?;
        let bodies = chunks.iter().find_map(|(entry, _)| entry.body).map_or(0, |body| body.offset);
        let mut before = Before::page(bodies);
        let (mut entries, mut digests) = (Vec::new(), Vec::new());
        for (entry, digest) in chunks {
            entry.put(&mut before, &mut entries);
            digests.extend_from_slice(digest);
        }
        let page = Page {
            first: chunks.first()?.0.key,
            bodies,
            offset: self.file.len(),
            entries_size: record::put(self.file.buffer(), self.protect, Purpose::Footer, &entries)
                as u32,
            digests_size: record::put(self.file.buffer(), self.protect, Purpose::Footer, &digests)
                as u32,
            chunks: chunks.len() as u32,
        };
        self.index.pages.push(page);
        Some(())
    }

    /// Writes the footer and syncs the file. Its name is durable only after the folder is synced.
    pub(crate) fn finish(mut self) -> Result<WrittenSegment, DiskError> {
        let count = self.entries.len();
        for first in (0..count).step_by(PAGE_CHUNKS) {
            self.put_page(first, count.min(first + PAGE_CHUNKS));
            self.file.relieve()?;
        }
        let index = self.index.to_bytes();
        let mut trailer = Vec::with_capacity(TRAILER_BYTES);
        trailer.extend_from_slice(&self.file.len().to_le_bytes());
        let size = record::put(self.file.buffer(), self.protect, Purpose::Footer, &index);
        trailer.extend_from_slice(&(size as u32).to_le_bytes());
        trailer.extend_from_slice(&(count as u32).to_le_bytes());
        let crc = crc32fast::hash(&trailer);
        trailer.extend_from_slice(&crc.to_le_bytes());
        trailer.extend_from_slice(&END_MAGIC);
        self.file.buffer().extend_from_slice(&trailer);
        let size_bytes = self.file.finish()?;
        let sequences = |seal: &SealRecord| (seal.first_sequence, seal.last_sequence);
        let seals = &self.index.seals;
        Ok(WrittenSegment {
            size_bytes,
            chunks: count as u32,
            first_sequence: seals.iter().map(|seal| sequences(seal).0).min().unwrap_or(0),
            last_sequence: seals.iter().map(|seal| sequences(seal).1).max().unwrap_or(0),
        })
    }
}
