//! What is looked at while a run goes on, besides the invariants of the [`Checker`].
//!
//! [`Checker`]: super::super::invariants::Checker

use super::super::Config;
use super::super::invariants::{Broken, Invariant};
use super::super::load;
use super::{Node, Run};
use crate::consensus::Validator;
use crate::consensus::message::{Decided, Message};

/// How long a new height may take after the network healed, in milliseconds of the virtual clock:
/// more than ten rounds can.
const PATIENCE_MS: u64 = 300_000;

/// Since the network healed.
pub(super) struct Healed {
    /// The highest height that was committed then.
    pub(super) height: u64,
    /// The highest round that an honest validator was in at the next.
    pub(super) round: u32,
    /// When a height was committed last.
    pub(super) since_ns: u64,
}

impl Healed {
    /// How many rounds of a height began since then, if this one is the last.
    fn rounds(&self, height: u64, round: u32) -> u32 {
        let first = if height == self.height + 1 { self.round } else { 0 };
        (round + 1).saturating_sub(first)
    }
}

fn check_rounds(height: u64, rounds: u32) -> Result<(), Broken> {
    let most = Config::ROUNDS_TO_HEAL;
    if rounds <= most {
        return Ok(());
    }
    let what = format!("height {height} needs {rounds} rounds; at most {most} are allowed");
    Err(Broken::new(Invariant::Liveness, what))
}

impl Run {
    pub(super) fn is_done(&mut self) -> bool {
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

    pub(super) fn check_patience(&self) -> Result<(), Broken> {
        let Some(healed) = &self.healed else { return Ok(()) };
        let waited_ms = self.queue.now_ns().saturating_sub(healed.since_ns) / 1_000_000;
        if waited_ms < PATIENCE_MS {
            return Ok(());
        }
        let height = self.checker.height();
        let what = format!("height {} is not committed after {waited_ms} ms", height + 1);
        Err(Broken::new(Invariant::Liveness, what))
    }

    pub(super) fn check_sent(&mut self, node: usize, message: &Message) -> Result<(), Broken> {
        match self.nodes.get(node) {
            Some(Node::Honest(honest)) => self.checker.sent(&honest.key, message),
            _ => Ok(()),
        }
    }

    /// Counts what is in a block of a new height, and the rounds it took.
    pub(super) fn note_height(&mut self, decided: &Decided) -> Result<(), Broken> {
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
    pub(super) fn check_round(&self, node: usize) -> Result<(), Broken> {
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

    /// What a node committed just before its power was cut, and nobody was told, counts as well.
    pub(super) fn check_restarted(&mut self, node: usize) -> Result<(), Broken> {
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
}
