//! `chronolith net`.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result};
use chronolith_chain::encoding::Bytes;
use chronolith_net::exchange::{Question, Reply};
use clap::{Args, Subcommand};
use serde_json::json;

use super::Outcome;
use super::chain::print_fields;
use super::output::{RowFormat, Rows, print_json, say};
use crate::chain::shown;
use crate::node::{Client, NodeSettings};
use crate::rows::Cell;

/// Look at a running node and its peers
#[derive(Debug, Subcommand)]
pub(super) enum NetCommand {
    /// Show where a node is: its height, block and round
    Status(StatusCommand),
    /// List the peers that a node is connected with
    Peers(PeersCommand),
    /// Ask a node several times, and show how long it takes
    Ping(PingCommand),
    /// Ask who announced that it has what a content id names
    Find(FindCommand),
}

impl NetCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        match self {
            Self::Status(command) => command.run(),
            Self::Peers(command) => command.run(),
            Self::Ping(command) => command.run(),
            Self::Find(command) => command.run(),
        }
    }
}

/// Which node is asked.
#[derive(Debug, Args)]
pub(super) struct NodeArgs {
    /// The configuration of a node of the network: it is asked, where nothing else is said
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    /// Ask this node: /ip4/192.0.2.1/tcp/4100/p2p/12D3…
    #[arg(long, value_name = "ADDRESS")]
    peer: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl NodeArgs {
    pub(super) fn settings(&self) -> Result<NodeSettings> {
        Ok(NodeSettings::read(&self.config)?)
    }

    pub(super) fn client(&self) -> Result<Client> {
        Ok(Client::new(&self.settings()?, self.peer.as_deref())?)
    }
}

/// Show where a node is: its height, block and round.
#[derive(Debug, Args)]
pub(super) struct StatusCommand {
    #[command(flatten)]
    node: NodeArgs,
}

impl StatusCommand {
    fn run(&self) -> Result<Outcome> {
        let client = self.node.client()?;
        let status = client.status()?;
        let mut shown = shown::status(&status);
        shown["peer"] = json!(client.node().peer.to_string());
        print_fields(self.node.json, &shown)?;
        Ok(Outcome::Done)
    }
}

/// List the peers that a node is connected with.
#[derive(Debug, Args)]
pub(super) struct PeersCommand {
    #[command(flatten)]
    node: NodeArgs,
}

impl PeersCommand {
    fn run(&self) -> Result<Outcome> {
        let told = self.node.client()?.ask(&Question::Neighbours, |reply| match reply {
            Reply::Neighbours(told) => Some(told),
            _ => None,
        })?;
        let format = if self.node.json { RowFormat::Json } else { RowFormat::Table };
        let columns = ["peer", "address", "agent", "round_trip_us", "points"];
        let mut rows = Rows::new(format, &columns)?;
        for one in told.iter() {
            let time = one.round_trip_us;
            rows.push(&[
                Cell::Text(one.peer.to_string()),
                Cell::Text(one.address.to_string()),
                Cell::Text(one.agent.to_string()),
                Cell::Value(json!(time), time.map_or_else(String::new, |us| us.to_string())),
                Cell::Value(json!(one.points), one.points.to_string()),
            ])?;
        }
        rows.finish()?;
        Ok(Outcome::Done)
    }
}

/// Ask a node several times, and show how long it takes.
#[derive(Debug, Args)]
pub(super) struct PingCommand {
    #[command(flatten)]
    node: NodeArgs,

    /// How often
    #[arg(long, value_name = "COUNT", default_value_t = 4)]
    count: u32,
}

impl PingCommand {
    fn run(&self) -> Result<Outcome> {
        let client = self.node.client()?;
        for number in 1..=self.count {
            let begin = Instant::now();
            let height = client.status()?.height;
            let ms = begin.elapsed().as_secs_f64() * 1e3;
            match self.node.json {
                true => print_json(&json!({"number": number, "height": height, "ms": ms}))?,
                false => say!("{number}: height {height}, {ms:.2} ms"),
            }
        }
        Ok(Outcome::Done)
    }
}

/// Ask who announced that it has what a content id names.
#[derive(Debug, Args)]
pub(super) struct FindCommand {
    #[command(flatten)]
    node: NodeArgs,

    /// A content id
    #[arg(value_name = "CID")]
    cid: String,
}

impl FindCommand {
    fn run(&self) -> Result<Outcome> {
        let cid: cid::Cid = self.cid.parse().with_context(|| format!("{} is no CID", self.cid))?;
        let key = Bytes::new(cid.hash().to_bytes())?;
        let (peers, requests) =
            self.node.client()?.ask(&Question::Find(key), |reply| match reply {
                Reply::Found(peers, requests) => Some((peers, requests)),
                _ => None,
            })?;
        let peers: Vec<&str> = peers.iter().map(|peer| &**peer).collect();
        match self.node.json {
            true => print_json(&json!({"peers": peers, "requests": requests}))?,
            false if peers.is_empty() => say!("nobody announced it ({requests} requests)"),
            false => {
                peers.iter().try_for_each(|peer| super::output::put_line(format_args!("{peer}")))?
            }
        }
        Ok(Outcome::Done)
    }
}
