//! One run: a seed, from its trouble to its end.

use std::rc::Rc;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::actors::{Actor, Cabal, Turn, actor};
use super::invariants::{Broken, Checker, Invariant};
use super::load;
use super::network::Network;
use super::node::{Called, Honest};
use super::queue::{Event, Queue};
use super::random::Random;
use super::setup::{Setup, SetupError};
use crate::consensus::message::{Message, PeerId};
use crate::consensus::{Input, Now, Output, Validator};
use crate::hash::Hash;

/// How long a payment comes after the other, in milliseconds.
const LOAD_MS: u64 = 600;
/// How long the network stays as it is split or whole, in milliseconds.
const SPLIT_MS: (u64, u64) = (1_000, 8_000);
/// How long a node is down, in milliseconds.
const DOWN_MS: (u64, u64) = (10, 6_000);
/// How long a node goes on at most after its power was ordered to be cut, in milliseconds.
const LINGER_MS: u64 = 2_000;
/// How long a new height may take after the network healed, in milliseconds of the virtual clock:
/// more than ten rounds can.
const PATIENCE_MS: u64 = 300_000;
/// How many events a run has at most; far more than any needs.
const MOST_EVENTS: u64 = 3_000_000;

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The height that every honest validator committed at least.
    pub height: u64,
    /// The most rounds that a height took after the network healed.
    pub rounds: u32,
    /// How many messages were sent, or kept back, as no honest validator does.
    pub byzantine_messages: u64,
    /// How many terms began.
    pub terms: u64,
    /// How many pieces of evidence are in the committed blocks.
    pub evidence: u64,
    /// How many transactions are.
    pub transactions: u64,
    /// How often an honest validator lost power.
    pub crashes: u64,
    /// The hash of everything that happened: the same for the same seed.
    pub run_hash: Hash,
    /// The first invariant that did not hold; the run ended there.
    pub broken: Option<Broken>,
}

enum Node {
    Honest(Box<Honest>),
    Byzantine(Box<dyn Actor>),
}

/// Since the network healed.
struct Healed {
    /// The highest height that was committed then.
    height: u64,
    /// The highest round that an honest validator was in at the next.
    round: u32,
    /// When a height was committed last.
    since_ns: u64,
}

impl Healed {
    /// How many rounds of a height began since then, if this one is the last.
    fn rounds(&self, height: u64, round: u32) -> u32 {
        let first = if height == self.height + 1 { self.round } else { 0 };
        (round + 1).saturating_sub(first)
    }
}

fn check_rounds(height: u64, rounds: u32) -> Result<(), Broken> {
    let most = super::Config::ROUNDS_TO_HEAL;
    if rounds <= most {
        return Ok(());
    }
    let what = format!("height {height} needs {rounds} rounds; at most {most} are allowed");
    Err(Broken::new(Invariant::Liveness, what))
}

pub(super) struct Run {
    setup: Rc<Setup>,
    queue: Queue,
    network: Network,
    nodes: Vec<Node>,
    /// The next wake of each node that is planned.
    wakes_ns: Vec<Option<u64>>,
    cabal: Cabal,
    checker: Checker,
    random: Random,
    hash: Sha256,
    healed: Option<Healed>,
    outcome: Outcome,
}

impl Run {
    /// Plans a run.
    pub(super) fn new(setup: &Rc<Setup>, seed: u64) -> Result<Self, SetupError> {
        let config = &setup.config;
        let mut random = Random::new(seed);
        let mut is_byzantine = vec![false; config.validators];
        while is_byzantine.iter().filter(|is| **is).count() < config.byzantine_count {
            let node = random.below(config.validators as u64) as usize;
            is_byzantine[node] = true;
        }
        let cabal = Cabal::new(&is_byzantine, &mut random);
        let mut nodes = Vec::with_capacity(config.validators);
        for (number, is_byzantine) in is_byzantine.into_iter().enumerate() {
            nodes.push(match config.byzantine.filter(|_| is_byzantine) {
                Some(kind) => Node::Byzantine(actor(kind, number, setup, &mut random)?),
                None => Node::Honest(Box::new(Honest::new(number, setup, &mut random)?)),
            });
        }
        let outcome = Outcome {
            seed,
            height: 0,
            rounds: 0,
            byzantine_messages: 0,
            terms: 0,
            evidence: 0,
            transactions: 0,
            crashes: 0,
            run_hash: Hash::default(),
            broken: None,
        };
        let mut run = Self {
            setup: Rc::clone(setup),
            queue: Queue::default(),
            network: Network::new(config, random.split()),
            wakes_ns: vec![None; nodes.len()],
            nodes,
            cabal,
            checker: Checker::new(&setup.genesis)?,
            random,
            hash: Sha256::new(),
            healed: None,
            outcome,
        };
        run.plan_trouble();
        Ok(run)
    }

