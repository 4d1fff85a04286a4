//! The write-ahead log of the present height: what the core was told, in order, and the blocks
//! that were proposed.
//!
//! One file is written over from its beginning at each height. A frame holds a checksum that goes
//! on from the one before it, begun by the height, so that what an earlier height left behind never
//! reads as part of this one.
//!
//! ```text
//! +--------+--------+---------+
//! | crc u32| len u32| entry   |   crc over the crc before, the height, len and entry
//! +--------+--------+---------+
//! ```
//!
//! The first frame whose checksum fails ends the log. Everything before it was synced, or at least
//! nothing that this validator sent depends on what is behind it.

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_disk::{Disk, DiskFile};

use super::event::Event;
use crate::block::{Block, MAX_BLOCK_BYTES};
use crate::encoding::{decode, encode};

const FRAME_BYTES: usize = 8;
const MAX_ENTRY_BYTES: usize = MAX_BLOCK_BYTES + 1024;
/// Above this the file is cut when a height begins.
const KEEP_BYTES: u64 = 64 << 20;

/// Something that happened at a height.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) enum Entry {
    /// Begins the log of a height.
    Height(u64),
    /// The core was told something.
    Event(Event),
    /// A proposed block, before the event that it was checked.
    Block(Box<Block>),
}

/// Why the log cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {source}")]
pub struct LogError {
    /// Which file.
    pub place: String,
    /// What the disk said.
    pub source: std::io::Error,
}

/// The log of one height after the other.
pub(super) struct HeightLog {
    file: Box<dyn DiskFile>,
    place: String,
    height: u64,
    checksum: u32,
    end: u64,
    /// Frames that are not written yet.
    pending: Vec<u8>,
    is_synced: bool,
}

impl HeightLog {
    /// Opens the log, and gives what it holds of a height.
    pub(super) fn open(
        disk: &dyn Disk,
        path: &str,
        height: u64,
    ) -> Result<(Self, Vec<Entry>), LogError> {
        let place = disk.describe(path);
        let failed = |source| LogError { place: place.clone(), source };
        let is_new = !disk.exists(path).map_err(failed)?;
        let file = disk.open(path).map_err(failed)?;
        if is_new {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            disk.sync_dir(folder).map_err(failed)?;
        }
        let mut log = Self {
            file,
            place: place.clone(),
            height,
            checksum: seed(height),
            end: 0,
            pending: Vec::new(),
            is_synced: true,
        };
        let mut entries = Vec::new();
        while let Some((entry, checksum, length)) = log.read_frame().map_err(failed)? {
            (log.checksum, log.end) = (checksum, log.end + length);
            entries.push(entry);
        }
        match entries.first() {
            Some(Entry::Height(found)) if *found == height => {
                entries.remove(0);
            }
            _ => {
                entries.clear();
                log.begin(height)?;
            }
        }
        Ok((log, entries))
    }

    fn read_frame(&self) -> std::io::Result<Option<(Entry, u32, u64)>> {
        let mut frame = [0; FRAME_BYTES];
        let left = self.file.len()?.saturating_sub(self.end);
        if left < FRAME_BYTES as u64 {
            return Ok(None);
        }
        self.file.read_at(self.end, &mut frame)?;
        let (Some(sum), Some(length)) = (frame.first_chunk(), frame.last_chunk()) else {
            return Ok(None);
        };
        let (sum, length) = (u32::from_le_bytes(*sum), u32::from_le_bytes(*length));
        if length as usize > MAX_ENTRY_BYTES || u64::from(length) > left - FRAME_BYTES as u64 {
            return Ok(None);
        }
        let mut payload = vec![0; length as usize];
        self.file.read_at(self.end + FRAME_BYTES as u64, &mut payload)?;
        if self.sum(&payload) != sum {
            return Ok(None);
        }
        let entry = decode("an entry of the log", &payload, MAX_ENTRY_BYTES).ok();
        Ok(entry.map(|entry| (entry, sum, FRAME_BYTES as u64 + u64::from(length))))
    }

    fn sum(&self, payload: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.checksum.to_le_bytes());
        hasher.update(&(payload.len() as u32).to_le_bytes());
        hasher.update(payload);
        hasher.finalize()
    }

    /// Begins a height, whose predecessor is committed. Nothing is written yet.
    pub(super) fn begin(&mut self, height: u64) -> Result<(), LogError> {
        if self.end > KEEP_BYTES {
            let failed = |source| LogError { place: self.place.clone(), source };
            self.file.set_len(0).map_err(failed)?;
        }
        (self.height, self.checksum, self.end) = (height, seed(height), 0);
        self.pending.clear();
        self.append(&Entry::Height(height));
        Ok(())
    }

    /// Adds an entry, which is on stable storage after the next [`HeightLog::sync`].
    pub(super) fn append(&mut self, entry: &Entry) {
        let payload = encode(entry);
        let sum = self.sum(&payload);
        self.pending.extend_from_slice(&sum.to_le_bytes());
        self.pending.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        self.pending.extend_from_slice(&payload);
        self.checksum = sum;
        self.is_synced = false;
    }

    /// Writes what was added, without waiting for it.
    pub(super) fn write(&mut self) -> Result<(), LogError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let failed = |source| LogError { place: self.place.clone(), source };
        self.file.write_at(self.end, &self.pending).map_err(failed)?;
        self.end += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Returns when everything that was added is on stable storage.
    pub(super) fn sync(&mut self) -> Result<(), LogError> {
        self.write()?;
        if !self.is_synced {
            let failed = |source| LogError { place: self.place.clone(), source };
            self.file.sync().map_err(failed)?;
            self.is_synced = true;
        }
        Ok(())
    }
}

/// How many entries a file holds of a height. For those who give it any bytes, and would have to open a
/// node for each of them otherwise.
#[doc(hidden)]
pub fn entries_of_log(disk: &dyn Disk, path: &str, height: u64) -> Result<usize, LogError> {
    Ok(HeightLog::open(disk, path, height)?.1.len())
}

/// The checksum that the first frame of a height goes on from.
fn seed(height: u64) -> u32 {
    crc32fast::hash(&height.to_le_bytes())
}
