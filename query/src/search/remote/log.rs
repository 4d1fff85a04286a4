//! The file that headers and offers of others are kept in: batches behind each other.
//!
//! ```text
//! file  := "CLREMOTE" version u32 · id [16] · crc u32 of all before · batches
//! batch := "CLRB" · length u32 · crc u32 of (id, offset, length) · crc u32 of (id, content) · content
//! ```
//!
//! A batch is synced before the next one is written. So what is behind the last whole batch was never
//! acknowledged, and where a whole batch stands behind one that is not, the file is damaged. The id is
//! random and goes into every checksum, so that nothing that is kept can look like a batch.

use std::io;

use chronolith_disk::{Disk, DiskFile};

use super::error::RemoteError;

pub(super) const FILE: &str = "log";
/// A new file that is renamed to [`FILE`] when it is whole.
pub(super) const NEW: &str = "log.new";
pub(super) const LOCK: &str = "LOCK";

const MAGIC: &[u8; 8] = b"CLREMOTE";
const VERSION: u32 = 1;
/// Bytes before the first batch.
pub(super) const START: u64 = 32;
const BATCH: &[u8; 4] = b"CLRB";
/// Bytes before the content of a batch.
pub(super) const BATCH_BYTES: usize = 16;
/// The longest content: bytes.
pub(super) const CONTENT_BYTES_MAX: usize = 16 << 20;
/// Where a batch is looked for behind damage, so many bytes are read at once.
const LOOK_BYTES: usize = 1 << 20;

/// What tells one file from another.
pub(super) type LogId = [u8; 16];

/// A file of batches.
pub(super) struct Log {
    pub(super) id: LogId,
    pub(super) place: String,
    file: Box<dyn DiskFile>,
}

/// A file that is being written.
pub(super) struct NewLog {
    log: Log,
    end: u64,
}

/// Where whole batches end, and how many bytes there are behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub(super) at: u64,
    pub(super) torn_bytes: u64,
}

/// A batch as it is read.
pub(super) struct Batch {
    /// Where its content begins in the file.
    pub(super) at: u64,
    pub(super) content: Vec<u8>,
    pub(super) crc: u32,
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk());
    word.map_or(0, |word| u32::from_le_bytes(*word))
}

/// The beginning of a file.
fn beginning(id: LogId) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&id);
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

impl Log {
    /// Begins a new file, which takes the place of the old one when it is [finished](NewLog::finish).
    pub(super) fn begin(disk: &dyn Disk, id: LogId) -> Result<NewLog, RemoteError> {
        let place = disk.describe(NEW);
        let failed = |error| RemoteError::disk(&place, error);
        let file = disk.open(NEW).map_err(failed)?;
        file.set_len(0).map_err(failed)?;
        let end = file.append(&beginning(id)).map_err(failed)? + START;
        Ok(NewLog { log: Self { id, place, file }, end })
    }

