//! Coin: accounts, issued coins, and the supply of the native one.

mod burn_coin;
mod issue_coin;
mod lock_coin;
mod mint_coin;
mod transfer;

pub use burn_coin::BurnCoin;
pub use issue_coin::IssueCoin;
pub use lock_coin::LockCoin;
pub use mint_coin::MintCoin;
pub use transfer::Transfer;

use borsh::{BorshDeserialize, BorshSerialize};

use super::call::{Halt, Ledger};
use super::refusal::{Refusal, Thing};
use super::tables::tables;
use crate::address::Address;
use crate::coin::{Amount, Coin};
use crate::encoding::Text;
use crate::hash::CoinId;

tables! {
    /// An account.
    0x01 AccountKey { address: Address } => Account;
    /// What an account holds of an issued coin.
    0x02 HoldingKey { address: Address, coin: CoinId } => Amount;
    /// An issued coin.
    0x03 IssuedCoinKey { coin: CoinId } => IssuedCoin;
    /// How much of the native coin was ever made and burnt.
    0x04 SupplyKey {} => Supply;
}

/// An account.
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
pub struct Account {
    /// How many transactions it sent.
    pub nonce: u64,
    /// Its native coin.
    pub balance: Amount,
    /// What was burnt of its fees, faded up to `counted_to`: a part of its contribution.
    pub fees_burnt: Amount,
    /// The height of its last transaction.
    pub counted_to: u64,
}

/// An issued coin.
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
pub struct IssuedCoin {
    /// Who may mint it.
    pub issuer: Address,
    /// What people call it; need not be unique, the id is.
    pub symbol: Text<12>,
    /// How many digits people write behind the point.
    pub decimals: u8,
    /// The most there may ever be, if there is a bound.
    pub cap: Option<Amount>,
    /// How much was ever made.
    pub minted: Amount,
    /// How much of it was burnt.
    pub burnt: Amount,
    /// Whether no more can be made.
    pub is_locked: bool,
}

/// How much of the native coin was ever made and burnt.
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
pub struct Supply {
    /// How much was made.
    pub minted: Amount,
    /// How much of it was burnt.
    pub burnt: Amount,
}

/// The coin of an id, if `issuer` issued it.
fn issued_by(ledger: &Ledger<'_>, coin: CoinId, issuer: Address) -> Result<IssuedCoin, Halt> {
    let found = ledger.find(&IssuedCoinKey { coin }, Thing::Coin)?;
    if found.issuer != issuer {
        return Err(Refusal::NotAllowed(Thing::Coin).into());
    }
    Ok(found)
}

/// Counts an issued coin as made, within its cap.
fn mint_issued(coin: &mut IssuedCoin, amount: Amount) -> Result<(), Halt> {
    coin.minted = coin.minted.plus(amount)?;
    match coin.cap {
        Some(cap) if coin.minted > cap => {
            let (minimum, maximum, found) = (0, cap.0, coin.minted.0);
            Err(Refusal::Bounds { minimum, maximum, found }.into())
        }
        _ => Ok(()),
    }
}

/// Refuses a coin that nobody issued.
pub(super) fn ensure_coin(ledger: &Ledger<'_>, coin: Coin) -> Result<(), Halt> {
    match coin {
        Coin::Native => Ok(()),
        Coin::Issued(coin) => ledger.find(&IssuedCoinKey { coin }, Thing::Coin).map(drop),
    }
}
