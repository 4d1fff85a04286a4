//! A coin of one's own.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{IssuedCoin, IssuedCoinKey, mint_issued};
use crate::coin::{Amount, Coin};
use crate::encoding::Text;
use crate::hash::CoinId;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure, ensure_within};
use crate::ledger::parameters::ParameterName;
use crate::ledger::refusal::Refusal;

/// Issues a coin; its id follows from the transaction's. The sender becomes its issuer.
///
/// - The parameter `issue_fee` is burnt.
/// - The symbol is 1 to 12 bytes of capital letters and digits; it need not be unique.
/// - Up to 38 decimals; they only matter to people.
/// - What is minted at once goes to the issuer, and is within the cap where there is one.
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
pub struct IssueCoin {
    /// What people call it.
    pub symbol: Text<12>,
    /// How many digits people write behind the point.
    pub decimals: u8,
    /// The most there may ever be, if there is to be a bound.
    pub cap: Option<Amount>,
    /// How much is minted at once.
    pub supply: Amount,
}

impl Rules for IssueCoin {
    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let is_known = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        ensure(!self.symbol.is_empty() && self.symbol.bytes().all(is_known), Refusal::Zero)?;
        ensure_within(self.decimals, 0_u8, 38_u8)?;
        let fee = ledger.parameters.amount(ParameterName::IssueFee);
        ledger.take(call.sender, Coin::Native, fee)?;
        ledger.burn(fee)?;
        let id = CoinId::made_by(call.transaction);
        let mut coin = IssuedCoin {
            issuer: call.sender,
            symbol: self.symbol.clone(),
            decimals: self.decimals,
            cap: self.cap,
            minted: Amount::ZERO,
            burnt: Amount::ZERO,
            is_locked: false,
        };
        mint_issued(&mut coin, self.supply)?;
        ledger.put(&IssuedCoinKey { coin: id }, &coin);
        ledger.pay(call.sender, Coin::Issued(id), self.supply)
    }
}
