//! Which fragments each lease is of, for the packs that name this node as a repairer.
//!
//! The ledger keeps the hash alone; the list was in the transaction that made the lease, so whoever
//! follows the chain can keep it. Blocks are read one after the other, from the last that was read
//! on: one that was missed is read later.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::{decode, encode};
use chronolith_chain::hash::Hash;
use chronolith_chain::ledger::{Action, Fragments, Receipt, fragments_hash};
use chronolith_chain::transaction::Transaction;
use chronolith_disk::{Disk, read_all};

/// The longest list: bytes.
const LIST_BYTES: usize = 64 << 10;
/// What the names of the files begin with that say which packs name this node.
const PACK: &str = "pack-";
/// The file that says up to which height blocks were read.
const LEARNT: &str = "learnt";
const NEW: &str = "new-";

/// Lists of fragments by their hash, and the packs they matter for: a file for each, in a folder.
pub(super) struct LeaseLists {
    disk: Arc<dyn Disk>,
    packs: BTreeSet<ContentId>,
    learnt: u64,
}

impl LeaseLists {
    pub(super) fn open(disk: Arc<dyn Disk>) -> io::Result<Self> {
        let pack = |name: String| name.strip_prefix(PACK)?.parse().ok();
        let packs = disk.list("")?.into_iter().filter_map(pack).collect();
        let mut lists = Self { disk, packs, learnt: 0 };
        // A damaged mark means that all blocks are read again.
        lists.learnt = lists
            .read(LEARNT)?
            .and_then(|bytes| <[u8; 8]>::try_from(bytes).ok())
            .map_or(0, u64::from_le_bytes);
        Ok(lists)
    }

    /// The packs that name this node, as far as is known.
    pub(super) const fn packs(&self) -> &BTreeSet<ContentId> {
        &self.packs
    }

    /// The last height whose block was read.
    pub(super) const fn learnt(&self) -> u64 {
        self.learnt
    }

    /// Learns from the block of a height: which packs name this node as a repairer, and the lists of
    /// leases of such packs. Once it returns, that survives a power cut.
    pub(super) fn learn(
        &mut self,
        height: u64,
        transactions: &[Transaction],
        receipts: &[Receipt],
        own: Address,
    ) -> io::Result<()> {
        let mut is_changed = false;
        for (transaction, receipt) in transactions.iter().zip(receipts) {
            if receipt.refusal.is_some() {
                continue;
            }
            let fragments = match &transaction.body.action {
                Action::PlacePack(placed) => {
                    if placed.repairers.iter().any(|repairer| repairer.0 == own) {
                        self.write(&format!("{PACK}{}", placed.pack), &[])?;
                        is_changed |= self.packs.insert(placed.pack);
                    }
                    continue;
                }
                Action::AssignBatch(action) => &action.fragments,
                Action::Reassign(action) => &action.fragments,
                Action::Repair(action) => &action.fragments,
                _ => continue,
            };
            if fragments.iter().any(|fragment| self.packs.contains(&fragment.pack)) {
                self.write(&fragments_hash(fragments).to_string(), &encode(fragments))?;
                is_changed = true;
            }
        }
        if is_changed {
            self.disk.sync_dir("")?;
            self.write(LEARNT, &height.to_le_bytes())?;
        }
        self.learnt = height;
        Ok(())
    }

    /// Forgets the lists whose hashes are not among these, and the packs that are not placed.
    pub(super) fn prune(
        &mut self,
        leases: &BTreeSet<Hash>,
        placed: &BTreeSet<ContentId>,
    ) -> io::Result<()> {
        let leases: BTreeSet<String> = leases.iter().map(Hash::to_string).collect();
        for name in self.disk.list("")? {
            let is_needed = match name.strip_prefix(PACK) {
                Some(pack) => pack.parse().is_ok_and(|pack| placed.contains(&pack)),
                None => name == LEARNT || leases.contains(&name),
            };
            if !is_needed {
                self.disk.remove(&name)?;
            }
        }
        self.packs.retain(|pack| placed.contains(pack));
        Ok(())
    }

    fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let unfinished = format!("{NEW}{name}");
        let file = self.disk.open(&unfinished)?;
        file.set_len(0)?;
        file.append(content)?;
        file.sync()?;
        self.disk.rename(&unfinished, name)
    }

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match read_all(&*self.disk, name) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The list of a hash, where it is known; what is damaged is not.
    pub(super) fn list(&self, hash: &Hash) -> io::Result<Option<Fragments>> {
        let Some(bytes) = self.read(&hash.to_string())? else { return Ok(None) };
        let list = decode::<Fragments>("a list of fragments", &bytes, LIST_BYTES);
        Ok(list.ok().filter(|list| fragments_hash(list) == *hash))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use chronolith_disk::RealDisk;

    use super::*;

    #[test]
    fn what_was_learnt_is_there_again_until_it_is_not_needed() {
        let folder = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::create(folder.path()).unwrap());
        let lists = LeaseLists::open(Arc::clone(&disk)).unwrap();
        assert_eq!(lists.learnt(), 0);
        let pack = ContentId::of_raw(b"a pack");
        lists.write(&format!("{PACK}{pack}"), &[]).unwrap();
        lists.write(LEARNT, &7_u64.to_le_bytes()).unwrap();
        let fragment = chronolith_chain::ledger::Fragment { pack, index: 3 };
        let list = Fragments::new([fragment]).unwrap();
        let hash = fragments_hash(&list);
        lists.write(&hash.to_string(), &encode(&list)).unwrap();
        let mut lists = LeaseLists::open(Arc::clone(&disk)).unwrap();
        assert_eq!((lists.learnt(), lists.packs.len()), (7, 1));
        assert_eq!(lists.list(&hash).unwrap(), Some(list));
        lists.prune(&BTreeSet::from([hash]), &BTreeSet::from([pack])).unwrap();
        assert!(lists.list(&hash).unwrap().is_some());
        disk.open(&hash.to_string()).unwrap().write_at(0, &[9]).unwrap();
        assert_eq!(lists.list(&hash).unwrap(), None, "damage is seen");
        lists.prune(&BTreeSet::new(), &BTreeSet::new()).unwrap();
        assert_eq!(disk.list("").unwrap(), [LEARNT]);
    }
}
