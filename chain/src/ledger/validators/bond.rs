//! Becoming a candidate.

use borsh::{BorshDeserialize, BorshSerialize};

use super::lot::{enlist, puzzle_is_solved};
use super::{ConsensusKeyKey, ScheduleKey, Validator, ValidatorKey, add_stake, current};
use crate::coin::{Amount, BasisPoints};
use crate::hash::Hash;
use crate::keys::PublicKey;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure, ensure_within};
use crate::ledger::parameters::ParameterName;
use crate::ledger::refusal::{Refusal, Thing};

/// Bonds native coin as a validator, and renews what a candidate has to show.
///
/// - The first time makes the sender a validator, with a bond of at least `minimum_bond`. Later
///   it may add to the bond, or change the key, the beacon or the commission, with an amount of 0.
/// - The consensus key belongs to no other validator; an earlier key of the sender's stays his, so
///   that what it signed can be held against him.
/// - The beacon is the end of a hash chain: each block he proposes reveals the preimage of the last.
///   A chain other than the present one counts from the next lot on.
/// - The answer to the puzzle is for the seed of the present lot: the hash of seed, sender and
///   answer begins with `puzzle_bits` zero bits. Without an answer he is no candidate for the next.
/// - The commission is at most one hundred percent.
/// - Who signed twice cannot bond again.
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
pub struct Bond {
    /// How much is added to the bond.
    pub amount: Amount,
    /// The key that signs in consensus.
    pub consensus_key: PublicKey,
    /// The end of his beacon chain.
    pub beacon: Hash,
    /// His share of what his delegators earn.
    pub commission: BasisPoints,
    /// The answer to the puzzle, if he has one.
    pub puzzle: Option<u64>,
}

impl Rules for Bond {
    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        ensure_within(self.commission.0, 0_u16, BasisPoints::WHOLE.0)?;
        let key_owner = ConsensusKeyKey { key: self.consensus_key };
        let owner = ledger.get(&key_owner)?;
        ensure(
            owner.is_none_or(|owner| owner == call.sender),
            Refusal::Exists(Thing::ConsensusKey),
        )?;
        let key = ValidatorKey { validator: call.sender };
        let found = ledger.get(&key)?;
        let is_new = found.is_none();
        let mut validator = match found {
            Some(validator) => validator,
            None => {
                let least = ledger.parameters.amount(ParameterName::MinimumBond);
                ensure_within(self.amount.0, least.0, u128::MAX)?;
                Validator::default()
            }
        };
        ensure(!validator.is_barred, Refusal::Status(Thing::Validator))?;
        let mut schedule = current(ledger)?;
        if let Some(answer) = self.puzzle {
            let bits = ledger.parameters.count(ParameterName::PuzzleBits);
            let is_solved = puzzle_is_solved(&schedule.lot_seed, call.sender, answer, bits);
            ensure(is_solved, Refusal::Puzzle)?;
            if validator.solved_lot != Some(schedule.lot) {
                enlist(ledger, &mut schedule, call.sender)?;
                ledger.put(&ScheduleKey {}, &schedule);
            }
            validator.solved_lot = Some(schedule.lot);
        }
        validator.consensus_key = self.consensus_key;
        validator.commit_beacon(self.beacon, schedule.lot, is_new);
        validator.commission = self.commission;
        ledger.put(&key_owner, &call.sender);
        ledger.put(&key, &validator);
        if self.amount.is_zero() {
            return Ok(());
        }
        add_stake(ledger, call.sender, call.sender, self.amount)
    }
}
