//! Having what a bounty asks for.

use borsh::{BorshDeserialize, BorshSerialize};

use super::bounty::{
    BountyKey, SUBMISSIONS_MOST, Submission, SubmissionKey, SubmittedRight, SubmitterKey,
};
use crate::content::ContentId;
use crate::hash::BountyId;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::{Refusal, Thing};
use crate::ledger::rights::{OfferKey, ensure_in_scope, ensure_sells_keys};

/// Submits data to a bounty, and agrees to its terms. Submissions of a bounty are numbered from 0.
///
/// - The bounty is open, another account's, and its time for submissions is not over.
/// - One submission for each account, and 64 for each bounty.
/// - Encrypted data is submitted by an offer of the sender, of its keys, that is open, with a time range in
///   its scope: no key is given before it is awarded. Whoever can read the rest needs no grant.
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
pub struct SubmitToBounty {
    /// The bounty.
    pub bounty: BountyId,
    /// The content id of what is submitted.
    pub content: ContentId,
    /// Of which offer the right will be, where the data is encrypted.
    pub right: Option<SubmittedRight>,
}

impl Rules for SubmitToBounty {
    fn weight(&self) -> u64 {
        2
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = BountyKey { bounty: self.bounty };
        let mut bounty = ledger.find(&key, Thing::Bounty)?;
        ensure(bounty.poster != call.sender, Refusal::NotAllowed(Thing::Bounty))?;
        ensure(bounty.is_open, Refusal::Status(Thing::Bounty))?;
        let until = bounty.submit_until.saturating_add(1);
        ensure(ledger.height < until, Refusal::Late { until })?;
        let limit = SUBMISSIONS_MOST;
        ensure(bounty.submissions < limit, Refusal::Limit { limit: limit.into() })?;
        let submitter = SubmitterKey { bounty: self.bounty, submitter: call.sender };
        ensure(ledger.get(&submitter)?.is_none(), Refusal::Exists(Thing::Submission))?;
        if let Some(SubmittedRight { offer, from_ms, until_ms }) = self.right {
            let found = ledger.find(&OfferKey { offer }, Thing::Offer)?;
            ensure(found.owner == call.sender, Refusal::NotAllowed(Thing::Offer))?;
            ensure(found.is_open, Refusal::Status(Thing::Offer))?;
            ensure_sells_keys(ledger, offer)?;
            ensure_in_scope(ledger, &found, from_ms, until_ms)?;
        }
        let number = bounty.submissions;
        let submission = Submission {
            submitter: call.sender,
            content: self.content,
            right: self.right,
            awarded: None,
            request: None,
        };
        ledger.put(&SubmissionKey { bounty: self.bounty, number }, &submission);
        ledger.put(&submitter, &number);
        bounty.submissions = number.saturating_add(1);
        ledger.put(&key, &bounty);
        Ok(())
    }
}
