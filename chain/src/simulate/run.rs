//! One run: a seed, from its trouble to its end.

mod nodes;
mod trouble;
mod watch;

use std::rc::Rc;

use sha2::{Digest as _, Sha256};

use self::watch::Healed;
use super::actors::{Actor, Cabal, actor};
use super::invariants::{Broken, Checker, Invariant};
use super::network::Network;
use super::node::Honest;
use super::queue::{Event, Queue};
use super::random::Random;
use super::report::Outcome;
use super::setup::{Setup, SetupError};
use crate::hash::Hash;

/// How long a payment comes after the other, in milliseconds.
const LOAD_MS: u64 = 600;
/// How many events a run has at most; far more than any needs.
const MOST_EVENTS: u64 = 3_000_000;

enum Node {
    Honest(Box<Honest>),
    Byzantine(Box<dyn Actor>),
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

    fn happen(&mut self, event: Event) -> Result<(), Broken> {
        match event {
            Event::Deliver { from, to, life, bytes } => self.deliver(from, to, life, &bytes),
            Event::Wake { node } => self.wake(node),
            Event::Cut { node } => {
                self.cut(node);
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
}
