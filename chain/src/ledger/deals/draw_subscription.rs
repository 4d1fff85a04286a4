//! Giving the keys of a period, for its price.

use borsh::{BorshDeserialize, BorshSerialize};

use super::subscription::{
    Period, PeriodKey, PeriodStatus, Subscription, SubscriptionKey, end, watch,
};
use crate::address::Address;
use crate::encoding::Bytes;
use crate::hash::{Domain, Hash, SubscriptionId};
use crate::ledger::action::Rules;
use crate::ledger::agenda::Task;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::{Refusal, Thing};
use crate::ledger::rights::{ChunkTree, OfferKey, Shown, ensure_owned};
use crate::list::ListProof;

/// Draws the price of one period of a subscription: gives the key-tree roots of its windows, sealed to the
/// subscriber's key, and shows that a chunk of the scope was anchored in it.
///
/// - The sender is the owner. The subscription has not ended; one that the subscriber ended takes draws up to
///   the height at which the rest goes back.
/// - The period is over by the block's time, was the owner's to sell, and comes after all that were drawn.
///   Periods may be left out, and are never paid then.
/// - The sealed roots are not empty, and bound to the subscription and the period. The ledger keeps their
///   hash, the block keeps them.
/// - The header is that of an encrypted chunk of the scope whose window touches the period, at its place in a
///   batch that was anchored for the device in the time of its key tree; as in `Dispute`.
/// - What is set aside covers the price, which is kept for the period until the time to check of the offer has
///   passed; then the owner is paid. When what is left does not cover another period, the subscription ends
///   and the rest goes back.
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
pub struct DrawSubscription {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The number of the period.
    pub period: u32,
    /// The sealed key-tree roots.
    pub wrapped: Bytes<16384>,
    /// The header of a chunk of the scope in the period.
    pub header: Bytes<16384>,
    /// The root of the batch it is anchored in, and the producer who anchored it.
    pub anchor: (Address, Hash),
    /// The chunk's place in the batch.
    pub index: u32,
    /// The way from the header to the batch's root.
    pub path: ListProof,
    /// How many trees the metric had before under this owner.
    pub rotation: u32,
}

impl Rules for DrawSubscription {
    fn weight(&self) -> u64 {
        5
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = SubscriptionKey { subscription: self.subscription };
        let mut found = ledger.find(&key, Thing::Subscription)?;
        ensure(found.owner == call.sender, Refusal::NotAllowed(Thing::Subscription))?;
        ensure(found.is_running(), Refusal::Status(Thing::Subscription))?;
        ensure(self.period >= found.next, Refusal::Exists(Thing::Period))?;
        ensure(!self.wrapped.is_empty(), Refusal::Zero)?;
        let (from_ms, until_ms) = found.range(self.period);
        ensure(ledger.time_ms >= until_ms, Refusal::Unfinished { until_ms })?;
        let offer = ledger.find(&OfferKey { offer: found.offer }, Thing::Offer)?.offer;
        let subject = &offer.scope.subject;
        ensure_owned(ledger, found.owner, subject, from_ms, Some(until_ms))?;
        self.shown().check(ledger, subject, from_ms, until_ms)?;

        let price = found.next_price()?;
        found.escrow = found.escrow.minus(price)?;
        found.next = self.period.checked_add(1).ok_or(Halt::Refused(Refusal::Range))?;
        found.drawn = found.drawn.saturating_add(1);
        let settles = ledger.height.saturating_add(u64::from(offer.terms.check_blocks));
        let wrapped = Domain::Grant.hash(&self.wrapped);
        let status = PeriodStatus::Drawn { settles };
        let period = Period { wrapped, price, escrow: price, status };
        let (subscription, number) = (self.subscription, self.period);
        ledger.put(&PeriodKey { subscription, period: number }, &period);
        ledger.schedule(settles, Task::SettlePeriod { subscription, period: number })?;
        self.go_on(ledger, found)
    }
}

impl DrawSubscription {
    /// What is shown of a chunk.
    fn shown(&self) -> Shown<'_> {
        Shown {
            header: &self.header,
            anchor: self.anchor,
            index: self.index,
            path: &self.path,
            tree: ChunkTree::Named { rotation: self.rotation },
        }
    }

    /// Ends the subscription where no more is paid for, and waits for the next draw otherwise.
    fn go_on(&self, ledger: &mut Ledger<'_>, found: Subscription) -> Result<(), Halt> {
        if found.escrow < found.next_price()? {
            return end(ledger, self.subscription, found);
        }
        ledger.put(&SubscriptionKey { subscription: self.subscription }, &found);
        watch(ledger, self.subscription, &found)
    }
}
