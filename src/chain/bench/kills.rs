//! When which validators are killed: random, from a seed.

use std::time::{Duration, Instant};

use crate::random::Random;

/// The longest time between two blows.
const PAUSE_MS: u64 = 800;
/// The longest time that a process lives which is killed while it starts.
const EARLY_US: u64 = 30_000;

/// A validator to be killed.
#[derive(Debug)]
pub(super) struct Victim {
    /// Its number.
    pub(super) number: u16,
    /// For how long each of the processes lives that are killed while they start, before the one
    /// that is left alone.
    pub(super) early: Vec<Duration>,
}

/// The kills of a run.
#[derive(Debug)]
pub(super) struct Kills {
    random: Random,
    left: u64,
    next: Instant,
}

impl Kills {
    pub(super) fn new(count: u64, seed: u64) -> Self {
        let mut kills = Self { random: Random(seed), left: count, next: Instant::now() };
        kills.wait();
        kills
    }

    /// Whether some are left.
    pub(super) fn are_left(&self) -> bool {
        self.left > 0
    }

    /// Begins the time up to the next blow.
    pub(super) fn wait(&mut self) {
        self.next = Instant::now() + Duration::from_millis(self.random.below(PAUSE_MS));
    }

    /// Who of `validators` is killed now: mostly one, sometimes two, a third and one more, or all
    /// at once; a quarter of them again while they start.
    pub(super) fn due(&mut self, validators: u16) -> Vec<Victim> {
        if self.left == 0 || Instant::now() < self.next {
            return Vec::new();
        }
        let count = match self.random.below(16) {
            0 => validators,
            1 => validators / 3 + 1,
            2 | 3 => 2,
            _ => 1,
        };
        let mut numbers: Vec<u16> = (0..validators).collect();
        let mut victims = Vec::new();
        for _ in 0..count.min(validators) {
            if self.left == 0 {
                break;
            }
            let number = numbers.swap_remove(self.random.below(numbers.len() as u64) as usize);
            self.left -= 1;
            let mut early = Vec::new();
            while self.left > 0 && self.random.below(4) == 0 {
                self.left -= 1;
                early.push(Duration::from_micros(self.random.below(EARLY_US)));
            }
            victims.push(Victim { number, early });
        }
        victims
    }
}
