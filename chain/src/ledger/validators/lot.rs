//! Lots: who may be seated, drawn at random from all who qualified.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};

use super::{Schedule, ValidatorKey, contribution::score};
use crate::address::Address;
use crate::encoding::List;
use crate::hash::{Domain, Hash};
use crate::ledger::call::{Halt, Ledger, ensure};
use crate::ledger::parameters::ParameterName;
use crate::ledger::refusal::Refusal;
use crate::ledger::tables::tables;

/// The most candidates for one lot.
pub(super) const MAX_CANDIDATES: u32 = 10_000;

/// How many times as many as there are seats are drawn.
const DRAWN_PER_SEAT: usize = 10;

tables! {
    /// Who answered the puzzle of a lot, and is a candidate for the next.
    0x19 CandidateKey { lot: u64, validator: Address } => ();
    /// Who was drawn for the running lot.
    0x1a DrawKey {} => Draw;
}

/// Who was drawn for a lot.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    Default,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Draw {
    /// How many seats a term of the lot has: V' = min(V, C).
    pub seats: u32,
    /// In drawn order.
    pub drawn: List<Drawn, 1280>,
}

/// Somebody who was drawn.
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
pub struct Drawn {
    /// Who.
    pub validator: Address,
    /// Whether he was seated in this lot already.
    pub has_served: bool,
}

/// Whether an answer solves the puzzle of a lot for a candidate.
#[must_use]
pub fn puzzle_is_solved(seed: &Hash, candidate: Address, answer: u64, bits: u64) -> bool {
    let hash = Domain::Puzzle.hash_of(&(seed, candidate, answer));
    let mut zeros = 0;
    for byte in hash.0 {
        zeros += u64::from(byte.leading_zeros());
        if byte != 0 {
            break;
        }
    }
    zeros >= bits
}

/// Numbers that follow from a seed: SHA-256 of seed and counter, 64 bits of each.
pub(crate) struct Stream {
    seed: Hash,
    counter: u64,
}

impl Stream {
    pub(crate) const fn new(seed: Hash) -> Self {
        Self { seed, counter: 0 }
    }

    fn next(&mut self) -> u64 {
        let block = Domain::Draw.hash_of(&(self.seed, self.counter)).0;
        self.counter += 1;
        block.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
    }

    /// A number below `limit`, which is not 0, each with the same chance: what does not divide
    /// evenly is drawn again.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        let uneven = u64::MAX % limit;
        loop {
            let number = self.next();
            if number < u64::MAX - uneven {
                return number % limit;
            }
        }
    }
}

/// Draws `count` of the candidates without replacement, each order with the same chance: the first
/// steps of a shuffle (Fisher and Yates; Knuth, The Art of Computer Programming 2, algorithm P).
/// The candidates' own order must be fixed; the ledger's is that of their accounts.
#[must_use]
pub fn draw(seed: &Hash, mut candidates: Vec<Address>, count: usize) -> Vec<Address> {
    let mut stream = Stream::new(*seed);
    let count = count.min(candidates.len());
    for at in 0..count {
        let rest = (candidates.len() - at) as u64;
        candidates.swap(at, at + stream.below(rest) as usize);
    }
    candidates.truncate(count);
    candidates
}

/// Makes who answered the puzzle a candidate for the next lot.
pub(super) fn enlist(
    ledger: &mut Ledger<'_>,
    schedule: &mut Schedule,
    validator: Address,
) -> Result<(), Halt> {
    ensure(
        schedule.candidates < MAX_CANDIDATES,
        Refusal::Limit { limit: u64::from(MAX_CANDIDATES) },
    )?;
    schedule.candidates += 1;
    ledger.put(&CandidateKey { lot: schedule.lot, validator }, &());
    Ok(())
}

/// Draws the lot after the running one: C candidates qualified, V' = min(V, C) seats, min(10 V', C)
/// are drawn, T = max(1, min(`terms_per_lot`, C / V')) terms. The schedule goes on to it.
pub(super) fn begin_lot(ledger: &mut Ledger<'_>, schedule: &mut Schedule) -> Result<(), Halt> {
    let least = ledger.parameters.amount(ParameterName::MinimumBond);
    let floor = ledger.parameters.get(ParameterName::ContributionFloor);
    let mut qualified = Vec::new();
    let answered =
        ledger.state.scan::<CandidateKey>(&schedule.lot.to_be_bytes(), MAX_CANDIDATES as usize)?;
    for (key, ()) in answered {
        ledger.remove(&key);
        let Some(validator) = ledger.get(&ValidatorKey { validator: key.validator })? else {
            continue;
        };
        if validator.stake >= least
            && !validator.is_barred
            && score(ledger, key.validator, &validator)? >= floor
        {
            qualified.push(key.validator);
        }
    }
    let candidates = qualified.len();
    let seats = (ledger.parameters.count(ParameterName::Seats) as usize).min(candidates);
    let most = ledger.parameters.count(ParameterName::TermsPerLot).max(1) as usize;
    let terms = candidates.checked_div(seats).unwrap_or(0).min(most).max(1);
    *schedule = Schedule {
        lot: schedule.lot.saturating_add(1),
        lot_seed: schedule.seed,
        terms: terms as u32,
        term_of_lot: 0,
        candidates: 0,
        ..*schedule
    };
    let drawn = draw(&schedule.lot_seed, qualified, seats * DRAWN_PER_SEAT);
    let drawn: Vec<Drawn> =
        drawn.into_iter().map(|validator| Drawn { validator, has_served: false }).collect();
    // Ten for each of at most 128 seats.
    let drawn = List::new(drawn).unwrap_or_default();
    ledger.put(&DrawKey {}, &Draw { seats: seats as u32, drawn });
    Ok(())
}

impl Draw {
    /// Those who would serve the next term: drawn, in drawn order, and not seated in this lot yet,
    /// unless it has one term only.
    pub(super) fn open(&self, terms: u32) -> impl Iterator<Item = Address> + '_ {
        self.drawn
            .iter()
            .filter(move |drawn| terms <= 1 || !drawn.has_served)
            .map(|drawn| drawn.validator)
    }

    /// Remembers who was seated.
    pub(super) fn serve<T>(&mut self, seated: &BTreeMap<Address, T>) {
        let mark = |drawn: &Drawn| Drawn {
            has_served: drawn.has_served || seated.contains_key(&drawn.validator),
            ..*drawn
        };
        let drawn: Vec<Drawn> = self.drawn.iter().map(mark).collect();
        self.drawn = List::new(drawn).unwrap_or_default();
    }
}
