//! Validators: bonds, delegations, terms and lots.
//!
//! All stake behind a validator is one pool, and who is behind him holds shares of it. Rewards
//! make the pool larger and slashing smaller, so both reach everybody without touching everybody.
//! What is worth less than a mote by rounding stays in the pool.

mod absence;
mod beacon;
mod bond;
mod contribution;
mod delegate;
mod duty;
mod evidence;
mod lot;
mod ready;
mod retract;
mod slashing;
mod term;
mod unbond;

pub use absence::{Absence, AbsenceKey};
pub use beacon::{NextBeacon, beacon_step};
pub use bond::Bond;
pub(super) use contribution::faded;
use contribution::next_halving;
pub use contribution::{Contribution, HALVING_BLOCKS, contribution};
pub use delegate::Delegate;
pub use duty::{Duties, Puzzle};
pub(super) use evidence::punish;
pub use evidence::{Evidence, Misdeed};
pub(super) use lot::Stream;
pub use lot::{CandidateKey, Draw, DrawKey, Drawn, draw, puzzle_is_solved};
pub use ready::Ready;
pub use retract::Retract;
pub use slashing::{Slash, SlashKey};
pub use unbond::Unbond;

pub(super) use absence::record_absent;
pub(super) use beacon::reveal;
pub(super) use slashing::release;
pub(super) use term::end_block;

use slashing::{join_unbonding, slash};

use borsh::{BorshDeserialize, BorshSerialize};

use super::agenda::Task;
use super::call::{Halt, Ledger, ensure};
use super::parameters::ParameterName;
use super::refusal::{Refusal, Thing};
use super::tables::tables;
use crate::address::Address;
use crate::coin::{Amount, BasisPoints, Coin, CoinError, mul_div};
use crate::encoding::{Keyed, Rising};
use crate::hash::Hash;
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
pub struct Validator {
    /// The key that signs in consensus.
    pub consensus_key: PublicKey,
    /// All that is bonded behind him, his own included.
    pub stake: Amount,
    /// How many shares of it there are.
    #[serde(with = "crate::json::decimal")]
    pub shares: u128,
    /// His share of what his delegators earn.
    pub commission: BasisPoints,
    /// The last revealed element of his beacon chain, or its committed end.
    pub beacon: Hash,
    /// Another beacon chain, which he goes on with from a later lot.
    pub next_beacon: Option<NextBeacon>,
    /// The lot for which he solved the puzzle last.
    pub solved_lot: Option<u64>,
    /// The term in which he said last that he is ready for the next.
    pub ready_term: Option<u64>,
    /// Whether he signed twice, and can never serve again.
    pub is_barred: bool,
    /// How often he was slashed for signing twice.
    pub slashes: u32,
    /// Motes bonded times the blocks they were, faded up to `counted_to`: a part of his
    /// contribution.
    #[serde(with = "crate::json::decimal")]
    pub stake_blocks: u128,
    /// The height up to which these are counted.
    pub counted_to: u64,
}

impl Validator {
    /// Counts the stake up to a height; called before it changes.
    fn accrue(&mut self, height: u64) {
        while self.counted_to < height {
            let until = next_halving(self.counted_to).min(height);
            let blocks = u128::from(until - self.counted_to);
            let more = self.stake_blocks.saturating_add(self.stake.0.saturating_mul(blocks));
            self.stake_blocks = faded(more, self.counted_to, until);
            self.counted_to = until;
        }
    }
}

/// Coin that leaves a validator.
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
pub struct Unbonding {
    /// How much will be paid out.
    pub amount: Amount,
    /// The height it left at: it answers for what was signed up to then.
    pub since: u64,
    /// How often the validator had been slashed when it left; it answers for later ones only.
    pub slashes: u32,
}

/// The validators of a term, by their accounts.
pub type Seats = Rising<Seat, 128>;

/// A validator of a term.
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
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
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
    /// How many terms the running lot has; 0 counts as 1.
    pub terms: u32,
    /// Which of them is running, from 0.
    pub term_of_lot: u32,
    /// How many candidates there are for the next lot.
    pub candidates: u32,
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
    behind.accrue(ledger.height);
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
    behind.accrue(ledger.height);
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
    let unbonding = Unbonding { amount, since, slashes: behind.slashes };
    if join_unbonding(ledger, UnbondingKey { validator, release, owner }, unbonding)? {
        return Ok(());
    }
    ledger.schedule(release, Task::Release { validator, height: release, owner })
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
    behind.accrue(ledger.height);
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
