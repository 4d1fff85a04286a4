//! Leaving a validator.

use borsh::{BorshDeserialize, BorshSerialize};

use super::remove_stake;
use crate::address::Address;
use crate::coin::Amount;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::Refusal;

/// Takes coin back from behind a validator. It is paid out after `unbonding_blocks`; until then it
/// can be slashed for what the validator signed before.
///
/// - The sender has that much behind him; no amount means all of it.
/// - A validator takes his own bond back by `Unbond`.
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
pub struct Retract {
    /// The validator.
    pub validator: Address,
    /// How much; none for all.
    pub amount: Option<Amount>,
}

impl Rules for Retract {
    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        ensure(self.validator != call.sender, Refusal::NoChange)?;
        remove_stake(ledger, call.sender, self.validator, self.amount)
    }
}
