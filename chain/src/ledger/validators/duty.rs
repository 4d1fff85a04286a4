//! What an account has to hand in to be seated: an answer to each lot's puzzle, and near the end of
//! each term that it is ready.

use super::{Schedule, ScheduleKey, Validator, ValidatorKey, puzzle_is_solved};
use crate::address::Address;
use crate::hash::Hash;
use crate::ledger::parameters::{ParameterName, ParametersKey};
use crate::state::{Overlay, StateError, View};

/// The puzzle of a lot for one candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Puzzle {
    /// The seed of the running lot.
    pub seed: Hash,
    /// Who answers.
    pub candidate: Address,
    /// How many leading zero bits the hash must have.
    pub bits: u64,
}

impl Puzzle {
    /// Tries answers from one on, `attempts` of them; about 2^`bits` are needed on average.
    #[must_use]
    pub fn solve(&self, from: u64, attempts: u64) -> Option<u64> {
        let mut answers = from..from.saturating_add(attempts);
        answers.find(|answer| puzzle_is_solved(&self.seed, self.candidate, *answer, self.bits))
    }
}

/// What an account has to hand in now, to be seated later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duties {
    /// The validator that the account runs, if it has bonded.
    pub validator: Option<Validator>,
    /// The running lot.
    pub lot: u64,
    /// The puzzle, where it was not answered yet: a [`Bond`](super::Bond) with the answer makes the
    /// account a candidate for the next lot.
    pub puzzle: Option<Puzzle>,
    /// Whether it may say now that it is [`Ready`](super::Ready), and did not.
    pub may_be_ready: bool,
}

impl Duties {
    /// The duties of an account by a state after the block of `height`. Who signed twice has none.
    pub fn of(state: &dyn View, height: u64, account: Address) -> Result<Self, StateError> {
        let state = Overlay::new(state);
        let schedule: Schedule = state.get(&ScheduleKey {})?.unwrap_or_default();
        let parameters = state.get(&ParametersKey {})?.unwrap_or_default();
        let validator: Option<Validator> = state.get(&ValidatorKey { validator: account })?;
        let is_barred = validator.as_ref().is_some_and(|known| known.is_barred);
        let solved = validator.as_ref().and_then(|known| known.solved_lot);
        let puzzle = (!is_barred && solved != Some(schedule.lot)).then(|| Puzzle {
            seed: schedule.lot_seed,
            candidate: account,
            bits: parameters.count(ParameterName::PuzzleBits),
        });
        let term = parameters.count(ParameterName::TermBlocks);
        let ready = parameters.count(ParameterName::ReadyBlocks);
        let from = schedule.term_start.saturating_add(term).saturating_sub(ready);
        let least = parameters.amount(ParameterName::MinimumBond);
        let may_be_ready = height.saturating_add(1) >= from
            && validator.as_ref().is_some_and(|known| {
                !known.is_barred && known.stake >= least && known.ready_term != Some(schedule.term)
            });
        Ok(Self { validator, lot: schedule.lot, puzzle, may_be_ready })
    }
}

impl Validator {
    /// What a [`Bond`](super::Bond) names as the beacon so that the chain stays the same: the one
    /// that counts from a later lot, if there is one, or what was revealed last.
    ///
    /// It moves on with each block that the validator proposes, so a bond that names it must be in
    /// a block before the next of those.
    #[must_use]
    pub fn kept_beacon(&self) -> Hash {
        self.next_beacon.map_or(self.beacon, |next| next.end)
    }
}
