//! Leasing fragments to a peer.

use borsh::{BorshDeserialize, BorshSerialize};

use super::lease::{for_each_pack, fragments_hash};
use super::{BLOCK_BYTES, Fragments, Lease, LeaseStatus, NewLease};
use crate::coin::Amount;
use crate::hash::LeaseId;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::{Refusal, Thing};

/// Leases a batch of fragments to a peer; the lease's id follows from the transaction's.
///
/// - The sender placed all the packs, they end in the same epoch, and at least one epoch is left.
/// - Each fragment exists and is not leased.
/// - For each fragment and epoch to come the price of its pack moves from what is set aside for the
///   pack to what is set aside for the lease.
/// - The peer signed the fragments, their root, the sender's address, the price of an epoch, the end, and
///   a height up to which that counts, at most `valid_longest` ahead. It counts once.
/// - The peer is not closing, has room, and a bond of at least `storage_bond`; it may repair none of the
///   packs.
/// - The lease takes the peer's lowest empty slot, in the tree that audits draw from, until it is lost or
///   over.
/// - One to 256 fragments, strictly rising by pack and index.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct AssignBatch {
    /// The fragments.
    pub fragments: Fragments,
    /// The peer, and its consent.
    pub lease: NewLease,
}

impl Rules for AssignBatch {
    fn weight(&self) -> u64 {
        4 + self.fragments.len() as u64 / 4
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        ensure(!self.fragments.is_empty(), Refusal::Zero)?;
        let first = ledger.epoch().saturating_add(1);
        let (mut price, mut escrow, mut blocks) = (Amount::ZERO, Amount::ZERO, 0_u64);
        let mut until = None;
        for_each_pack(ledger, call.sender, &self.fragments, |ledger, pack, fragments| {
            let until_height = ledger.epoch_end(first);
            ensure(pack.until_epoch > first, Refusal::Late { until: until_height })?;
            ensure(*until.get_or_insert(pack.until_epoch) == pack.until_epoch, Refusal::Range)?;
            let is_repairer = pack.repairers.iter().any(|one| one.0 == self.lease.peer);
            ensure(!is_repairer, Refusal::NotAllowed(Thing::Peer))?;
            for fragment in fragments {
                ensure(fragment.index < pack.fragments, Refusal::Missing(Thing::Fragment))?;
                let bit = 1_u128 << fragment.index;
                ensure(pack.leased & bit == 0, Refusal::Exists(Thing::Lease))?;
                pack.leased |= bit;
            }
            let of_pack = pack.price.times(fragments.len() as u64)?;
            let all = of_pack.times(pack.until_epoch - first)?;
            pack.escrow = pack.escrow.minus(all)?;
            price = price.plus(of_pack)?;
            escrow = escrow.plus(all)?;
            blocks = blocks.saturating_add(fragments.len() as u64 * u64::from(pack.blocks));
            Ok(())
        })?;
        let lease = Lease {
            owner: call.sender,
            fragments: fragments_hash(&self.fragments),
            root: self.lease.root,
            slot: None,
            bytes: blocks.saturating_mul(BLOCK_BYTES),
            price,
            next_epoch: first,
            until_epoch: until.unwrap_or(first),
            escrow,
            status: LeaseStatus::Running,
        };
        let id = LeaseId::made_by(call.transaction);
        self.lease.make(ledger, id, &self.fragments, lease)
    }
}
