//! Keeping fragments, and no longer keeping them.

use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_chain::ledger::Fragment;

use super::error::{DiskContext as _, StoreError};
use super::file;
use super::index::{self, KeptFragment};
use super::name::{FRAGMENTS, Name, folder, shard};
use super::{FragmentStore, OWNERS_MAX, lock};
use crate::pack::PackHeader;
use crate::stored::StoredFragment;

/// What became of a fragment that was handed to the store. It is on disk in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// It was not here before.
    New,
    /// It was here for another owner.
    Shared,
    /// It was here for this owner, and is kept since the height at which it came first.
    Already,
}

/// What a write puts where.
struct Write<'a> {
    fragment: Fragment,
    /// The length of the file.
    bytes: u32,
    /// The file, where it is to be written.
    content: Option<&'a [u8]>,
    /// Whether nothing is there of the fragment.
    is_new: bool,
    /// The owner that is new.
    owner: Option<(Address, u64)>,
}

impl FragmentStore {
    /// Keeps a fragment for an owner, at a height of the chain. Every byte is checked. When this
    /// returns, it is there after a power cut; after an error it is not kept, or may be found whole
    /// by the next opening.
    ///
    /// A fragment that is here is read again, and written anew where it is damaged.
    ///
    /// # Errors
    /// A fragment that is not the header's, too little room, or a disk that fails.
    pub fn keep(
        &self,
        owner: Address,
        height: u64,
        header: &PackHeader,
        fragment: &StoredFragment,
    ) -> Result<Keeping, StoreError> {
        let named = Fragment { pack: fragment.pack, index: fragment.fragment.index };
        let of_header = header.content_id();
        if of_header != named.pack {
            return Err(StoreError::OtherPack { header: of_header, fragment: named.pack });
        }
        let refused = |fault| StoreError::Refused { fragment: named, fault };
        fragment.check(header).map_err(refused)?;
        let content = file::write(header, fragment);
        let bytes = content.len() as u32;

        let _writing = self.writing(&named.pack);
        let (known, owners) = {
            let index = self.index();
            (index.get(named, owner).is_some(), index.owners(named).count())
        };
        if !known && owners >= OWNERS_MAX {
            return Err(StoreError::TooManyOwners { fragment: named, most: OWNERS_MAX });
        }
        let is_new = owners == 0;
        let is_whole = !is_new && self.is_whole(named);
        if known && is_whole {
            return Ok(Keeping::Already);
        }
        if is_new {
            self.index_mut().reserve(bytes.into(), self.quota_bytes)?;
        }
        let write = Write {
            fragment: named,
            bytes,
            content: (!is_whole).then_some(content.as_slice()),
            is_new,
            owner: (!known).then_some((owner, height)),
        };
        let written = self.write(&write);
        let mut index = self.index_mut();
        if is_new {
            index.release(bytes.into());
        }
        written?;
        index.add(KeptFragment { fragment: named, owner, height, bytes });
        Ok(match (is_new, known) {
            (true, _) => Keeping::New,
            (false, false) => Keeping::Shared,
            (false, true) => Keeping::Already,
        })
    }

    /// What a fragment of a pack takes of the quota: the bytes of its file, in whole blocks of 4 KiB.
    #[must_use]
    pub fn disk_bytes(header: &PackHeader, fragment: &StoredFragment) -> u64 {
        index::disk_bytes(file::write(header, fragment).len() as u64)
    }

    /// Ends keeping a fragment for an owner; its bytes go with the last one. Whether it was kept.
    ///
    /// # Errors
    /// A disk that fails: the fragment may be back after a power cut, whole.
    pub fn remove(&self, owner: Address, pack: ContentId, index: u8) -> Result<bool, StoreError> {
        let _writing = self.writing(&pack);
        let kept = self.index().get(Fragment { pack, index }, owner);
        let kept: Vec<KeptFragment> = kept.into_iter().collect();
        self.remove_all(&pack, &kept)?;
        Ok(!kept.is_empty())
    }

