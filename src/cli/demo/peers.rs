//! The stage of the demo in which strangers keep the data: four validators and eight storage peers as
//! processes that talk libp2p on loopback.

use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use chronolith_chain::address::Address;
use chronolith_chain::coin::Amount;
use chronolith_chain::hash::LeaseId;
use chronolith_chain::ledger::{Lease, LeaseStatus, ParametersKey, PeerKey, leases_of};
use chronolith_chain::state::Overlay;
use chronolith_net::audit::{Answer, Question};
use chronolith_net::exchange::{self, Reply};
use chronolith_net::network::Topic;
use serde_json::{Value, json};

use super::Demo;
use crate::node::{Client, NodeSettings, NodeState, StorageRole};

const VALIDATORS: usize = 4;
const PEERS: usize = 8;
/// The node that repairs: the last storage peer.
const REPAIRER: usize = VALIDATORS + PEERS - 1;
/// How many blocks an epoch has here, and how long its audits last.
const EPOCH_BLOCKS: &str = "16";
const AUDIT_BLOCKS: &str = "10";
/// The least time between blocks, in milliseconds.
const INTERVAL_MS: &str = "120";
/// So long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);

/// The nodes, as processes; those that still run are killed when this is dropped.
pub(super) struct Network {
    directory: PathBuf,
    program: PathBuf,
    nodes: Vec<Option<Child>>,
}

impl Drop for Network {
    fn drop(&mut self) {
        for node in self.nodes.iter_mut().flatten() {
            // It may have ended already.
            let _ = node.kill();
            let _ = node.wait();
        }
    }
}

/// A port from which on so many are free now, below those that systems give to connections that go out.
fn ports(count: u16) -> Result<u16> {
    let start = std::process::id() * 97;
    for next in 0..500 {
        let port = 12_000 + ((start + next * u32::from(count)) % 18_000) as u16;
        let is_free = |more: u16| TcpListener::bind(("127.0.0.1", port + more)).is_ok();
        if (0..count).all(is_free) {
            return Ok(port);
        }
    }
    bail!("there are no {count} free ports in a row")
}

/// Looks again and again until there is something.
fn until<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let begin = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(begin.elapsed() < PATIENCE, "{what} did not happen within {PATIENCE:?}");
        std::thread::sleep(POLL);
    }
}

impl Network {
    pub(super) fn make(program: &Path, directory: PathBuf) -> Result<Self> {
        let port = ports((VALIDATORS + PEERS) as u16)?.to_string();
        let network = Self { directory, program: program.to_owned(), nodes: Vec::new() };
        let place = network.directory.display().to_string();
        let (validators, peers) = (VALIDATORS.to_string(), PEERS.to_string());
        network.json(&[
            "testnet",
            "init",
            &place,
            "--validators",
            &validators,
            "--storage",
            &peers,
            "--first-port",
            &port,
            "--epoch-blocks",
            EPOCH_BLOCKS,
            "--audit-blocks",
            AUDIT_BLOCKS,
            "--interval",
            INTERVAL_MS,
            "--heartbeat",
            INTERVAL_MS,
        ])?;
        Ok(network)
    }

    /// The folder of the accounts that begin with coin.
    pub(super) fn wallet(&self) -> String {
        self.directory.join("wallet").display().to_string()
    }

    pub(super) fn config(&self, number: usize) -> PathBuf {
        self.directory.join("nodes").join(number.to_string()).join("node.toml")
    }

