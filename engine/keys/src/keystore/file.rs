//! A keystore on a disk.
//!
//! Invariants:
//! - Only its owner may read the file, or it is not opened.
//! - The file is one whole keystore at any time: a change is written beside it, synced, renamed over it,
//!   and the folder is synced. What is in memory is what was written last.
//! - One opener at a time: nobody writes back what another one destroyed.

use std::io;
use std::sync::Arc;

use chronolith_disk::{Disk, DiskLock, read_all};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{KEYSTORE_BYTES_MAX, Keystore, KeystoreError, Unlock};

/// A keystore in a file.
///
/// Every change is on the disk when it returns. The old file is gone then, as far as a file system lets
/// go of anything: its blocks may be there until they are used again, and so may older backups.
pub struct KeystoreFile {
    disk: Arc<dyn Disk>,
    path: String,
    keystore: Keystore,
    _lock: Box<dyn DiskLock>,
}

/// Why a keystore's file cannot be made, opened or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeystoreFileError {
    /// There is a file already.
    #[error(
        "{place} exists already: put the new keystore elsewhere; where no database names this one in its \
         keys.toml, because making it was interrupted, nothing is sealed under it, and it can be removed"
    )]
    Exists {
        /// The file.
        place: String,
    },
    /// There is no file.
    #[error("{place} does not exist: make a keystore, or put it back from a backup")]
    Missing {
        /// The file.
        place: String,
    },
    /// Somebody else has it open.
    #[error("{place} is open in another process, or in this one already")]
    Locked {
        /// The file.
        place: String,
    },
    /// Others may read it.
    #[error(
        "others may read {place}: take their rights away (chmod 600), and think of its keys as known"
    )]
    NotPrivate {
        /// The file.
        place: String,
    },
    /// What is in it, or is to be changed, is refused.
    #[error("{place}: {source}")]
    Keystore {
        /// The file.
        place: String,
        /// Why.
        source: KeystoreError,
    },
    /// The disk failed.
    #[error("cannot {action} {place}")]
    Disk {
        /// What was tried.
        action: &'static str,
        /// The file.
        place: String,
        /// Why it failed.
        source: io::Error,
    },
}

