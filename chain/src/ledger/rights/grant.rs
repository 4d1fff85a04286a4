//! Saying yes, with the keys.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{RequestKey, Right, ensure_sells_keys};
use crate::encoding::Bytes;
use crate::hash::RequestId;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::{Refusal, Thing};

/// Grants a request: the key-tree roots themselves, sealed to the request's one-time key.
///
/// - The sender is the owner of the offer, and it sells keys.
/// - The request is open, and its deadline has not passed; or the buyer has cancelled, and the
///   payment has not gone back yet.
/// - The sealed roots are not empty. The ledger keeps their hash, the block keeps them; what is in
///   them only the buyer can see, and dispute.
/// - The owner is paid when the time to check has passed.
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
pub struct Grant {
    /// The request.
    pub request: RequestId,
    /// The sealed key-tree roots.
    pub wrapped: Bytes<16384>,
}

impl Rules for Grant {
    fn weight(&self) -> u64 {
        2
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = RequestKey { request: self.request };
        let right = ledger.find(&key, Thing::Request)?;
        ensure(right.owner == call.sender, Refusal::NotAllowed(Thing::Request))?;
        ensure_sells_keys(ledger, right.offer)?;
        Right::grant(ledger, self.request, right, &self.wrapped)
    }
}
