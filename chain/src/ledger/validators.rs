//! Validators: bonds, delegations, terms and lots.
//!
//! All stake behind a validator is one pool, and who is behind him holds shares of it. Rewards
//! make the pool larger and slashing smaller, so both reach everybody without touching everybody.
//! What is worth less than a mote by rounding stays in the pool.

mod bond;
mod delegate;
mod evidence;
mod ready;
mod retract;
mod unbond;

pub use bond::Bond;
pub use delegate::Delegate;
pub(super) use evidence::punish;
pub use evidence::{Evidence, Misdeed};
pub use ready::Ready;
pub use retract::Retract;
pub use unbond::Unbond;

use borsh::{BorshDeserialize, BorshSerialize};

use super::agenda::Task;
use super::call::{Halt, Ledger, ensure};
use super::parameters::ParameterName;
use super::refusal::{Refusal, Thing};
use super::tables::tables;
use crate::address::Address;
use crate::coin::{Amount, BasisPoints, Coin, CoinError, mul_div};
use crate::encoding::{Keyed, Rising};
use crate::hash::{Domain, Hash};
use crate::keys::PublicKey;
use crate::state::{Overlay, StateError, View};

/// How many validators one account may be behind.
const MAX_DELEGATIONS: usize = 64;

tables! {
    /// A validator, by the account that runs him.
    0x10 ValidatorKey { validator: Address } => Validator;
    /// Whose consensus key it is, or was.
    0x11 ConsensusKeyKey { key: PublicKey } => Address;
    /// What an account has behind a validator, in shares of his pool.
    0x12 DelegationKey { owner: Address, validator: Address } => u128;
    /// What an account will get back from behind a validator.
    0x13 UnbondingKey { validator: Address, release: u64, owner: Address } => Unbonding;
    /// The validators of the next height: those of the running term.
    0x14 SeatsKey {} => Seats;
    /// The validators of the height of the state, where they are others than those of the next.
    0x17 PastSeatsKey {} => Seats;
    /// All stake behind validators.
    0x15 BondedKey {} => Amount;
    /// A misdeed that was punished, and at what height.
    0x16 MisdeedKey { id: [u8; 32] } => u64;
    /// Where lots and terms are.
    0x07 ScheduleKey {} => Schedule;
}

/// A validator.
#[derive(Debug, Clone, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct Validator {
    /// The key that signs in consensus.
    pub consensus_key: PublicKey,
    /// All that is bonded behind him, his own included.
    pub stake: Amount,
    /// How many shares of it there are.
    pub shares: u128,
    /// His share of what his delegators earn.
    pub commission: BasisPoints,
    /// The last revealed element of his beacon chain, or its committed end.
    pub beacon: Hash,
    /// The lot for which he solved the puzzle last.
    pub solved_lot: Option<u64>,
    /// The term in which he said last that he is ready for the next.
    pub ready_term: Option<u64>,
    /// Whether he signed twice, and can never serve again.
    pub is_barred: bool,
}

/// Coin that leaves a validator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Unbonding {
    /// How much will be paid out.
    pub amount: Amount,
    /// The height it left at: it answers for what was signed up to then.
    pub since: u64,
}

/// The validators of a term, by their accounts.
pub type Seats = Rising<Seat, 128>;

/// A validator of a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Seat {
    /// The validator.
    pub validator: Address,
    /// His consensus key for this term.
    pub consensus_key: PublicKey,
    /// His voting power.
    pub power: u64,
}

impl Keyed for Seat {
    type Key = Address;

    fn key(&self) -> Address {
        self.validator
    }
}

/// Who validated the height of a state, and who validates the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validators {
    /// The set whose certificate commits the block that made the state.
    pub last: Seats,
    /// The set of the next height.
    pub next: Seats,
}

impl Validators {
    /// The sets that a state holds.
    pub fn of(state: &dyn View) -> Result<Self, StateError> {
        let state = Overlay::new(state);
        let next = state.get(&SeatsKey {})?.unwrap_or_default();
        let last = state.get(&PastSeatsKey {})?.unwrap_or_else(|| next.clone());
        Ok(Self { last, next })
    }
}

/// Where lots and terms are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct Schedule {
    /// The running lot, from 0.
    pub lot: u64,
    /// The running term, from 0, over all lots.
    pub term: u64,
    /// The first block of the running term.
    pub term_start: u64,
    /// The seed of the running lot, which the puzzle is made of.
    pub lot_seed: Hash,
    /// What all beacons revealed so far, mixed.
    pub seed: Hash,
}

pub(crate) fn current(ledger: &Ledger<'_>) -> Result<Schedule, Halt> {
    ledger.get_or_default(&ScheduleKey {})
}

