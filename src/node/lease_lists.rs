//! Which fragments each lease is of, for the packs that name this node as a repairer.
//!
//! The ledger keeps the hash alone; the list was in the transaction that made the lease, so whoever
//! follows the chain can keep it.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::{decode, encode};
use chronolith_chain::hash::Hash;
use chronolith_chain::ledger::{Action, Fragments, PlacePack, fragments_hash};
use chronolith_chain::transaction::Transaction;
use chronolith_disk::{Disk, read_all};

/// The longest list: bytes.
const LIST_BYTES: usize = 64 << 10;
/// What the names of the files begin with that say which packs name this node.
const PACK: &str = "pack-";

/// Lists of fragments by their hash, and the packs they matter for: a file for each, in a folder.
#[derive(Clone)]
pub(super) struct LeaseLists {
    disk: Arc<dyn Disk>,
    packs: Arc<Mutex<BTreeSet<ContentId>>>,
}

impl LeaseLists {
    pub(super) fn open(disk: Arc<dyn Disk>) -> io::Result<Self> {
        let pack = |name: String| name.strip_prefix(PACK)?.parse().ok();
        let packs = disk.list("")?.into_iter().filter_map(pack).collect();
        Ok(Self { disk, packs: Arc::new(Mutex::new(packs)) })
    }

    /// Learns from a transaction of a block: that a pack names this node as a repairer, or the list of
    /// a lease of such a pack. What it learned survives a power cut.
    pub(super) fn learn(&self, transaction: &Transaction, own: Address) -> io::Result<()> {
        let fragments = match &transaction.body.action {
            Action::PlacePack(placed) => return self.learn_pack(placed, own),
            Action::AssignBatch(action) => &action.fragments,
            Action::Reassign(action) => &action.fragments,
            Action::Repair(action) => &action.fragments,
            _ => return Ok(()),
        };
        let is_wanted = {
            let packs = self.packs.lock().unwrap_or_else(PoisonError::into_inner);
            fragments.iter().any(|fragment| packs.contains(&fragment.pack))
        };
        match is_wanted {
            true => self.keep(&fragments_hash(fragments).to_string(), &encode(fragments)),
            false => Ok(()),
        }
    }

    fn learn_pack(&self, placed: &PlacePack, own: Address) -> io::Result<()> {
        if !placed.repairers.iter().any(|repairer| repairer.0 == own) {
            return Ok(());
        }
        self.keep(&format!("{PACK}{}", placed.pack), &[])?;
        self.packs.lock().unwrap_or_else(PoisonError::into_inner).insert(placed.pack);
        Ok(())
    }

    fn keep(&self, name: &str, content: &[u8]) -> io::Result<()> {
        if self.disk.exists(name)? {
            return Ok(());
        }
        let unfinished = format!("new-{name}");
        let file = self.disk.open(&unfinished)?;
        file.set_len(0)?;
        file.append(content)?;
        file.sync()?;
        self.disk.rename(&unfinished, name)?;
        self.disk.sync_dir("")
    }

    /// The list of a hash, where it is known.
    pub(super) fn list(&self, hash: &Hash) -> io::Result<Option<Fragments>> {
        let bytes = match read_all(&*self.disk, &hash.to_string()) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let list = decode::<Fragments>("a list of fragments", &bytes, LIST_BYTES);
        // What is damaged is not known.
        Ok(list.ok().filter(|list| fragments_hash(list) == *hash))
    }
}
