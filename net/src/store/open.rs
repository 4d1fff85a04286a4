//! Finding what is there: by names alone, whatever their number.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_chain::ledger::Fragment;
use chronolith_disk::Disk;

use super::error::{DiskContext as _, StoreError};
use super::index::{Index, KeptFragment};
use super::name::{DAMAGED, FRAGMENTS, Name, folder, shard, shard_of};

/// What was there when the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Found {
    /// How many different fragments.
    pub fragments: u64,
    /// How many owners they are kept for, each counted once for each of its fragments.
    pub owners: u64,
    /// The bytes that they take on disk.
    pub used_bytes: u64,
    /// How many files were removed because their writing or removal was never finished.
    pub unfinished: u64,
    /// How many files and folders are not the store's, and were left alone.
    pub foreign: u64,
    /// How many damaged fragments lie aside.
    pub damaged: u64,
}

/// What is there, and in which folders.
pub(super) struct Survey {
    pub(super) index: Index,
    pub(super) shards: BTreeSet<u8>,
    pub(super) found: Found,
}

/// Looks through all folders, and removes what was never finished. Afterwards every name that was
/// found is durable: a process that was killed may have left some that were not.
pub(super) fn survey(disk: &dyn Disk) -> Result<Survey, StoreError> {
    let mut survey =
        Survey { index: Index::default(), shards: BTreeSet::new(), found: Found::default() };
    for listed in disk.list(FRAGMENTS).at(disk, "list", FRAGMENTS)? {
        match shard_of(&listed) {
            Some(shard) => survey.look_through(disk, shard)?,
            None => survey.found.foreign += 1,
        }
    }
    disk.sync_dir(FRAGMENTS).at(disk, "sync", FRAGMENTS)?;
    survey.found.fragments = survey.index.fragments();
    survey.found.used_bytes = survey.index.used_bytes();
    Ok(survey)
}

impl Survey {
    fn look_through(&mut self, disk: &dyn Disk, number: u8) -> Result<(), StoreError> {
        let path = folder(number);
        let mut files: BTreeMap<(ContentId, u8), u32> = BTreeMap::new();
        let mut owners: BTreeMap<(ContentId, u8, Address), u64> = BTreeMap::new();
        let mut unfinished = Vec::new();
        for listed in disk.list(&path).at(disk, "list", &path)? {
            let name = Name::parse(&listed).filter(|name| shard(&name.fragment().pack) == number);
            match name {
                Some(Name::Fragment(Fragment { pack, index }, bytes)) => {
                    match files.entry((pack, index)) {
                        // Of one length there is one; the other is not the store's.
                        Entry::Occupied(_) => self.found.foreign += 1,
                        Entry::Vacant(entry) => {
                            entry.insert(bytes);
                        }
                    }
                }
                Some(name @ Name::Owner(fragment, owner, height)) => {
                    let key = (fragment.pack, fragment.index, owner);
                    // Two remain where a failed write could not be taken back: the later counts.
                    match owners.get(&key).copied() {
                        Some(other) if other >= height => unfinished.push(name),
                        Some(other) => {
                            unfinished.push(Name::Owner(fragment, owner, other));
                            owners.insert(key, height);
                        }
                        None => drop(owners.insert(key, height)),
                    }
                }
                Some(name @ Name::New(_)) => unfinished.push(name),
                None => self.found.foreign += 1,
            }
        }
        let mut owned = BTreeSet::new();
        for ((pack, index, owner), height) in owners {
            let fragment = Fragment { pack, index };
            match files.get(&(pack, index)) {
                Some(bytes) => {
                    owned.insert((pack, index));
                    self.found.owners += 1;
                    self.index.add(KeptFragment { fragment, owner, height, bytes: *bytes });
                }
                None => unfinished.push(Name::Owner(fragment, owner, height)),
            }
        }
        files.retain(|key, _| !owned.contains(key));
        let nobodys = files
            .into_iter()
            .map(|((pack, index), bytes)| Name::Fragment(Fragment { pack, index }, bytes));
        for name in unfinished.into_iter().chain(nobodys) {
            let path = name.path();
            disk.remove(&path).at(disk, "remove", &path)?;
            self.found.unfinished += 1;
        }
        disk.sync_dir(&path).at(disk, "sync", &path)?;
        self.shards.insert(number);
        Ok(())
    }
}

/// How much lies aside.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Aside {
    pub(super) files: u64,
    pub(super) bytes: u64,
}

impl Aside {
    /// Counts what is there, somebody else's files as well.
    pub(super) fn of(disk: &dyn Disk) -> Result<Self, StoreError> {
        let mut aside = Self::default();
        for listed in disk.list(DAMAGED).at(disk, "list", DAMAGED)? {
            aside.files += 1;
            if !listed.ends_with('/') {
                let path = format!("{DAMAGED}/{listed}");
                aside.bytes =
                    aside.bytes.saturating_add(disk.len(&path).at(disk, "measure", &path)?);
            }
        }
        Ok(aside)
    }
}
