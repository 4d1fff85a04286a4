//! Contribution: what an account did for the network, in points.
//!
//! Everything that is counted costs something that does not come back: fees that were burnt, audits
//! that were passed, coin that was bonded while time went by. Volume is not counted: it could be
//! made by trading with oneself.

use super::{Validator, ValidatorKey};
use crate::address::Address;
use crate::coin::{Amount, MOTES_PER_COIN, mul_div};
use crate::ledger::call::{Halt, Ledger};
use crate::ledger::coin::AccountKey;
use crate::ledger::parameters::{ParameterName, Parameters, ParametersKey};
use crate::ledger::storage::PeerKey;
use crate::state::{Overlay, State, StateError};

/// Blocks of a day, at one a second.
const DAY: u128 = 86_400;

/// What an account contributed. The inputs are parts of three entries of the state ([`AccountKey`],
/// [`PeerKey`], [`ValidatorKey`]), each of which can be proved, as can the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contribution {
    /// The account.
    pub account: Address,
    /// What was burnt of its fees, in motes.
    pub fees_burnt: Amount,
    /// How many audits it passed as a storage peer.
    pub audits_passed: u64,
    /// Motes bonded behind it times the blocks they were.
    pub stake_blocks: u128,
    /// Points for fees: `score_fee` for each coin burnt.
    pub fee_points: u128,
    /// Points for audits: `score_audit` for each one passed.
    pub audit_points: u128,
    /// Points for bonds: `score_bond` for each coin bonded for a day of 86,400 blocks.
    pub bond_points: u128,
}

impl Contribution {
    /// All points together.
    #[must_use]
    pub fn score(&self) -> u128 {
        self.fee_points.saturating_add(self.audit_points).saturating_add(self.bond_points)
    }

    /// The points of inputs, all rounded down.
    #[must_use]
    pub fn of(
        parameters: &Parameters,
        account: Address,
        fees_burnt: Amount,
        audits_passed: u64,
        stake_blocks: u128,
    ) -> Self {
        let points = |amount: u128, name: ParameterName, whole: u128| {
            mul_div(amount, parameters.get(name), whole).unwrap_or(u128::MAX)
        };
        Self {
            account,
            fees_burnt,
            audits_passed,
            stake_blocks,
            fee_points: points(fees_burnt.0, ParameterName::ScoreFee, MOTES_PER_COIN),
            audit_points: points(u128::from(audits_passed), ParameterName::ScoreAudit, 1),
            bond_points: points(stake_blocks, ParameterName::ScoreBond, MOTES_PER_COIN * DAY),
        }
    }
}

/// What an account contributed by the present version of a state.
pub fn contribution(state: &State, account: Address) -> Result<Contribution, StateError> {
    let height = state.head().version;
    let state = Overlay::new(state);
    let parameters = state.get(&ParametersKey {})?.unwrap_or_default();
    let fees = state.get(&AccountKey { address: account })?.unwrap_or_default().fees_burnt;
    let audits = state.get(&PeerKey { peer: account })?.map_or(0, |peer| peer.audits_passed);
    let stake = state.get(&ValidatorKey { validator: account })?.map_or(0, |mut validator| {
        validator.accrue(height);
        validator.stake_blocks
    });
    Ok(Contribution::of(&parameters, account, fees, audits, stake))
}

/// A validator's score while a block is executed.
pub(super) fn score(
    ledger: &Ledger<'_>,
    account: Address,
    validator: &Validator,
) -> Result<u128, Halt> {
    let fees = ledger.get_or_default(&AccountKey { address: account })?.fees_burnt;
    let audits = ledger.get(&PeerKey { peer: account })?.map_or(0, |peer| peer.audits_passed);
    let mut counted = validator.clone();
    counted.accrue(ledger.height);
    let stake = counted.stake_blocks;
    Ok(Contribution::of(&ledger.parameters, account, fees, audits, stake).score())
}
