//! Taking a bond back.

use borsh::{BorshDeserialize, BorshSerialize};

use super::remove_stake;
use crate::coin::Amount;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger};

/// Takes coin out of the sender's own bond. It is paid out after `unbonding_blocks`; until then it
/// can be slashed for what he signed before.
///
/// - The sender is a validator and has that much bonded; no amount means all of it.
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
pub struct Unbond {
    /// How much; none for all.
    pub amount: Option<Amount>,
}

impl Rules for Unbond {
    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        remove_stake(ledger, call.sender, call.sender, self.amount)
    }
}
