//! `chronolith chain init`.

use std::collections::HashSet;

use anyhow::{Result, bail};
use chronolith_chain::coin::Amount;
use chronolith_chain::genesis::GenesisAccount;
use clap::Args;
use serde_json::json;

use super::{ChainArgs, WalletArgs, amount, coins, print_fields};
use crate::chain::{Beginning, ChainError, Foundation};
use crate::cli::Outcome;
use crate::cli::output::say;
use crate::cli::usage::Usage;
use crate::wallet::{AccountKey, WalletError};

/// What an account gets where nothing is said.
const FUNDS: Amount = Amount::coins(1_000_000);

/// Make a chain whose validators run in this process, with blocks on demand.
#[derive(Debug, Args)]
pub(in crate::cli) struct InitCommand {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    wallet: WalletArgs,

    /// How many validators the chain begins with
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    validators: usize,

    /// What people call the chain
    #[arg(long, value_name = "TEXT", default_value = "development")]
    name: String,

    /// The account that begins with a million coin; its key is made where the wallet has none
    #[arg(long, value_name = "NAME", default_value = "main")]
    account: String,

    /// More accounts that begin with coin: an address or the name of a key
    #[arg(long = "fund", value_name = "ACCOUNT=AMOUNT")]
    funds: Vec<String>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl InitCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let wallet = self.wallet.wallet()?;
        let (key, is_new) = match wallet.load(&self.account) {
            Err(WalletError::Missing { .. }) => (AccountKey::random(&self.account)?, true),
            other => (other?, false),
        };
        let beginning = Beginning {
            name: self.name.clone(),
            validators: self.validators,
            accounts: self.accounts(&key)?,
            parameters: Vec::new(),
        };
        let foundation = Foundation::new(&self.chain.directory, beginning).map_err(usage)?;
        let genesis = foundation.create(|| match is_new {
            true => wallet.keep(&key),
            false => Ok(()),
        })?;
        let shown = json!({
            "chain": genesis.chain_id(),
            "directory": self.chain.directory,
            "validators": self.validators,
            "account": key.address,
            "balance": coins(FUNDS),
            "key": wallet.directory().join(format!("{}.key", key.name)),
        });
        print_fields(self.json, &shown)?;
        if !self.json {
            let place = self.chain.directory.display();
            say!("next: chronolith chain anchor --db DB --chain {place}");
        }
        Ok(Outcome::Done)
    }

    /// Who begins with how much.
    fn accounts(&self, key: &AccountKey) -> Result<Vec<GenesisAccount>> {
        let mut accounts = vec![GenesisAccount { address: key.address, balance: FUNDS }];
        let mut seen = HashSet::from([key.address]);
        for text in &self.funds {
            let (account, balance) = text
                .split_once('=')
                .ok_or_else(|| Usage(format!("--fund {text}: write ACCOUNT=AMOUNT")))?;
            let address = match account == key.name {
                true => key.address,
                false => self.wallet.address(account)?,
            };
            let balance =
                amount(balance).map_err(|wrong| Usage(format!("--fund {text}: {wrong}")))?;
            if address == key.address {
                let funds = coins(FUNDS);
                let what = format!("the account of --account begins with {funds} already");
                bail!(Usage(format!("--fund {text}: {what}")));
            }
            if !seen.insert(address) {
                bail!(Usage(format!("--fund {text}: this account is funded twice")));
            }
            accounts.push(GenesisAccount { address, balance });
        }
        Ok(accounts)
    }
}

/// Where no chain can begin as it was asked for, the arguments are wrong.
fn usage(error: ChainError) -> anyhow::Error {
    match error {
        ChainError::Validators { .. } | ChainError::Name { .. } | ChainError::Genesis(_) => {
            Usage(error.to_string()).into()
        }
        other => other.into(),
    }
}
