//! `chronolith testnet start|status|stop|kill|logs`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;

use crate::cli::Outcome;
use crate::cli::asking::Asking;
use crate::cli::output::{RowFormat, Rows, say};
use crate::cli::usage::Usage;
use crate::node::opening::{is_open, open_storage};
use crate::node::testnet::processes::{End, NodePlace, chosen};
use crate::node::{Client, NodeSettings};
use crate::rows::Cell;

/// How often it is looked whether the network is where it is waited for.
const LOOK: Duration = Duration::from_millis(200);

/// Which nodes of which network.
#[derive(Debug, Args)]
struct Chosen {
    /// The directory of the network
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// The numbers of the nodes [default: all]
    #[arg(value_name = "NODE")]
    nodes: Vec<usize>,
}

impl Chosen {
    fn nodes(&self) -> Result<Vec<NodePlace>> {
        Ok(chosen(&self.directory, &self.nodes)?)
    }
}

/// Start the nodes as processes that go on by themselves.
#[derive(Debug, Args)]
pub(in crate::cli) struct StartCommand {
    #[command(flatten)]
    chosen: Chosen,

    /// How many seconds each node is waited for
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    deadline: u64,
}

impl StartCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let program = std::env::current_exe()?;
        for node in self.chosen.nodes()? {
            let begun = node.start(&program, Duration::from_secs(self.deadline))?;
            let (number, was) = (node.number, if begun { "started" } else { "runs already" });
            let pid = node.process().unwrap_or_default();
            say!("node {number} {was}: process {pid}");
        }
        self.open_storage()
    }

    /// Offers the storage of those peers on the ledger that it does not have yet.
    fn open_storage(&self) -> Result<Outcome> {
        for node in self.chosen.nodes()? {
            let settings = node.settings()?;
            if settings.storage.is_none() {
                continue;
            }
            let client = Client::new(&settings, None)?;
            if is_open(&settings, &client)? {
                continue;
            }
            open_storage(&settings, &client, None, Duration::from_secs(self.deadline))?;
            say!("node {} offers its storage", node.number);
        }
        Ok(Outcome::Done)
    }
}

/// Stop nodes in order.
#[derive(Debug, Args)]
pub(in crate::cli) struct StopCommand {
    #[command(flatten)]
    chosen: Chosen,

    /// How many seconds each node is waited for
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    deadline: u64,
}

impl StopCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        end(&self.chosen.nodes()?, End::Stop, self.deadline)
    }
}

/// Kill nodes, to see what the others do.
#[derive(Debug, Args)]
pub(in crate::cli) struct KillCommand {
    /// The directory of the network
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// The numbers of the nodes
    #[arg(value_name = "NODE", required = true)]
    nodes: Vec<usize>,
}

impl KillCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        end(&chosen(&self.directory, &self.nodes)?, End::Kill, 10)
    }
}

fn end(nodes: &[NodePlace], how: End, deadline: u64) -> Result<Outcome> {
    for node in nodes {
        let was = match (node.end(how, Duration::from_secs(deadline))?, how) {
            (false, _) => "does not run",
            (true, End::Stop) => "stopped",
            (true, End::Kill) => "killed",
        };
        say!("node {} {was}", node.number);
    }
    Ok(Outcome::Done)
}

/// Show which nodes run, and where they are.
#[derive(Debug, Args)]
pub(in crate::cli) struct StatusCommand {
    #[command(flatten)]
    chosen: Chosen,

    /// How rows are printed
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "table")]
    format: RowFormat,
}

impl StatusCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let columns = ["node", "roles", "process", "height", "round", "waiting", "log"];
        let mut rows = Rows::new(self.format, &columns)?;
        for node in self.chosen.nodes()? {
            let settings = node.settings()?;
            let process = node.process();
            // One that runs and does not answer is shown without what it would say.
            let status = process.and_then(|_| Client::new(&settings, None).ok()?.status().ok());
            let status = status.as_ref();
            rows.push(&[
                Cell::from(node.number as u64),
                Cell::from(roles(&settings)),
                Cell::from(process.map(u64::from)),
                Cell::from(status.map(|status| status.height)),
                Cell::from(status.and_then(|status| status.round).map(u64::from)),
                Cell::from(status.map(|status| status.waiting)),
                Cell::from(node.log().display().to_string()),
            ])?;
        }
        rows.finish()?;
        Ok(Outcome::Done)
    }
}

