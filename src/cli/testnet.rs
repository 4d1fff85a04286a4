//! `chronolith testnet`.

use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::json;

use super::Outcome;
use super::chain::print_fields;
use super::output::say;
use crate::node::testnet::{ACCOUNT, Testnet, create};

/// Networks whose nodes are all one's own
#[derive(Debug, Subcommand)]
pub(super) enum TestnetCommand {
    /// Write the genesis, and a configuration and keys for each node
    Init(InitCommand),
}

impl TestnetCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        match self {
            Self::Init(command) => command.run(),
        }
    }
}

/// Write the genesis, and a configuration and keys for each node.
#[derive(Debug, Args)]
pub(super) struct InitCommand {
    /// An empty directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// How many validators there are
    #[arg(long, value_name = "COUNT", default_value_t = 4)]
    validators: usize,

    /// The IP address of a node; once for each, the last is that of all others
    #[arg(long = "host", value_name = "IP", default_value = "127.0.0.1")]
    hosts: Vec<IpAddr>,

    /// The port of a host's first node; further ones have the next
    #[arg(long, value_name = "PORT", default_value_t = 4_100)]
    first_port: u16,

    /// The least time between two blocks, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1_000)]
    interval: u64,

    /// After how long a block is made although there is nothing to commit, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 60_000)]
    heartbeat: u64,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl InitCommand {
    fn run(&self) -> Result<Outcome> {
        let testnet = Testnet {
            validators: self.validators,
            hosts: self.hosts.clone(),
            first_port: self.first_port,
            interval_ms: self.interval,
            heartbeat_ms: self.heartbeat,
        };
        let chain = create(&self.directory, &testnet)?;
        let shown = json!({
            "chain": chain,
            "directory": self.directory,
            "validators": self.validators,
            "key": self.directory.join("wallet").join(format!("{ACCOUNT}.key")),
        });
        print_fields(self.json, &shown)?;
        if !self.json {
            let place = self.directory.display();
            say!("next, for each node: chronolith serve --config {place}/nodes/0/node.toml");
        }
        Ok(Outcome::Done)
    }
}
