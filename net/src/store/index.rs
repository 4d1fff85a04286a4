//! What is kept, in memory: a small entry for each fragment and owner.

use std::collections::BTreeMap;
use std::ops::Bound;

use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_chain::ledger::Fragment;

use super::error::StoreError;

/// What a file takes on disk: whole blocks of this many bytes, as most file systems have them.
const DISK_BLOCK_BYTES: u64 = 4_096;

/// A fragment that is kept for an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptFragment {
    /// Which.
    pub fragment: Fragment,
    /// For whom.
    pub owner: Address,
    /// The height of the chain at which it was kept first.
    pub height: u64,
    /// The bytes of its file, which are there once for all owners.
    pub bytes: u32,
}

type Key = (ContentId, u8, Address);

/// The index. Entries sort by pack, index and owner.
#[derive(Default)]
pub(super) struct Index {
    kept: BTreeMap<Key, (u64, u32)>,
    fragments: u64,
    used_bytes: u64,
    /// What writes that are under way will take.
    reserved_bytes: u64,
}

/// What a file of so many bytes takes on disk.
pub(super) fn disk_bytes(bytes: u64) -> u64 {
    bytes.div_ceil(DISK_BLOCK_BYTES).saturating_mul(DISK_BLOCK_BYTES)
}

const fn first(fragment: Fragment) -> Key {
    (fragment.pack, fragment.index, Address([0; 32]))
}

const fn last(fragment: Fragment) -> Key {
    (fragment.pack, fragment.index, Address([u8::MAX; 32]))
}

fn named((&(pack, index, owner), &(height, bytes)): (&Key, &(u64, u32))) -> KeptFragment {
    KeptFragment { fragment: Fragment { pack, index }, owner, height, bytes }
}

impl Index {
    fn range(&self, from: Fragment, to: Fragment) -> impl Iterator<Item = KeptFragment> {
        self.kept.range(first(from)..=last(to)).map(named)
    }

    /// For whom a fragment is kept.
    pub(super) fn owners(&self, fragment: Fragment) -> impl Iterator<Item = KeptFragment> {
        self.range(fragment, fragment)
    }

    /// How many bytes a fragment's file has.
    pub(super) fn bytes(&self, fragment: Fragment) -> Option<u32> {
        self.owners(fragment).next().map(|kept| kept.bytes)
    }

    /// All of a pack.
    pub(super) fn of_pack(&self, pack: ContentId) -> impl Iterator<Item = KeptFragment> {
        self.range(Fragment { pack, index: 0 }, Fragment { pack, index: u8::MAX })
    }

    /// An entry.
    pub(super) fn get(&self, fragment: Fragment, owner: Address) -> Option<KeptFragment> {
        self.kept.get_key_value(&(fragment.pack, fragment.index, owner)).map(named)
    }

    /// The first of what comes behind an entry.
    pub(super) fn after(&self, last: Option<(Fragment, Address)>) -> Option<KeptFragment> {
        let key = last.map(|(fragment, owner)| (fragment.pack, fragment.index, owner));
        let from = key.map_or(Bound::Unbounded, Bound::Excluded);
        self.kept.range((from, Bound::Unbounded)).next().map(named)
    }

    /// The first fragment behind another.
    pub(super) fn next(&self, after: Option<Fragment>) -> Option<KeptFragment> {
        let from = after.map_or(Bound::Unbounded, |fragment| Bound::Excluded(last(fragment)));
        self.kept.range((from, Bound::Unbounded)).next().map(named)
    }

    /// Makes room for a write.
    pub(super) fn reserve(&mut self, bytes: u64, quota: u64) -> Result<(), StoreError> {
        let needed = disk_bytes(bytes);
        let used = self.used_bytes.saturating_add(self.reserved_bytes);
        if used.saturating_add(needed) > quota {
            return Err(StoreError::Quota { needed, used, quota });
        }
        self.reserved_bytes += needed;
        Ok(())
    }

    /// Gives back what [`Index::reserve`] took.
    pub(super) fn release(&mut self, bytes: u64) {
        self.reserved_bytes = self.reserved_bytes.saturating_sub(disk_bytes(bytes));
    }

    /// Adds an entry; one that is there stays.
    pub(super) fn add(&mut self, kept: KeptFragment) {
        let KeptFragment { fragment, owner, height, bytes } = kept;
        if self.bytes(fragment).is_none() {
            self.fragments += 1;
            self.used_bytes = self.used_bytes.saturating_add(disk_bytes(bytes.into()));
        }
        let key = (fragment.pack, fragment.index, owner);
        self.kept.entry(key).or_insert((height, bytes));
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, fragment: Fragment, owner: Address) {
        let removed = self.kept.remove(&(fragment.pack, fragment.index, owner));
        let Some((_, bytes)) = removed else { return };
        if self.bytes(fragment).is_none() {
            self.fragments = self.fragments.saturating_sub(1);
            self.used_bytes = self.used_bytes.saturating_sub(disk_bytes(bytes.into()));
        }
    }

    /// How many different fragments there are.
    pub(super) const fn fragments(&self) -> u64 {
        self.fragments
    }

    /// What they take on disk.
    pub(super) const fn used_bytes(&self) -> u64 {
        self.used_bytes
    }
}