/// At the beginning of a block: who validates it are those who validated the last, by its end.
pub(super) fn keep_seats(ledger: &mut Ledger<'_>) -> Result<(), Halt> {
    if ledger.get(&PastSeatsKey {})?.is_some() {
        ledger.remove(&PastSeatsKey {});
    }
    Ok(())
}

/// Begins the next term, and the next lot, where the running one is over.
pub(super) fn advance_schedule(ledger: &mut Ledger<'_>) -> Result<(), Halt> {
    let mut schedule = current(ledger)?;
    let term = ledger.parameters.count(ParameterName::TermBlocks);
    if ledger.height < schedule.term_start.saturating_add(term) {
        return Ok(());
    }
    schedule.term += 1;
    schedule.term_start = ledger.height;
    let terms = ledger.parameters.count(ParameterName::TermsPerLot).max(1);
    if schedule.term / terms > schedule.lot {
        schedule.lot = schedule.term / terms;
        schedule.lot_seed = schedule.seed;
    }
    ledger.put(&ScheduleKey {}, &schedule);
    Ok(())
}

/// Mixes a proposer's revealed preimage into the seed; says whether it is the next of his chain.
pub(super) fn reveal(
    ledger: &mut Ledger<'_>,
    proposer: Address,
    value: Hash,
) -> Result<bool, Halt> {
    let key = ValidatorKey { validator: proposer };
    let Some(mut validator) = ledger.get(&key)? else { return Ok(false) };
    if beacon_step(&value) != validator.beacon {
        return Ok(false);
    }
    validator.beacon = value;
    ledger.put(&key, &validator);
    let mut schedule = current(ledger)?;
    schedule.seed = Domain::Seed.hash_of(&(schedule.seed, value));
    ledger.put(&ScheduleKey {}, &schedule);
    Ok(true)
}

