//! Ending a subscription.

use borsh::{BorshDeserialize, BorshSerialize};

use super::subscription::{SubscriptionKey, SubscriptionStatus, end};
use crate::hash::SubscriptionId;
use crate::ledger::action::Rules;
use crate::ledger::agenda::Task;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::parameters::ParameterName;
use crate::ledger::refusal::{Refusal, Thing};

/// Ends a subscription. Periods that were drawn go on to their payment.
///
/// - The owner ends it at once: what is set aside goes back.
/// - The subscriber ends it after `cancel_blocks`, in which a draw that is on its way still counts: otherwise
///   he could wait for one, read the keys there, and take the payment back. He can do so once.
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
pub struct EndSubscription {
    /// The subscription.
    pub subscription: SubscriptionId,
}

impl Rules for EndSubscription {
    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = SubscriptionKey { subscription: self.subscription };
        let mut found = ledger.find(&key, Thing::Subscription)?;
        let is_owner = found.owner == call.sender;
        let is_party = is_owner || found.subscriber == call.sender;
        ensure(is_party, Refusal::NotAllowed(Thing::Subscription))?;
        if is_owner {
            ensure(found.is_running(), Refusal::Status(Thing::Subscription))?;
            return end(ledger, self.subscription, found);
        }
        let is_active = found.status == SubscriptionStatus::Active;
        ensure(is_active, Refusal::Status(Thing::Subscription))?;
        let wait = ledger.parameters.count(ParameterName::CancelBlocks);
        let from = ledger.height.saturating_add(wait);
        found.status = SubscriptionStatus::Ending { from };
        let (subscription, drawn) = (self.subscription, found.drawn);
        ledger.put(&key, &found);
        ledger.schedule(from, Task::EndSubscription { subscription, drawn })
    }
}
