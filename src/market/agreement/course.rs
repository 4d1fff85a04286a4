//! Where a deal is by its contract, and who gets what.

use chronolith_chain::encoding::List;
use chronolith_chain::ledger::{SHARES_MOST, Share, Verdict};
use chronolith_contract::steps::{FollowError, Followed, Forward, Ruling, Told};
use chronolith_contract::{Amount, BUYER, Compiled};

use super::table::{check, divided, name_of};
use super::{AgreementError, Answers};
use crate::market::deal::Found;

/// Where a deal is by its contract.
#[derive(Debug, Clone)]
pub struct Course {
    /// The deal, what was decided on its way, and what led nowhere.
    pub followed: Followed,
    /// The contract's steps, by the ledger's numbers.
    pub forward: Forward,
    /// Who gets what, as the ledger has it; none while the contract goes on.
    pub shares: Option<List<Share, SHARES_MOST>>,
}

/// Follows a contract through what the ledger has of a deal. `answers` are those of the contract's queries.
///
/// # Errors
/// Where the deal's plan is not the contract's, or what was said is not.
pub fn follow(
    compiled: &Compiled,
    found: &Found,
    answers: &Answers,
    ruling: Option<&Ruling>,
) -> Result<Course, AgreementError> {
    let plan = &found.deal.plan;
    let forward = check(compiled, plan)?;
    let contract = compiled.contract();
    let told = found.said.iter().map(|(row, said)| {
        let by = said.by.map(|account| match name_of(contract, &plan.parties, Some(account)) {
            name if name.is_empty() => {
                Err(FollowError::Party { party: account.to_string(), step: row.to_string() })
            }
            name => Ok(name),
        });
        let by = by.transpose()?;
        Ok(Told { row: usize::from(*row), by, objects: said.verdict == Verdict::Objected })
    });
    let told = told.collect::<Result<Vec<_>, FollowError>>()?;
    let escrow = contract.party_names().zip(plan.parties.iter()).find(|(name, _)| *name == BUYER);
    let escrow = Amount(escrow.map_or(0, |(_, party)| party.amount.0));
    let followed = forward.follow(compiled, escrow, &told, &answers.given, ruling)?;
    let ended = followed.deal.is_ended().then(|| followed.deal.shares());
    let shares = ended.map(|shares| divided(contract, &plan.parties, shares)).transpose()?;
    Ok(Course { followed, forward, shares })
}
