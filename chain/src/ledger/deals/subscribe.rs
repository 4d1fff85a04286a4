//! Subscribing.

use borsh::{BorshDeserialize, BorshSerialize};

use super::subscription::{Subscription, SubscriptionKey, SubscriptionStatus, watch};
use crate::coin::Amount;
use crate::hash::{OfferId, SubscriptionId};
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure, ensure_within};
use crate::ledger::parameters::ParameterName;
use crate::ledger::refusal::{Refusal, Thing};
use crate::ledger::rights::{OfferKey, Subject, ensure_owned, ensure_sells_keys};

/// Subscribes to data that is still to come, and sets some periods' price aside; its id follows from the
/// transaction's. The right goes on until one of the two ends it, or the payment does.
///
/// - The offer is open, another account's, of keys, and without an end. Its data is named: a draw shows a
///   header, which would tell what a hidden scope is of.
/// - The first period begins in the scope, and while the device is the owner's. A period has 1 to 8,784
///   hours; it costs the offer's `per_hour` for each, and the first one that is drawn `fixed` on top.
/// - The payment is that of 1 to 10,000 periods, to the mote, and not nothing.
/// - Who draws nothing for `patience` blocks, at most `deadline_longest`, ends the subscription: what is set
///   aside comes back without anybody asking.
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
pub struct Subscribe {
    /// The offer.
    pub offer: OfferId,
    /// The beginning of the first period, in milliseconds since the epoch.
    pub from_ms: u64,
    /// How many hours a period has.
    pub hours: u32,
    /// A one-time X25519 key, which all periods' keys are sealed to.
    #[serde(with = "crate::json::hex")]
    pub key: [u8; 32],
    /// How many periods are paid for.
    pub periods: u32,
    /// What is paid.
    pub payment: Amount,
    /// How many blocks may pass without a draw before it ends by itself.
    pub patience: u32,
}

/// The most hours of a period: a leap year's.
const HOURS_MOST: u32 = 8_784;
/// The most periods that are paid for at once.
pub(super) const PERIODS_MOST: u32 = 10_000;

impl Rules for Subscribe {
    fn weight(&self) -> u64 {
        2
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let found = ledger.find(&OfferKey { offer: self.offer }, Thing::Offer)?;
        let (owner, offer) = (found.owner, found.offer);
        ensure(found.is_open, Refusal::Status(Thing::Offer))?;
        ensure(owner != call.sender, Refusal::NotAllowed(Thing::Offer))?;
        ensure_sells_keys(ledger, self.offer)?;
        let is_named = matches!(offer.scope.subject, Subject::Metrics { .. });
        ensure(is_named && offer.scope.until_ms.is_none(), Refusal::Scope)?;
        ensure(self.from_ms >= offer.scope.from_ms, Refusal::Range)?;
        ensure_owned(ledger, owner, &offer.scope.subject, self.from_ms, None)?;
        ensure_within(self.hours, 1_u32, HOURS_MOST)?;
        ensure_within(self.periods, 1_u32, PERIODS_MOST)?;
        let longest = ledger.parameters.count(ParameterName::DeadlineLongest);
        ensure_within(self.patience, 1_u32, longest)?;
        let price = offer.per_hour.times(self.hours.into())?;
        let expected = offer.fixed.plus(price.times(self.periods.into())?)?;
        ensure(!expected.is_zero(), Refusal::Zero)?;
        ensure(self.payment == expected, Refusal::Price { expected })?;
        ledger.take(call.sender, offer.coin, expected)?;
        let subscription = SubscriptionId::made_by(call.transaction);
        let made = Subscription {
            offer: self.offer,
            owner,
            subscriber: call.sender,
            from_ms: self.from_ms,
            hours: self.hours,
            key: self.key,
            coin: offer.coin,
            price,
            fixed: offer.fixed,
            escrow: expected,
            next: 0,
            drawn: 0,
            patience: self.patience,
            status: SubscriptionStatus::Active,
        };
        ledger.put(&SubscriptionKey { subscription }, &made);
        watch(ledger, subscription, &made)
    }
}
