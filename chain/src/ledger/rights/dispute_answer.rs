//! Showing that a sealed answer is not the one that was signed.

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_keys::{GrantContext, open_answer};

use super::{AnswerKey, RequestKey, RightStatus, blame, give_back};
use crate::encoding::Bytes;
use crate::hash::RequestId;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::{Refusal, Thing};

/// Disputes an answer: reveals the one-time secret and the sealed answer, so that the ledger can open it and
/// compare its content id.
///
/// - The sender is the buyer, the request is answered, and the time to check is not over.
/// - The secret is that of the request's one-time key, and the sealed answer is the one that was given.
/// - If it opens to what the answer's content id says, the dispute is refused as `AnswerHolds`.
/// - Otherwise the buyer gets all of the payment back, and it is one more that is held against the owner.
///
/// An answer that is wrong of the data, but is the one that was signed, is not the ledger's to judge: the
/// buyer has the owner's word for it, with the batches, before everybody. Whatever comes of it, everybody who
/// reads the block can open the answer from then on.
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
pub struct DisputeAnswer {
    /// The request that was answered.
    pub request: RequestId,
    /// The secret half of the request's one-time key.
    #[serde(with = "crate::json::hex")]
    pub secret: [u8; 32],
    /// The sealed answer, as it was given.
    pub wrapped: Bytes<16384>,
}

impl Rules for DisputeAnswer {
    fn weight(&self) -> u64 {
        10
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = RequestKey { request: self.request };
        let right = ledger.find(&key, Thing::Request)?;
        ensure(right.buyer == call.sender, Refusal::NotAllowed(Thing::Request))?;
        let answered = ledger.find(&AnswerKey { request: self.request }, Thing::Answer)?;
        let contested = right.contested(self.request)?;
        let secret = contested.check(ledger, self.secret, &self.wrapped)?;
        let context = GrantContext { chain: ledger.chain.0, request: self.request.0 };
        let opened = open_answer(&self.wrapped, &secret, &context);
        let holds = opened.is_ok_and(|answer| answered.answer.matches(&answer));
        ensure(!holds, Refusal::AnswerHolds)?;
        blame(ledger, right.owner)?;
        give_back(ledger, key, right, RightStatus::Faulty)
    }
}
