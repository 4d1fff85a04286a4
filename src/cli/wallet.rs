//! `chronolith wallet`: keys, and what is signed with them.

use std::io::Read as _;

use anyhow::{Context, Result, bail};
use chronolith_chain::address::Address;
use chronolith_chain::coin::{Amount, Coin};
use chronolith_chain::encoding::Bytes;
use chronolith_chain::hash::CoinId;
use chronolith_chain::ledger::{self, Action, HoldingKey, IssuedCoinKey, Transfer};
use chronolith_chain::state::{Overlay, View};
use chronolith_chain::transaction::Body;
use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Outcome;
use super::chain::{
    ChainArgs, WalletArgs, amount, coins, input, print_fields, print_settled, read_json,
};
use super::output::{RowFormat, Rows, print_json};
use super::usage::Usage;
use crate::chain::{Chain, Composer, shown};
use crate::rows::Cell;
use crate::wallet::{AccountKey, secret_of};

/// Keys of accounts, and what is signed with them
#[derive(Debug, Subcommand)]
pub(super) enum WalletCommand {
    /// Make a key
    New(NewCommand),
    /// Take in a key by its secret
    Import(ImportCommand),
    /// List the keys with their addresses
    List(ListCommand),
    /// Send coin
    Send(SendCommand),
    /// Sign a transaction
    Sign(SignCommand),
}

impl WalletCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        match self {
            Self::New(command) => command.run(),
            Self::Import(command) => command.run(),
            Self::List(command) => command.run(),
            Self::Send(command) => command.run(),
            Self::Sign(command) => command.run(),
        }
    }
}

/// Make a key.
#[derive(Debug, Args)]
pub(super) struct NewCommand {
    #[command(flatten)]
    wallet: WalletArgs,

    /// What it is called
    #[arg(value_name = "NAME", default_value = "main")]
    name: String,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl NewCommand {
    fn run(&self) -> Result<Outcome> {
        let key = self.wallet.wallet()?.create(&self.name)?;
        print_fields(self.json, &json!({"name": key.name, "address": key.address}))?;
        Ok(Outcome::Done)
    }
}

/// Take in a key by its secret.
#[derive(Debug, Args)]
pub(super) struct ImportCommand {
    #[command(flatten)]
    wallet: WalletArgs,

    /// What it is called
    #[arg(value_name = "NAME")]
    name: String,

    /// The file with the secret, 64 hexadecimal digits; `-` for standard input. An argument would
    /// be seen by others
    #[arg(long, value_name = "FILE", default_value = "-")]
    secret_file: String,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl ImportCommand {
    fn run(&self) -> Result<Outcome> {
        let (place, input) = input(&self.secret_file)?;
        let mut bytes = Vec::new();
        let context = || format!("cannot read {place}");
        input.take(1_024).read_to_end(&mut bytes).with_context(context)?;
        let text = String::from_utf8(bytes).unwrap_or_default();
        let secret = secret_of(&text).with_context(|| format!("{place} holds no secret"))?;
        let key = self.wallet.wallet()?.import(&self.name, secret)?;
        print_fields(self.json, &json!({"name": key.name, "address": key.address}))?;
        Ok(Outcome::Done)
    }
}

/// List the keys with their addresses.
#[derive(Debug, Args)]
pub(super) struct ListCommand {
    #[command(flatten)]
    wallet: WalletArgs,

    /// Also show what the accounts have on the chain in this directory
    #[arg(long = "chain", value_name = "DIR")]
    chain: Option<std::path::PathBuf>,

