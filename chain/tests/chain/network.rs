//! Validators in one process: messages are delivered in turn, time goes by when nothing is left to
//! deliver. Nothing is lost or late unless a test says so.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use chronolith_chain::coin::Amount;
use chronolith_chain::consensus::message::{Decided, Message, PeerId};
use chronolith_chain::consensus::{
    BeaconChain, Config, ConsensusError, Files, Identity, Input, Now, Output, Refusal, Timeouts,
    Validator,
};
use chronolith_chain::encoding::{Rising, Text};
use chronolith_chain::genesis::{Genesis, GenesisAccount, GenesisValidator};
use chronolith_chain::hash::Hash;
use chronolith_chain::keys::{PublicKey, SecretKey};
use chronolith_chain::ledger::{Account, AccountKey, Parameters, Transfer, audit, least_fee};
use chronolith_chain::state::{Options, Overlay};
use chronolith_chain::transaction::{Body, Transaction};
use chronolith_chain::vote::{Message as _, Proposal, Step, Vote};
use chronolith_disk::{Disk, SimDisk};

use crate::world::{BEGIN, PEOPLE, account, consensus_key, key};

/// When the network begins, in nanoseconds since the epoch.
pub(crate) const BEGIN_NS: u64 = 1_700_000_000_000_000_000;
/// The name of the guard's file.
pub(crate) const GUARD: &str = "signed";

/// Quick rounds, and state that is small.
pub(crate) fn config() -> Config {
    Config {
        timeouts: Timeouts { repeat_ms: 200, ..Timeouts::default() },
        interval_ms: 1_000,
        heartbeat_ms: Some(5_000),
        state: Options { keep_versions: 3, cache_bytes: 1 << 20 },
        ..Config::default()
    }
}

/// The beacon chain of a validator.
pub(crate) fn beacon(validator: u8) -> BeaconChain {
    BeaconChain::new(&[validator + 1; 32], 200)
}

/// Who a validator is.
pub(crate) fn identity(validator: u8) -> Identity {
    Identity { key: consensus_key(validator), beacon: beacon(validator) }
}

/// A chain that begins with some validators of equal power.
pub(crate) fn genesis(validators: u8) -> Genesis {
    let begin = |person| GenesisAccount { address: account(person), balance: BEGIN };
    let validator = |person| GenesisValidator {
        validator: account(person),
        consensus_key: consensus_key(person).public(),
        bond: Amount::coins(5_000),
        beacon: beacon(person).end(),
        power: 10,
    };
    Genesis {
        name: Text::new("network").unwrap(),
        time_ms: BEGIN_NS / 1_000_000 - 1_000,
        protocol: 1,
        parameters: Rising::default(),
        accounts: Rising::new((0..PEOPLE).map(begin).collect::<Vec<_>>()).unwrap(),
        validators: Rising::new((0..validators).map(validator).collect::<Vec<_>>()).unwrap(),
    }
}

/// The folders of a node, on one simulated disk each.
pub(crate) fn files(data: &SimDisk, guard: &SimDisk) -> Files {
    Files {
        data: Arc::new(data.clone()) as Arc<dyn Disk>,
        guard: Arc::new(guard.clone()) as Arc<dyn Disk>,
        guard_path: GUARD.to_owned(),
    }
}

/// A node and its disks.
pub(crate) struct Node {
    /// The loop; none while it is down.
    pub(crate) validator: Option<Validator>,
    /// State, blocks and log.
    pub(crate) data: SimDisk,
    /// The sign guard.
    pub(crate) guard: SimDisk,
    /// What it committed since the network began, whatever happened to it since.
    pub(crate) committed: BTreeMap<u64, Decided>,
    /// What became of what was handed in at it.
    pub(crate) submitted: Vec<bool>,
    /// What it refused.
    pub(crate) refused: Vec<Refusal>,
    /// What it found out about others.
    pub(crate) evidence: usize,
    /// Whether it said that it stands aside.
    pub(crate) stands_aside: bool,
}

/// Whether a message from a node to another gets through.
type Filter = dyn FnMut(usize, usize, &Message) -> bool;

/// All nodes, and what is on its way between them.
pub(crate) struct Network {
    pub(crate) genesis: Genesis,
    /// How many nodes have the keys of a validator.
    candidates: u8,
    pub(crate) nodes: Vec<Node>,
    pub(crate) now: Now,
    pub(crate) config: Config,
    in_flight: VecDeque<(usize, usize, Message)>,
    /// What each key signed for each step, of all that was ever sent.
    signed: BTreeMap<(PublicKey, u64, u32, u8), Hash>,
    /// Looks at every message before it is sent: sender, receiver, message; keeps it or not.
    pub(crate) filter: Box<Filter>,
}

