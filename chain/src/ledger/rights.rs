//! Rights: offers of data, requests with the payment set aside, and grants with the keys.
//!
//! | a request is | until | then |
//! |---|---|---|
//! | open | the owner grants or declines, the buyer cancels, or the deadline passes | granted, declined, cancelling, refunded |
//! | cancelling | `cancel_blocks` have passed; a grant that was on its way still counts | granted, refunded |
//! | granted | the time to check has passed, the buyer shows that a key is wrong, or the owner revokes | settled, faulty, revoked |
//! | settled | the owner revokes, where the terms allow it | revoked |
//!
//! Where an offer sells answers, a sealed answer stands in the place of keys; royalties are paid when a sale is
//! settled.
//!
//! So no key is ever given without the payment being set aside, and no payment is kept without a key:
//! a buyer who cancels cannot take the key of a grant that is on its way and the payment, too.

mod answer;
mod cancel;
mod close_offer;
mod decline;
mod dispute;
mod dispute_answer;
mod grant;
mod offer;
mod offer_extended;
mod request;
mod revoke;
mod royalties;
mod shown;

pub use answer::{AnswerKey, AnswerRequest, Answered, BATCHES_MOST, Batch};
pub use cancel::Cancel;
pub use close_offer::CloseOffer;
pub use decline::Decline;
pub use dispute::{ChunkTree, Dispute};
pub use dispute_answer::DisputeAnswer;
pub use grant::Grant;
pub use offer::{HiddenScope, MetricName, Offer, Scope, Subject, Terms, TreeName};
pub use offer_extended::{
    Delivery, Extension, ExtensionKey, OfferExtended, ROYALTIES_MOST, Royalty, SOURCES_MOST, Source,
};
pub use request::Request;
pub use revoke::Revoke;
use royalties::ensure_sells_answers;
pub(super) use royalties::{ensure_sells_keys, pay_seller};
pub(super) use shown::{Contested, Shown, blame, gives_key};

use borsh::{BorshDeserialize, BorshSerialize};

use super::agenda::Task;
use super::call::{Halt, Ledger, ensure};
use super::devices::EraKey;
use super::refusal::{Refusal, Thing};
use super::tables::tables;
use crate::address::Address;
use crate::coin::{Amount, Coin};
use crate::hash::{Domain, Hash, OfferId, RequestId};

tables! {
    /// An offer.
    0x38 OfferKey { offer: OfferId } => OpenOffer;
    /// A request, and the right it became.
    0x39 RequestKey { request: RequestId } => Right;
    /// What is held against an account that sells.
    0x3A SellerKey { seller: Address } => Seller;
}

/// An offer as the ledger keeps it.
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
pub struct OpenOffer {
    /// Who offers.
    pub owner: Address,
    /// What is offered, and how.
    pub offer: Offer,
    /// Whether it takes requests.
    pub is_open: bool,
}

/// A request, and the right it became.
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
pub struct Right {
    /// The offer it is of.
    pub offer: OfferId,
    /// Who sells.
    pub owner: Address,
    /// Who buys.
    pub buyer: Address,
    /// The beginning of what is bought, in milliseconds since the epoch.
    pub from_ms: u64,
    /// Its end.
    pub until_ms: u64,
    /// The buyer's one-time X25519 key, which the grant is sealed to.
    #[serde(with = "crate::json::hex")]
    pub key: [u8; 32],
    /// The coin of the payment.
    pub coin: Coin,
    /// The price.
    pub price: Amount,
    /// What of it is set aside.
    pub escrow: Amount,
    /// The last height at which it can be granted.
    pub deadline: u64,
    /// What became of it.
    pub status: RightStatus,
}

/// What became of a request.
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
pub enum RightStatus {
    /// The owner is asked.
    Open,
    /// The buyer cancelled; from this height on he gets his payment back.
    Cancelling {
        /// The height.
        from: u64,
    },
    /// The owner gave the keys.
    Granted {
        /// The hash of the sealed keys.
        wrapped: Hash,
        /// The height at which the owner is paid.
        settles: u64,
    },
    /// The owner was paid.
    Settled {
        /// The hash of the sealed keys.
        wrapped: Hash,
    },
    /// The owner said no; the payment went back.
    Declined,
    /// There was no grant in time; the payment went back.
    Refunded,
    /// The owner took it back.
    Revoked,
    /// The buyer showed that the keys are wrong; the payment went back.
    Faulty,
}

