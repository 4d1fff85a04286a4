//! Reading everything again, a piece at a time, so that damage is found before an audit does.

use chronolith_chain::ledger::Fragment;

use super::FragmentStore;
use super::error::{Damage, StoreError};
use super::index::disk_bytes;

/// What a piece of the walk found.
#[derive(Debug, Default)]
pub struct Scrubbed {
    /// How many fragments were read and are whole.
    pub checked: u64,
    /// How many bytes were read.
    pub bytes: u64,
    /// What was damaged, and was moved aside. [`FragmentStore::take_damaged`] tells it, too.
    pub damaged: Vec<Damage>,
    /// What the disk does not give. It stays where it is, and is tried again by the next walk.
    pub unreadable: Vec<(Fragment, StoreError)>,
    /// Where to go on; `None` at the end, from where the next walk begins anew.
    pub next: Option<Fragment>,
}

impl FragmentStore {
    /// Reads and checks fragments behind one (`None`: from the first), in the order of their packs'
    /// ids, until about `budget_bytes` were read: at least one, and the last one whole. Others read
    /// and write meanwhile; what comes and goes behind the walk is seen by the next.
    pub fn scrub(&self, after: Option<Fragment>, budget_bytes: u64) -> Scrubbed {
        let mut scrubbed = Scrubbed { next: after, ..Scrubbed::default() };
        let mut spent = 0_u64;
        loop {
            let kept = self.index().next(scrubbed.next);
            let Some(kept) = kept else {
                scrubbed.next = None;
                return scrubbed;
            };
            let bytes = u64::from(kept.bytes);
            match self.with_file(kept.fragment, |found, _| found.check()) {
                Ok(Some(_)) => {
                    scrubbed.checked += 1;
                    scrubbed.bytes += bytes;
                }
                Ok(None) => {}
                Err(StoreError::Damaged(damage)) => scrubbed.damaged.push(*damage),
                Err(error) => scrubbed.unreadable.push((kept.fragment, error)),
            }
            scrubbed.next = Some(kept.fragment);
            // What is gone costs something as well, so that a piece ends.
            spent = spent.saturating_add(disk_bytes(bytes));
            if spent >= budget_bytes {
                return scrubbed;
            }
        }
    }
}