impl Network {
    /// A network of validators, and of nodes that only follow.
    pub(crate) fn new(validators: u8, followers: u8, config: Config) -> Self {
        Self::on(validators, followers, config, |_| (SimDisk::new(), SimDisk::new()))
    }

    /// The same, on disks of the caller's choice: of data and guard of each node.
    pub(crate) fn on(
        validators: u8,
        followers: u8,
        config: Config,
        disks: impl Fn(u8) -> (SimDisk, SimDisk),
    ) -> Self {
        Self::of(genesis(validators), validators, followers, config, disks)
    }

    /// A network of another genesis, of nodes who have the keys of a validator, and some who only
    /// follow.
    pub(crate) fn of(
        genesis: Genesis,
        candidates: u8,
        followers: u8,
        config: Config,
        disks: impl Fn(u8) -> (SimDisk, SimDisk),
    ) -> Self {
        let node = |number: u8| {
            let (data, guard) = disks(number);
            let identity = (number < candidates).then(|| identity(number));
            let validator =
                Validator::create(&genesis, &files(&data, &guard), identity, config).unwrap();
            Node::of(validator, data, guard)
        };
        let nodes = (0..candidates + followers).map(node).collect();
        let now = Now { elapsed_ns: 1, time_ns: BEGIN_NS };
        let mut network = Self {
            genesis,
            candidates,
            nodes,
            now,
            config,
            in_flight: VecDeque::new(),
            signed: BTreeMap::new(),
            filter: Box::new(|_, _, _| true),
        };
        for node in 0..network.nodes.len() {
            network.connect(node);
        }
        network
    }

    /// Tells a node of all others, and them of it.
    pub(crate) fn connect(&mut self, node: usize) {
        for other in 0..self.nodes.len() {
            if other != node {
                self.give(node, Input::Connected(PeerId(other as u64)));
                self.give(other, Input::Connected(PeerId(node as u64)));
            }
        }
    }

    /// Gives a node an input, and takes its outputs.
    pub(crate) fn give(&mut self, node: usize, input: Input) {
        if let Err(error) = self.try_give(node, input) {
            panic!("node {node}: {error}");
        }
    }

    /// The same, where it may fail; a node that fails is down.
    pub(crate) fn try_give(&mut self, node: usize, input: Input) -> Result<(), ConsensusError> {
        let Some(validator) = &mut self.nodes[node].validator else { return Ok(()) };
        let outputs = match validator.handle(self.now, input) {
            Ok(outputs) => outputs,
            Err(error) => {
                self.nodes[node].validator = None;
                return Err(error);
            }
        };
        for output in outputs {
            match output {
                Output::Broadcast(message) => {
                    for to in (0..self.nodes.len()).filter(|to| *to != node) {
                        self.send(node, to, message.clone());
                    }
                }
                Output::Send { to, message } => self.send(node, to.0 as usize, message),
                Output::Committed { decided, .. } => {
                    let height = decided.block.header.height;
                    self.nodes[node].committed.insert(height, *decided);
                }
                Output::Evidence(_) => self.nodes[node].evidence += 1,
                Output::Submitted(result) => self.nodes[node].submitted.push(result.is_ok()),
                Output::Refused { reason, .. } => {
                    self.nodes[node].refused.push(reason);
                }
                Output::StandsAside { .. } => self.nodes[node].stands_aside = true,
            }
        }
        Ok(())
    }

    /// Puts a message on its way.
    pub(crate) fn send(&mut self, from: usize, to: usize, message: Message) {
        self.note_signed(&message);
        if (self.filter)(from, to, &message) {
            // What arrives is what its bytes say.
            let message = Message::decode(&message.encode()).unwrap();
            self.in_flight.push_back((from, to, message));
        }
    }

    /// No honest validator signs two things for one step, whatever happened to it.
    fn note_signed(&mut self, message: &Message) {
        let (key, step, hash) = match message {
            Message::Vote(vote) => {
                let Vote { height, round, step, .. } = vote.signed.message;
                let step = if step == Step::Prevote { 1 } else { 2 };
                (vote.key, (height, round, step), vote.signed.message.signing_hash())
            }
            Message::Proposal(proposal) => {
                let Proposal { height, round, .. } = proposal.signed.message;
                (proposal.key, (height, round, 0), proposal.signed.message.signing_hash())
            }
            _ => return,
        };
        let (height, round, step) = step;
        let before = *self.signed.entry((key, height, round, step)).or_insert(hash);
        assert_eq!(before, hash, "{key:?} signed twice at height {height}, round {round}");
    }

