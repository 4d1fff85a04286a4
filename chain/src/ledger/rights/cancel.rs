//! Changing one's mind before the grant.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{RequestKey, RightStatus};
use crate::hash::RequestId;
use crate::ledger::action::Rules;
use crate::ledger::agenda::Task;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::parameters::ParameterName;
use crate::ledger::refusal::{Refusal, Thing};

/// Cancels a request that is not granted: the payment comes back after `cancel_blocks`, or when the
/// deadline passes if that is sooner.
///
/// - The sender is the buyer, and the request is open.
/// - A grant that arrives before the payment is back still counts. Otherwise a buyer could wait for a
///   grant to be on its way, read it there, and cancel.
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
pub struct Cancel {
    /// The request.
    pub request: RequestId,
}

impl Rules for Cancel {
    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = RequestKey { request: self.request };
        let mut right = ledger.find(&key, Thing::Request)?;
        ensure(right.buyer == call.sender, Refusal::NotAllowed(Thing::Request))?;
        ensure(right.status == RightStatus::Open, Refusal::Status(Thing::Request))?;
        let wait = ledger.parameters.count(ParameterName::CancelBlocks);
        let from = ledger.height.saturating_add(wait).min(right.deadline.saturating_add(1));
        right.status = RightStatus::Cancelling { from };
        ledger.put(&key, &right);
        ledger.schedule(from, Task::Refund(self.request))
    }
}