    fn start(&mut self) -> Result<()> {
        for number in 0..VALIDATORS + PEERS {
            let log = fs::File::create(self.config(number).with_file_name("log"))?;
            let node = Command::new(&self.program)
                .args(["serve", "--json", "--config"])
                .arg(self.config(number))
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log)
                .spawn()
                .context("cannot start a node")?;
            self.nodes.push(Some(node));
        }
        until("the first block", || {
            Ok(self.client(0).and_then(|client| Ok(client.status()?)).ok().filter(|s| s.height > 0))
        })?;
        Ok(())
    }

    /// Kills a node, as its machine might.
    fn kill(&mut self, number: usize) {
        if let Some(mut node) = self.nodes.get_mut(number).and_then(Option::take) {
            // It may have ended already.
            let _ = node.kill();
            let _ = node.wait();
        }
    }

    fn settings(&self, number: usize) -> Result<NodeSettings> {
        Ok(NodeSettings::read(&self.config(number))?)
    }

    fn client(&self, number: usize) -> Result<Client> {
        Ok(Client::new(&self.settings(number)?, None)?)
    }

    fn role(&self, number: usize) -> Result<StorageRole> {
        Ok(StorageRole::of(&self.settings(number)?)?)
    }

    /// Runs a command with `--json`; the last line that it printed.
    pub(super) fn json(&self, arguments: &[&str]) -> Result<Value> {
        let output = Command::new(&self.program).args(arguments).arg("--json").output()?;
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr).into_owned();
            bail!("chronolith {} ended with {}: {reason}", arguments.join(" "), output.status);
        }
        let text = String::from_utf8(output.stdout)?;
        Ok(serde_json::from_str(text.lines().last().context("nothing was printed")?)?)
    }

    /// Runs one command for each storage peer, all at once.
    fn for_each_peer(&self, arguments: &[&str]) -> Result<()> {
        let mut running = Vec::new();
        for number in VALIDATORS..VALIDATORS + PEERS {
            let mut command = Command::new(&self.program);
            command.args(arguments).arg("--config").arg(self.config(number)).arg("--json");
            running.push(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?);
        }
        for mut child in running {
            let mut reason = String::new();
            if let Some(mut stderr) = child.stderr.take() {
                stderr.read_to_string(&mut reason)?;
            }
            ensure!(child.wait()?.success(), "chronolith {}: {reason}", arguments.join(" "));
        }
        Ok(())
    }
}

impl Demo<'_> {
    pub(super) fn peers(&mut self, mut network: Network) -> Result<()> {
        self.say(
            "Strangers keep the data: 4 validators and 8 storage peers over libp2p on loopback.",
        );
        network.start()?;
        network.for_each_peer(&["storage", "open"])?;
        let packs = self.place(&network)?;
        let request = self.sell(&network)?;
        let holders = self.audited(&network)?;
        self.cheat(&mut network, &holders)?;
        self.fetch(&mut network, &holders, &packs)?;
        self.receive(&network, &request)
    }

    /// Anchors the sealed batches, packs all sealed chunks and has them kept; the ids of the packs.
    fn place(&mut self, network: &Network) -> Result<Vec<String>> {
        let (db, folder) = (self.db.display().to_string(), self.beside("packs"));
        let config = network.config(0).display().to_string();
        let wallet = network.wallet();
        let repairer = network.role(REPAIRER)?.address().to_string();
        let produce = ["produce", "--once", "--db", &db, "--packs", &folder, "--profile", "lab"];
        let of_network = ["--config", &config, "--wallet", &wallet];
        let terms = [
            "--epochs",
            "1000",
            "--price",
            "0.1",
            "--repairer",
            &repairer,
            "--repair-fee",
            "0.5",
            "--repairs",
            "12",
        ];
        let made = network.json(&[&produce[..], &of_network, &terms].concat())?;
        let packs = made["packed"].as_array().context("no packs")?;
        let packs: Vec<String> =
            packs.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let placed = made["placed"].as_array().map_or(0, Vec::len);
        ensure!(placed == packs.len() && placed > 0, "not all is kept: {made}");
        ensure!(made["anchored_batches"].as_u64() > Some(0), "nothing is anchored: {made}");
        self.say(&format!(
            "  {} batches anchored, {placed} packs kept: any 4 of 6 fragments restore one, with drawn peers",
            made["anchored_batches"],
        ));
        let figures = json!({"packs": placed, "fragments": 6 * placed});
        self.held("place", figures);
        Ok(packs)
    }

    /// Waits until every peer with a lease was audited and paid; these peers.
    fn audited(&mut self, network: &Network) -> Result<Vec<(usize, Address)>> {
        let client = network.client(0)?;
        let mut holders = Vec::new();
        for number in VALIDATORS..REPAIRER {
            let account = network.role(number)?.address();
            let state = NodeState::new(&client);
            if !leases_of(&state, account, LeaseId::default(), 1)?.is_empty() {
                holders.push((number, account));
            }
        }
        let mut earned = Vec::new();
        until("payment of all peers", || {
            let state = NodeState::new(&client);
            let state = Overlay::new(&state);
            earned.clear();
            for (_, account) in &holders {
                let peer = state.get(&PeerKey { peer: *account })?;
                earned.push(peer.map(|peer| peer.earned).unwrap_or_default());
            }
            Ok(earned.iter().all(|earned| !earned.is_zero()).then_some(()))
        })?;
        let paid: Vec<String> = earned.iter().map(|earned| crate::chain::coins(*earned)).collect();
        self.say(&format!(
            "  the chain drew 20 blocks of each of {} peers, all showed them and were paid: {} coin",
            holders.len(), paid.join(", ")
        ));
        self.held("audit_paid", json!({"peers": holders.len(), "earned": paid}));
        Ok(holders)
    }

    /// One peer loses its machine, and answers the next audit with what it showed before: it is shown
    /// to lie, loses its bond, and what it had is rebuilt elsewhere.
    fn cheat(&mut self, network: &mut Network, holders: &[(usize, Address)]) -> Result<()> {
        let (cheater, account) = *holders.first().context("nobody keeps anything")?;
        let client = network.client(0)?;
        let peers = (VALIDATORS..REPAIRER).map(|number| Ok(network.role(number)?.address()));
        let peers = peers.collect::<Result<Vec<_>>>()?;
        let (leases, bond) = (running(&client, &peers)?, bond(&client, account)?);
        network.kill(cheater);
        let role = network.role(cheater)?;
        until("the slash of a liar", || {
            lie(&client, &role)?;
            let state = NodeState::new(&client);
            let peer = Overlay::new(&state).get(&PeerKey { peer: account })?;
            Ok(peer.and_then(|peer| peer.lied_epoch))
        })?;
        let slashed = bond.minus(self::bond(&client, account)?)?;
        ensure!(!slashed.is_zero(), "a liar keeps its bond");
        let slashed = crate::chain::coins(slashed);
        self.say(&format!(
            "  a peer that lost everything signs an old answer: {slashed} coin slashed"
        ));
        self.held("cheater_slashed", json!({"slashed": slashed}));
        until("the repair of what the liar had", || {
            Ok((running(&client, &peers)? == leases).then_some(()))
        })?;
        self.say("  the repairer rebuilt its fragments bit for bit and gave them to another peer");
        self.held("repair", json!({"leases": leases}));
        Ok(())
    }

    /// As many peers as may be missing are killed, and everything comes back.
    fn fetch(
        &mut self,
        network: &mut Network,
        holders: &[(usize, Address)],
        packs: &[String],
    ) -> Result<()> {
        for (number, _) in holders.iter().skip(1).take(2) {
            network.kill(*number);
        }
        self.held("peers_stopped", json!({"peers": 2}));
        let (folder, back) = (self.beside("packs"), self.beside("back"));
        let config = network.config(0).display().to_string();
        let mut bytes = 0;
        for pack in packs {
            let mask = format!("{folder}/{pack}.mask");
            network
                .json(&["fetch", pack, "--config", &config, "--mask", &mask, "--into", &back])?;
            let name = format!("{pack}.car");
            let fetched = fs::read(Path::new(&back).join(&name))?;
            ensure!(
                fetched == fs::read(Path::new(&folder).join(&name))?,
                "{pack} came back changed"
            );
            bytes += fetched.len();
        }
        self.say(&format!(
            "  two more peers are killed; {} packs of {bytes} bytes come back from the others, checked",
            packs.len()
        ));
        self.held("fetch", json!({"packs": packs.len(), "bytes": bytes}));
        Ok(())
    }
}

