//! Appending to the log; writers that wait share one sync.
//!
//! Two locks, always taken in this order: `file` is held by whoever writes to or syncs the file,
//! `head` by whoever takes a sequence number and appends to the buffer. A writer that waits for
//! durability becomes the leader when it gets `file`, and its sync covers everyone whose frames
//! were in the buffer by then; the others find that their sequence is synced when their turn
//! comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use chronolith_disk::{Disk, DiskFile};
use parking_lot::Mutex;

use crate::error::{DiskContext, DiskError, WriteError};

use super::frame::{FILE_HEADER_BYTES, Frame, file_header};
use super::recovery::LogEnd;
use super::{DIR, Sequence, file_name};

/// Frames are collected up to this size before they are handed to the operating system.
const BUFFER_BYTES: usize = 256 * 1024;

/// The open end of the log.
pub(crate) struct Wal {
    disk: Arc<dyn Disk>,
    head: Mutex<Head>,
    file: Mutex<File>,
    /// All frames up to here are on stable storage.
    synced: AtomicU64,
    poisoned: AtomicBool,
    failure: Mutex<Option<String>>,
}

struct Head {
    buffer: Vec<u8>,
    last: Sequence,
}

struct File {
    number: u64,
    file: Arc<dyn DiskFile>,
    len: u64,
    /// Earlier files that were written to since they were last synced.
    unsynced: Vec<(u64, Arc<dyn DiskFile>)>,
    /// The last frame that was handed to the operating system.
    written: Sequence,
    spare: Vec<u8>,
}

/// A file of the log that is ready to be written to.
pub(crate) struct PreparedFile {
    number: u64,
    file: Arc<dyn DiskFile>,
}

/// Creates file `number` and makes its name durable.
pub(crate) fn prepare_file(disk: &dyn Disk, number: u64) -> Result<PreparedFile, DiskError> {
    let name = file_name(number);
    let file: Arc<dyn DiskFile> = disk.open(&name).at(disk, "create", &name)?.into();
    file.set_len(0).at(disk, "empty", &name)?;
    file.append(&file_header(number)).at(disk, "write", &name)?;
    file.sync().at(disk, "sync", &name)?;
    disk.sync_dir(DIR).at(disk, "sync", DIR)?;
    Ok(PreparedFile { number, file })
}

impl Wal {
    /// Goes on in a prepared file, behind frame `last`, which is on stable storage with all
    /// before it.
    pub(crate) fn start(disk: Arc<dyn Disk>, prepared: PreparedFile, last: Sequence) -> Self {
        let file = File {
            number: prepared.number,
            file: prepared.file,
            len: FILE_HEADER_BYTES as u64,
            unsynced: Vec::new(),
            written: last,
            spare: Vec::new(),
        };
        Self {
            disk,
            head: Mutex::new(Head { buffer: Vec::new(), last }),
            file: Mutex::new(file),
            synced: AtomicU64::new(last),
            poisoned: AtomicBool::new(false),
            failure: Mutex::new(None),
        }
    }

    /// Fails where the log takes nothing more.
    pub(crate) fn check(&self) -> Result<(), WriteError> {
        if !self.poisoned.load(Ordering::Acquire) {
            return Ok(());
        }
        let failure = self.failure.lock().clone().unwrap_or_default();
        Err(WriteError::Poisoned(failure))
    }

    /// Takes no more writes from now on.
    pub(crate) fn poison(&self, why: &str) {
        self.failure.lock().get_or_insert_with(|| why.to_owned());
        self.poisoned.store(true, Ordering::Release);
    }

    /// Gives a frame the next sequence number and puts it into the log's buffer.
    pub(crate) fn append(&self, mut frame: Frame) -> Result<Sequence, WriteError> {
        self.check()?;
        let (sequence, full) = {
            let mut head = self.head.lock();
            let sequence = head.last + 1;
            head.buffer.extend_from_slice(frame.finish(sequence, self.synced()));
            head.last = sequence;
            (sequence, head.buffer.len() >= BUFFER_BYTES)
        };
        if full {
            self.write_out(&mut self.file.lock())?;
        }
        Ok(sequence)
    }

    /// Hands the buffer to the operating system.
    fn write_out(&self, file: &mut File) -> Result<(), WriteError> {
        self.check()?;
        let mut bytes = std::mem::take(&mut file.spare);
        let last = {
            let mut head = self.head.lock();
            std::mem::swap(&mut head.buffer, &mut bytes);
            head.last
        };
        let name = file_name(file.number);
        if !bytes.is_empty() {
            let result = file.file.append(&bytes).at(&*self.disk, "write", &name);
            file.len += bytes.len() as u64;
            self.noted(result)?;
        }
        file.written = last;
        bytes.clear();
        if bytes.capacity() <= 4 * BUFFER_BYTES {
            file.spare = bytes;
        }
        Ok(())
    }

    fn noted<T>(&self, result: Result<T, DiskError>) -> Result<T, WriteError> {
        result.map_err(|error| {
            self.poison(&error.to_string());
            WriteError::Disk(error)
        })
    }

    /// Hands everything that was appended to the operating system.
    pub(crate) fn flush_buffer(&self) -> Result<(), WriteError> {
        self.write_out(&mut self.file.lock())
    }

    /// Returns when the frames up to `sequence` are on stable storage.
    pub(crate) fn sync_to(&self, sequence: Sequence) -> Result<(), WriteError> {
        if self.synced() >= sequence {
            return Ok(());
        }
        let mut file = self.file.lock();
        if self.synced() >= sequence {
            return Ok(());
        }
        self.write_out(&mut file)?;
        while let Some((number, earlier)) = file.unsynced.first() {
            let result = earlier.sync().at(&*self.disk, "sync", &file_name(*number));
            self.noted(result)?;
            file.unsynced.remove(0);
        }
        let result = file.file.sync().at(&*self.disk, "sync", &file_name(file.number));
        self.noted(result)?;
        self.synced.store(file.written, Ordering::Release);
        Ok(())
    }

    /// The last frame that is on stable storage, with all before it.
    pub(crate) fn synced(&self) -> Sequence {
        self.synced.load(Ordering::Acquire)
    }

    /// The last sequence number that was given.
    pub(crate) fn last(&self) -> Sequence {
        self.head.lock().last
    }

    /// Goes on in another file; everything appended so far stays in the ones before.
    pub(crate) fn switch_to(&self, prepared: PreparedFile) -> Result<(), WriteError> {
        let mut file = self.file.lock();
        self.write_out(&mut file)?;
        let number = std::mem::replace(&mut file.number, prepared.number);
        let earlier = std::mem::replace(&mut file.file, prepared.file);
        file.len = FILE_HEADER_BYTES as u64;
        if file.written > self.synced() {
            file.unsynced.push((number, earlier));
        }
        Ok(())
    }

    /// The number of the file that is written to, and its end.
    pub(crate) fn end(&self) -> LogEnd {
        let file = self.file.lock();
        let buffered = self.head.lock().buffer.len() as u64;
        LogEnd { file: file.number, offset: file.len + buffered }
    }
}
