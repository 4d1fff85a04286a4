//! Paying for what was submitted.

use borsh::{BorshDeserialize, BorshSerialize};

use super::bounty::{Bounty, BountyKey, SubmissionKey, SubmittedRight};
use crate::coin::{Amount, BasisPoints};
use crate::encoding::{Keyed, Rising};
use crate::hash::{BountyId, RequestId};
use crate::ledger::action::Rules;
use crate::ledger::agenda::Task;
use crate::ledger::call::{Call, Halt, Ledger, ensure, ensure_within};
use crate::ledger::parameters::ParameterName;
use crate::ledger::refusal::{Refusal, Thing};
use crate::ledger::rights::{OfferKey, RequestKey, Right, RightStatus};

/// Awards shares of a bounty's reward to submissions.
///
/// - The sender posted the bounty; it is open, and its time for awards is not over.
/// - Each submission is there and is awarded once, with a share above 0; all shares together are at most
///   the whole. A share is rounded down, and is not nothing; who completes the whole gets what rounding
///   left.
/// - What can be read already is paid at once.
/// - What is encrypted becomes a request of its offer, with its share as the price, set aside, and the
///   poster's one-time key in the award: it is granted, checked, disputed and paid as if the poster had
///   asked for it, and without a grant in `grant_blocks` blocks the share comes back to him. An award has a
///   key if and only if its submission is encrypted.
/// - When the whole is awarded, the bounty is closed.
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
pub struct AwardBounty {
    /// The bounty.
    pub bounty: BountyId,
    /// Who gets what.
    pub awards: Rising<Award, 64>,
    /// How many blocks the grants of encrypted submissions may take.
    pub grant_blocks: u32,
}

/// What a submission is awarded.
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
pub struct Award {
    /// The number of the submission.
    pub number: u32,
    /// Its share of the reward.
    pub share: BasisPoints,
    /// A one-time X25519 key, which the grant is sealed to.
    #[serde(default, with = "crate::json::optional_hex")]
    pub key: Option<[u8; 32]>,
}

impl Keyed for Award {
    type Key = u32;

    fn key(&self) -> u32 {
        self.number
    }
}

impl Rules for AwardBounty {
    fn weight(&self) -> u64 {
        1 + self.awards.len() as u64
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = BountyKey { bounty: self.bounty };
        let mut bounty = ledger.find(&key, Thing::Bounty)?;
        ensure(bounty.poster == call.sender, Refusal::NotAllowed(Thing::Bounty))?;
        ensure(bounty.is_open, Refusal::Status(Thing::Bounty))?;
        let until = bounty.award_until.saturating_add(1);
        ensure(ledger.height < until, Refusal::Late { until })?;
        ensure(!self.awards.is_empty(), Refusal::Zero)?;
        let longest = ledger.parameters.count(ParameterName::DeadlineLongest);
        ensure_within(self.grant_blocks, 1_u32, longest)?;
        for award in self.awards.iter() {
            let open = BasisPoints::WHOLE.0.saturating_sub(bounty.awarded.0);
            ensure_within(award.share.0, 1_u16, open)?;
            bounty.awarded = BasisPoints(bounty.awarded.0.saturating_add(award.share.0));
            let is_last = bounty.awarded == BasisPoints::WHOLE;
            let amount =
                if is_last { bounty.escrow } else { bounty.reward.basis_points(award.share)? };
            ensure(!amount.is_zero(), Refusal::Zero)?;
            bounty.escrow = bounty.escrow.minus(amount)?;
            self.award(ledger, &bounty, award, amount)?;
        }
        bounty.is_open = bounty.awarded < BasisPoints::WHOLE;
        ledger.put(&key, &bounty);
        Ok(())
    }
}

impl AwardBounty {
    /// Pays for a submission, or asks for its keys.
    fn award(
        &self,
        ledger: &mut Ledger<'_>,
        bounty: &Bounty,
        award: &Award,
        amount: Amount,
    ) -> Result<(), Halt> {
        let at = SubmissionKey { bounty: self.bounty, number: award.number };
        let mut submission = ledger.find(&at, Thing::Submission)?;
        ensure(submission.awarded.is_none(), Refusal::Status(Thing::Submission))?;
        submission.awarded = Some(award.share);
        match (submission.right, award.key) {
            (None, None) => ledger.pay(submission.submitter, bounty.coin, amount)?,
            (Some(SubmittedRight { offer, from_ms, until_ms }), Some(key)) => {
                ledger.find(&OfferKey { offer }, Thing::Offer)?;
                let request = RequestId::awarded(self.bounty, award.number);
                let deadline = ledger.height.saturating_add(self.grant_blocks.into());
                let right = Right {
                    offer,
                    owner: submission.submitter,
                    buyer: bounty.poster,
                    from_ms,
                    until_ms,
                    key,
                    coin: bounty.coin,
                    price: amount,
                    escrow: amount,
                    deadline,
                    status: RightStatus::Open,
                };
                ledger.put(&RequestKey { request }, &right);
                ledger.schedule(deadline.saturating_add(1), Task::Refund(request))?;
                submission.request = Some(request);
            }
            _ => return Err(Refusal::AwardKey { number: award.number }.into()),
        }
        ledger.put(&at, &submission);
        Ok(())
    }
}
