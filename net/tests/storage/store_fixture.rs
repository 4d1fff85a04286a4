//! Packs, and stores to keep them in.

use std::sync::Arc;

use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_chain::hash::Hash;
use chronolith_chain::ledger::{AssignedFragment, Fragment as Named};
use chronolith_chain::simulate::Random;
use chronolith_disk::Disk;
use chronolith_fragment::Profile;
use chronolith_net::pack::PackHeader;
use chronolith_net::store::{FragmentStore, Keeping, StoreError};
use chronolith_net::stored::StoredFragment;

use crate::fixture::{Made, make, small_body};

pub(crate) const ALICE: Address = Address([1; 32]);
pub(crate) const BOB: Address = Address([2; 32]);
pub(crate) const ROOM: u64 = 1 << 30;

/// A pack, to be kept.
pub(crate) struct Kit {
    pub(crate) made: Made,
    pub(crate) id: ContentId,
}

impl Kit {
    /// A pack of a few kilobytes.
    pub(crate) fn small(random: &mut Random, profile: Profile) -> Self {
        let body = small_body(random, 3, 700);
        Self::of(make(random, body, profile))
    }

    pub(crate) fn of(made: Made) -> Self {
        let id = made.pack.content_id();
        Self { made, id }
    }

    pub(crate) fn header(&self) -> &PackHeader {
        self.made.pack.header()
    }

    pub(crate) fn stored(&self, index: u8) -> StoredFragment {
        let fragment = self.made.fragments[usize::from(index)].clone();
        StoredFragment { pack: self.id, shape: self.header().shape, fragment }
    }

    pub(crate) fn sent(&self, index: u8) -> &[u8] {
        &self.made.sent[usize::from(index)]
    }

    pub(crate) const fn named(&self, index: u8) -> Named {
        Named { pack: self.id, index }
    }

    /// A fragment as the tree over a lease has it.
    pub(crate) fn assigned(&self, index: u8) -> AssignedFragment {
        AssignedFragment {
            fragment: self.named(index),
            root: Hash(self.stored(index).fragment.tree().root()),
            blocks: self.header().shape.blocks(),
        }
    }

    pub(crate) fn keep(
        &self,
        store: &FragmentStore,
        owner: Address,
        height: u64,
        index: u8,
    ) -> Result<Keeping, StoreError> {
        store.keep(owner, height, self.header(), &self.stored(index))
    }
}

pub(crate) fn open(disk: &(impl Disk + Clone + 'static)) -> FragmentStore {
    FragmentStore::open(Arc::new(disk.clone()), ROOM).unwrap()
}