    fn plan_trouble(&mut self) {
        let config = &self.setup.config;
        let trouble = self.random.between(config.trouble_ms / 4, config.trouble_ms);
        self.queue.plan_in_ms(trouble, Event::Heal);
        self.queue.plan_in_ms(LOAD_MS, Event::Load);
        // Not every run has every kind of trouble.
        if config.partitions && self.random.below(4) > 0 {
            self.queue.plan_in_ms(self.random.between(0, SPLIT_MS.1), Event::Split);
        }
        if config.crashes && self.random.below(4) > 0 {
            for _ in 0..self.random.between(1, 2 * self.nodes.len() as u64) {
                let node = self.random.below(self.nodes.len() as u64) as usize;
                let at = self.random.below(trouble.max(1));
                self.queue.plan_in_ms(at, Event::Cut { node });
            }
        }
    }

    /// Runs to the end.
    pub(super) fn finish(mut self) -> Outcome {
        if let Err(broken) = self.go() {
            self.outcome.broken = Some(broken);
        }
        self.outcome.run_hash = Hash(self.hash.finalize().into());
        self.outcome
    }

    fn go(&mut self) -> Result<(), Broken> {
        for node in 0..self.nodes.len() {
            self.connect(node)?;
        }
        for _ in 0..MOST_EVENTS {
            if self.is_done() {
                return Ok(());
            }
            let Some(event) = self.queue.next() else {
                return Err(Broken::new(Invariant::Liveness, "nothing happens any more"));
            };
            self.note_event(&event);
            self.happen(event)?;
            self.check_patience()?;
        }
        Err(Broken::new(Invariant::Liveness, format!("no end after {MOST_EVENTS} events")))
    }

    /// Adds what happens to the hash of the run.
    fn note_event(&mut self, event: &Event) {
        let (kind, node, other) = match event {
            Event::Deliver { from, to, bytes, .. } => {
                self.hash.update(bytes);
                (0_u64, *to, *from)
            }
            Event::Wake { node } => (1, *node, 0),
            Event::Cut { node } => (2, *node, 0),
            Event::Stop { node, life } => (3, *node, *life as usize),
            Event::Start { node } => (4, *node, 0),
            Event::Split => (5, 0, 0),
            Event::Load => (6, 0, 0),
            Event::Heal => (7, 0, 0),
        };
        for part in [self.queue.now_ns(), kind, node as u64, other as u64] {
            self.hash.update(part.to_le_bytes());
        }
    }

    fn is_done(&mut self) -> bool {
        let Some(healed) = &self.healed else { return false };
        let goal = self.setup.config.heights.max(healed.height + 2);
        let checker = &self.checker;
        let honest = self.nodes.iter().enumerate().filter_map(|(number, node)| match node {
            Node::Honest(_) => Some(checker.height_of(number)),
            Node::Byzantine(_) => None,
        });
        self.outcome.height = honest.min().unwrap_or(0);
        self.outcome.height >= goal
    }

    fn check_patience(&self) -> Result<(), Broken> {
        let Some(healed) = &self.healed else { return Ok(()) };
        let waited_ms = self.queue.now_ns().saturating_sub(healed.since_ns) / 1_000_000;
        if waited_ms < PATIENCE_MS {
            return Ok(());
        }
        let height = self.checker.height();
        let what = format!("height {} is not committed after {waited_ms} ms", height + 1);
        Err(Broken::new(Invariant::Liveness, what))
    }

    fn happen(&mut self, event: Event) -> Result<(), Broken> {
        match event {
            Event::Deliver { from, to, life, bytes } => self.deliver(from, to, life, &bytes),
            Event::Wake { node } => self.wake(node),
            Event::Cut { node } => {
                if let Some(Node::Honest(honest)) = self.nodes.get(node)
                    && self.healed.is_none()
                    && honest.validator().is_some()
                {
                    honest.cut_soon(&mut self.random);
                    self.queue.plan_in_ms(LINGER_MS, Event::Stop { node, life: honest.life });
                }
                Ok(())
            }
            Event::Stop { node, life } => {
                if self.healed.is_none() && self.life(node) == life {
                    self.stop(node)?;
                }
                Ok(())
            }
            Event::Start { node } => self.start(node),
            Event::Split => self.split(),
            Event::Load => self.load(),
            Event::Heal => self.heal(),
        }
    }

