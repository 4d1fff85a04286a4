//! `chronolith chain audit` and `export`: the whole chain at once.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use chronolith_chain::coin::Coin;
use chronolith_chain::ledger::audit;
use clap::Args;
use serde_json::json;

use super::{ChainArgs, print_fields};
use crate::chain::{Replay, export};
use crate::cli::{Outcome, whole};

/// Execute all blocks once more, and count all coin.
#[derive(Debug, Args)]
pub(in crate::cli) struct AuditCommand {
    #[command(flatten)]
    chain: ChainArgs,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl AuditCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let chain = self.chain.open()?;
        let mut replay = Replay::new(chain.genesis())?;
        let (mut transactions, mut refused) = (0, 0);
        for height in 1..=chain.height()? {
            let receipts = replay.apply(&chain.block(height)?)?;
            transactions += receipts.len();
            refused += receipts.iter().filter(|receipt| receipt.refusal.is_some()).count();
        }
        let (kept, found) = (chain.state()?.head(), replay.state().head());
        if kept != found {
            bail!(
                "the state has the root {} at height {}, and the blocks give {} at {}: put the \
                 state back from a backup, or begin with the blocks alone",
                kept.root,
                kept.version,
                found.root,
                found.version
            );
        }
        let sums = audit(chain.state()?).context("the coin does not add up")?;
        let coin: Vec<_> = sums
            .iter()
            .map(|(coin, sum)| {
                let name = match coin {
                    Coin::Native => "native".to_owned(),
                    Coin::Issued(id) => id.to_string(),
                };
                json!({
                    "coin": name,
                    "minted": sum.minted,
                    "burnt": sum.burnt,
                    "balances": sum.balances,
                    "bonds": sum.bonds,
                    "escrows": sum.escrows,
                    "deposits": sum.deposits,
                })
            })
            .collect();
        let shown = json!({
            "height": found.version,
            "state_root": found.root,
            "transactions": transactions,
            "refused": refused,
            "coin": coin,
            "holds": true,
        });
        print_fields(self.json, &shown)?;
        Ok(Outcome::Done)
    }
}

/// Write all blocks with their certificates to a file.
#[derive(Debug, Args)]
pub(in crate::cli) struct ExportCommand {
    #[command(flatten)]
    chain: ChainArgs,

    /// The file; it must not exist
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl ExportCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let chain = self.chain.open()?;
        let blocks = whole::create(&self.file, |out| Ok(export::write(&chain, out)?))?;
        let bytes = std::fs::metadata(&self.file)?.len();
        let shown = json!({
            "chain": chain.id(),
            "blocks": blocks,
            "bytes": bytes,
            "file": self.file,
        });
        print_fields(self.json, &shown)?;
        Ok(Outcome::Done)
    }
}
