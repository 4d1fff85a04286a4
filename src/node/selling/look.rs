//! When to look again.

use std::time::{Duration, Instant};

/// The longest time between two looks for more.
const LOOK_LONGEST: Duration = Duration::from_secs(600);

/// When to look again for something of which there was nothing new: each time after twice as long as the last
/// time, so that what comes soon is here soon, and what is all here costs the network little.
pub(super) struct Look {
    at: Instant,
    wait: Duration,
}

impl Look {
    pub(super) fn first() -> Self {
        Self { at: Instant::now(), wait: Duration::from_millis(500) }
    }

    pub(super) fn is_time(&self) -> bool {
        Instant::now() >= self.at
    }

    pub(super) fn put_off(&mut self) {
        self.at = Instant::now() + self.wait;
        self.wait = (self.wait * 2).min(LOOK_LONGEST);
    }
}