/// How many leases of peers run.
fn running(client: &Client, peers: &[Address]) -> Result<usize> {
    let mut count = 0;
    for peer in peers {
        let leases = leases_of(&NodeState::new(client), *peer, LeaseId::default(), 4_096)?;
        let runs = |lease: &Lease| lease.status == LeaseStatus::Running;
        count += leases.iter().filter(|(_, lease)| runs(lease)).count();
    }
    Ok(count)
}

fn bond(client: &Client, account: Address) -> Result<Amount> {
    let state = NodeState::new(client);
    let peer = Overlay::new(&state).get(&PeerKey { peer: account })?;
    Ok(peer.map(|peer| peer.bond).unwrap_or_default())
}

/// Signs for the present audit what was shown in the one before, and says it to everybody.
fn lie(client: &Client, role: &StorageRole) -> Result<()> {
    let (state, peer) = (NodeState::new(client), role.address());
    let parameters = Overlay::new(&state).get(&ParametersKey {})?.unwrap_or_default();
    let epoch = parameters.epoch(state.height()?);
    let (Some(asked), Some(before)) = (epoch.checked_sub(1), epoch.checked_sub(2)) else {
        return Ok(());
    };
    let chain = client.status()?.chain;
    let question = Question::of(&state, chain, asked, peer)?;
    let old = exchange::Question::Answer { epoch: before, peer };
    let old = client.ask(&old, |reply| match reply {
        Reply::Answer(bytes) => Some(Answer::from_bytes(&bytes).ok()),
        Reply::Absent => Some(None),
        _ => None,
    })?;
    if let (Some(question), Some(old)) = (question, old)
        && let Some(lie) = Answer::sign(&question, old.samples.to_vec(), &role.key())
    {
        client.network().publish(Topic::Audits, lie.to_bytes());
    }
    Ok(())
}
