//! `chronolith testnet init`.

use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::Result;
use chronolith_chain::ledger::{ParameterChange, ParameterName};
use clap::Args;
use serde_json::json;

use crate::cli::Outcome;
use crate::cli::chain::print_fields;
use crate::cli::output::say;
use crate::node::testnet::{ACCOUNT, Testnet, create};

/// Write the genesis, and a configuration and keys for each node.
#[derive(Debug, Args)]
pub(in crate::cli) struct InitCommand {
    /// An empty directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// How many validators there are
    #[arg(long, value_name = "COUNT", default_value_t = 4)]
    validators: usize,

    /// How many storage peers there are: further nodes, after the validators
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    storage: usize,

    /// How many producers there are: further nodes, each with a database that is served over HTTP and
    /// whose sealed chunks are anchored and placed
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    producers: usize,

    /// The port at which the first producer serves HTTP; further ones have the next
    #[arg(long, value_name = "PORT", default_value_t = 8_428)]
    http_port: u16,

    /// How many bytes each storage peer offers
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 30)]
    capacity: u64,

    /// How many blocks an epoch has, in which each storage peer is audited and paid once
    #[arg(long, value_name = "COUNT", default_value_t = 600)]
    epoch_blocks: u64,

    /// How many blocks after an epoch its audits are answered and attested
    #[arg(long, value_name = "COUNT", default_value_t = 30)]
    audit_blocks: u64,

    /// The IP address of a node; once for each, the last is that of all others
    #[arg(long = "host", value_name = "IP", default_value = "127.0.0.1")]
    hosts: Vec<IpAddr>,

    /// The port of a host's first node; further ones have the next
    #[arg(long, value_name = "PORT", default_value_t = 4_100)]
    first_port: u16,

    /// The least time between two blocks, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1_000)]
    interval: u64,

    /// After how long a block is made although there is nothing to commit, in milliseconds [default: 60000,
    /// and 1000 where there are storage peers, whose epochs are counted in blocks]
    #[arg(long, value_name = "MS")]
    heartbeat: Option<u64>,

    /// A snapshot of the state is made at every height that this divides; 0 for none
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    snapshot_blocks: u64,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl InitCommand {
    /// What is not as it is by default.
    fn parameters(&self) -> Vec<ParameterChange> {
        let of = |name, value: u64, usual: u64| {
            (value != usual).then(|| ParameterChange { name, value: value.into() })
        };
        // In the order of their numbers.
        let changes = [
            of(ParameterName::AuditBlocks, self.audit_blocks, 30),
            of(ParameterName::EpochBlocks, self.epoch_blocks, 600),
        ];
        changes.into_iter().flatten().collect()
    }

    pub(super) fn run(&self) -> Result<Outcome> {
        let testnet = Testnet {
            validators: self.validators,
            storage: self.storage,
            producers: self.producers,
            http_port: self.http_port,
            capacity_bytes: self.capacity,
            parameters: self.parameters(),
            hosts: self.hosts.clone(),
            first_port: self.first_port,
            interval_ms: self.interval,
            heartbeat_ms: self.heartbeat.unwrap_or(match self.storage {
                0 => 60_000,
                _ => 1_000,
            }),
            snapshot_blocks: self.snapshot_blocks,
        };
        let chain = create(&self.directory, &testnet)?;
        let shown = json!({
            "chain": chain,
            "directory": self.directory,
            "validators": self.validators,
            "storage": self.storage,
            "producers": self.producers,
            "key": self.directory.join("wallet").join(format!("{ACCOUNT}.key")),
        });
        print_fields(self.json, &shown)?;
        if !self.json {
            let place = self.directory.display();
            say!("next: chronolith testnet start {place}");
        }
        Ok(Outcome::Done)
    }
}