    /// Delivers a message, or lets time go by until a node wants to be woken; whether there was
    /// anything to do.
    pub(crate) fn step(&mut self) -> bool {
        self.try_step().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same, where a node may fail.
    pub(crate) fn try_step(&mut self) -> Result<bool, ConsensusError> {
        if let Some((from, to, message)) = self.in_flight.pop_front() {
            self.try_give(to, Input::Message { from: PeerId(from as u64), message })?;
            return Ok(true);
        }
        let wake = |node: &Node| node.validator.as_ref().and_then(Validator::wake_at);
        let Some(at) = self.nodes.iter().filter_map(wake).min() else { return Ok(false) };
        let by = at.saturating_sub(self.now.elapsed_ns);
        self.now.elapsed_ns += by;
        self.now.time_ns += by;
        for node in 0..self.nodes.len() {
            if wake(&self.nodes[node]).is_some_and(|at| at <= self.now.elapsed_ns) {
                self.try_give(node, Input::Tick)?;
            }
        }
        Ok(true)
    }

    /// Goes on for some steps.
    pub(crate) fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            if !self.step() {
                return;
            }
        }
    }

    /// Runs until every node that is up has committed a height.
    pub(crate) fn run_to(&mut self, height: u64) {
        for _ in 0..1_000_000 {
            let is_there = |node: &Node| {
                node.validator.as_ref().is_none_or(|validator| validator.position().height > height)
            };
            if self.nodes.iter().all(is_there) {
                self.check();
                return;
            }
            assert!(self.step(), "nothing happens any more");
        }
        let at: Vec<_> = self.nodes.iter().map(|node| node.height()).collect();
        panic!("height {height} is not reached: {at:?}");
    }

    /// No two nodes committed different blocks at a height, and the books are balanced.
    pub(crate) fn check(&self) {
        let mut blocks = BTreeMap::new();
        for node in &self.nodes {
            for (height, decided) in &node.committed {
                let id = decided.block.header.id();
                assert_eq!(*blocks.entry(*height).or_insert(id), id, "a fork at {height}");
                assert_eq!(decided.certificate.block(), id);
            }
            if let Some(validator) = &node.validator {
                audit(validator.state()).unwrap();
            }
        }
    }

    /// Stops a node as if the power was cut, with nothing lost that was not synced.
    pub(crate) fn stop(&mut self, node: usize) {
        self.nodes[node].validator = None;
        self.in_flight.retain(|(_, to, _)| *to != node);
    }

    /// Opens a node's files again, and connects it.
    pub(crate) fn restart(&mut self, node: usize) -> Result<(), ConsensusError> {
        let has_keys = node < usize::from(self.candidates);
        self.restart_as(node, has_keys.then(|| identity(node as u8)))
    }

    /// The same, by who has other secrets than before.
    pub(crate) fn restart_as(
        &mut self,
        node: usize,
        identity: Option<Identity>,
    ) -> Result<(), ConsensusError> {
        let Node { data, guard, .. } = &self.nodes[node];
        let files = files(data, guard);
        let validator = Validator::open(&self.genesis, &files, identity, self.config)?;
        self.nodes[node].validator = Some(validator);
        self.nodes[node].stands_aside = false;
        self.connect(node);
        Ok(())
    }

    /// A transfer of one mote by a person, the `ahead`th after what is committed at node 0.
    pub(crate) fn transfer(&self, from: u8, ahead: u64) -> Transaction {
        let up = self.nodes.iter().find_map(|node| node.validator.as_ref()).unwrap();
        let state = Overlay::new(up.state());
        let sender = account(from);
        let Account { nonce, .. } = state.get(&AccountKey { address: sender }).unwrap().unwrap();
        let to = account((from + 1) % PEOPLE);
        let transfer = Transfer {
            to,
            coin: chronolith_chain::coin::Coin::Native,
            amount: Amount(1),
            memo: Default::default(),
        };
        let mut body = Body {
            version: 1,
            chain: self.genesis.chain_id(),
            sender,
            nonce: nonce + ahead,
            valid_until: up.position().height + 50,
            fee: Amount(0),
            action: transfer.into(),
        };
        body.fee = least_fee(&Parameters::default(), 300, body.action.weight());
        sign(body, from)
    }

    /// Hands a transaction in at a node.
    pub(crate) fn submit(&mut self, node: usize, transaction: Transaction) {
        self.give(node, Input::Submit(vec![transaction]));
    }
}

/// Signs for a person.
pub(crate) fn sign(body: Body, person: u8) -> Transaction {
    let key: SecretKey = key(person);
    body.sign(&key)
}

impl Node {
    fn of(validator: Validator, data: SimDisk, guard: SimDisk) -> Self {
        Self {
            validator: Some(validator),
            data,
            guard,
            committed: BTreeMap::new(),
            submitted: Vec::new(),
            refused: Vec::new(),
            evidence: 0,
            stands_aside: false,
        }
    }

    /// The height and round it works on.
    pub(crate) fn height(&self) -> Option<(u64, Option<u32>)> {
        let position = self.validator.as_ref()?.position();
        Some((position.height, position.round))
    }

    /// The root of its state.
    pub(crate) fn root(&self) -> Hash {
        self.validator.as_ref().unwrap().state().head().root
    }
}