/// What a node does, as its configuration says.
fn roles(settings: &NodeSettings) -> String {
    let roles = [
        ("validator", settings.validator.is_some()),
        ("storage", settings.storage.is_some()),
        ("producer", settings.producer.is_some()),
    ];
    let roles: Vec<&str> = roles.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
    if roles.is_empty() { "follower".to_owned() } else { roles.join("+") }
}

/// Wait until the network is somewhere.
#[derive(Debug, Args)]
pub(in crate::cli) struct WaitCommand {
    /// The directory of the network
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// Until every node that runs has this height
    #[arg(long, value_name = "HEIGHT")]
    height: Option<u64>,

    /// Until the producers that run have had so many packs placed since they were started
    #[arg(long, value_name = "COUNT")]
    packs: Option<u64>,

    /// How many seconds it is waited
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    deadline: u64,
}

impl WaitCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        if self.height.is_none() && self.packs.is_none() {
            bail!(Usage("say what to wait for: --height or --packs".to_owned()));
        }
        let nodes = chosen(&self.directory, &[])?;
        let nodes = nodes.into_iter().map(watch).collect::<Result<Vec<_>>>()?;
        let until = Instant::now() + Duration::from_secs(self.deadline);
        loop {
            let Seen { height, all_answer, packs } = look(&nodes);
            let is_high = self.height.is_none_or(|wanted| all_answer && height >= Some(wanted));
            let is_placed = self.packs.is_none_or(|wanted| packs >= wanted);
            if is_high && is_placed {
                say!("height {}, {packs} packs placed", shown(height));
                return Ok(Outcome::Done);
            }
            if Instant::now() >= until {
                let height = shown(height);
                bail!(
                    "after {} s the height is {height}, and {packs} packs are placed",
                    self.deadline
                );
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// A height, where there is one.
fn shown(height: Option<u64>) -> String {
    height.map_or_else(|| "none".to_owned(), |height| height.to_string())
}

/// What is looked at of a node.
fn watch(node: NodePlace) -> Result<Watched> {
    let settings = node.settings()?;
    let client = Client::new(&settings, None)?;
    let producer = settings.producer.as_ref().and(settings.http.as_ref());
    let producer = producer.map(|http| Asking::new(&format!("http://{}", http.listen), None));
    Ok(Watched { node, client, producer: producer.transpose()? })
}

/// A node that is looked at again and again.
struct Watched {
    node: NodePlace,
    /// Where its height is asked for.
    client: Client,
    /// Where it produces.
    producer: Option<Asking>,
}

/// What was seen of the nodes that run.
struct Seen {
    /// The least height of those that answer.
    height: Option<u64>,
    /// Whether there are some, and all answer: one that begins does not yet.
    all_answer: bool,
    /// How many packs producers had placed.
    packs: u64,
}

fn look(nodes: &[Watched]) -> Seen {
    let mut seen = Seen { height: None, all_answer: true, packs: 0 };
    for Watched { client, producer, .. } in nodes.iter().filter(|one| one.node.process().is_some())
    {
        match client.status() {
            Ok(status) => {
                let least = seen.height.map_or(status.height, |least| least.min(status.height));
                seen.height = Some(least);
            }
            Err(_) => seen.all_answer = false,
        }
        let told = producer.as_ref().and_then(|asking| asking.value("/api/v1/producer").ok()?);
        seen.packs += told.and_then(|told| told["placed"].as_u64()).unwrap_or_default();
    }
    seen.all_answer &= seen.height.is_some();
    seen
}

/// Show what a node told.
#[derive(Debug, Args)]
pub(in crate::cli) struct LogsCommand {
    /// The directory of the network
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// The number of the node
    #[arg(value_name = "NODE")]
    node: usize,

    /// How many lines are shown, from the end
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    lines: usize,
}

impl LogsCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        for node in chosen(&self.directory, &[self.node])? {
            for line in node.last_lines(self.lines)? {
                say!("{line}");
            }
        }
        Ok(Outcome::Done)
    }
}
