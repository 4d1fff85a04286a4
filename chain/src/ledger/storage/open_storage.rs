//! Becoming a storage peer.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{Assignment, Peer, PeerIndexKey, PeerKey};
use crate::coin::{Amount, Coin};
use crate::encoding::Text;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure, ensure_within};
use crate::ledger::parameters::ParameterName;
use crate::ledger::refusal::{Refusal, Thing};

/// Opens storage: the sender becomes a storage peer, or changes what it offers.
///
/// - A new peer bonds at least `storage_bond`, and gets the next number. Later the bond may be added
///   to; an amount of 0 leaves it.
/// - The capacity is not zero, and not below what is leased already.
/// - A peer takes leases with a bond of at least `storage_bond` only; one that was slashed adds to its
///   bond, or closes.
/// - A peer that is closing cannot change anything.
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
pub struct OpenStorage {
    /// How many bytes it offers.
    pub capacity_bytes: u64,
    /// What it asks for a GiB and an epoch, in motes.
    pub price_per_gib: Amount,
    /// Where it is reached, as a multiaddress with its transport identity.
    pub address: Text<256>,
    /// Where it is: a country, a data centre.
    pub region: Text<16>,
    /// What is added to its bond.
    pub bond: Amount,
}

impl Rules for OpenStorage {
    fn weight(&self) -> u64 {
        2
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        ensure(self.capacity_bytes > 0 && !self.address.is_empty(), Refusal::Zero)?;
        let key = PeerKey { peer: call.sender };
        let mut peer = match ledger.get(&key)? {
            Some(peer) => peer,
            None => {
                let least = ledger.parameters.amount(ParameterName::StorageBond);
                ensure_within(self.bond.0, least.0, u128::MAX)?;
                let number = ledger.count(|counters| counters.peers += 1)?.peers;
                // Numbers index bitmaps of 8,192 bytes.
                ensure(number < 65_536, Refusal::Limit { limit: 65_536 })?;
                ledger.put(&PeerIndexKey { number }, &call.sender);
                Peer {
                    number,
                    capacity_bytes: 0,
                    leased_bytes: 0,
                    price_per_gib: Amount::ZERO,
                    address: Text::default(),
                    region: Text::default(),
                    bond: Amount::ZERO,
                    closing_since: None,
                    lied_epoch: None,
                    is_losing: false,
                    earned: Amount::ZERO,
                    leases: 0,
                    assignment: Assignment::default(),
                    audits_passed: 0,
                    audits_missed: 0,
                    missed_in_a_row: 0,
                    audited_epoch: None,
                }
            }
        };
        ensure(peer.closing_since.is_none(), Refusal::Status(Thing::Peer))?;
        ensure_within(self.capacity_bytes, peer.leased_bytes, u64::MAX)?;
        ledger.take(call.sender, Coin::Native, self.bond)?;
        peer.bond = peer.bond.plus(self.bond)?;
        peer.capacity_bytes = self.capacity_bytes;
        peer.price_per_gib = self.price_per_gib;
        peer.address = self.address.clone();
        peer.region = self.region.clone();
        ledger.put(&key, &peer);
        Ok(())
    }
}
