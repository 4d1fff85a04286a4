//! `chronolith chain status`, `block`, `account`, `validators` and `lot`: what is on the chain.

use anyhow::Result;
use chronolith_chain::ledger::{AccountKey, ScheduleKey, SeatsKey, SupplyKey, Validators};
use chronolith_chain::state::{Key, Overlay};
use clap::Args;
use serde_json::json;

use super::{ChainArgs, ProveArgs, WalletArgs, coins, print_fields};
use crate::chain::shown;
use crate::cli::Outcome;

/// Show where a chain is.
#[derive(Debug, Args)]
pub(in crate::cli) struct StatusCommand {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    prove: ProveArgs,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl StatusCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let chain = self.chain.open()?;
        let state = Overlay::new(chain.state()?);
        let supply = state.get(&SupplyKey {})?.unwrap_or_default();
        let tip = chain.blocks()?.tip();
        let mut shown = json!({
            "chain": chain.id(),
            "name": *chain.genesis().name,
            "height": tip.height,
            "block": tip.block,
            "time": shown::time(tip.time_ns),
            "state_root": chain.state()?.head().root,
            "oldest_block": chain.blocks()?.oldest(),
            "validators": Validators::of(chain.state()?)?.next.len(),
            "minted": coins(supply.minted),
            "burnt": coins(supply.burnt),
        });
        let keys = [SupplyKey {}.to_bytes(), SeatsKey {}.to_bytes()];
        self.prove.save(&mut shown, |since| since.entries(&chain, &keys))?;
        print_fields(self.json, &shown)?;
        Ok(Outcome::Done)
    }
}

/// Show a block.
#[derive(Debug, Args)]
pub(in crate::cli) struct BlockCommand {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    prove: ProveArgs,

    /// Its height [default: the last one]
    #[arg(value_name = "HEIGHT")]
    height: Option<u64>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl BlockCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let chain = self.chain.open()?;
        let height = self.height.map_or_else(|| chain.height(), Ok)?;
        let decided = chain.block(height)?;
        let mut shown = shown::block(&decided);
        self.prove.save(&mut shown, |since| since.header(&chain, height))?;
        print_fields(self.json, &shown)?;
        Ok(Outcome::Done)
    }
}

/// Show what an account has.
#[derive(Debug, Args)]
pub(in crate::cli) struct AccountCommand {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    #[command(flatten)]
    prove: ProveArgs,

    /// Its address, or the name of its key in the wallet
    #[arg(value_name = "ACCOUNT")]
    account: String,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl AccountCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let address = self.wallet.address(&self.account)?;
        let chain = self.chain.open()?;
        let mut shown = shown::account(chain.state()?, address, chain.height()?)?;
        let key = AccountKey { address };
        self.prove.save(&mut shown, |since| since.state(&chain, &key))?;
        print_fields(self.json, &shown)?;
        Ok(Outcome::Done)
    }
}

/// List the validators.
#[derive(Debug, Args)]
pub(in crate::cli) struct ValidatorsCommand {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    prove: ProveArgs,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl ValidatorsCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let chain = self.chain.open()?;
        let (mut shown, of) = shown::validators(chain.state()?, chain.height()?)?;
        let keys = of.iter().map(Key::to_bytes);
        let keys: Vec<Vec<u8>> = [SeatsKey {}.to_bytes()].into_iter().chain(keys).collect();
        self.prove.save(&mut shown, |since| since.entries(&chain, &keys))?;
        print_fields(self.json, &shown)?;
        Ok(Outcome::Done)
    }
}

/// Show the running lot and term.
#[derive(Debug, Args)]
pub(in crate::cli) struct LotCommand {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    prove: ProveArgs,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl LotCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let chain = self.chain.open()?;
        let mut shown = shown::lot(chain.state()?, chain.height()?)?;
        self.prove.save(&mut shown, |since| since.state(&chain, &ScheduleKey {}))?;
        print_fields(self.json, &shown)?;
        Ok(Outcome::Done)
    }
}
