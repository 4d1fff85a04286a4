//! Moving a lease to another peer.

use borsh::{BorshDeserialize, BorshSerialize};

use super::lease::{find_lease, move_lease};
use super::{Fragments, LeaseKey, NewLease};
use crate::address::Address;
use crate::hash::LeaseId;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::{Refusal, Thing};

/// Moves a lease to another peer from the next epoch on; the new lease's id follows from the
/// transaction's. For an owner whose peer lost the fragments, or whom he no longer wants.
///
/// - The sender is the lease's owner, and the fragments are those of the lease.
/// - At least one epoch is left. What is set aside for the epochs to come moves along; what is not
///   settled yet stays with the old peer.
/// - The new peer consents to the lease's price and end, and has room.
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
pub struct Reassign {
    /// The peer that has the lease.
    pub peer: Address,
    /// The lease.
    pub lease: LeaseId,
    /// Its fragments.
    pub fragments: Fragments,
    /// The new peer, and its consent.
    pub to: NewLease,
}

impl Rules for Reassign {
    fn weight(&self) -> u64 {
        4
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = LeaseKey { peer: self.peer, lease: self.lease };
        let lease = find_lease(ledger, &key, &self.fragments)?;
        ensure(lease.owner == call.sender, Refusal::NotAllowed(Thing::Lease))?;
        let id = LeaseId::made_by(call.transaction);
        move_lease(ledger, key, lease, &self.fragments, &self.to, id)
    }
}
