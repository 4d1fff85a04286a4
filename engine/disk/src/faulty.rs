//! A disk that fails a chosen operation.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::{Disk, DiskFile, DiskLock, Mapped};

/// `EIO` and `ENOSPC` as every Unix numbers them.
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// A sync, of a file or a folder, is an input or output error. Nothing may be assumed of what
    /// was not synced; later syncs succeed.
    Sync,
    /// The disk is full: of a write only the front half is there; nothing new can be created.
    NoSpace,
    /// Of a write only the front half is there, and an input or output error.
    ShortWrite,
    /// A read is an input or output error. Reads are counted apart from all else.
    Read,
}

impl FailureKind {
    fn error(self) -> io::Error {
        io::Error::from_raw_os_error(if self == Self::NoSpace { ENOSPC } else { EIO })
    }
}

/// Which operation fails, how, and whether those after it fail too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// How it fails.
    pub kind: FailureKind,
    /// The number of the operation, from 1; see [`FaultyDisk::operations`]. One that cannot fail
    /// in this way succeeds.
    pub at: u64,
    /// Whether every later operation that can fail in this way fails, too.
    pub stays: bool,
}

type Forget = dyn Fn(&str) + Send + Sync;

struct Shared {
    disk: Arc<dyn Disk>,
    failure: Option<Failure>,
    operations: AtomicU64,
    reads: AtomicU64,
    fired: AtomicBool,
    is_mended: AtomicBool,
    on_failed_sync: Box<Forget>,
}

/// Another disk, one of whose operations fails. Cloning gives another handle to the same one.
#[derive(Clone)]
pub struct FaultyDisk {
    shared: Arc<Shared>,
}

/// What an operation is, as far as failing goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Sync,
    Write,
    Create,
    Other,
}

impl Shared {
    fn is_due(&self, kind: FailureKind, number: u64) -> bool {
        let due = self.failure.is_some_and(|failure| {
            failure.kind == kind && (failure.at == number || (failure.stays && failure.at < number))
        });
        let due = due && !self.is_mended.load(Ordering::SeqCst);
        if due {
            self.fired.store(true, Ordering::SeqCst);
        }
        due
    }

    /// Counts an operation, and says how it fails, where it does.
    fn count(&self, operation: Operation) -> Option<FailureKind> {
        let number = self.operations.fetch_add(1, Ordering::SeqCst) + 1;
        let kinds: &[FailureKind] = match operation {
            Operation::Sync => &[FailureKind::Sync],
            Operation::Write => &[FailureKind::NoSpace, FailureKind::ShortWrite],
            Operation::Create => &[FailureKind::NoSpace],
            Operation::Other => &[],
        };
        kinds.iter().copied().find(|kind| self.is_due(*kind, number))
    }

    fn check(&self, operation: Operation) -> io::Result<()> {
        self.count(operation).map_or(Ok(()), |kind| Err(kind.error()))
    }

    fn read(&self) -> io::Result<()> {
        let number = self.reads.fetch_add(1, Ordering::SeqCst) + 1;
        if self.is_due(FailureKind::Read, number) {
            return Err(FailureKind::Read.error());
        }
        Ok(())
    }
}

impl FaultyDisk {
    /// A disk that fails as said; `None` only counts.
    pub fn new(disk: Arc<dyn Disk>, failure: Option<Failure>) -> Self {
        Self::with_failed_sync(disk, failure, |_| {})
    }

    /// The same; `forget` is called with the path of each file whose sync fails, so that a
    /// simulated disk can lose what was not synced ([`crate::SimDisk::forget_unsynced`]).
    pub fn with_failed_sync(
        disk: Arc<dyn Disk>,
        failure: Option<Failure>,
        forget: impl Fn(&str) + Send + Sync + 'static,
    ) -> Self {
        let shared = Shared {
            disk,
            failure,
            operations: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            fired: AtomicBool::new(false),
            is_mended: AtomicBool::new(false),
            on_failed_sync: Box::new(forget),
        };
        Self { shared: Arc::new(shared) }
    }

    /// How many operations changed something so far, failed ones included.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.shared.operations.load(Ordering::SeqCst)
    }

    /// How many reads there were so far, failed ones included.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.shared.reads.load(Ordering::SeqCst)
    }

    /// Whether something failed already.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.shared.fired.load(Ordering::SeqCst)
    }

    /// Fails nothing any more.
    pub fn mend(&self) {
        self.shared.is_mended.store(true, Ordering::SeqCst);
    }

    fn file(&self, path: &str, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(FaultyFile { shared: Arc::clone(&self.shared), path: path.to_owned(), file })
    }

    fn create(&self, path: &str) -> io::Result<()> {
        match self.shared.disk.exists(path)? {
            true => Ok(()),
            false => self.shared.check(Operation::Create),
        }
    }
}

struct FaultyFile {
    shared: Arc<Shared>,
    path: String,
    file: Box<dyn DiskFile>,
}

fn front(bytes: &[u8]) -> &[u8] {
    bytes.get(..bytes.len() / 2).unwrap_or_default()
}

impl DiskFile for FaultyFile {
    fn append(&self, bytes: &[u8]) -> io::Result<u64> {
        if let Some(kind) = self.shared.count(Operation::Write) {
            self.file.append(front(bytes))?;
            return Err(kind.error());
        }
        self.file.append(bytes)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if let Some(kind) = self.shared.count(Operation::Write) {
            self.file.write_at(offset, front(bytes))?;
            return Err(kind.error());
        }
        self.file.write_at(offset, bytes)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.shared.read()?;
        self.file.read_at(offset, buffer)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let grows = len > self.file.len()?;
        self.shared.check(if grows { Operation::Create } else { Operation::Other })?;
        self.file.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        if let Some(kind) = self.shared.count(Operation::Sync) {
            (self.shared.on_failed_sync)(&self.path);
            return Err(kind.error());
        }
        self.file.sync()
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        self.create(path)?;
        Ok(self.file(path, self.shared.disk.open(path)?))
    }

    fn open_private(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        self.create(path)?;
        Ok(self.file(path, self.shared.disk.open_private(path)?))
    }

    fn is_private(&self, path: &str) -> io::Result<bool> {
        self.shared.disk.is_private(path)
    }

    fn open_read(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        self.shared.read()?;
        Ok(self.file(path, self.shared.disk.open_read(path)?))
    }

    fn map(&self, path: &str) -> io::Result<Mapped> {
        self.shared.read()?;
        self.shared.disk.map(path)
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        self.shared.disk.exists(path)
    }

    fn len(&self, path: &str) -> io::Result<u64> {
        self.shared.disk.len(path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.shared.check(Operation::Create)?;
        self.shared.disk.rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.shared.check(Operation::Other)?;
        self.shared.disk.remove(path)
    }

    fn create_dir_all(&self, path: &str) -> io::Result<()> {
        self.create(path)?;
        self.shared.disk.create_dir_all(path)
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        self.shared.check(Operation::Other)?;
        self.shared.disk.remove_dir(path)
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.shared.read()?;
        self.shared.disk.list(path)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.shared.check(Operation::Sync)?;
        self.shared.disk.sync_dir(path)
    }

    fn lock(&self, path: &str) -> io::Result<Box<dyn DiskLock>> {
        self.shared.disk.lock(path)
    }

    fn describe(&self, path: &str) -> String {
        self.shared.disk.describe(path)
    }
}
