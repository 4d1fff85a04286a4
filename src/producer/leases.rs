//! The leases of a producer's packs: which fragments each is of, and which of them peers lost.
//!
//! The ledger keeps the hash of a lease's fragments alone. Their list is written beside the packs when a
//! peer consents to them, as `HASH.lease`, so that what it loses can be made again and given to another.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::decode;
use chronolith_chain::hash::Hash;
use chronolith_chain::ledger::{
    Fragments, Lease, LeaseKey, PackKey, Parameters, ParametersKey, Peer, fragments_hash,
};
use chronolith_chain::state::{Overlay, StateError};

use crate::node::NodeState;
use crate::node::placing::{LostLease, peers};
use crate::packs::{PackFileError, list_leases, store_lease};

/// The longest list: bytes.
const LIST_BYTES: usize = 64 << 10;

/// The lists of fragments in a folder of packs.
pub(super) struct Leases {
    folder: PathBuf,
    /// The epoch in which it was looked last for what is lost.
    looked: Option<u64>,
}

impl Leases {
    pub(super) fn within(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), looked: None }
    }

    /// Writes down what a peer consented to.
    pub(super) fn keep(&self, fragments: &Fragments) -> Result<(), PackFileError> {
        store_lease(&self.folder, fragments)
    }

    /// The lists by their hashes. A file that is damaged is none.
    fn lists(&self) -> Result<BTreeMap<Hash, Fragments>, PackFileError> {
        let mut lists = BTreeMap::new();
        for place in list_leases(&self.folder)? {
            let bytes = fs::read(&place).map_err(|source| PackFileError::Disk {
                what: "read",
                place: place.clone(),
                source,
            })?;
            let list = decode::<Fragments>("the fragments of a lease", &bytes, LIST_BYTES);
            if let Ok(list) = list {
                lists.insert(fragments_hash(&list), list);
            }
        }
        Ok(lists)
    }

    /// The leases of an owner that are lost, or whose peers leave, of packs that name no repairers: those
    /// see to it themselves. It is looked once an epoch, since that is how often audits are counted.
    pub(super) fn lost(
        &mut self,
        state: &NodeState<'_>,
        owner: Address,
    ) -> Result<Vec<LostLease>, super::ProducerError> {
        let overlay = Overlay::new(state);
        let parameters: Parameters = overlay.get(&ParametersKey {})?.unwrap_or_default();
        let epoch = parameters.epoch(state.height()?);
        if self.looked == Some(epoch) {
            return Ok(Vec::new());
        }
        let lists = self.lists()?;
        if lists.is_empty() {
            return Ok(Vec::new());
        }
        let rows: BTreeMap<Address, Peer> = peers(&overlay)?.into_iter().collect();
        let mut holders = BTreeMap::<ContentId, BTreeSet<Address>>::new();
        let mut lost = Vec::new();
        for (key, lease) in leases(&overlay, owner)? {
            let Some(fragments) = lists.get(&lease.fragments) else { continue };
            if LostLease::is_one(&lease, rows.get(&key.peer), epoch) {
                let (fragments, holders) = (fragments.clone(), BTreeSet::new());
                lost.push(LostLease { key, lease, fragments, holders });
            } else {
                for fragment in fragments.iter() {
                    holders.entry(fragment.pack).or_default().insert(key.peer);
                }
            }
        }
        let mut own = Vec::new();
        for mut one in lost {
            if has_repairers(&overlay, owner, &one.fragments)? {
                continue;
            }
            let packs = one.fragments.iter().map(|fragment| fragment.pack);
            one.holders = packs.filter_map(|pack| holders.get(&pack)).flatten().copied().collect();
            own.push(one);
        }
        self.looked = Some(epoch);
        Ok(own)
    }
}

/// All leases of an owner.
fn leases(overlay: &Overlay<'_>, owner: Address) -> Result<Vec<(LeaseKey, Lease)>, StateError> {
    let mut all = Vec::new();
    overlay.each(&[], |key: LeaseKey, lease: Lease| {
        if lease.owner == owner {
            all.push((key, lease));
        }
        Ok::<_, StateError>(())
    })?;
    Ok(all)
}

/// Whether a pack that fragments are of names somebody to repair it, or is placed no more.
fn has_repairers(
    overlay: &Overlay<'_>,
    owner: Address,
    fragments: &Fragments,
) -> Result<bool, StateError> {
    for of_pack in fragments.chunk_by(|a, b| a.pack == b.pack) {
        let Some(pack) = of_pack.first().map(|fragment| fragment.pack) else { continue };
        let placed = overlay.get(&PackKey { pack, owner })?;
        if placed.is_none_or(|placed| !placed.repairers.is_empty()) {
            return Ok(true);
        }
    }
    Ok(false)
}
