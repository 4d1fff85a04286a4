//! The network of a run: which messages arrive, and when.

use super::config::Config;
use super::random::Random;

/// How long a message takes at least, in microseconds.
const LEAST_US: u64 = 500;
/// How long it takes at most once the network has healed, in microseconds.
const HEALED_US: u64 = 50_000;

/// On which side of a split a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
    /// Hears and reaches both; only a Byzantine node does.
    Both,
}

/// Loses, delays, doubles and reorders messages, and is split at times.
#[derive(Debug)]
pub(super) struct Network {
    loss: u16,
    duplicates: u16,
    most_us: u64,
    /// Where each node is; empty while the network is whole.
    sides: Vec<Side>,
    random: Random,
}

impl Network {
    /// A network as it is in the time of trouble. How bad it is differs from run to run.
    pub(super) fn new(config: &Config, mut random: Random) -> Self {
        let loss = random.below(u64::from(config.loss) + 1) as u16;
        let most_us = random.between(LEAST_US, config.delay_ms.saturating_mul(1_000).max(LEAST_US));
        Self { loss, duplicates: config.duplicates, most_us, sides: Vec::new(), random }
    }

    /// From now on every message arrives once, and soon.
    pub(super) fn heal(&mut self) {
        (self.loss, self.duplicates, self.most_us) = (0, 0, HEALED_US);
        self.sides.clear();
    }

    /// Whether it is split.
    pub(super) fn is_split(&self) -> bool {
        !self.sides.is_empty()
    }

    /// Makes it whole again.
    pub(super) fn join(&mut self) {
        self.sides.clear();
    }

    /// Splits it in two. The Byzantine nodes are on one side together, or on both.
    pub(super) fn split(&mut self, is_byzantine: impl Iterator<Item = bool>) {
        let byzantine = match self.random.below(3) {
            0 => Side::Both,
            1 => Side::Left,
            _ => Side::Right,
        };
        let random = &mut self.random;
        let side = |is_byzantine| match is_byzantine {
            true => byzantine,
            false if random.below(2) == 0 => Side::Left,
            false => Side::Right,
        };
        self.sides = is_byzantine.map(side).collect();
    }

    /// Whether two nodes can reach each other.
    pub(super) fn is_connected(&self, one: usize, other: usize) -> bool {
        match (self.sides.get(one), self.sides.get(other)) {
            (Some(one), Some(other)) => one == other || [*one, *other].contains(&Side::Both),
            _ => true,
        }
    }

    /// After how many nanoseconds a message arrives, once or twice or never.
    pub(super) fn route(&mut self, from: usize, to: usize) -> [Option<u64>; 2] {
        if !self.is_connected(from, to) || self.random.happens(self.loss) {
            return [None, None];
        }
        let (least, most) = (LEAST_US, self.most_us);
        let mut way = || self.random.between(least, most).saturating_mul(1_000);
        let first = Some(way());
        let second = way();
        [first, self.random.happens(self.duplicates).then_some(second)]
    }
}
