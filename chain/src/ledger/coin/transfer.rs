//! Moving coin.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::address::Address;
use crate::coin::{Amount, Coin};
use crate::encoding::Bytes;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::Refusal;

/// Moves an amount of a coin, native or issued, from the sender to another account.
///
/// - The amount is not zero, and the sender has it.
/// - The receiver is another account than the sender; it comes to be by receiving.
/// - The memo means nothing to the ledger.
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
pub struct Transfer {
    /// Who receives.
    pub to: Address,
    /// Which coin.
    pub coin: Coin,
    /// How much.
    pub amount: Amount,
    /// Whatever helps the receiver to know what it is for.
    #[serde(default)]
    pub memo: Bytes<64>,
}

impl Rules for Transfer {
    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        ensure(!self.amount.is_zero(), Refusal::Zero)?;
        ensure(self.to != call.sender, Refusal::NoChange)?;
        ledger.take(call.sender, self.coin, self.amount)?;
        ledger.pay(self.to, self.coin, self.amount)
    }
}
