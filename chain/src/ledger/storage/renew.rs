//! Having fragments kept longer.

use borsh::{BorshDeserialize, BorshSerialize};

use super::lease::{find_lease, for_each_pack};
use super::{Fragments, LeaseKey, LeaseStatus, PeerKey};
use crate::address::Address;
use crate::coin::Coin;
use crate::hash::LeaseId;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure, ensure_within};
use crate::ledger::parameters::ParameterName;
use crate::ledger::refusal::{Refusal, Thing};

/// Prolongs a lease at the same price, and its packs with it where they would end earlier.
///
/// - The sender is the lease's owner, the fragments are those of the lease, and it is not lost.
/// - The new end is later, at most `lease_longest` epochs ahead.
/// - The peer is not closing: by closing it says that it takes nothing more.
/// - The sender sets aside the price of the added epochs.
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
pub struct Renew {
    /// The peer that has the lease.
    pub peer: Address,
    /// The lease.
    pub lease: LeaseId,
    /// Its fragments.
    pub fragments: Fragments,
    /// The first epoch in which they need not be kept any more.
    pub until_epoch: u64,
}

impl Rules for Renew {
    fn weight(&self) -> u64 {
        3
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = LeaseKey { peer: self.peer, lease: self.lease };
        let mut lease = find_lease(ledger, &key, &self.fragments)?;
        ensure(lease.owner == call.sender, Refusal::NotAllowed(Thing::Lease))?;
        ensure(lease.status == LeaseStatus::Running, Refusal::Status(Thing::Lease))?;
        let longest = ledger.parameters.count(ParameterName::LeaseLongest);
        let last = ledger.epoch().saturating_add(longest);
        ensure_within(self.until_epoch, lease.until_epoch.saturating_add(1), last)?;
        let peer = ledger.find(&PeerKey { peer: self.peer }, Thing::Peer)?;
        ensure(peer.closing_since.is_none(), Refusal::Status(Thing::Peer))?;
        let price = lease.price.times(self.until_epoch - lease.until_epoch)?;
        ledger.take(call.sender, Coin::Native, price)?;
        lease.escrow = lease.escrow.plus(price)?;
        lease.until_epoch = self.until_epoch;
        ledger.put(&key, &lease);
        for_each_pack(ledger, call.sender, &self.fragments, |_, pack, _| {
            pack.until_epoch = pack.until_epoch.max(self.until_epoch);
            Ok(())
        })
    }
}
