//! Paying for more periods.

use borsh::{BorshDeserialize, BorshSerialize};

use super::subscribe::PERIODS_MOST;
use super::subscription::{SubscriptionKey, SubscriptionStatus};
use crate::coin::Amount;
use crate::hash::SubscriptionId;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure, ensure_within};
use crate::ledger::refusal::{Refusal, Thing};

/// Sets the price of more periods aside for a subscription, which would end when it is used up.
///
/// - The sender is the subscriber, and the subscription is active.
/// - The payment is that of 1 to 10,000 periods, to the mote, and not nothing.
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
pub struct TopUpSubscription {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// How many periods are paid for.
    pub periods: u32,
    /// What is paid.
    pub payment: Amount,
}

impl Rules for TopUpSubscription {
    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = SubscriptionKey { subscription: self.subscription };
        let mut found = ledger.find(&key, Thing::Subscription)?;
        ensure(found.subscriber == call.sender, Refusal::NotAllowed(Thing::Subscription))?;
        let is_active = found.status == SubscriptionStatus::Active;
        ensure(is_active, Refusal::Status(Thing::Subscription))?;
        ensure_within(self.periods, 1_u32, PERIODS_MOST)?;
        let expected = found.price.times(self.periods.into())?;
        ensure(!expected.is_zero(), Refusal::Zero)?;
        ensure(self.payment == expected, Refusal::Price { expected })?;
        ledger.take(call.sender, found.coin, expected)?;
        found.escrow = found.escrow.plus(expected)?;
        ledger.put(&key, &found);
        Ok(())
    }
}
