//! More of an issued coin.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{IssuedCoinKey, issued_by, mint_issued};
use crate::address::Address;
use crate::coin::{Amount, Coin};
use crate::hash::CoinId;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::{Refusal, Thing};

/// Makes more of an issued coin.
///
/// - Only its issuer may, and only while it is not locked.
/// - All that was ever made stays within the cap; what was burnt does not make room.
/// - The native coin is made by the rules of blocks alone.
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
pub struct MintCoin {
    /// Which coin.
    pub coin: CoinId,
    /// How much.
    pub amount: Amount,
    /// Who receives it.
    pub to: Address,
}

impl Rules for MintCoin {
    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        ensure(!self.amount.is_zero(), Refusal::Zero)?;
        let mut coin = issued_by(ledger, self.coin, call.sender)?;
        ensure(!coin.is_locked, Refusal::Status(Thing::Coin))?;
        mint_issued(&mut coin, self.amount)?;
        ledger.put(&IssuedCoinKey { coin: self.coin }, &coin);
        ledger.pay(self.to, Coin::Issued(self.coin), self.amount)
    }
}
