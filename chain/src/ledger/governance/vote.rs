//! Voting on a proposal.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{Ballot, BallotKey, Outcome, Proposal, ProposalKey};
use crate::coin::{Amount, CoinError};
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::{Refusal, Thing};
use crate::ledger::validators::stake_of;

/// Votes on a proposal with all stake that the sender has behind validators, his own bond included.
///
/// - The proposal is open, and its votes are not counted yet.
/// - The sender has stake. It counts as it is at that moment; what leaves a validator afterwards
///   cannot vote again elsewhere, because unbonding takes longer than voting.
/// - Voting again replaces the earlier vote, with the stake of now.
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
pub struct Vote {
    /// The number of the proposal.
    pub proposal: u64,
    /// For, against, or neither.
    pub choice: Choice,
}

/// For, against, or neither.
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
pub enum Choice {
    /// For it.
    Yes,
    /// Against it.
    No,
    /// Neither; counts towards the quorum.
    Abstain,
}

impl Proposal {
    /// Changes the count of a choice.
    fn recount(
        &mut self,
        choice: Choice,
        change: impl FnOnce(Amount) -> Result<Amount, CoinError>,
    ) -> Result<(), CoinError> {
        let count = match choice {
            Choice::Yes => &mut self.yes,
            Choice::No => &mut self.no,
            Choice::Abstain => &mut self.abstain,
        };
        *count = change(*count)?;
        Ok(())
    }
}

impl Rules for Vote {
    fn weight(&self) -> u64 {
        2
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = ProposalKey { number: self.proposal };
        let mut proposal = ledger.find(&key, Thing::Proposal)?;
        ensure(proposal.outcome == Outcome::Open, Refusal::Late { until: proposal.ends })?;
        let stake = stake_of(ledger, call.sender)?;
        ensure(!stake.is_zero(), Refusal::Missing(Thing::Delegation))?;
        let ballot = BallotKey { proposal: self.proposal, voter: call.sender };
        if let Some(before) = ledger.get(&ballot)? {
            proposal.recount(before.choice, |count| count.minus(before.stake))?;
        }
        proposal.recount(self.choice, |count| count.plus(stake))?;
        ledger.put(&ballot, &Ballot { choice: self.choice, stake });
        ledger.put(&key, &proposal);
        Ok(())
    }
}