    fn life(&self, node: usize) -> u32 {
        match self.nodes.get(node) {
            Some(Node::Honest(honest)) => honest.life,
            _ => 0,
        }
    }

    fn deliver(&mut self, from: usize, to: usize, life: u32, bytes: &[u8]) -> Result<(), Broken> {
        if self.life(to) != life {
            return Ok(());
        }
        match Message::decode(bytes) {
            Ok(message) => self.give(to, Input::Message { from: PeerId(from as u64), message }),
            Err(why) => Err(Broken::new(Invariant::Health, format!("a message of {from}: {why}"))),
        }
    }

    fn wake(&mut self, node: usize) -> Result<(), Broken> {
        let now = self.queue.now_ns();
        if self.wakes_ns.get(node).copied().flatten().is_some_and(|at| at <= now) {
            self.wakes_ns[node] = None;
        }
        if self.wake_at(node).is_some_and(|at| at <= now) {
            return self.give(node, Input::Tick);
        }
        self.plan_wake(node);
        Ok(())
    }

    fn wake_at(&self, node: usize) -> Option<u64> {
        match self.nodes.get(node)? {
            Node::Honest(honest) => honest.validator()?.wake_at(),
            Node::Byzantine(actor) => actor.wake_at(),
        }
    }

    /// Plans the next wake of a node, unless one is planned that is not later.
    fn plan_wake(&mut self, node: usize) {
        // A node that wants to be woken at once must not stop the clock.
        let soonest = self.queue.now_ns().saturating_add(1);
        let Some(at) = self.wake_at(node).map(|at| at.max(soonest)) else { return };
        if self.wakes_ns[node].is_none_or(|planned| at < planned) {
            self.wakes_ns[node] = Some(at);
            self.queue.plan(at, Event::Wake { node });
        }
    }

    /// Gives a node an input, and does what it wants done.
    fn give(&mut self, node: usize, input: Input) -> Result<(), Broken> {
        let elapsed_ns = self.queue.now_ns();
        match self.nodes.get_mut(node) {
            Some(Node::Honest(honest)) => {
                let called = honest.call(elapsed_ns, input);
                self.after_call(node, called)?;
                self.check_round(node)?;
            }
            Some(Node::Byzantine(actor)) => {
                let now = Now { elapsed_ns, time_ns: Setup::time_ns(elapsed_ns) };
                let mut turn = Turn {
                    now,
                    random: &mut self.random,
                    cabal: &mut self.cabal,
                    outbox: Vec::new(),
                    byzantine: 0,
                };
                actor.handle(&mut turn, input);
                let Turn { outbox, byzantine, .. } = turn;
                self.outcome.byzantine_messages += byzantine;
                for (to, message) in outbox {
                    self.send(node, to, &message.encode().into());
                }
            }
            None => {}
        }
        self.plan_wake(node);
        Ok(())
    }

    fn after_call(&mut self, node: usize, called: Called) -> Result<(), Broken> {
        match called {
            Called::Outputs(outputs) => {
                outputs.into_iter().try_for_each(|output| self.act(node, output))
            }
            Called::Down => Ok(()),
            Called::Cut => self.stop(node),
            Called::Failed(error) => {
                Err(Broken::new(Invariant::Health, format!("node {node} stopped: {error}")))
            }
        }
    }