    /// Ends keeping all fragments of a pack for an owner; how many they were.
    ///
    /// # Errors
    /// As [`FragmentStore::remove`].
    pub fn remove_pack(&self, owner: Address, pack: ContentId) -> Result<usize, StoreError> {
        let _writing = self.writing(&pack);
        let kept: Vec<KeptFragment> =
            self.index().of_pack(pack).filter(|kept| kept.owner == owner).collect();
        self.remove_all(&pack, &kept)?;
        Ok(kept.len())
    }

    fn remove_all(&self, pack: &ContentId, all: &[KeptFragment]) -> Result<(), StoreError> {
        // Of one that was removed before, the folder may still be to be synced.
        if all.is_empty() && !lock(&self.unsynced).contains(&shard(pack)) {
            return Ok(());
        }
        for kept in all {
            let KeptFragment { fragment, owner, height, bytes } = *kept;
            if self.index().owners(fragment).count() == 1 {
                self.remove_file(&Name::Fragment(fragment, bytes))?;
            }
            self.index_mut().remove(fragment, owner);
            self.remove_file(&Name::Owner(fragment, owner, height))?;
        }
        self.sync_folder(shard(pack))
    }

    /// Makes the names in a folder durable.
    pub(super) fn sync_folder(&self, number: u8) -> Result<(), StoreError> {
        let path = folder(number);
        let synced = self.disk.sync_dir(&path).at(&*self.disk, "sync", &path);
        let mut unsynced = lock(&self.unsynced);
        if synced.is_ok() {
            unsynced.remove(&number)
        } else {
            unsynced.insert(number)
        };
        synced
    }

    /// Removes a file that may be gone.
    pub(super) fn remove_file(&self, name: &Name) -> Result<(), StoreError> {
        let path = name.path();
        match self.disk.remove(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => removed.at(&*self.disk, "remove", &path),
        }
    }

    /// Writes, or leaves things as they were.
    fn write(&self, write: &Write<'_>) -> Result<(), StoreError> {
        let Write { fragment, bytes, content, is_new, owner } = *write;
        self.make_folder(shard(&fragment.pack))?;
        let (new, last) = (Name::New(fragment), Name::Fragment(fragment, bytes));
        let owner = owner.map(|(owner, height)| Name::Owner(fragment, owner, height));
        let written = self.write_all(&new, &last, content, owner);
        if written.is_err() {
            // What cannot be removed now is removed by the next opening.
            let _ = self.remove_file(&new);
            if is_new {
                let _ = self.remove_file(&last);
            }
            if let Some(owner) = owner {
                let _ = self.remove_file(&owner);
            }
            let _ = self.sync_folder(shard(&fragment.pack));
        }
        written
    }

    /// The content is durable before it has its name, and both names are before this returns.
    fn write_all(
        &self,
        new: &Name,
        last: &Name,
        content: Option<&[u8]>,
        owner: Option<Name>,
    ) -> Result<(), StoreError> {
        let disk = &*self.disk;
        if let Some(content) = content {
            let path = new.path();
            let file = disk.open(&path).at(disk, "create", &path)?;
            file.set_len(0).at(disk, "empty", &path)?;
            file.append(content).at(disk, "write", &path)?;
            file.sync().at(disk, "sync", &path)?;
        }
        if let Some(owner) = owner {
            let path = owner.path();
            disk.open(&path).at(disk, "create", &path)?;
        }
        if content.is_some() {
            let path = last.path();
            disk.rename(&new.path(), &path).at(disk, "rename to", &path)?;
        }
        self.sync_folder(shard(&last.fragment().pack))
    }

    /// Makes a folder that is there after a power cut.
    fn make_folder(&self, number: u8) -> Result<(), StoreError> {
        let mut shards = lock(&self.shards);
        if shards.contains(&number) {
            return Ok(());
        }
        let (disk, path) = (&*self.disk, folder(number));
        disk.create_dir_all(&path).at(disk, "create", &path)?;
        disk.sync_dir(FRAGMENTS).at(disk, "sync", FRAGMENTS)?;
        shards.insert(number);
        Ok(())
    }
}
