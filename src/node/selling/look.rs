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

    /// For what will be the same whenever it is looked at.
    pub(super) fn put_off_longest(&mut self) {
        self.wait = LOOK_LONGEST;
        self.put_off();
    }

    pub(super) fn put_off(&mut self) {
        self.at = Instant::now() + self.wait;
        self.wait = (self.wait * 2).min(LOOK_LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_will_be_the_same_is_put_off_at_once_as_long_as_anything_ever_is() {
        let mut look = Look::first();
        assert!(look.is_time());
        look.put_off_longest();
        assert!(look.at > Instant::now() + LOOK_LONGEST / 2);
        let mut look = Look::first();
        look.put_off();
        assert!(look.at < Instant::now() + LOOK_LONGEST / 2);
    }
}