    fn act(&mut self, node: usize, output: Output) -> Result<(), Broken> {
        match output {
            Output::Broadcast(message) => {
                self.check_sent(node, &message)?;
                let bytes: Arc<[u8]> = message.encode().into();
                for to in (0..self.nodes.len()).filter(|to| *to != node) {
                    self.send(node, to, &bytes);
                }
                Ok(())
            }
            Output::Send { to, message } => {
                self.check_sent(node, &message)?;
                self.send(node, to.0 as usize, &message.encode().into());
                Ok(())
            }
            Output::Committed { decided, .. } => {
                let Some(Node::Honest(honest)) = self.nodes.get(node) else { return Ok(()) };
                let head = honest.validator().map(|validator| validator.state().head());
                // Several blocks may be committed in one call; the state is that after the last.
                let height = decided.block.header.height;
                let root = head.filter(|head| head.version == height).map(|head| head.root);
                let before = self.checker.height();
                self.checker.committed(node, &decided, root)?;
                if self.checker.height() > before {
                    self.note_height(&decided)?;
                }
                Ok(())
            }
            Output::Refused { from, reason } => {
                let is_honest = matches!(self.nodes.get(from.0 as usize), Some(Node::Honest(_)));
                if is_honest && reason.is_fault() {
                    let what = format!("node {node} blames node {}: {reason}", from.0);
                    return Err(Broken::new(Invariant::Health, what));
                }
                Ok(())
            }
            Output::StandsAside { until } => {
                let what = format!("node {node} does not vote until height {until}");
                Err(Broken::new(Invariant::Health, what))
            }
            _ => Ok(()),
        }
    }

    fn check_sent(&mut self, node: usize, message: &Message) -> Result<(), Broken> {
        match self.nodes.get(node) {
            Some(Node::Honest(honest)) => self.checker.sent(&honest.key, message),
            _ => Ok(()),
        }
    }

    /// Counts what is in a block of a new height, and the rounds it took.
    fn note_height(&mut self, decided: &crate::consensus::message::Decided) -> Result<(), Broken> {
        self.outcome.evidence += decided.block.evidence.len() as u64;
        self.outcome.transactions += decided.block.transactions.len() as u64;
        self.outcome.terms = load::terms(self.checker.state());
        let height = decided.block.header.height;
        let round = decided.certificate.round();
        if let Some(healed) = &mut self.healed {
            healed.since_ns = self.queue.now_ns();
            let rounds = healed.rounds(height, round);
            self.outcome.rounds = self.outcome.rounds.max(rounds);
            check_rounds(height, rounds)?;
        }
        Ok(())
    }

    /// Looks whether a node is in too high a round of the height that nobody has committed yet.
    fn check_round(&self, node: usize) -> Result<(), Broken> {
        let (Some(Node::Honest(honest)), Some(healed)) = (self.nodes.get(node), &self.healed)
        else {
            return Ok(());
        };
        let Some(position) = honest.validator().map(Validator::position) else { return Ok(()) };
        match position.round {
            Some(round) if position.height == self.checker.height() + 1 => {
                check_rounds(position.height, healed.rounds(position.height, round))
            }
            _ => Ok(()),
        }
    }

    fn send(&mut self, from: usize, to: usize, bytes: &Arc<[u8]>) {
        let life = self.life(to);
        for way in self.network.route(from, to).into_iter().flatten() {
            let at = self.queue.now_ns().saturating_add(way);
            let bytes = Arc::clone(bytes);
            self.queue.plan(at, Event::Deliver { from, to, life, bytes });
        }
    }

    /// Tells a node of all that it can reach, and them of it.
    fn connect(&mut self, node: usize) -> Result<(), Broken> {
        for other in 0..self.nodes.len() {
            if other != node && self.network.is_connected(node, other) {
                self.give(node, Input::Connected(PeerId(other as u64)))?;
                self.give(other, Input::Connected(PeerId(node as u64)))?;
            }
        }
        Ok(())
    }

