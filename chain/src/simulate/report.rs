//! What came of a run, and of many.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::invariants::{Broken, Invariant};
use crate::hash::Hash;

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

/// What came of many runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// How many seeds were run.
    pub seeds: u64,
    /// The height that every honest validator of every run committed at least.
    pub heights_min: u64,
    /// The most rounds that a height took after the network healed.
    pub rounds_max: u32,
    /// In how many runs the slowest height after the network healed took so many rounds.
    pub runs_by_rounds: BTreeMap<u32, u64>,
    /// How many messages were sent, or kept back, as no honest validator does.
    pub byzantine_messages: u64,
    /// In how many runs two blocks were committed at one height.
    pub forks: u64,
    /// In how many runs a term changed.
    pub runs_with_terms: u64,
    /// In how many runs a Byzantine validator was punished by a block.
    pub runs_with_evidence: u64,
    /// How many transactions were committed, all runs together.
    pub transactions: u64,
    /// How often honest validators lost power, all runs together.
    pub crashes: u64,
    /// The hash of the hashes of all runs, in the order in which they were added.
    pub run_hash: Hash,
    /// The first run in which an invariant did not hold.
    pub broken: Option<FirstBroken>,
}

/// A run in which an invariant did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstBroken {
    /// Its seed.
    pub seed: u64,
    /// What did not hold.
    pub broken: Broken,
}

impl Report {
    /// Adds what came of a run.
    pub fn add(&mut self, outcome: Outcome) {
        self.heights_min =
            if self.seeds == 0 { outcome.height } else { self.heights_min.min(outcome.height) };
        self.seeds += 1;
        self.rounds_max = self.rounds_max.max(outcome.rounds);
        *self.runs_by_rounds.entry(outcome.rounds).or_default() += 1;
        self.byzantine_messages += outcome.byzantine_messages;
        self.runs_with_terms += u64::from(outcome.terms > 0);
        self.runs_with_evidence += u64::from(outcome.evidence > 0);
        self.transactions += outcome.transactions;
        self.crashes += outcome.crashes;
        let mut hasher = Sha256::new();
        hasher.update(self.run_hash.0);
        hasher.update(outcome.run_hash.0);
        self.run_hash = Hash(hasher.finalize().into());
        let Some(broken) = outcome.broken else { return };
        self.forks += u64::from(broken.invariant == Invariant::Agreement);
        self.broken.get_or_insert(FirstBroken { seed: outcome.seed, broken });
    }
}
