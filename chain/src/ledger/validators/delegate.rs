//! Standing behind a validator.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{ValidatorKey, add_stake};
use crate::address::Address;
use crate::coin::Amount;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure, ensure_within};
use crate::ledger::parameters::ParameterName;
use crate::ledger::refusal::{Refusal, Thing};

/// Bonds native coin behind a validator: the sender shares in his rewards, less the commission,
/// and in what he is slashed.
///
/// - The amount is at least `minimum_delegation`.
/// - The validator exists and is not barred.
/// - One account is behind at most 64 validators.
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
pub struct Delegate {
    /// The validator.
    pub validator: Address,
    /// How much.
    pub amount: Amount,
}

impl Rules for Delegate {
    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let least = ledger.parameters.amount(ParameterName::MinimumDelegation);
        ensure_within(self.amount.0, least.0, u128::MAX)?;
        let key = ValidatorKey { validator: self.validator };
        let validator = ledger.find(&key, Thing::Validator)?;
        ensure(!validator.is_barred, Refusal::Status(Thing::Validator))?;
        add_stake(ledger, call.sender, self.validator, self.amount)
    }
}
