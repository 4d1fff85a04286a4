//! Telling threads to stop, and waits that end then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Whether to stop; cloning is cheap, and all clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Apart, since some look at nothing else.
    told: Arc<AtomicBool>,
    /// Held where it is told, so that no wait misses it.
    waiting: Mutex<()>,
    woken: Condvar,
}

impl Stop {
    /// Tells all to stop, and ends their waits.
    pub(crate) fn tell(&self) {
        let _held = self.0.waiting.lock();
        self.0.told.store(true, Ordering::Release);
        self.0.woken.notify_all();
    }

    /// Whether it was told.
    pub(crate) fn is_told(&self) -> bool {
        self.0.told.load(Ordering::Acquire)
    }

    /// What is set once it was told, for those who only look.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0.told)
    }

    /// Waits so long, or until it is told.
    pub(crate) fn wait(&self, longest: Duration) {
        let begin = Instant::now();
        let mut held = self.0.waiting.lock();
        while !self.is_told() && begin.elapsed() < longest {
            self.0.woken.wait_for(&mut held, longest.saturating_sub(begin.elapsed()));
        }
    }
}
