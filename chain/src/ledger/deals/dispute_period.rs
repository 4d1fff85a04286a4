//! Showing that the keys of a period are wrong.

use borsh::{BorshDeserialize, BorshSerialize};

use super::subscription::{PeriodKey, PeriodStatus, Subscription, SubscriptionKey, end};
use crate::address::Address;
use crate::coin::Amount;
use crate::encoding::Bytes;
use crate::hash::{Hash, SubscriptionId};
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::{Refusal, Thing};
use crate::ledger::rights::{ChunkTree, Contested, OfferKey, Shown, blame, gives_key, pay_seller};
use crate::list::ListProof;

/// Disputes a period of a subscription: reveals the key's secret, the sealed roots of the period, one chunk's
/// header and its path to an anchor; the ledger judges them as in `Dispute`.
///
/// - The sender is the subscriber, and the time to check the period is not over.
/// - The secret is that of the subscription's key, and the sealed roots are those that were given.
/// - The header is that of an encrypted chunk of the scope whose window touches the period, as in `Dispute`.
/// - If the roots do not give the chunk's key, the subscriber gets the period's price back, and the grant is
///   one more that is held against the owner. If they do, the owner is paid.
/// - Either way the subscription ends, and what is set aside for periods to come goes back: everybody can
///   open from then on what is sealed to its key.
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
pub struct DisputePeriod {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The number of the period.
    pub period: u32,
    /// The secret half of the subscription's key.
    #[serde(with = "crate::json::hex")]
    pub secret: [u8; 32],
    /// The sealed key-tree roots, as they were given.
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

impl Rules for DisputePeriod {
    fn weight(&self) -> u64 {
        20
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = SubscriptionKey { subscription: self.subscription };
        let found = ledger.find(&key, Thing::Subscription)?;
        ensure(found.subscriber == call.sender, Refusal::NotAllowed(Thing::Subscription))?;
        let period_key = PeriodKey { subscription: self.subscription, period: self.period };
        let mut period = ledger.find(&period_key, Thing::Period)?;
        let PeriodStatus::Drawn { settles } = period.status else {
            return Err(Refusal::Status(Thing::Period).into());
        };
        let contested = Contested {
            settles,
            key: found.key,
            wrapped: period.wrapped,
            context: Subscription::context(self.subscription, self.period).0,
        };
        let secret = contested.check(ledger, self.secret, &self.wrapped)?;
        let offer = ledger.find(&OfferKey { offer: found.offer }, Thing::Offer)?.offer;
        let shown = Shown {
            header: &self.header,
            anchor: self.anchor,
            index: self.index,
            path: &self.path,
            tree: ChunkTree::Named { rotation: self.rotation },
        };
        let (from_ms, until_ms) = found.range(self.period);
        let header = shown.check(ledger, &offer.scope.subject, from_ms, until_ms)?;

        let paid = period.escrow;
        period.escrow = Amount::ZERO;
        if gives_key(ledger.chain, &self.wrapped, &secret, contested.context, &header) {
            period.status = PeriodStatus::Paid;
            pay_seller(ledger, found.offer, found.owner, found.coin, paid)?;
        } else {
            period.status = PeriodStatus::Faulty;
            blame(ledger, found.owner)?;
            ledger.pay(found.subscriber, found.coin, paid)?;
        }
        ledger.put(&period_key, &period);
        if found.is_running() { end(ledger, self.subscription, found) } else { Ok(()) }
    }
}
