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

use crate::batch::Batch;
use crate::error::{DiskContext, DiskError, WriteError};

use super::frame::{FILE_HEADER_BYTES, FRAME_BYTES_MAX, Frame, Salt, file_header};
use super::payload::Deletion;
use super::recovery::LogEnd;
use super::tail::{Tail, Told};
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
    /// What was appended lately, for those who follow.
    pub(super) tail: Tail,
}

struct Head {
    buffer: Vec<u8>,
    last: Sequence,
    /// Of the file that the buffer goes to.
    salt: Salt,
    /// No more frames are taken.
    closed: bool,
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
    salt: Salt,
}

/// Creates file `number` of a database and makes its name durable; everything up to `synced` is
/// on stable storage.
pub(crate) fn prepare_file(
    disk: &dyn Disk,
    database: &[u8],
    number: u64,
    synced: Sequence,
) -> Result<PreparedFile, DiskError> {
    let (name, salt) = (file_name(number), Salt::new(database, number));
    let file: Arc<dyn DiskFile> = disk.open(&name).at(disk, "create", &name)?.into();
    file.set_len(0).at(disk, "empty", &name)?;
    file.append(&file_header(salt, number, synced)).at(disk, "write", &name)?;
    file.sync().at(disk, "sync", &name)?;
    disk.sync_dir(DIR).at(disk, "sync", DIR)?;
    Ok(PreparedFile { number, file, salt })
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
        let head = Head { buffer: Vec::new(), last, salt: prepared.salt, closed: false };
        Self {
            disk,
            head: Mutex::new(head),
            file: Mutex::new(file),
            synced: AtomicU64::new(last),
            poisoned: AtomicBool::new(false),
            failure: Mutex::new(None),
            tail: Tail::default(),
        }
    }

    /// Fails where the log takes nothing more.
    pub(crate) fn check(&self) -> Result<(), WriteError> {
        self.check_failure()?;
        if self.head.lock().closed { Err(WriteError::Closed) } else { Ok(()) }
    }

    /// Fails where a write or sync failed before, or something else that made the state of the
    /// disk unknown.
    fn check_failure(&self) -> Result<(), WriteError> {
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

    /// Gives a frame the next sequence number and puts it into the log's buffer. The buffer may
    /// then hold more than it should; [`Wal::relieve`] is for the time when no locks are held.
    /// Followers are told what [`Wal::told`] made of the frame's content.
    pub(crate) fn append(
        &self,
        mut frame: Frame,
        told: Option<Told>,
    ) -> Result<Sequence, WriteError> {
        if frame.len() > FRAME_BYTES_MAX {
            return Err(WriteError::BatchTooLarge { size: frame.len(), limit: FRAME_BYTES_MAX });
        }
        let mut head = self.head.lock();
        self.check_failure()?;
        if head.closed {
            return Err(WriteError::Closed);
        }
        let sequence = head.last + 1;
        let salt = head.salt;
        head.buffer.extend_from_slice(frame.finish(salt, sequence, self.synced()));
        head.last = sequence;
        self.tail.push(sequence, told);
        Ok(sequence)
    }

    /// What followers will be told of a frame's content.
    pub(crate) fn told(&self, deletions: &[Deletion], batch: &Batch) -> Option<Told> {
        self.tail.told(deletions, batch)
    }

    /// Calls a function with the last sequence while no other is given.
    pub(super) fn at_head(&self, then: impl FnOnce(Sequence)) {
        then(self.head.lock().last);
    }

    /// Hands the buffer to the operating system where it is full.
    pub(crate) fn relieve(&self) -> Result<(), WriteError> {
        let is_full = self.head.lock().buffer.len() >= BUFFER_BYTES;
        if is_full { self.flush_buffer() } else { Ok(()) }
    }

    /// Hands the buffer to the operating system.
    fn write_out(&self, file: &mut File) -> Result<(), WriteError> {
        let mut head = self.head.lock();
        let bytes = std::mem::replace(&mut head.buffer, std::mem::take(&mut file.spare));
        let last = head.last;
        drop(head);
        self.write(file, bytes, last)
    }

    /// Appends frames up to `last` to the file.
    fn write(&self, file: &mut File, mut bytes: Vec<u8>, last: Sequence) -> Result<(), WriteError> {
        self.check_failure()?;
        if !bytes.is_empty() {
            let name = file_name(file.number);
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
        self.sync(&mut file)
    }

    fn sync(&self, file: &mut File) -> Result<(), WriteError> {
        self.write_out(file)?;
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
        // What came meanwhile has the salt of the file before, and the next frame has the new one.
        let mut head = self.head.lock();
        let (bytes, last) = (std::mem::take(&mut head.buffer), head.last);
        head.salt = prepared.salt;
        drop(head);
        self.write(&mut file, bytes, last)?;
        let number = std::mem::replace(&mut file.number, prepared.number);
        let earlier = std::mem::replace(&mut file.file, prepared.file);
        file.len = FILE_HEADER_BYTES as u64;
        if file.written > self.synced() {
            file.unsynced.push((number, earlier));
        }
        Ok(())
    }

    /// Takes no more frames, and returns when all are on stable storage: where the log ends.
    pub(crate) fn close(&self) -> Result<LogEnd, WriteError> {
        let mut file = self.file.lock();
        self.head.lock().closed = true;
        self.sync(&mut file)?;
        Ok(LogEnd { file: file.number, offset: file.len })
    }

    /// Whether [`Wal::close`] was called.
    pub(crate) fn is_closed(&self) -> bool {
        self.head.lock().closed
    }

    /// The number of the file that is written to.
    pub(crate) fn file_number(&self) -> u64 {
        self.file.lock().number
    }
}
