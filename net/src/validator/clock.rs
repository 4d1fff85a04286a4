//! The time that validators are given.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chronolith_chain::consensus::Now;

/// Tells the time by both clocks of the machine.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock whose elapsed time begins now.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Now {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { elapsed_ns: nanoseconds(self.started.elapsed()), time_ns: nanoseconds(since_epoch) }
    }
}
