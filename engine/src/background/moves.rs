//! Moving segments to their store in the background, and trying again where it fails.

use std::time::{Duration, Instant};

use crate::db::{Inner, MoveReport};

use super::worker::Tasks;
use super::{earliest, take_due};

/// How long after a first failure it is tried again; twice as long after each further one.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest time between two tries.
const RETRY_MAX: Duration = Duration::from_secs(300);

/// When to look for segments to move.
#[derive(Default)]
pub(super) struct Moves {
    pub(super) look_by: Option<Instant>,
    /// How often it failed since it last did not.
    failures: u32,
}

/// How long to wait after so many failures.
fn pause(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    RETRY_FIRST.saturating_mul(1 << doublings).min(RETRY_MAX)
}

impl Tasks for Moves {
    fn is_urgent(&self) -> bool {
        false
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.look_by
    }

    fn take_due(&mut self, now: Instant) -> Self {
        let look_by = take_due(&mut self.look_by, now).then_some(now);
        Self { look_by, failures: self.failures }
    }

    fn work(self, inner: &Inner) -> Self {
        let Some(store) = &inner.options().segment_store else { return Self::default() };
        let (failures, wait) = match inner.move_due(&mut MoveReport::default()) {
            Ok(()) => (0, store.move_interval),
            Err(_) => {
                let failures = self.failures.saturating_add(1);
                (failures, pause(failures))
            }
        };
        Self { look_by: Instant::now().checked_add(wait), failures }
    }

    fn add(&mut self, more: Self) {
        self.look_by = earliest(self.look_by, more.look_by);
        self.failures = more.failures;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_five_minutes() {
        let seconds: Vec<u64> = (1..12).map(|failures| pause(failures).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(pause(u32::MAX), RETRY_MAX);
    }
}
