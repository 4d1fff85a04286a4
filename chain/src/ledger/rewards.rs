//! What a block earns who made it.
//!
//! A share of the fees is burnt. The rest, and what is minted for a block, goes to the proposer (his
//! share first) and to those whose votes committed the block before, by what is bonded behind them.
//! What cannot be divided goes to the proposer; where there is none, nothing is minted and all is
//! burnt. A proposer who does not reveal his beacon gets nothing as one: that part is burnt, so that
//! hiding it costs as much as not proposing.

use super::call::{Halt, Ledger};
use super::parameters::ParameterName;
use super::validators::{ValidatorKey, reward};
use crate::address::Address;
use crate::coin::{Amount, Coin};

/// Whom a block's reward goes to.
pub(super) struct Block<'a> {
    /// What is left of the fees.
    pub(super) fees: Amount,
    pub(super) proposer: Option<Address>,
    pub(super) voters: &'a [Address],
}

/// Distributes the reward of a block.
pub(super) fn distribute(
    ledger: &mut Ledger<'_>,
    block: &Block<'_>,
    has_revealed: bool,
) -> Result<(), Halt> {
    let Block { fees, proposer, voters } = *block;
    let Some(proposer) = proposer else { return ledger.burn(fees) };
    let issuance = ledger.parameters.amount(ParameterName::Issuance);
    if !issuance.is_zero() {
        ledger.mint(issuance)?;
    }
    let all = fees.plus(issuance)?;
    let share = ledger.parameters.share(ParameterName::ProposerShare);
    let for_voters = all.minus(all.basis_points(share)?)?;
    let mut stakes = Vec::with_capacity(voters.len());
    let mut whole = Amount::ZERO;
    for voter in voters {
        if let Some(validator) = ledger.get(&ValidatorKey { validator: *voter })? {
            whole = whole.plus(validator.stake)?;
            stakes.push((*voter, validator.stake));
        }
    }
    let mut left = all;
    for (voter, stake) in stakes {
        let part = for_voters.share(stake.0, whole.0)?;
        left = left.minus(part)?;
        reward(ledger, voter, part)?;
    }
    if has_revealed { ledger.pay(proposer, Coin::Native, left) } else { ledger.burn(left) }
}
