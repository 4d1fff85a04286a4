//! `chronolith chain init`.

use anyhow::Result;
use chronolith_chain::address::Address;
use chronolith_chain::coin::Amount;
use chronolith_chain::genesis::GenesisAccount;
use clap::Args;
use serde_json::json;

use super::{ChainArgs, WalletArgs, amount, coins, print_fields};
use crate::chain::{Beginning, create};
use crate::cli::Outcome;
use crate::cli::output::say;
use crate::cli::usage::Usage;

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
        let mut accounts: Vec<GenesisAccount> = Vec::new();
        for text in &self.funds {
            let (address, balance) = self.fund(text)?;
            accounts.push(GenesisAccount { address, balance });
        }
        let key = wallet.load_or_create(&self.account)?;
        accounts.push(GenesisAccount { address: key.address, balance: FUNDS });
        let beginning = Beginning {
            name: self.name.clone(),
            validators: self.validators,
            accounts,
            parameters: Vec::new(),
        };
        let genesis = create(&self.chain.directory, beginning)?;
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

    fn fund(&self, text: &str) -> Result<(Address, Amount)> {
        let (account, balance) =
            text.split_once('=').ok_or_else(|| Usage(format!("{text:?} is not ACCOUNT=AMOUNT")))?;
        Ok((self.wallet.address(account)?, amount(balance).map_err(Usage)?))
    }
}