    /// Also show the secrets: who sees them has the coin
    #[arg(long)]
    secrets: bool,

    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

impl ListCommand {
    fn run(&self) -> Result<Outcome> {
        let wallet = self.wallet.wallet()?;
        let chain = self.chain.as_deref().map(Chain::open).transpose()?;
        let mut columns = vec!["name", "address"];
        columns.extend(chain.is_some().then_some("balance"));
        columns.extend(self.secrets.then_some("secret"));
        let format = if self.json { RowFormat::Json } else { RowFormat::Table };
        let mut rows = Rows::new(format, &columns)?;
        let mut outcome = Outcome::Done;
        for name in wallet.names()? {
            let key = match wallet.load(&name) {
                Ok(key) => key,
                Err(error) => {
                    eprintln!("chronolith: {error}");
                    outcome = Outcome::Faults;
                    continue;
                }
            };
            let mut cells: Vec<Cell> = vec![name.into(), key.address.to_string().into()];
            if let Some(chain) = &chain {
                let account = ledger::AccountKey { address: key.address };
                let account = Overlay::new(chain.state()?).get(&account)?.unwrap_or_default();
                cells.push(coins(account.balance).into());
            }
            if self.secrets {
                cells.push(key.secret().into());
            }
            rows.push(&cells)?;
        }
        rows.finish()?;
        Ok(outcome)
    }
}

/// Send coin.
#[derive(Debug, Args)]
pub(super) struct SendCommand {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    wallet: WalletArgs,

    /// The key of the account that sends
    #[arg(long, value_name = "NAME", default_value = "main")]
    from: String,

    /// To whom: an address, or the name of a key in the wallet
    #[arg(long, value_name = "ACCOUNT")]
    to: String,

    /// How much: coin as 12 or 0.5, or the smallest unit as 250motes; of an issued coin, digits alone
    #[arg(long, value_name = "AMOUNT")]
    amount: String,

    /// An issued coin, by its id; its amount is in the smallest unit
    #[arg(long, value_name = "ID")]
    coin: Option<String>,

    /// A remark for the receiver, which everybody can read
    #[arg(long, value_name = "TEXT", default_value = "")]
    memo: String,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl SendCommand {
    fn run(&self) -> Result<Outcome> {
        let key = self.wallet.load(&self.from)?;
        let to = self.wallet.address(&self.to)?;
        let (coin, amount) = match &self.coin {
            None => (Coin::Native, amount(&self.amount).map_err(Usage)?),
            Some(text) => {
                let id = secret_of(text)
                    .map_err(|_| Usage(format!("{text:?} is no id of a coin: 64 digits")))?;
                (Coin::Issued(CoinId(id)), smallest(&self.amount)?)
            }
        };
        let memo = Bytes::new(self.memo.clone().into_bytes()).map_err(|_| {
            Usage(format!("--memo: it has {} bytes, which is too long", self.memo.len()))
        })?;
        if amount.is_zero() {
            bail!(Usage("--amount: it is zero, so that nothing would be sent".to_owned()));
        }
        if to == key.address {
            bail!(Usage(format!("--to {}: this is the account that sends", self.to)));
        }
        let transfer = Transfer { to, coin, amount, memo };
        let mut chain = self.chain.open()?;
        let (id, height) = (chain.id(), chain.height()?);
        let mut composer = Composer::new(id, chain.state()?, height, key.address)?;
        let body = composer.body(transfer);
        self.ensure_covered(chain.state()?, &key, coin, (amount, body.fee))?;
        let settled = chain.commit(vec![body.sign(&key.signer())])?;
        let Some(settled) = settled.first() else { bail!("nothing was handed in") };
        print_settled(self.json, &shown::settled(settled), settled)
    }
}

impl SendCommand {
    /// Refuses what the ledger would refuse as well, and take the fee of.
    fn ensure_covered(
        &self,
        state: &dyn View,
        key: &AccountKey,
        coin: Coin,
        (amount, fee): (Amount, Amount),
    ) -> Result<()> {
        let (state, address, from) = (Overlay::new(state), key.address, &self.from);
        match coin {
            Coin::Native => {
                let has = state.get(&ledger::AccountKey { address })?.unwrap_or_default().balance;
                if amount.plus(fee).is_ok_and(|all| all <= has) {
                    return Ok(());
                }
                let (has, amount, fee) = (coins(has), coins(amount), coins(fee));
                bail!("{from} has {has} coin, and {amount} with a fee of {fee} are to be sent")
            }
            Coin::Issued(coin) => {
                if state.get(&IssuedCoinKey { coin })?.is_none() {
                    bail!("there is no coin {coin} on the chain");
                }
                let has = state.get(&HoldingKey { address, coin })?.unwrap_or_default();
                if amount <= has {
                    return Ok(());
                }
                bail!("{from} has {has} of that coin, and {amount} are to be sent")
            }
        }
    }
}

/// An amount of an issued coin: how many decimals it has, only its issuer says.
fn smallest(text: &str) -> Result<Amount> {
    let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let wrong = || {
        let what = "an issued coin is sent in its smallest unit: write digits alone";
        Usage(format!("--amount {text}: {what}"))
    };
    Ok(Amount(digits.and_then(|digits| digits.parse().ok()).ok_or_else(wrong)?))
}

/// Sign a transaction.
#[derive(Debug, Args)]
pub(super) struct SignCommand {
    #[command(flatten)]
    wallet: WalletArgs,

