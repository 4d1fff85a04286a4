//! Answering instead of giving keys.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{OfferKey, RequestKey, Right, Subject, ensure_sells_answers};
use crate::address::Address;
use crate::content::ContentId;
use crate::encoding::{Bytes, Keyed, Rising};
use crate::hash::{Hash, RequestId};
use crate::ledger::action::Rules;
use crate::ledger::anchors::AnchorKey;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::devices::EraKey;
use crate::ledger::refusal::{Refusal, Thing};
use crate::ledger::tables::tables;

tables! {
    /// The answer to a request of an offer that sells answers.
    0x3C AnswerKey { request: RequestId } => Answered;
}

/// The most batches that an answer comes from.
pub const BATCHES_MOST: usize = 64;

/// Answers a request of an offer that sells answers: the answer itself, sealed to the request's one-time key,
/// with its content id and the batches that it comes from. The transaction is the owner's signature under it.
///
/// - The sender, the request and its deadline are as in `Grant`; the offer sells answers.
/// - The sealed answer is not empty. The ledger keeps its hash and the content id of what is in it, which the
///   buyer can dispute.
/// - One to 64 batches, each anchored; of data that is named, in the time of the scope's key tree by who spoke
///   for the device then.
/// - The owner is paid when the time to check has passed. Whether the answer is the query's to this data the
///   ledger does not see; who has the chunks can show it by the content ids.
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
pub struct AnswerRequest {
    /// The request.
    pub request: RequestId,
    /// The content id of the answer.
    pub answer: ContentId,
    /// The sealed answer.
    pub wrapped: Bytes<16384>,
    /// The batches that it comes from.
    pub batches: Rising<Batch, BATCHES_MOST>,
}

/// An anchored batch.
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
pub struct Batch {
    /// Who anchored it.
    pub producer: Address,
    /// Its root.
    pub root: Hash,
}

impl Keyed for Batch {
    type Key = (Address, Hash);

    fn key(&self) -> (Address, Hash) {
        (self.producer, self.root)
    }
}

/// An answer as the ledger keeps it.
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
pub struct Answered {
    /// The content id of the answer.
    pub answer: ContentId,
    /// The batches that it comes from.
    pub batches: Rising<Batch, BATCHES_MOST>,
}

impl Rules for AnswerRequest {
    fn weight(&self) -> u64 {
        2 + self.batches.len() as u64
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = RequestKey { request: self.request };
        let right = ledger.find(&key, Thing::Request)?;
        ensure(right.owner == call.sender, Refusal::NotAllowed(Thing::Request))?;
        ensure_sells_answers(ledger, right.offer)?;
        ensure(!self.batches.is_empty(), Refusal::Zero)?;
        let offer = ledger.find(&OfferKey { offer: right.offer }, Thing::Offer)?.offer;
        self.ensure_anchored(ledger, &offer.scope.subject)?;
        let answered = Answered { answer: self.answer, batches: self.batches.clone() };
        ledger.put(&AnswerKey { request: self.request }, &answered);
        Right::grant(ledger, self.request, right, &self.wrapped)
    }
}

impl AnswerRequest {
    fn ensure_anchored(&self, ledger: &Ledger<'_>, subject: &Subject) -> Result<(), Halt> {
        for Batch { producer, root } in self.batches.iter() {
            let key = AnchorKey { producer: *producer, root: root.0 };
            let anchored = ledger.find(&key, Thing::Anchor)?;
            if let Subject::Metrics { device, tree, .. } = subject {
                let era = ledger.find(&EraKey { device: *device, tree: *tree }, Thing::Device)?;
                let speaks = era.could_anchor(*device, *producer, anchored.time_ms);
                ensure(speaks, Refusal::Anchorer)?;
            }
        }
        Ok(())
    }
}
