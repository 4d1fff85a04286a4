//! Rebuilding what a peer lost, or leaves.

use borsh::{BorshDeserialize, BorshSerialize};

use super::lease::{find_lease, for_each_pack, move_lease};
use super::{Fragments, LeaseKey, LeaseStatus, NewLease, PeerKey};
use crate::address::Address;
use crate::coin::{Amount, Coin};
use crate::hash::LeaseId;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::{Refusal, Thing};

/// Gives a lease that is lost, or whose peer is leaving, to another peer, by a repairer who rebuilt or
/// copied its fragments; the owner can be away for years. The new lease's id follows from the
/// transaction's.
///
/// - The lease is lost, or its peer is closing; the fragments are its own, and an epoch is left.
/// - A peer that is leaving keeps the fragments, and is paid, until the running epoch ends.
/// - Every pack in it is still placed, and names the sender as a repairer. The new peer is not the
///   sender: he knows the masks, and could make up what he should keep.
/// - The new peer consents for the owner of the lease, to its price and end, has room, and may repair none
///   of the packs.
/// - The sender gets the fee of each fragment out of what is set aside for repairs of its pack.
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
pub struct Repair {
    /// The peer that lost the lease, or leaves.
    pub peer: Address,
    /// The lease.
    pub lease: LeaseId,
    /// Its fragments.
    pub fragments: Fragments,
    /// The new peer, and its consent.
    pub to: NewLease,
}

impl Rules for Repair {
    fn weight(&self) -> u64 {
        4 + self.fragments.len() as u64 / 4
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = LeaseKey { peer: self.peer, lease: self.lease };
        let lease = find_lease(ledger, &key, &self.fragments)?;
        let peer = ledger.find(&PeerKey { peer: self.peer }, Thing::Peer)?;
        let is_free = lease.status == LeaseStatus::Lost || peer.closing_since.is_some();
        ensure(is_free, Refusal::Status(Thing::Lease))?;
        ensure(self.to.peer != call.sender, Refusal::NotAllowed(Thing::Peer))?;
        let mut fee = Amount::ZERO;
        for_each_pack(ledger, lease.owner, &self.fragments, |_, pack, fragments| {
            let is_named = pack.repairers.iter().any(|repairer| repairer.0 == call.sender);
            ensure(is_named, Refusal::NotAllowed(Thing::Pack))?;
            let is_repairer = pack.repairers.iter().any(|one| one.0 == self.to.peer);
            ensure(!is_repairer, Refusal::NotAllowed(Thing::Peer))?;
            let of_pack = pack.repair_fee.times(fragments.len() as u64)?;
            pack.repair_escrow = pack.repair_escrow.minus(of_pack)?;
            fee = fee.plus(of_pack)?;
            Ok(())
        })?;
        ledger.pay(call.sender, Coin::Native, fee)?;
        let id = LeaseId::made_by(call.transaction);
        move_lease(ledger, key, lease, &self.fragments, &self.to, id)
    }
}