impl KeystoreFile {
    /// Writes a keystore into a new file; its folder exists.
    ///
    /// # Errors
    /// Where there is a file, somebody else makes one, or the disk fails.
    pub fn create(
        disk: Arc<dyn Disk>,
        path: &str,
        keystore: Keystore,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, KeystoreFileError> {
        let lock = lock(&*disk, path)?;
        if exists(&*disk, path)? {
            return Err(KeystoreFileError::Exists { place: disk.describe(path) });
        }
        write(&*disk, path, &keystore, rng)?;
        Ok(Self { disk, path: path.to_owned(), keystore, _lock: lock })
    }

    /// Opens a file.
    ///
    /// # Errors
    /// Where there is none, somebody else has it open, others may read it, or it does not open.
    pub fn open(
        disk: Arc<dyn Disk>,
        path: &str,
        unlock: Unlock<'_>,
    ) -> Result<Self, KeystoreFileError> {
        if !exists(&*disk, path)? {
            return Err(KeystoreFileError::Missing { place: disk.describe(path) });
        }
        let lock = lock(&*disk, path)?;
        // What a power cut left of a change that nobody was told of.
        remove_unfinished(&*disk, path)?;
        let keystore = Self::read(&*disk, path, unlock)?;
        Ok(Self { path: path.to_owned(), keystore, _lock: lock, disk })
    }

    /// What is in a file now, which somebody else may have open.
    ///
    /// # Errors
    /// Where there is none, others may read it, or it does not open.
    pub fn read(
        disk: &dyn Disk,
        path: &str,
        unlock: Unlock<'_>,
    ) -> Result<Keystore, KeystoreFileError> {
        let place = || disk.describe(path);
        let failed = |action| move |source| disk_error(disk, action, path, source);
        if !exists(disk, path)? {
            return Err(KeystoreFileError::Missing { place: place() });
        }
        if !disk.is_private(path).map_err(failed("look at the rights of"))? {
            return Err(KeystoreFileError::NotPrivate { place: place() });
        }
        let refused = |source| KeystoreFileError::Keystore { place: place(), source };
        // Bounded before there is room for it.
        let size = disk.len(path).map_err(failed("read"))?;
        if size > KEYSTORE_BYTES_MAX as u64 {
            let found = usize::try_from(size).unwrap_or(usize::MAX);
            return Err(refused(KeystoreError::TooLarge { found }));
        }
        let bytes = Zeroizing::new(read_all(disk, path).map_err(failed("read"))?);
        Keystore::from_bytes(&bytes, unlock).map_err(refused)
    }

    /// What is in it.
    #[must_use]
    pub fn keystore(&self) -> &Keystore {
        &self.keystore
    }

    /// Changes the keystore and writes it: several changes in one go cost one write.
    ///
    /// # Errors
    /// Where the change is refused or the disk fails. Then what is in memory is what it was before; on
    /// the disk is that or, where the disk failed at the very end, the change.
    pub fn change<T>(
        &mut self,
        rng: &mut impl CryptoRng,
        change: impl FnOnce(&mut Keystore) -> Result<T, KeystoreError>,
    ) -> Result<T, KeystoreFileError> {
        let mut changed = self.keystore.clone();
        let place = || self.disk.describe(&self.path);
        let done = change(&mut changed)
            .map_err(|source| KeystoreFileError::Keystore { place: place(), source })?;
        write(&*self.disk, &self.path, &changed, rng)?;
        self.keystore = changed;
        Ok(done)
    }
}

impl std::fmt::Debug for KeystoreFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeystoreFile")
            .field("place", &self.disk.describe(&self.path))
            .field("keystore", &self.keystore)
            .finish_non_exhaustive()
    }
}

fn disk_error(
    disk: &dyn Disk,
    action: &'static str,
    path: &str,
    source: io::Error,
) -> KeystoreFileError {
    KeystoreFileError::Disk { action, place: disk.describe(path), source }
}

fn exists(disk: &dyn Disk, path: &str) -> Result<bool, KeystoreFileError> {
    disk.exists(path).map_err(|source| disk_error(disk, "look for", path, source))
}

fn lock(disk: &dyn Disk, path: &str) -> Result<Box<dyn DiskLock>, KeystoreFileError> {
    disk.lock(&format!("{path}.lock")).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => KeystoreFileError::Locked { place: disk.describe(path) },
        _ => disk_error(disk, "lock", path, source),
    })
}

fn unfinished(path: &str) -> String {
    format!("{path}.new")
}

fn remove_unfinished(disk: &dyn Disk, path: &str) -> Result<(), KeystoreFileError> {
    let unfinished = unfinished(path);
    if exists(disk, &unfinished)? {
        let removed = disk.remove(&unfinished);
        removed.map_err(|source| disk_error(disk, "remove", &unfinished, source))?;
    }
    Ok(())
}

fn write(
    disk: &dyn Disk,
    path: &str,
    keystore: &Keystore,
    rng: &mut impl CryptoRng,
) -> Result<(), KeystoreFileError> {
    let refused = |source| KeystoreFileError::Keystore { place: disk.describe(path), source };
    let bytes = keystore.to_bytes(rng).map_err(refused)?;
    // A new one is sure to be readable for its owner only, whoever made what was left there.
    remove_unfinished(disk, path)?;
    let unfinished = unfinished(path);
    let failed = |action| {
        let unfinished = &unfinished;
        move |source| disk_error(disk, action, unfinished, source)
    };
    let file = disk.open_private(&unfinished).map_err(failed("create"))?;
    file.append(&bytes).map_err(failed("write"))?;
    file.sync().map_err(failed("sync"))?;
    drop(file);
    disk.rename(&unfinished, path).map_err(failed("rename"))?;
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    disk.sync_dir(folder).map_err(|source| disk_error(disk, "sync the folder of", path, source))
}