    /// The key that signs
    #[arg(long, value_name = "NAME", default_value = "main")]
    from: String,

    /// The chain that gives chain, nonce, fee and valid_until where the JSON has none
    #[arg(long = "chain", value_name = "DIR")]
    chain: Option<std::path::PathBuf>,

    /// A file with the transaction as JSON; `-` for standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: String,
}

/// A transaction's body, of which a chain can give the rest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with an action")]
struct Wanted {
    version: Option<u16>,
    chain: Option<chronolith_chain::hash::ChainId>,
    sender: Option<Address>,
    nonce: Option<u64>,
    valid_until: Option<u64>,
    fee: Option<Amount>,
    action: Action,
}

impl SignCommand {
    fn run(&self) -> Result<Outcome> {
        let key = self.wallet.load(&self.from)?;
        let wanted: Wanted = read_json(&self.file, "a transaction")?;
        if let Some(sender) = wanted.sender
            && sender != key.address
        {
            bail!("the sender is {sender}, and the key {} signs for {}", key.name, key.address);
        }
        let body = match &self.chain {
            Some(directory) => {
                let chain = Chain::open(directory)?;
                let (id, height) = (chain.id(), chain.height()?);
                Composer::new(id, chain.state()?, height, key.address)?.body(wanted.action)
            }
            None => {
                let missing = |name: &str| {
                    Usage(format!("the JSON has no {name}; give it, or --chain DIR to fill it in"))
                };
                Body {
                    version: 1,
                    chain: wanted.chain.ok_or_else(|| missing("chain"))?,
                    sender: key.address,
                    nonce: wanted.nonce.ok_or_else(|| missing("nonce"))?,
                    valid_until: wanted.valid_until.ok_or_else(|| missing("valid_until"))?,
                    fee: wanted.fee.ok_or_else(|| missing("fee"))?,
                    action: wanted.action,
                }
            }
        };
        let body = Body {
            version: wanted.version.unwrap_or(body.version),
            chain: wanted.chain.unwrap_or(body.chain),
            nonce: wanted.nonce.unwrap_or(body.nonce),
            valid_until: wanted.valid_until.unwrap_or(body.valid_until),
            fee: wanted.fee.unwrap_or(body.fee),
            ..body
        };
        let signed: Value = serde_json::to_value(body.sign(&key.signer()))?;
        print_json(&signed)?;
        Ok(Outcome::Done)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    #[test]
    fn issued_coin_is_sent_in_its_smallest_unit() {
        assert_eq!(smallest("12").unwrap(), Amount(12));
        for wrong in ["", "0.5", "12motes", "-1", "+1", "340282366920938463463374607431768211456"] {
            let error = smallest(wrong).unwrap_err().to_string();
            assert!(error.contains("smallest unit"), "{error}");
        }
    }
}
