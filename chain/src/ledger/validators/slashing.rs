//! Slashing: at once of what is behind a validator, and later of what is on its way out.
//!
//! What leaves a validator answers for what he signed before. Anybody can be on his way out, so a
//! slash does not look for them: it is written down, and whoever is paid out answers then. That is
//! at most [`MAX_SLASHES`] entries for each payment.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{Unbonding, UnbondingKey, ValidatorKey, change_bonded};
use crate::address::Address;
use crate::coin::{Amount, BasisPoints, Coin};
use crate::ledger::call::{Halt, Ledger, ensure};
use crate::ledger::parameters::ParameterName;
use crate::ledger::refusal::{Refusal, Thing};
use crate::ledger::tables::tables;

/// How often one validator can be slashed for signing twice; the first time bars him for ever.
const MAX_SLASHES: u32 = 16;

tables! {
    /// A slash of a validator, by its number.
    0x18 SlashKey { validator: Address, number: u32 } => Slash;
}

/// A slash of a validator.
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
pub struct Slash {
    /// The height of the misdeed: what left before does not answer for it.
    pub height: u64,
    /// The share that is taken.
    pub share: BasisPoints,
    /// The part of it that goes to the reporter.
    pub reporter_share: BasisPoints,
    /// Who proved it.
    pub reporter: Address,
}

impl Slash {
    /// Takes the share of an amount, pays the reporter and burns the rest; what is left.
    fn take(&self, ledger: &mut Ledger<'_>, amount: Amount) -> Result<Amount, Halt> {
        let part = amount.basis_points(self.share)?;
        let reward = part.basis_points(self.reporter_share)?;
        ledger.pay(self.reporter, Coin::Native, reward)?;
        ledger.burn(part.minus(reward)?)?;
        Ok(amount.minus(part)?)
    }
}

/// Takes a share of all that is behind a validator, and writes down that what left since `height`
/// answers when it is paid out.
pub(super) fn slash(
    ledger: &mut Ledger<'_>,
    validator: Address,
    share: BasisPoints,
    height: u64,
    reporter: Address,
) -> Result<(), Halt> {
    let key = ValidatorKey { validator };
    let mut behind = ledger.find(&key, Thing::Validator)?;
    ensure(behind.slashes < MAX_SLASHES, Refusal::Limit { limit: u64::from(MAX_SLASHES) })?;
    let reporter_share = ledger.parameters.share(ParameterName::ReporterShare);
    let slash = Slash { height, share, reporter_share, reporter };
    ledger.put(&SlashKey { validator, number: behind.slashes }, &slash);
    behind.accrue(ledger.height);
    let before = behind.stake;
    behind.stake = slash.take(ledger, before)?;
    behind.slashes += 1;
    behind.is_barred = true;
    ledger.put(&key, &behind);
    let taken = before.minus(behind.stake)?;
    change_bonded(ledger, |bonded| bonded.minus(taken))
}

/// What is left of an amount that left a validator, after all slashes that it answers for.
fn answer(
    ledger: &mut Ledger<'_>,
    validator: Address,
    unbonding: Unbonding,
) -> Result<Amount, Halt> {
    let slashes = ledger.get(&ValidatorKey { validator })?.map_or(0, |behind| behind.slashes);
    let mut amount = unbonding.amount;
    for number in unbonding.slashes..slashes {
        let Some(slash) = ledger.get(&SlashKey { validator, number })? else { continue };
        if unbonding.since >= slash.height {
            amount = slash.take(ledger, amount)?;
        }
    }
    Ok(amount)
}

/// Puts what leaves under its key; says whether it joined what was there already.
pub(super) fn join_unbonding(
    ledger: &mut Ledger<'_>,
    key: UnbondingKey,
    unbonding: Unbonding,
) -> Result<bool, Halt> {
    let before = ledger.get(&key)?;
    let mut joined = unbonding;
    if let Some(before) = before {
        // A slash may have come between the two: the first one answers for it now.
        joined.amount = answer(ledger, key.validator, before)?.plus(unbonding.amount)?;
    }
    ledger.put(&key, &joined);
    Ok(before.is_some())
}

/// Pays out what was unbonded, less what it answers for.
pub(crate) fn release(
    ledger: &mut Ledger<'_>,
    validator: Address,
    release: u64,
    owner: Address,
) -> Result<(), Halt> {
    let key = UnbondingKey { validator, release, owner };
    let Some(unbonding) = ledger.get(&key)? else { return Ok(()) };
    ledger.remove(&key);
    let amount = answer(ledger, validator, unbonding)?;
    ledger.pay(owner, Coin::Native, amount)
}
