//! Subscriptions: open-ended rights, paid period by period for what was delivered and can be proved.
//!
//! | a subscription is | until | then |
//! |---|---|---|
//! | active | what is set aside does not pay another period, the subscriber ends it, the owner ends it, a period is disputed, or nothing was drawn for `patience` blocks | ending, ended |
//! | ending | `cancel_blocks` have passed; draws on their way still count | ended |
//! | ended | | what is left went back |
//!
//! | a period is | until | then |
//! |---|---|---|
//! | drawn | the time to check has passed, or the subscriber shows that a key is wrong | paid, faulty |
//!
//! A period's price leaves what is set aside when its keys are given, and not before; so no period is paid
//! without keys, and no keys are given for nothing.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::address::Address;
use crate::coin::{Amount, Coin, CoinError};
use crate::hash::{Domain, Hash, OfferId, SubscriptionId};
use crate::ledger::agenda::Task;
use crate::ledger::call::{Halt, Ledger};
use crate::ledger::rights::pay_seller;
use crate::ledger::tables::tables;

const HOUR_MS: u64 = 3_600_000;

tables! {
    /// A subscription.
    0x58 SubscriptionKey { subscription: SubscriptionId } => Subscription;
    /// A period of a subscription whose keys were given.
    0x59 PeriodKey { subscription: SubscriptionId, period: u32 } => Period;
}

/// A subscription.
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
pub struct Subscription {
    /// The offer it is of.
    pub offer: OfferId,
    /// Who sells.
    pub owner: Address,
    /// Who subscribed.
    pub subscriber: Address,
    /// The beginning of the first period, in milliseconds since the epoch.
    pub from_ms: u64,
    /// How many hours a period has.
    pub hours: u32,
    /// The subscriber's one-time X25519 key, which all periods' keys are sealed to.
    #[serde(with = "crate::json::hex")]
    pub key: [u8; 32],
    /// The coin of the payments.
    pub coin: Coin,
    /// What a period costs.
    pub price: Amount,
    /// What the first one that is drawn costs on top.
    pub fixed: Amount,
    /// What is set aside for periods that are not drawn yet.
    pub escrow: Amount,
    /// The first period that can still be drawn.
    pub next: u32,
    /// How many periods were drawn.
    pub drawn: u32,
    /// How many blocks may pass without a draw before it ends by itself.
    pub patience: u32,
    /// Where it is.
    pub status: SubscriptionStatus,
}

/// Where a subscription is.
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
pub enum SubscriptionStatus {
    /// Periods are drawn.
    Active,
    /// The subscriber ended it; from this height on he gets back what is left.
    Ending {
        /// The height.
        from: u64,
    },
    /// It ended, and what was left went back.
    Ended,
}

/// A period whose keys were given.
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
pub struct Period {
    /// The hash of the sealed keys.
    pub wrapped: Hash,
    /// What it costs.
    pub price: Amount,
    /// What of it is set aside.
    pub escrow: Amount,
    /// Where it is.
    pub status: PeriodStatus,
}

/// Where a period is.
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
pub enum PeriodStatus {
    /// The subscriber checks the keys.
    Drawn {
        /// The height at which the owner is paid.
        settles: u64,
    },
    /// The owner was paid.
    Paid,
    /// The keys were shown to be wrong; the payment went back.
    Faulty,
}

impl Subscription {
    /// The time of a period: its beginning and its end, in milliseconds since the epoch.
    #[must_use]
    pub fn range(&self, period: u32) -> (u64, u64) {
        let length = u64::from(self.hours).saturating_mul(HOUR_MS);
        let begin = self.from_ms.saturating_add(length.saturating_mul(period.into()));
        (begin, begin.saturating_add(length))
    }

    /// What the next period that is drawn costs.
    pub fn next_price(&self) -> Result<Amount, CoinError> {
        if self.drawn == 0 { self.price.plus(self.fixed) } else { Ok(self.price) }
    }

    /// What the grant of a period is bound to in the place of a request's id, so that it opens for one
    /// period of one subscription.
    #[must_use]
    pub fn context(subscription: SubscriptionId, period: u32) -> Hash {
        Domain::Period.hash_of(&(subscription, period))
    }

    /// Whether periods can be drawn.
    pub(super) const fn is_running(&self) -> bool {
        !matches!(self.status, SubscriptionStatus::Ended)
    }
}

/// Gives the subscriber what is set aside for periods to come, and ends it.
pub(super) fn end(
    ledger: &mut Ledger<'_>,
    id: SubscriptionId,
    mut found: Subscription,
) -> Result<(), Halt> {
    ledger.pay(found.subscriber, found.coin, found.escrow)?;
    found.escrow = Amount::ZERO;
    found.status = SubscriptionStatus::Ended;
    ledger.put(&SubscriptionKey { subscription: id }, &found);
    Ok(())
}

/// Has a subscription end when nothing is drawn from now on.
pub(super) fn watch(
    ledger: &mut Ledger<'_>,
    subscription: SubscriptionId,
    found: &Subscription,
) -> Result<(), Halt> {
    let at = ledger.height.saturating_add(found.patience.into()).saturating_add(1);
    ledger.schedule(at, Task::EndSubscription { subscription, drawn: found.drawn })
}

/// Ends a subscription that its subscriber ended, or of which nothing was drawn for too long: no more than
/// `drawn` periods.
pub(in crate::ledger) fn end_subscription(
    ledger: &mut Ledger<'_>,
    id: SubscriptionId,
    drawn: u32,
) -> Result<(), Halt> {
    let Some(found) = ledger.get(&SubscriptionKey { subscription: id })? else { return Ok(()) };
    let is_due = match found.status {
        SubscriptionStatus::Active => found.drawn == drawn,
        SubscriptionStatus::Ending { from } => ledger.height >= from || found.drawn == drawn,
        SubscriptionStatus::Ended => false,
    };
    if is_due { end(ledger, id, found) } else { Ok(()) }
}

/// Pays the owner for a period that nobody disputed.
pub(in crate::ledger) fn settle_period(
    ledger: &mut Ledger<'_>,
    subscription: SubscriptionId,
    number: u32,
) -> Result<(), Halt> {
    let key = PeriodKey { subscription, period: number };
    let Some(mut period) = ledger.get(&key)? else { return Ok(()) };
    let PeriodStatus::Drawn { .. } = period.status else { return Ok(()) };
    let Some(found) = ledger.get(&SubscriptionKey { subscription })? else { return Ok(()) };
    pay_seller(ledger, found.offer, found.owner, found.coin, period.escrow)?;
    period.escrow = Amount::ZERO;
    period.status = PeriodStatus::Paid;
    ledger.put(&key, &period);
    Ok(())
}