/// The element of a beacon chain that follows from its preimage.
#[must_use]
pub fn beacon_step(preimage: &Hash) -> Hash {
    Domain::Beacon.hash(&preimage.0)
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

fn change_bonded(
    ledger: &mut Ledger<'_>,
    change: impl FnOnce(Amount) -> Result<Amount, CoinError>,
) -> Result<(), Halt> {
    let bonded = change(ledger.get_or_default(&BondedKey {})?)?;
    ledger.put(&BondedKey {}, &bonded);
    Ok(())
}

/// Moves native coin of an account behind a validator.
pub(super) fn add_stake(
    ledger: &mut Ledger<'_>,
    owner: Address,
    validator: Address,
    amount: Amount,
) -> Result<(), Halt> {
    ledger.take(owner, Coin::Native, amount)?;
    let key = ValidatorKey { validator };
    let mut behind = ledger.find(&key, Thing::Validator)?;
    let shares = if behind.shares == 0 {
        amount.0
    } else {
        // Stake can be slashed to nothing while shares are left; then nobody can join them.
        ensure(!behind.stake.is_zero(), Refusal::Status(Thing::Validator))?;
        mul_div(amount.0, behind.shares, behind.stake.0)?
    };
    ensure(shares > 0, Refusal::Zero)?;
    behind.shares = behind.shares.checked_add(shares).ok_or(CoinError::Overflow)?;
    behind.stake = behind.stake.plus(amount)?;
    ledger.put(&key, &behind);
    let delegation = DelegationKey { owner, validator };
    let before = ledger.get(&delegation)?;
    if before.is_none() {
        let others = ledger.state.scan::<DelegationKey>(&owner.0, MAX_DELEGATIONS)?.len();
        ensure(others < MAX_DELEGATIONS, Refusal::Limit { limit: MAX_DELEGATIONS as u64 })?;
    }
    let shares = before.unwrap_or(0).checked_add(shares).ok_or(CoinError::Overflow)?;
    ledger.put(&delegation, &shares);
    change_bonded(ledger, |bonded| bonded.plus(amount))
}

/// Moves native coin from behind a validator to what is paid out after the unbonding time.
pub(super) fn remove_stake(
    ledger: &mut Ledger<'_>,
    owner: Address,
    validator: Address,
    amount: Option<Amount>,
) -> Result<(), Halt> {
    ensure(amount.is_none_or(|amount| !amount.is_zero()), Refusal::Zero)?;
    let key = ValidatorKey { validator };
    let mut behind = ledger.find(&key, Thing::Validator)?;
    let delegation = DelegationKey { owner, validator };
    let held = ledger.find(&delegation, Thing::Delegation)?;
    let (shares, mut amount) = match amount {
        None => (held, Amount(mul_div(held, behind.stake.0, behind.shares)?)),
        Some(amount) => {
            // Rounded up, so that nobody takes out more than his shares are worth.
            let exact = mul_div(amount.0, behind.shares, behind.stake.0)?;
            let is_exact = mul_div(exact, behind.stake.0, behind.shares)? >= amount.0;
            (if is_exact { exact } else { exact.saturating_add(1) }, amount)
        }
    };
    let have = Amount(mul_div(held, behind.stake.0, behind.shares)?);
    ensure(shares <= held, CoinError::Short { have, need: amount }.into())?;
    behind.shares -= shares;
    if behind.shares == 0 {
        amount = behind.stake;
    }
    behind.stake = behind.stake.minus(amount)?;
    ledger.put(&key, &behind);
    if shares == held {
        ledger.remove(&delegation);
    } else {
        ledger.put(&delegation, &(held - shares));
    }
    change_bonded(ledger, |bonded| bonded.minus(amount))?;

    let wait = ledger.parameters.count(ParameterName::UnbondingBlocks);
    let (since, release) = (ledger.height, ledger.height.saturating_add(wait));
    let key = UnbondingKey { validator, release, owner };
    match ledger.get(&key)? {
        Some(Unbonding { amount: before, .. }) => {
            let amount = before.plus(amount)?;
            ledger.put(&key, &Unbonding { amount, since });
            Ok(())
        }
        None => {
            ledger.put(&key, &Unbonding { amount, since });
            ledger.schedule(release, Task::Release { validator, height: release, owner })
        }
    }
}

/// Pays out what was unbonded.
pub(super) fn release(
    ledger: &mut Ledger<'_>,
    validator: Address,
    release: u64,
    owner: Address,
) -> Result<(), Halt> {
    let key = UnbondingKey { validator, release, owner };
    let Some(unbonding) = ledger.get(&key)? else { return Ok(()) };
    ledger.remove(&key);
    ledger.pay(owner, Coin::Native, unbonding.amount)
}

/// Takes a share of all that is behind a validator, and of what left since `height`.
fn slash(
    ledger: &mut Ledger<'_>,
    validator: Address,
    share: BasisPoints,
    height: u64,
    reporter: Address,
) -> Result<(), Halt> {
    let key = ValidatorKey { validator };
    let mut behind = ledger.find(&key, Thing::Validator)?;
    let from_stake = behind.stake.basis_points(share)?;
    behind.stake = behind.stake.minus(from_stake)?;
    behind.is_barred = true;
    ledger.put(&key, &behind);
    change_bonded(ledger, |bonded| bonded.minus(from_stake))?;
    let mut slashed = from_stake;
    let leaving = ledger.state.scan::<UnbondingKey>(&validator.0, usize::MAX)?;
    for (key, unbonding) in leaving.into_iter().filter(|(_, leaving)| leaving.since >= height) {
        let part = unbonding.amount.basis_points(share)?;
        let amount = unbonding.amount.minus(part)?;
        ledger.put(&key, &Unbonding { amount, ..unbonding });
        slashed = slashed.plus(part)?;
    }
    let reward = slashed.basis_points(ledger.parameters.share(ParameterName::ReporterShare))?;
    ledger.pay(reporter, Coin::Native, reward)?;
    ledger.burn(slashed.minus(reward)?)
}

/// Gives a validator his part of a block's reward: the commission to his account, the rest to all
/// that is behind him.
pub(super) fn reward(
    ledger: &mut Ledger<'_>,
    validator: Address,
    part: Amount,
) -> Result<(), Halt> {
    let key = ValidatorKey { validator };
    let behind = ledger.get(&key)?.filter(|behind| behind.shares > 0);
    let Some(mut behind) = behind else { return ledger.pay(validator, Coin::Native, part) };
    let commission = part.basis_points(behind.commission)?;
    let rest = part.minus(commission)?;
    behind.stake = behind.stake.plus(rest)?;
    ledger.put(&key, &behind);
    change_bonded(ledger, |bonded| bonded.plus(rest))?;
    ledger.pay(validator, Coin::Native, commission)
}

/// What an account has behind validators, all in all.
pub(super) fn stake_of(ledger: &Ledger<'_>, owner: Address) -> Result<Amount, Halt> {
    let mut stake = Amount::ZERO;
    for (key, shares) in ledger.state.scan::<DelegationKey>(&owner.0, MAX_DELEGATIONS)? {
        if let Some(behind) = ledger.get(&ValidatorKey { validator: key.validator })? {
            stake = stake.plus(Amount(mul_div(shares, behind.stake.0, behind.shares)?))?;
        }
    }
    Ok(stake)
}
