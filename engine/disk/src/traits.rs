//! The [`Disk`] trait: what the engine asks of storage, and what it may rely on.

use std::io;

use crate::Mapped;

/// A file that is open for reading and writing.
///
/// Offsets and lengths are bytes. Every method may be called from several threads.
#[expect(clippy::len_without_is_empty, reason = "nobody asks whether a file is empty")]
pub trait DiskFile: Send + Sync {
    /// Writes all of `bytes` at the end of the file, and returns the offset they begin at.
    ///
    /// After an error the file may hold any part of `bytes`.
    fn append(&self, bytes: &[u8]) -> io::Result<u64>;

    /// Writes all of `bytes` at `offset`, growing the file where needed.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Fills `buffer` from `offset`; a file that ends before is an `UnexpectedEof`.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// The length of the file in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Cuts or grows (with zeros) the file to `len` bytes.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Returns when the content and the length are on stable storage (`fdatasync`).
    ///
    /// After an error nothing may be assumed of what was written since the last success.
    fn sync(&self) -> io::Result<()>;
}

/// Keeps a lock file locked until it is dropped.
pub trait DiskLock: Send + Sync {}

/// One directory of files. A name that a call creates, renames or removes is durable only after
/// [`Disk::sync_dir`] of its folder; the content of a file only after [`DiskFile::sync`].
pub trait Disk: Send + Sync {
    /// Creates a file, or opens it where it exists, for reading and writing.
    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Like [`Disk::open`], for a file that only the owner may read.
    fn open_private(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        self.open(path)
    }

    /// Whether only the owner may read and write a file; a disk without owners says yes.
    fn is_private(&self, path: &str) -> io::Result<bool> {
        self.len(path).map(|_| true)
    }

    /// Opens an existing file for reading only.
    fn open_read(&self, path: &str) -> io::Result<Box<dyn DiskFile>>;

    /// The whole content of a file that nobody will change any more, without copying where the
    /// disk can map it. The mapping stays valid after the file is removed.
    fn map(&self, path: &str) -> io::Result<Mapped>;

    /// Whether a file or folder of that name exists.
    fn exists(&self, path: &str) -> io::Result<bool>;

    /// The length of a file in bytes.
    fn len(&self, path: &str) -> io::Result<u64>;

    /// Gives a file another name, replacing what had that name, as one step.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Creates a folder and all folders above it.
    fn create_dir_all(&self, path: &str) -> io::Result<()>;

    /// Removes an empty folder.
    fn remove_dir(&self, path: &str) -> io::Result<()>;

    /// The names in a folder, sorted; folders end in `/`. `""` is the root. A folder that does
    /// not exist is a `NotFound`.
    fn list(&self, path: &str) -> io::Result<Vec<String>>;

    /// Makes the names in a folder durable.
    fn sync_dir(&self, path: &str) -> io::Result<()>;

    /// Locks the file `path` (created where needed) against every other process and every other
    /// opener in this one; `WouldBlock` where it is locked.
    fn lock(&self, path: &str) -> io::Result<Box<dyn DiskLock>>;

    /// Where a person finds `path`, for messages.
    fn describe(&self, path: &str) -> String;
}

/// Reads a whole file into memory. Only for files whose length the caller trusts or has checked.
pub fn read_all(disk: &dyn Disk, path: &str) -> io::Result<Vec<u8>> {
    let file = disk.open_read(path)?;
    let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    file.read_at(0, &mut bytes)?;
    Ok(bytes)
}