    fn stop(&mut self, node: usize) -> Result<(), Broken> {
        let Some(Node::Honest(honest)) = self.nodes.get_mut(node) else { return Ok(()) };
        honest.stop(&mut self.random);
        self.outcome.crashes += 1;
        let down = self.random.between(DOWN_MS.0, DOWN_MS.1);
        self.queue.plan_in_ms(down, Event::Start { node });
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            self.give(other, Input::Disconnected(PeerId(node as u64)))?;
        }
        Ok(())
    }

    fn start(&mut self, node: usize) -> Result<(), Broken> {
        let may_be_cut = self.healed.is_none() && self.random.below(4) == 0;
        let Some(Node::Honest(honest)) = self.nodes.get_mut(node) else { return Ok(()) };
        if honest.validator().is_some() {
            return Ok(());
        }
        if let Err(error) = honest.start(&self.setup, may_be_cut, &mut self.random) {
            let what = format!("node {node} does not start again: {error}");
            return Err(Broken::new(Invariant::Health, what));
        }
        if honest.validator().is_none() {
            // The power was cut while it opened.
            return self.stop(node);
        }
        if may_be_cut {
            self.queue.plan_in_ms(LINGER_MS, Event::Stop { node, life: honest.life });
        }
        self.check_restarted(node)?;
        self.connect(node)
    }

    /// What a node committed just before its power was cut, and nobody was told, counts as well.
    fn check_restarted(&mut self, node: usize) -> Result<(), Broken> {
        let Some(Node::Honest(honest)) = self.nodes.get(node) else { return Ok(()) };
        let Some(validator) = honest.validator() else { return Ok(()) };
        let tip = validator.blocks().tip().clone();
        let mut untold = Vec::new();
        for height in self.checker.height_of(node).saturating_add(1)..=tip.height {
            if let Ok(Some(decided)) = validator.blocks().block(height) {
                untold.push(decided);
            }
        }
        for decided in untold {
            let before = self.checker.height();
            self.checker.committed(node, &decided, None)?;
            if self.checker.height() > before {
                self.note_height(&decided)?;
            }
        }
        self.checker.restarted(node, &tip)
    }

    fn split(&mut self) -> Result<(), Broken> {
        if self.healed.is_some() {
            return Ok(());
        }
        self.queue.plan_in_ms(self.random.between(SPLIT_MS.0, SPLIT_MS.1), Event::Split);
        if self.network.is_split() && self.random.below(2) == 0 {
            self.network.join();
            return self.connect_all();
        }
        let is_byzantine = self.nodes.iter().map(|node| matches!(node, Node::Byzantine(_)));
        self.network.split(is_byzantine);
        if self.random.below(2) == 0 {
            return Ok(());
        }
        // Sometimes nodes notice.
        for node in 0..self.nodes.len() {
            for other in (0..self.nodes.len()).filter(|other| *other != node) {
                let input = if self.network.is_connected(node, other) {
                    Input::Connected(PeerId(other as u64))
                } else {
                    Input::Disconnected(PeerId(other as u64))
                };
                self.give(node, input)?;
            }
        }
        Ok(())
    }

    fn connect_all(&mut self) -> Result<(), Broken> {
        (0..self.nodes.len()).try_for_each(|node| self.connect(node))
    }

    fn heal(&mut self) -> Result<(), Broken> {
        self.network.heal();
        let height = self.checker.height();
        let mut round = 0;
        for node in &self.nodes {
            let Node::Honest(honest) = node else { continue };
            honest.spare();
            if let Some(validator) = honest.validator() {
                let position = validator.position();
                if position.height == height + 1 {
                    round = round.max(position.round.unwrap_or(0));
                }
            }
        }
        self.healed = Some(Healed { height, round, since_ns: self.queue.now_ns() });
        for node in 0..self.nodes.len() {
            self.start(node)?;
        }
        self.connect_all()
    }

    /// Hands a payment in at an honest node, and what keeps validators in their seats.
    fn load(&mut self) -> Result<(), Broken> {
        self.queue.plan_in_ms(LOAD_MS, Event::Load);
        let node = self.random.below(self.nodes.len() as u64) as usize;
        let payer = self.random.below(64) as usize;
        let Some(Node::Honest(honest)) = self.nodes.get(node) else { return Ok(()) };
        let Some(validator) = honest.validator() else { return Ok(()) };
        let mut transactions = vec![load::payment(&self.setup, validator.state(), payer)];
        // Somebody does it sooner or later; all of them each time would be the same many times.
        if self.random.below(3) == 0 {
            transactions.extend(load::duties(&self.setup, validator.state()));
        }
        self.give(node, Input::Submit(transactions))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;
    use crate::consensus::Refusal;

    fn health(output: Output) -> Option<Invariant> {
        let config = Config::new(4, None);
        let setup = Rc::new(Setup::new(&config).ok()?);
        let mut run = Run::new(&setup, 1).ok()?;
        run.act(0, output).err().map(|broken| broken.invariant)
    }

    #[test]
    fn a_node_that_stands_aside_or_is_blamed_breaks_health() {
        assert_eq!(health(Output::StandsAside { until: 1 }), Some(Invariant::Health));
        let chain = crate::hash::ChainId([1; 32]);
        let blame = Output::Refused { from: PeerId(1), reason: Refusal::Chain { found: chain } };
        assert_eq!(health(blame), Some(Invariant::Health));
        let late = Refusal::Stale { found: 1, committed: 2 };
        assert_eq!(health(Output::Refused { from: PeerId(1), reason: late }), None);
    }
}
