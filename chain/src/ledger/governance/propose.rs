//! Proposing a change.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{Outcome, Proposal, ProposalKey, ProtocolKey};
use crate::coin::{Amount, Coin};
use crate::encoding::{Rising, Text};
use crate::ledger::action::Rules;
use crate::ledger::agenda::Task;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::parameters::{ParameterChange, ParameterName};
use crate::ledger::refusal::Refusal;

/// Proposes to change parameters, or to begin with a new version of the protocol at a height.
///
/// - The parameter `proposal_deposit` is set aside. It is given back when at least `quorum` of the
///   bonded stake voted, whatever was decided, and burnt otherwise.
/// - The votes are counted after `voting_blocks`. The proposal passes when more than `pass_share` of
///   the stake that voted for or against is for it. A parameter is in force from the next block on.
/// - Every value is within the bounds of its parameter, and the parameters agree with each other:
///   `voting_blocks` stays below `unbonding_blocks`, `ready_blocks` below `term_blocks` and
///   `audit_blocks` below `epoch_blocks`. This is checked again when the votes are counted.
/// - `epoch_blocks` is set at genesis and never changes.
/// - A new version is above the present one, and begins after the votes are counted.
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
pub struct Propose {
    /// What is to change.
    pub change: ProposedChange,
    /// Why, or where to read why.
    pub reason: Text<256>,
}

/// What is to change.
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
pub enum ProposedChange {
    /// New values of parameters.
    Parameters(Rising<ParameterChange, 16>),
    /// A new version of the protocol.
    Protocol {
        /// The version.
        version: u16,
        /// The height at which it begins.
        height: u64,
    },
}

impl Rules for Propose {
    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let ends =
            ledger.height.saturating_add(ledger.parameters.count(ParameterName::VotingBlocks));
        match &self.change {
            ProposedChange::Parameters(changes) => {
                ensure(!changes.is_empty(), Refusal::Zero)?;
                let mut parameters = ledger.parameters.clone();
                for change in changes.iter() {
                    let name = change.name;
                    ensure(!name.is_fixed(), Refusal::Fixed { name })?;
                    let info = ParameterName::ALL.iter().find(|info| info.name == change.name);
                    let refusal = info.map_or(Refusal::NoChange, |info| Refusal::Bounds {
                        minimum: info.minimum,
                        maximum: info.maximum,
                        found: change.value,
                    });
                    ensure(parameters.set(change.name, change.value), refusal)?;
                }
                ensure(parameters != ledger.parameters, Refusal::NoChange)?;
                ensure(parameters.agree(), Refusal::Range)?;
            }
            ProposedChange::Protocol { version, height } => {
                let present = ledger.get_or_default(&ProtocolKey {})?;
                ensure(*version > present, Refusal::NoChange)?;
                ensure(*height > ends, Refusal::Early { from: ends.saturating_add(1) })?;
            }
        }
        let deposit = ledger.parameters.amount(ParameterName::ProposalDeposit);
        ledger.take(call.sender, Coin::Native, deposit)?;
        let number = ledger.count(|counters| counters.proposals += 1)?.proposals;
        let proposal = Proposal {
            proposer: call.sender,
            change: self.change.clone(),
            reason: self.reason.clone(),
            deposit,
            ends,
            yes: Amount::ZERO,
            no: Amount::ZERO,
            abstain: Amount::ZERO,
            outcome: Outcome::Open,
        };
        ledger.put(&ProposalKey { number }, &proposal);
        ledger.schedule(ends, Task::Tally(number))
    }
}
