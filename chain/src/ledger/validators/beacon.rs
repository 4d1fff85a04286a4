//! The beacon: randomness that nobody can choose, and a proposer can only leave out.
//!
//! A validator commits to the end of a hash chain and reveals the preimage of the last element with
//! each block he proposes. What is revealed is fixed since long before, so it cannot be ground; it
//! can be withheld, which costs the proposer's part of the block's reward, whether he proposes without
//! it or not at all. Another chain counts only from a later lot on: who could change his commitment
//! and reveal at once would choose the seed.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{Schedule, ScheduleKey, Validator, ValidatorKey, current};
use crate::address::Address;
use crate::hash::{Domain, Hash};
use crate::ledger::call::{Halt, Ledger};

/// A beacon chain that a validator goes on with from a later lot.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct NextBeacon {
    /// The end of the chain.
    pub end: Hash,
    /// The first lot in which it counts.
    pub from_lot: u64,
}

/// The element of a beacon chain that follows from its preimage.
#[must_use]
pub fn beacon_step(preimage: &Hash) -> Hash {
    Domain::Beacon.hash(&preimage.0)
}

impl Validator {
    /// What the next revealed element must lead to in a lot.
    #[must_use]
    pub fn beacon_in(&self, lot: u64) -> Hash {
        self.next_beacon.filter(|next| lot >= next.from_lot).map_or(self.beacon, |next| next.end)
    }

    /// Commits to a chain; a validator's first one counts at once, any other from the next lot.
    pub(super) fn commit_beacon(&mut self, end: Hash, lot: u64, is_new: bool) {
        if is_new {
            self.beacon = end;
            return;
        }
        self.beacon = self.beacon_in(lot);
        let is_other = self.beacon != end;
        self.next_beacon = is_other.then_some(NextBeacon { end, from_lot: lot.saturating_add(1) });
    }
}

/// Mixes a proposer's revealed preimage into the seed; says whether it is the next of his chain.
pub(crate) fn reveal(
    ledger: &mut Ledger<'_>,
    proposer: Address,
    value: Hash,
) -> Result<bool, Halt> {
    let key = ValidatorKey { validator: proposer };
    let Some(mut validator) = ledger.get(&key)? else { return Ok(false) };
    let schedule = current(ledger)?;
    if beacon_step(&value) != validator.beacon_in(schedule.lot) {
        return Ok(false);
    }
    if validator.next_beacon.is_some_and(|next| schedule.lot >= next.from_lot) {
        validator.next_beacon = None;
    }
    validator.beacon = value;
    ledger.put(&key, &validator);
    let seed = Domain::Seed.hash_of(&(schedule.seed, value));
    ledger.put(&ScheduleKey {}, &Schedule { seed, ..schedule });
    Ok(true)
}
