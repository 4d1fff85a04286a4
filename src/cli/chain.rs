//! `chronolith chain`: the ledger by hand, on a chain whose validators are in this process.

mod anchor;
mod bench;
mod check;
mod contribution;
mod init;
mod look;
mod simulate;
mod submit;
mod trust;
mod verify;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};
use chronolith_chain::address::Address;
use clap::{Args, Subcommand};
use serde_json::Value;

pub(super) use self::anchor::anchor_all;
pub(super) use self::submit::{input, print_settled, read_json};
#[cfg(any(feature = "search", feature = "sql"))]
pub(super) use self::trust::TrustArgs;
use super::Outcome;
use super::output::{print_json, say};
use super::usage::Usage;
use super::whole;
use crate::chain::prove::{Proof, Since};
use crate::chain::{Chain, ChainError};
pub(super) use crate::chain::{amount, coins};
use crate::wallet::{AccountKey, Wallet};

/// Facts that strangers can rely on: anchors of chunks, rights and coin
#[derive(Debug, Subcommand)]
pub(super) enum ChainCommand {
    /// Make a chain whose validators run in this process, with blocks on demand
    Init(init::InitCommand),
    /// Show where a chain is
    Status(look::StatusCommand),
    /// Show a block
    Block(look::BlockCommand),
    /// Hand in a transaction, or show one
    Tx(submit::TxCommand),
    /// Show what an account has
    Account(look::AccountCommand),
    /// List the validators
    Validators(look::ValidatorsCommand),
    /// Show the running lot and term
    Lot(look::LotCommand),
    /// List what each node contributed: its score, and what that follows from
    Contribution(contribution::ContributionCommand),
    /// Anchor the seal batches of a database that are not anchored yet
    Anchor(anchor::AnchorCommand),
    /// Execute all blocks once more, and count all coin
    Audit(check::AuditCommand),
    /// Write all blocks with their certificates to a file
    Export(check::ExportCommand),
    /// Check a proof or an export, from the genesis or one trusted block alone
    Verify(verify::VerifyCommand),
    /// Measure validators as processes of their own that agree on transfers
    Bench(bench::BenchCommand),
    /// Simulate whole chains with a bad network, power cuts and Byzantine validators
    Simulate(simulate::SimulateCommand),
    /// One validator of a measurement
    #[command(hide = true)]
    BenchNode(bench::NodeCommand),
}

impl ChainCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        match self {
            Self::Init(command) => command.run(),
            Self::Status(command) => command.run(),
            Self::Block(command) => command.run(),
            Self::Tx(command) => command.run(),
            Self::Account(command) => command.run(),
            Self::Validators(command) => command.run(),
            Self::Lot(command) => command.run(),
            Self::Contribution(command) => command.run(),
            Self::Anchor(command) => command.run(),
            Self::Audit(command) => command.run(),
            Self::Export(command) => command.run(),
            Self::Verify(command) => command.run(),
            Self::Bench(command) => command.run(),
            Self::Simulate(command) => command.run(),
            Self::BenchNode(command) => command.run(),
        }
    }
}

/// Which chain.
#[derive(Debug, Args)]
pub(super) struct ChainArgs {
    /// The directory of the chain
    #[arg(long = "dir", visible_alias = "chain", value_name = "DIR")]
    pub(super) directory: PathBuf,
}

impl ChainArgs {
    pub(super) fn open(&self) -> Result<Chain> {
        Ok(Chain::open(&self.directory)?)
    }
}

/// Which wallet.
#[derive(Debug, Args)]
pub(super) struct WalletArgs {
    /// The directory of the keys [default: chronolith/wallet in the user's data directory]
    #[arg(long, value_name = "DIR")]
    pub(super) wallet: Option<PathBuf>,
}

impl WalletArgs {
    pub(super) fn wallet(&self) -> Result<Wallet> {
        let directory = self.wallet.clone().or_else(Wallet::default_directory);
        let directory = directory
            .ok_or_else(|| Usage("there is no home directory; give --wallet DIR".to_owned()))?;
        Ok(Wallet::at(directory))
    }

    pub(super) fn load(&self, name: &str) -> Result<AccountKey> {
        Ok(self.wallet()?.load(name)?)
    }

    /// An account by its address, or by the name of its key in the wallet.
    pub(super) fn address(&self, text: &str) -> Result<Address> {
        if text.starts_with("chron1") {
            return Ok(text.parse().map_err(|error| Usage(format!("{text:?}: {error}")))?);
        }
        Ok(self.load(text)?.address)
    }
}

/// Where a proof goes.
#[derive(Debug, Args)]
pub(super) struct ProveArgs {
    /// Write a proof to this file, for chronolith chain verify
    #[arg(long, value_name = "FILE")]
    prove: Option<PathBuf>,

    /// Begin the proof at the block of this height, which the verifier trusts already [default: the
    /// genesis]
    #[arg(long, value_name = "HEIGHT", requires = "prove", default_value_t = 0)]
    #[arg(hide_default_value = true)]
    since: u64,
}

impl ProveArgs {
    /// Makes the proof if it is wanted, writes it, and says so in `shown`.
    pub(super) fn save(
        &self,
        shown: &mut Value,
        make: impl FnOnce(Since) -> Result<Proof, ChainError>,
    ) -> Result<()> {
        let Some(path) = &self.prove else { return Ok(()) };
        let bytes = make(Since(self.since))?.to_bytes()?;
        whole::replace(path, &bytes)?;
        if let Some(shown) = shown.as_object_mut() {
            shown.insert("proof".to_owned(), serde_json::json!(path));
            shown.insert("proof_bytes".to_owned(), serde_json::json!(bytes.len()));
        }
        Ok(())
    }
}

/// Prints an object: as JSON, or a line for each of its fields.
pub(super) fn print_fields(json: bool, shown: &Value) -> Result<()> {
    if json {
        return print_json(shown);
    }
    let Some(fields) = shown.as_object() else { bail!("there is nothing to show") };
    let width = fields.keys().map(String::len).max().unwrap_or_default();
    // In the order of their names, whichever order the JSON library was built to keep.
    let fields: BTreeMap<&String, &Value> = fields.iter().collect();
    for (name, value) in fields {
        match value {
            // What there is none of is not worth a line.
            Value::Null => {}
            Value::Array(values) if values.iter().all(Value::is_object) => {
                say!("{name:<width$}  {}", values.len());
                for value in values {
                    say!("{:<width$}  {}", "", one_line(value));
                }
            }
            other => say!("{name:<width$}  {}", one_line(other)),
        }
    }
    Ok(())
}

/// A value on one line: the fields of an object, the values of a list with commas between them.
fn one_line(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(one_line).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            let words = fields.map(|(name, value)| format!("{name} {}", one_line(value)));
            words.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}
