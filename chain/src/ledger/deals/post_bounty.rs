//! Asking for data that nobody offers yet.

use borsh::{BorshDeserialize, BorshSerialize};

use super::bounty::{Bounty, BountyKey, Leftover, Ownership};
use crate::coin::{Amount, BasisPoints, Coin};
use crate::content::ContentId;
use crate::hash::BountyId;
use crate::ledger::action::Rules;
use crate::ledger::agenda::Task;
use crate::ledger::call::{Call, Halt, Ledger, ensure, ensure_within};
use crate::ledger::coin::ensure_coin;
use crate::ledger::parameters::ParameterName;
use crate::ledger::refusal::Refusal;

/// Posts a bounty and sets its reward aside; its id follows from the transaction's.
///
/// - The reward is not nothing, in a coin that exists.
/// - Submissions are taken up to the height `submit_until`, which is in the future; awards up to
///   `award_until`, which is later, and at most `deadline_longest` blocks ahead.
/// - Who submits agrees to the ownership that the bounty says.
/// - When `award_until` has passed, what was not awarded goes back to the poster, or in equal parts to all
///   who submitted, as the bounty says; what cannot be divided goes to who was first. Nobody has to ask.
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
pub struct PostBounty {
    /// The content id of what is wanted, and of all that is agreed.
    pub text: ContentId,
    /// The coin of the reward.
    pub coin: Coin,
    /// The reward.
    pub reward: Amount,
    /// The last height at which something can be submitted.
    pub submit_until: u64,
    /// The last height at which something can be awarded.
    pub award_until: u64,
    /// Where goes what nobody was awarded.
    pub leftover: Leftover,
    /// Whose the submitted data is once it is awarded.
    pub ownership: Ownership,
}

impl Rules for PostBounty {
    fn weight(&self) -> u64 {
        2
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        ensure(!self.reward.is_zero(), Refusal::Zero)?;
        ensure_coin(ledger, self.coin)?;
        let latest =
            ledger.height.saturating_add(ledger.parameters.count(ParameterName::DeadlineLongest));
        ensure_within(self.submit_until, ledger.height.saturating_add(1), latest)?;
        ensure_within(self.award_until, self.submit_until.saturating_add(1), latest)?;
        ledger.take(call.sender, self.coin, self.reward)?;
        let bounty = BountyId::made_by(call.transaction);
        let posted = Bounty {
            poster: call.sender,
            text: self.text,
            coin: self.coin,
            reward: self.reward,
            escrow: self.reward,
            awarded: BasisPoints(0),
            submit_until: self.submit_until,
            award_until: self.award_until,
            leftover: self.leftover,
            ownership: self.ownership,
            submissions: 0,
            is_open: true,
        };
        ledger.put(&BountyKey { bounty }, &posted);
        ledger.schedule(self.award_until.saturating_add(1), Task::EndBounty(bounty))
    }
}
