//! Destroying coin.

use borsh::{BorshDeserialize, BorshSerialize};

use super::IssuedCoinKey;
use crate::coin::{Amount, Coin};
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::{Refusal, Thing};

/// Destroys coin of the sender's own, native or issued.
///
/// - The amount is not zero, and the sender has it.
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
pub struct BurnCoin {
    /// Which coin.
    pub coin: Coin,
    /// How much.
    pub amount: Amount,
}

impl Rules for BurnCoin {
    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        ensure(!self.amount.is_zero(), Refusal::Zero)?;
        ledger.take(call.sender, self.coin, self.amount)?;
        match self.coin {
            Coin::Native => ledger.burn(self.amount),
            Coin::Issued(coin) => {
                let key = IssuedCoinKey { coin };
                let mut issued = ledger.find(&key, Thing::Coin)?;
                issued.burnt = issued.burnt.plus(self.amount)?;
                ledger.put(&key, &issued);
                Ok(())
            }
        }
    }
}
