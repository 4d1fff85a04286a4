//! Saying no.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{RequestKey, RightStatus, give_back};
use crate::hash::RequestId;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::{Refusal, Thing};

/// Declines a request: the payment goes back at once.
///
/// - The sender is the owner of the offer, and has not granted it.
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
pub struct Decline {
    /// The request.
    pub request: RequestId,
}

impl Rules for Decline {
    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = RequestKey { request: self.request };
        let right = ledger.find(&key, Thing::Request)?;
        ensure(right.owner == call.sender, Refusal::NotAllowed(Thing::Request))?;
        let is_open = matches!(right.status, RightStatus::Open | RightStatus::Cancelling { .. });
        ensure(is_open, Refusal::Status(Thing::Request))?;
        give_back(ledger, key, right, RightStatus::Declined)
    }
}
