//! Governance: who has stake changes the parameters and the protocol.

mod propose;
mod vote;

pub use propose::{Propose, ProposedChange};
pub use vote::{Choice, Vote};

use borsh::{BorshDeserialize, BorshSerialize};

use super::agenda::Task;
use super::call::{Halt, Ledger};
use super::parameters::{ParameterName, ParametersKey};
use super::tables::tables;
use super::validators::BondedKey;
use crate::address::Address;
use crate::coin::{Amount, Coin, mul_div};
use crate::encoding::Text;

tables! {
    /// A proposal, by its number.
    0x20 ProposalKey { number: u64 } => Proposal;
    /// How an account voted on a proposal.
    0x21 BallotKey { proposal: u64, voter: Address } => Ballot;
    /// The version of the protocol.
    0x06 ProtocolKey {} => u16;
}

/// A proposal.
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
pub struct Proposal {
    /// Who proposed it.
    pub proposer: Address,
    /// What is to change.
    pub change: ProposedChange,
    /// Why, or where to read why.
    pub reason: Text<256>,
    /// What is given back if enough voted.
    pub deposit: Amount,
    /// The height at which the votes are counted.
    pub ends: u64,
    /// Stake that voted for it.
    pub yes: Amount,
    /// Stake that voted against it.
    pub no: Amount,
    /// Stake that voted neither way.
    pub abstain: Amount,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a proposal.
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
pub enum Outcome {
    /// It is voted on.
    Open,
    /// It passed, and is in force or will be.
    Passed,
    /// It did not.
    Failed,
    /// Too few voted; the deposit is burnt.
    NoQuorum,
}

/// How an account voted.
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
pub struct Ballot {
    /// For, against, or neither.
    pub choice: Choice,
    /// The stake it had when it voted.
    pub stake: Amount,
}

/// Counts the votes for a proposal, and does what was decided.
pub(super) fn tally(ledger: &mut Ledger<'_>, number: u64) -> Result<(), Halt> {
    let key = ProposalKey { number };
    let Some(mut proposal) = ledger.get(&key)? else { return Ok(()) };
    let bonded: Amount = ledger.get_or_default(&BondedKey {})?;
    let decided = proposal.yes.plus(proposal.no)?;
    let voted = decided.plus(proposal.abstain)?;
    let needed = bonded.basis_points(ledger.parameters.share(ParameterName::Quorum))?;
    if voted < needed || voted.is_zero() {
        ledger.burn(proposal.deposit)?;
        proposal.outcome = Outcome::NoQuorum;
    } else {
        ledger.pay(proposal.proposer, Coin::Native, proposal.deposit)?;
        let bar = u128::from(ledger.parameters.share(ParameterName::PassShare).0);
        let share = mul_div(proposal.yes.0, 10_000, decided.0)?;
        let passes = share > bar && change(ledger, &proposal.change)?;
        proposal.outcome = if passes { Outcome::Passed } else { Outcome::Failed };
    }
    proposal.deposit = Amount::ZERO;
    ledger.put(&key, &proposal);
    Ok(())
}

/// Does what a proposal says; nothing, where it no longer fits.
fn change(ledger: &mut Ledger<'_>, change: &ProposedChange) -> Result<bool, Halt> {
    match change {
        ProposedChange::Parameters(changes) => {
            // As of now, not as of the block's beginning: another proposal may just have passed.
            let mut parameters = ledger.get_or_default(&ParametersKey {})?;
            let fits = changes
                .iter()
                .all(|change| !change.name.is_fixed() && parameters.set(change.name, change.value));
            let fits = fits && parameters.agree();
            if fits {
                ledger.put(&ParametersKey {}, &parameters);
            }
            Ok(fits)
        }
        ProposedChange::Protocol { version, height } => {
            let present = ledger.get_or_default(&ProtocolKey {})?;
            let fits = *version > present && *height > ledger.height;
            if fits {
                ledger.schedule(*height, Task::Upgrade(*version))?;
            }
            Ok(fits)
        }
    }
}

/// Begins with a version of the protocol, if it is newer than the present one.
pub(super) fn upgrade(ledger: &mut Ledger<'_>, version: u16) -> Result<(), Halt> {
    if version > ledger.get_or_default(&ProtocolKey {})? {
        ledger.put(&ProtocolKey {}, &version);
    }
    Ok(())
}
