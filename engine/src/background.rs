//! The thread that does in time what no caller waits for.
//!
//! It is started when it is first needed: at the opening of a database with background
//! maintenance, or by the first write that is to be durable later. It holds only a weak reference,
//! so that dropping the last handle closes the database.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::db::Inner;
use crate::error::WriteError;
use crate::options::Maintenance;
use crate::wal::Sequence;

/// Buffered records reach the operating system within this time.
const HAND_OVER_TIME: Duration = Duration::from_millis(500);

type Callback = Box<dyn FnOnce(Result<(), WriteError>) + Send>;

/// The thread's handle.
#[derive(Default)]
pub(crate) struct Background {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    tasks: Mutex<Tasks>,
    wake: Condvar,
}

#[derive(Default)]
struct Tasks {
    is_running: bool,
    stop: bool,
    sync_by: Option<Instant>,
    hand_over_by: Option<Instant>,
    seal_by: Option<Instant>,
    flush: bool,
    callbacks: Vec<(Sequence, Callback)>,
}

fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

impl Tasks {
    /// Whether something is to be done without waiting for a deadline.
    fn is_urgent(&self) -> bool {
        self.stop || self.flush || !self.callbacks.is_empty()
    }

    fn next_deadline(&self) -> Option<Instant> {
        earliest(earliest(self.sync_by, self.hand_over_by), self.seal_by)
    }
}

/// Takes a deadline that has come.
fn take_due(deadline: &mut Option<Instant>, now: Instant) -> bool {
    deadline.take_if(|deadline| *deadline <= now).is_some()
}

impl Background {
    fn ask(&self, inner: &Arc<Inner>, change: impl FnOnce(&mut Tasks)) {
        let mut tasks = self.shared.tasks.lock();
        let before = tasks.next_deadline();
        change(&mut tasks);
        if !tasks.is_running {
            let (shared, inner) = (Arc::clone(&self.shared), Arc::downgrade(inner));
            let thread = std::thread::Builder::new().name("chronolith".into());
            // Without a thread, deadlines are met by the next write that waits, and by closing.
            tasks.is_running = thread.spawn(move || work(&shared, &inner)).is_ok();
        } else if tasks.is_urgent() || tasks.next_deadline() != before {
            self.shared.wake.notify_one();
        }
    }

    /// Starts background maintenance, where the options want it.
    pub(crate) fn start(&self, inner: &Arc<Inner>) {
        let options = inner.options();
        if options.maintenance == Maintenance::Background && !options.read_only {
            let first = Instant::now() + options.seal_interval;
            self.ask(inner, |tasks| tasks.seal_by = Some(first));
        }
    }

    pub(crate) fn sync_within(&self, inner: &Arc<Inner>, time: Duration) {
        let by = Instant::now() + time;
        self.ask(inner, |tasks| tasks.sync_by = earliest(tasks.sync_by, Some(by)));
    }

    pub(crate) fn hand_over_soon(&self, inner: &Arc<Inner>) {
        let by = Instant::now() + HAND_OVER_TIME;
        self.ask(inner, |tasks| tasks.hand_over_by = earliest(tasks.hand_over_by, Some(by)));
    }

    /// Whether the background flushes, which it then does soon.
    pub(crate) fn flush_soon(&self, inner: &Arc<Inner>) -> bool {
        let does = inner.options().maintenance == Maintenance::Background;
        if does {
            self.ask(inner, |tasks| tasks.flush = true);
        }
        does
    }

    pub(crate) fn when_durable(&self, inner: &Arc<Inner>, sequence: Sequence, then: Callback) {
        self.ask(inner, |tasks| tasks.callbacks.push((sequence, then)));
    }

    /// Ends the thread when it next looks.
    pub(crate) fn stop(&self) {
        self.shared.tasks.lock().stop = true;
        self.shared.wake.notify_one();
    }
}

fn work(shared: &Shared, inner: &Weak<Inner>) {
    loop {
        let (sync, hand_over, seal, flush, callbacks);
        {
            let mut tasks = shared.tasks.lock();
            while !tasks.is_urgent() {
                match tasks.next_deadline() {
                    Some(next) if next <= Instant::now() => break,
                    Some(next) => drop(shared.wake.wait_until(&mut tasks, next)),
                    None => shared.wake.wait(&mut tasks),
                }
            }
            if tasks.stop {
                return;
            }
            let now = Instant::now();
            sync = take_due(&mut tasks.sync_by, now);
            hand_over = take_due(&mut tasks.hand_over_by, now);
            seal = take_due(&mut tasks.seal_by, now);
            flush = std::mem::take(&mut tasks.flush);
            callbacks = std::mem::take(&mut tasks.callbacks);
        }
        let Some(inner) = inner.upgrade() else { return };
        let Ok(wal) = inner.log() else { return };
        // Failures poison the log, and the next writer is told.
        if sync {
            let _ = wal.sync_to(wal.last());
        } else if hand_over {
            let _ = wal.flush_buffer();
        }
        for (sequence, then) in callbacks {
            then(wal.sync_to(sequence));
        }
        if flush {
            inner.maintain(crate::db::Chore::Flush);
        }
        if seal {
            inner.maintain(crate::db::Chore::SealDue);
            let next = Instant::now() + inner.options().seal_interval;
            shared.tasks.lock().seal_by = Some(next);
        }
    }
}
