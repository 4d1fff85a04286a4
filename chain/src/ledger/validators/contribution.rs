//! Contribution: what an account did for the network, in points.
//!
//! Everything that is counted costs something that does not come back: fees that were burnt, audits
//! that were passed, coin that was bonded while time went by. Volume is not counted: it could be
//! made by trading with oneself.
//!
//! It fades: all counts are halved, rounded down, at every height that [`HALVING_BLOCKS`] divides.
//! Shifts of a number compose, so a count that is halved when it is looked at is the one that would
//! have been halved at once, whoever looks when.

use super::{Validator, ValidatorKey};
use crate::address::Address;
use crate::coin::{Amount, MOTES_PER_COIN, mul_div};
use crate::ledger::call::{Halt, Ledger};
use crate::ledger::coin::{Account, AccountKey};
use crate::ledger::parameters::{ParameterName, Parameters, ParametersKey};
use crate::ledger::storage::{Peer, PeerKey};
use crate::state::{Overlay, State, StateError};

/// Blocks of a day, at one a second.
const DAY: u128 = 86_400;
/// After how many blocks all counts are halved: 90 days at one block a second.
pub const HALVING_BLOCKS: u64 = 90 * 86_400;

/// What is left at a height of something that was counted up to an earlier one.
#[must_use]
pub(in crate::ledger) fn faded(count: u128, then: u64, now: u64) -> u128 {
    let halvings = (now / HALVING_BLOCKS).saturating_sub(then / HALVING_BLOCKS);
    let halvings = u32::try_from(halvings).unwrap_or(u32::MAX);
    count.checked_shr(halvings).unwrap_or(0)
}

/// The first height above another at which counts are halved.
pub(super) fn next_halving(height: u64) -> u64 {
    (height / HALVING_BLOCKS).saturating_add(1).saturating_mul(HALVING_BLOCKS)
}

/// What is left of an account's burnt fees.
fn fees_left(account: &Account, height: u64) -> Amount {
    Amount(faded(account.fees_burnt.0, account.counted_to, height))
}

/// What is left of a peer's passed audits.
fn audits_left(parameters: &Parameters, peer: Option<&Peer>, height: u64) -> u64 {
    let Some(peer) = peer else { return 0 };
    let then = peer.audited_epoch.map_or(0, |epoch| parameters.epoch_end(epoch));
    u64::try_from(faded(u128::from(peer.audits_passed), then, height)).unwrap_or(u64::MAX)
}

/// What an account contributed. The inputs are parts of three entries of the state ([`AccountKey`],
/// [`PeerKey`], [`ValidatorKey`]), each of which can be proved, as can the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contribution {
    /// The account.
    pub account: Address,
    /// What was burnt of its fees, faded, in motes.
    pub fees_burnt: Amount,
    /// How many audits it passed as a storage peer, faded.
    pub audits_passed: u64,
    /// Motes bonded behind it times the blocks they were, faded.
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
    let fees = state.get(&AccountKey { address: account })?.unwrap_or_default();
    let fees = fees_left(&fees, height);
    let peer = state.get(&PeerKey { peer: account })?;
    let audits = audits_left(&parameters, peer.as_ref(), height);
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
    let fees = fees_left(&ledger.get_or_default(&AccountKey { address: account })?, ledger.height);
    let peer = ledger.get(&PeerKey { peer: account })?;
    let audits = audits_left(&ledger.parameters, peer.as_ref(), ledger.height);
    let mut counted = validator.clone();
    counted.accrue(ledger.height);
    let stake = counted.stake_blocks;
    Ok(Contribution::of(&ledger.parameters, account, fees, audits, stake).score())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_not_matter_when_a_count_is_looked_at() {
        let half = HALVING_BLOCKS;
        assert_eq!(faded(1_001, 0, half - 1), 1_001);
        assert_eq!(faded(1_001, 0, half), 500);
        assert_eq!(faded(1_001, half - 1, half), 500);
        assert_eq!(faded(1_001, half, 2 * half - 1), 1_001);
        for count in [0, 1, 7, 1_001, u128::MAX] {
            for (then, now) in [(3, half + 1), (half, 9 * half), (5, 200 * half), (0, u64::MAX)] {
                let middle = then + (now - then) / 3;
                let twice = faded(faded(count, then, middle), middle, now);
                assert_eq!(faded(count, then, now), twice, "{count} from {then} to {now}");
            }
        }
        assert_eq!(faded(u128::MAX, 0, 128 * half), 0);
    }

    #[test]
    fn a_bond_counts_the_same_however_often_it_is_counted() {
        let bonded = Validator { stake: Amount(1_000), ..Validator::default() };
        let (mut once, mut often) = (bonded.clone(), bonded);
        let until = 3 * HALVING_BLOCKS + 12_345;
        once.accrue(until);
        for step in 1..=7 {
            often.accrue(step * until / 7);
        }
        assert_eq!((once.stake_blocks, once.counted_to), (often.stake_blocks, until));
        // A bond that stays comes to twice what it earns between two halvings, and not above.
        let earned = 1_000 * u128::from(HALVING_BLOCKS);
        let mut long = Validator { stake: Amount(1_000), ..Validator::default() };
        long.accrue(60 * HALVING_BLOCKS);
        assert!(long.stake_blocks < earned && long.stake_blocks > earned - 1_000);
        long.accrue(61 * HALVING_BLOCKS - 1);
        assert!(long.stake_blocks < 2 * earned);
    }
}