    /// Opens the file for reading, or for writing as well. `None` where there is none.
    pub(super) fn open(disk: &dyn Disk, writes: bool) -> Result<Option<Self>, RemoteError> {
        let place = disk.describe(FILE);
        let failed = |error| RemoteError::disk(&place, error);
        if !disk.exists(FILE).map_err(failed)? {
            return Ok(None);
        }
        let file = if writes { disk.open(FILE) } else { disk.open_read(FILE) }.map_err(failed)?;
        let mut bytes = [0; START as usize];
        let damaged = |problem: &str| RemoteError::damaged(&place, 0, problem);
        match file.read_at(0, &mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(damaged("it is shorter than its beginning"));
            }
            other => other.map_err(failed)?,
        }
        if !bytes.starts_with(MAGIC) {
            return Err(damaged("it does not begin with CLREMOTE"));
        }
        let id = bytes.get(12..28).and_then(|id| LogId::try_from(id).ok()).unwrap_or_default();
        let version = word(&bytes, 8);
        if crc32fast::hash(&bytes[..28]) != word(&bytes, 28) {
            return Err(damaged("the checksum of its beginning does not hold"));
        }
        if version != VERSION {
            return Err(RemoteError::Version { place: place.clone(), found: version });
        }
        Ok(Some(Self { id, place, file }))
    }

    pub(super) fn len(&self) -> Result<u64, RemoteError> {
        self.file.len().map_err(|error| RemoteError::disk(&self.place, error))
    }

    fn read(&self, at: u64, buffer: &mut [u8]) -> Result<(), RemoteError> {
        self.file.read_at(at, buffer).map_err(|error| RemoteError::disk(&self.place, error))
    }

    /// The length that the head of a batch says; `None` where it is none.
    fn length(&self, at: u64, head: &[u8]) -> Option<usize> {
        let length = word(head, 4);
        let is_head = head.starts_with(BATCH) && self.head_crc(at, length) == word(head, 8);
        (is_head && length as usize <= CONTENT_BYTES_MAX).then_some(length as usize)
    }

    fn head_crc(&self, at: u64, length: u32) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.id);
        hasher.update(&at.to_le_bytes());
        hasher.update(&length.to_le_bytes());
        hasher.finalize()
    }

    fn content_crc(&self, content: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.id);
        hasher.update(content);
        hasher.finalize()
    }

    /// The whole batch that begins at an offset of a file of so many bytes; `None` where there is none.
    pub(super) fn batch(&self, at: u64, len: u64) -> Result<Option<Batch>, RemoteError> {
        if len.saturating_sub(at) < BATCH_BYTES as u64 {
            return Ok(None);
        }
        let mut head = [0; BATCH_BYTES];
        self.read(at, &mut head)?;
        let Some(length) = self.length(at, &head) else { return Ok(None) };
        let start = at + BATCH_BYTES as u64;
        if len - start < length as u64 {
            return Ok(None);
        }
        let mut content = vec![0; length];
        self.read(start, &mut content)?;
        let crc = word(&head, 12);
        let is_whole = self.content_crc(&content) == crc;
        Ok(is_whole.then_some(Batch { at: start, content, crc }))
    }

    /// Whether a batch with a checksum reaches from one offset to another.
    pub(super) fn has_batch(&self, from: u64, to: u64, crc: u32) -> Result<bool, RemoteError> {
        if to < from + BATCH_BYTES as u64 || to > self.len()? {
            return Ok(false);
        }
        let mut head = [0; BATCH_BYTES];
        self.read(from, &mut head)?;
        let length = self.length(from, &head).map(|length| length as u64);
        Ok(length == Some(to - from - BATCH_BYTES as u64) && word(&head, 12) == crc)
    }

    /// Hands the batches from an offset on to `take`.
    pub(super) fn for_each(
        &self,
        from: u64,
        take: &mut dyn FnMut(&Batch) -> Result<(), RemoteError>,
    ) -> Result<End, RemoteError> {
        let len = self.len()?;
        let mut at = from;
        while let Some(batch) = self.batch(at, len)? {
            take(&batch)?;
            at = batch.at + batch.content.len() as u64;
        }
        if let Some(next) = self.next(at + 1, len)? {
            let problem = format!("a batch is damaged; the next whole one is at {next}");
            return Err(RemoteError::damaged(&self.place, at, problem));
        }
        Ok(End { at, torn_bytes: len.saturating_sub(at) })
    }

    /// Where the next whole batch begins, at an offset or behind it.
    pub(super) fn next(&self, from: u64, len: u64) -> Result<Option<u64>, RemoteError> {
        let mut from = from;
        let mut bytes = vec![0; LOOK_BYTES + BATCH_BYTES];
        while from + (BATCH_BYTES as u64) <= len {
            let count = bytes.len().min((len - from) as usize);
            let look = &mut bytes[..count];
            self.read(from, look)?;
            for (at, head) in look.windows(BATCH_BYTES).enumerate() {
                let offset = from + at as u64;
                if head.starts_with(BATCH)
                    && self.length(offset, head).is_some()
                    && self.batch(offset, len)?.is_some()
                {
                    return Ok(Some(offset));
                }
            }
            from += (count - BATCH_BYTES + 1) as u64;
        }
        Ok(None)
    }

    /// Writes a batch where whole ones end, without waiting for it; the new end.
    fn write(&self, end: u64, content: &[u8]) -> Result<u64, RemoteError> {
        let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let mut bytes = BATCH.to_vec();
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&self.head_crc(end, length).to_le_bytes());
        bytes.extend_from_slice(&self.content_crc(content).to_le_bytes());
        bytes.extend_from_slice(content);
        let written = self.file.append(&bytes);
        let at = written.map_err(|error| RemoteError::disk(&self.place, error))?;
        if at != end {
            let problem = "somebody else has written behind the end";
            return Err(RemoteError::damaged(&self.place, end, problem));
        }
        Ok(end + bytes.len() as u64)
    }

    fn sync(&self) -> Result<(), RemoteError> {
        self.file.sync().map_err(|error| RemoteError::disk(&self.place, error))
    }

    /// Writes a batch and waits until it is on stable storage; the new end.
    pub(super) fn append(&self, end: u64, content: &[u8]) -> Result<u64, RemoteError> {
        let end = self.write(end, content)?;
        self.sync()?;
        Ok(end)
    }

    /// Takes off what is behind the last whole batch, and writes that one once more: after a sync that
    /// failed it may read well and be on no disk.
    pub(super) fn settle(&self, end: End, last: Option<u64>) -> Result<(), RemoteError> {
        let failed = |error| RemoteError::disk(&self.place, error);
        if end.torn_bytes > 0 {
            self.file.set_len(end.at).map_err(failed)?;
        }
        if let Some(last) = last {
            let mut bytes = vec![0; (end.at - last) as usize];
            self.read(last, &mut bytes)?;
            self.file.write_at(last, &bytes).map_err(failed)?;
        }
        self.sync()
    }

    /// Some bytes of the file.
    pub(super) fn bytes(&self, at: u64, len: usize) -> Result<Vec<u8>, RemoteError> {
        let mut bytes = vec![0; len];
        self.read(at, &mut bytes)?;
        Ok(bytes)
    }
}

impl NewLog {
    pub(super) fn place(&self) -> &str {
        &self.log.place
    }

    pub(super) fn write(&mut self, content: &[u8]) -> Result<(), RemoteError> {
        self.end = self.log.write(self.end, content)?;
        Ok(())
    }

    /// Puts the file in the place of the old one, and waits until that is on stable storage.
    pub(super) fn finish(self, disk: &dyn Disk) -> Result<(), RemoteError> {
        self.log.sync()?;
        let renamed = disk.rename(NEW, FILE).and_then(|()| disk.sync_dir(""));
        renamed.map_err(|error| RemoteError::disk(&self.log.place, error))
    }
}
