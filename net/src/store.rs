//! The fragments that a storage peer keeps, on its disk.
//!
//! Each fragment is a file of its own, with the pack's header in front; an empty file beside it for each
//! owner says since which height it is kept for him. So the folder is the whole truth: what is there is
//! read off the names, without opening files, and damage to one file is damage to one fragment. The format:
//! `docs/format/fragment-store.md`.
//!
//! These hold always:
//!
//! 1. What [`FragmentStore::keep`] acknowledged is there after a power cut, in every byte. What it did
//!    not is there whole or not at all, once the store is opened again.
//! 2. Bytes that do not lead to the root in their pack's header are never given out. They are moved to a
//!    folder of bounded size, and named once.
//! 3. What is taken on disk, writes that are under way included, stays below the quota.
//!
//! All methods take `&self`. Reads go on beside each other and beside writes, of the same fragment as
//! well; writes of one pack, and of the packs that share one of 64 locks with it, wait for each other.
//! The index in memory has a lock that no I/O is done under, and about 120 bytes for each fragment.

mod error;
mod file;
mod index;
mod keep;
mod name;
mod open;
mod read;
mod records;
mod scrub;
mod serve;

use std::array;
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_chain::ledger::Fragment;
use chronolith_disk::{Disk, DiskLock};

pub use error::{Damage, DamageKind, RecordDamage, StoreError};
use index::Index;
pub use index::KeptFragment;
pub use keep::Keeping;
use name::{DAMAGED, FRAGMENTS};
pub use open::Found;
use open::{Aside, Survey, survey};
pub use records::{Consent, RECORDS_MAX, Records};
pub use scrub::Scrubbed;
pub use serve::serve;

/// The file that is locked while a store is open.
const LOCK: &str = "LOCK";
/// How many locks the packs share.
const STRIPES: usize = 64;
/// For how many owners a fragment may be kept: each takes a name on the disk and no quota.
pub const OWNERS_MAX: usize = 64;
/// How many damaged files lie aside at most, and how many bytes they have. They are not of the quota.
pub const ASIDE_FILES_MAX: u64 = 64;
/// See [`ASIDE_FILES_MAX`].
pub const ASIDE_BYTES_MAX: u64 = 64 << 20;
/// How many damages wait at most to be told.
const DAMAGES_MAX: usize = 4_096;

/// Damages that nobody took yet, and how many there were.
#[derive(Default)]
struct Damages {
    waiting: VecDeque<Damage>,
    total: u64,
}

/// The fragments that a storage peer keeps. See [the module](self).
pub struct FragmentStore {
    disk: Arc<dyn Disk>,
    quota_bytes: u64,
    index: RwLock<Index>,
    /// Held while files of a pack are written, renamed or removed.
    stripes: [Mutex<()>; STRIPES],
    /// The folders that are there after a power cut.
    shards: Mutex<BTreeSet<u8>>,
    /// The folders whose last sync failed.
    unsynced: Mutex<BTreeSet<u8>>,
    aside: Mutex<Aside>,
    damages: Mutex<Damages>,
    records: Records,
    found: Found,
    _lock: Box<dyn DiskLock>,
}

/// Locks. Nothing that is locked here is left half-changed by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FragmentStore {
    /// Opens the store in a folder of its own, which may be empty, and locks it. Reads names only: the
    /// content of fragments is checked whenever it is read, and by [`FragmentStore::scrub`]. A store
    /// that has more than its quota opens, and takes nothing.
    ///
    /// # Errors
    /// A disk that fails, or a folder that another store has open.
    pub fn open(disk: Arc<dyn Disk>, quota_bytes: u64) -> Result<Self, StoreError> {
        use error::DiskContext as _;
        let locked = match disk.lock(LOCK) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(StoreError::Locked { place: disk.describe(LOCK) });
            }
            locked => locked.at(&*disk, "lock", LOCK)?,
        };
        for folder in [FRAGMENTS, DAMAGED].into_iter().chain(Records::FOLDERS) {
            disk.create_dir_all(folder).at(&*disk, "create", folder)?;
        }
        disk.sync_dir("").at(&*disk, "sync", "")?;
        let Survey { index, shards, mut found } = survey(&*disk)?;
        let aside = Aside::of(&*disk)?;
        let (records, of_records) = Records::open(Arc::clone(&disk))?;
        found.damaged = aside.files;
        found.unfinished += of_records.unfinished;
        found.foreign += of_records.foreign;
        Ok(Self {
            disk,
            quota_bytes,
            index: RwLock::new(index),
            stripes: array::from_fn(|_| Mutex::new(())),
            shards: Mutex::new(shards),
            unsynced: Mutex::default(),
            aside: Mutex::new(aside),
            damages: Mutex::default(),
            records,
            found,
            _lock: locked,
        })
    }

    /// What was there when it was opened.
    #[must_use]
    pub const fn found(&self) -> &Found {
        &self.found
    }

    /// The role's records.
    #[must_use]
    pub const fn records(&self) -> &Records {
        &self.records
    }

    /// How many bytes may be taken on disk.
    #[must_use]
    pub const fn quota_bytes(&self) -> u64 {
        self.quota_bytes
    }

    /// How many bytes are taken on disk by fragments, each file counted in whole blocks of 4 KiB and
    /// once, however many owners it has. Damaged files and records are not counted.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.index().used_bytes()
    }

    /// How many different fragments are kept.
    #[must_use]
    pub fn fragments(&self) -> u64 {
        self.index().fragments()
    }

    /// Everything that is kept, for whom, since when: by pack, index and owner. What comes and goes
    /// meanwhile may be seen or not.
    pub fn kept(&self) -> impl Iterator<Item = KeptFragment> + '_ {
        let mut last = None;
        std::iter::from_fn(move || {
            let next = self.index().after(last);
            last = next.map(|kept| (kept.fragment, kept.owner));
            next
        })
    }

    /// For whom fragments of a pack are kept, and since when.
    #[must_use]
    pub fn kept_of(&self, pack: ContentId) -> Vec<KeptFragment> {
        self.index().of_pack(pack).collect()
    }

    /// Whether a fragment is kept for an owner, and since when.
    #[must_use]
    pub fn kept_for(&self, owner: Address, pack: ContentId, index: u8) -> Option<KeptFragment> {
        self.index().get(Fragment { pack, index }, owner)
    }

    /// How many fragments were found damaged since the store was opened.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        lock(&self.damages).total
    }

    /// The fragments that were found damaged since this was asked last, oldest first; of very many,
    /// the newest. They are not held any more, and are to be fetched again or reported.
    #[must_use]
    pub fn take_damaged(&self) -> Vec<Damage> {
        std::mem::take(&mut lock(&self.damages).waiting).into()
    }

    fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock of a pack.
    fn writing(&self, pack: &ContentId) -> MutexGuard<'_, ()> {
        let [.., last] = pack.digest();
        let [first, ..] = &self.stripes;
        lock(self.stripes.get(usize::from(*last) % STRIPES).unwrap_or(first))
    }
}
