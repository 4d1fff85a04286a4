//! A directory of the operating system.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Disk, DiskFile, DiskLock, Mapped};

/// A [`Disk`] that is a directory.
#[derive(Debug, Clone)]
pub struct RealDisk {
    root: PathBuf,
}

impl RealDisk {
    /// The directory `root`, which is created where it does not exist.
    pub fn create(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        fs::create_dir_all(&root)?;
        Ok(Self { root })
    }

    /// The existing directory `root`; `NotFound` where there is none.
    pub fn existing(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        if !fs::metadata(&root)?.is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "not a directory"));
        }
        Ok(Self { root })
    }

    /// The directory in the file system.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

struct RealFile {
    file: File,
    end: AtomicU64,
}

impl RealFile {
    fn new(file: File) -> io::Result<Self> {
        let end = AtomicU64::new(file.metadata()?.len());
        Ok(Self { file, end })
    }
}

impl DiskFile for RealFile {
    fn append(&self, bytes: &[u8]) -> io::Result<u64> {
        let size = bytes.len() as u64;
        let offset = self.end.fetch_add(size, Ordering::SeqCst);
        self.file.write_all_at(bytes, offset)?;
        Ok(offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)?;
        self.end.fetch_max(offset + bytes.len() as u64, Ordering::SeqCst);
        Ok(())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.end.store(len, Ordering::SeqCst);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Holds the file open; the lock ends when this is dropped, or when the process is killed.
struct RealLock(File);

impl DiskLock for RealLock {}

impl Drop for RealLock {
    /// Closing alone would not end it: a process that is being started has all open files, too, until it becomes
    /// its program.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

impl Disk for RealDisk {
    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        Ok(Box::new(RealFile::new(options.open(self.at(path))?)?))
    }

    fn open_private(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        Ok(Box::new(RealFile::new(options.open(self.at(path))?)?))
    }

    fn is_private(&self, path: &str) -> io::Result<bool> {
        Ok(fs::metadata(self.at(path))?.permissions().mode() & 0o077 == 0)
    }

    fn open_read(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(RealFile::new(File::open(self.at(path))?)?))
    }

    fn map(&self, path: &str) -> io::Result<Mapped> {
        Mapped::map(&File::open(self.at(path))?)
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        self.at(path).try_exists()
    }

    fn len(&self, path: &str) -> io::Result<u64> {
        Ok(fs::metadata(self.at(path))?.len())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.at(from), self.at(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.at(path))
    }

    fn create_dir_all(&self, path: &str) -> io::Result<()> {
        fs::create_dir_all(self.at(path))
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        fs::remove_dir(self.at(path))
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.at(path))? {
            let entry = entry?;
            let mut name = entry.file_name().into_string().map_err(|name| {
                io::Error::other(format!("a file name that is not UTF-8: {}", name.display()))
            })?;
            if entry.file_type()?.is_dir() {
                name.push('/');
            }
            names.push(name);
        }
        names.sort_unstable();
        Ok(names)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        File::open(self.at(path))?.sync_all()
    }

    fn lock(&self, path: &str) -> io::Result<Box<dyn DiskLock>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(self.at(path))?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(RealLock(file))),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn describe(&self, path: &str) -> String {
        self.at(path).display().to_string()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    /// Symptom: a database that was closed and opened again at once was said to be in use. Cause: another thread
    /// was starting a process, which had the lock's file open for a moment, too.
    #[test]
    fn a_lock_ends_although_a_process_that_is_started_has_its_file() {
        let folder = std::env::temp_dir().join(format!("chronolith-lock-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let place = folder.join("lock");
        let file = File::create(&place).unwrap();
        file.try_lock().unwrap();
        let inherited = file.try_clone().unwrap();
        let disk = RealDisk::existing(&folder).unwrap();
        let held = disk.lock("lock").map(drop);
        assert_eq!(held.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(RealLock(file));
        drop(disk.lock("lock").unwrap());
        drop(inherited);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