impl Right {
    /// Gives what was sealed for a request: keys, or an answer.
    fn grant(
        ledger: &mut Ledger<'_>,
        request: RequestId,
        mut right: Self,
        sealed: &[u8],
    ) -> Result<(), Halt> {
        let is_open = matches!(right.status, RightStatus::Open | RightStatus::Cancelling { .. });
        ensure(is_open, Refusal::Status(Thing::Request))?;
        let until = right.deadline.saturating_add(1);
        ensure(ledger.height < until, Refusal::Late { until })?;
        ensure(!sealed.is_empty(), Refusal::Zero)?;
        let offer = ledger.find(&OfferKey { offer: right.offer }, Thing::Offer)?.offer;
        let settles = ledger.height.saturating_add(u64::from(offer.terms.check_blocks));
        let wrapped = Domain::Grant.hash(sealed);
        right.status = RightStatus::Granted { wrapped, settles };
        ledger.put(&RequestKey { request }, &right);
        ledger.schedule(settles, Task::Settle(request))
    }

    /// What a dispute of what was given is about.
    fn contested(&self, request: RequestId) -> Result<Contested, Halt> {
        match self.status {
            RightStatus::Granted { wrapped, settles } => {
                Ok(Contested { settles, key: self.key, wrapped, context: request.0 })
            }
            _ => Err(Refusal::Status(Thing::Request).into()),
        }
    }
}

/// What is held against an account that sells.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Seller {
    /// How many of its grants were shown to be faulty.
    pub faulty: u64,
}

/// Gives a buyer back what was not granted in time.
pub(super) fn refund(ledger: &mut Ledger<'_>, request: RequestId) -> Result<(), Halt> {
    let key = RequestKey { request };
    let Some(right) = ledger.get(&key)? else { return Ok(()) };
    let is_due = match right.status {
        RightStatus::Open => ledger.height > right.deadline,
        RightStatus::Cancelling { from } => ledger.height >= from,
        _ => false,
    };
    if is_due { give_back(ledger, key, right, RightStatus::Refunded) } else { Ok(()) }
}

/// Pays an owner whose grant nobody disputed.
pub(super) fn settle(ledger: &mut Ledger<'_>, request: RequestId) -> Result<(), Halt> {
    let key = RequestKey { request };
    let Some(mut right) = ledger.get(&key)? else { return Ok(()) };
    let RightStatus::Granted { wrapped, .. } = right.status else { return Ok(()) };
    pay_seller(ledger, right.offer, right.owner, right.coin, right.escrow)?;
    right.escrow = Amount::ZERO;
    right.status = RightStatus::Settled { wrapped };
    ledger.put(&key, &right);
    Ok(())
}

/// Ends a request by giving the buyer all that is set aside.
fn give_back(
    ledger: &mut Ledger<'_>,
    key: RequestKey,
    mut right: Right,
    status: RightStatus,
) -> Result<(), Halt> {
    ledger.pay(right.buyer, right.coin, right.escrow)?;
    right.escrow = Amount::ZERO;
    right.status = status;
    ledger.put(&key, &right);
    Ok(())
}

/// Refuses a time range that is empty, not in the scope of an offer, or not in the time in which the device
/// was the owner's.
pub(super) fn ensure_in_scope(
    ledger: &Ledger<'_>,
    offer: &OpenOffer,
    from_ms: u64,
    until_ms: u64,
) -> Result<(), Halt> {
    let scope = &offer.offer.scope;
    let is_inside = from_ms >= scope.from_ms
        && until_ms > from_ms
        && scope.until_ms.is_none_or(|until| until_ms <= until);
    ensure(is_inside, Refusal::Range)?;
    ensure_owned(ledger, offer.owner, &scope.subject, from_ms, Some(until_ms))
}

/// Refuses a time range that does not lie in the time in which the device was the owner's.
pub(super) fn ensure_owned(
    ledger: &Ledger<'_>,
    owner: Address,
    subject: &Subject,
    from_ms: u64,
    until_ms: Option<u64>,
) -> Result<(), Halt> {
    let Subject::Metrics { device, tree, .. } = subject else { return Ok(()) };
    let era = ledger.find(&EraKey { device: *device, tree: *tree }, Thing::Device)?;
    ensure(era.owner == owner, Refusal::NotAllowed(Thing::Device))?;
    let begins_in = from_ms >= era.from_ms;
    let ends_in = match (era.until_ms, until_ms) {
        (Some(end), Some(until)) => until <= end,
        (Some(end), None) => from_ms < end,
        (None, _) => true,
    };
    ensure(begins_in && ends_in, Refusal::Range)
}
