//! The end of minting.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{IssuedCoinKey, issued_by};
use crate::hash::CoinId;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::Refusal;

/// Gives up the right to make more of an issued coin, for ever.
///
/// - Only its issuer may, once.
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
pub struct LockCoin {
    /// Which coin.
    pub coin: CoinId,
}

impl Rules for LockCoin {
    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let mut coin = issued_by(ledger, self.coin, call.sender)?;
        ensure(!coin.is_locked, Refusal::NoChange)?;
        coin.is_locked = true;
        ledger.put(&IssuedCoinKey { coin: self.coin }, &coin);
        Ok(())
    }
}
