//! The threads that do in time what no caller waits for.
//!
//! One keeps the promises about durability, another flushes and seals, which may take long, and one
//! moves segments to their store, which may take longer. They
//! are started when they are first needed: at the opening of a database with background
//! maintenance, or by the first write that is to be durable later. They hold only weak
//! references, so that dropping the last handle closes the database.

mod durability;
mod moves;
mod upkeep;
mod worker;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::db::Inner;
use crate::error::WriteError;
use crate::options::Maintenance;
use crate::wal::Sequence;

use durability::Promises;
use moves::Moves;
use upkeep::Chores;
use worker::Worker;

/// Buffered records reach the operating system within this time.
const HAND_OVER_TIME: Duration = Duration::from_millis(500);

type Callback = Box<dyn FnOnce(Result<(), WriteError>) + Send>;

/// The handles of the threads.
#[derive(Default)]
pub(crate) struct Background {
    promises: Worker<Promises>,
    chores: Worker<Chores>,
    moves: Worker<Moves>,
}

fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Takes a deadline that has come.
fn take_due(deadline: &mut Option<Instant>, now: Instant) -> bool {
    deadline.take_if(|deadline| *deadline <= now).is_some()
}

impl Background {
    /// Starts background maintenance, where the options want it.
    pub(crate) fn start(&self, inner: &Arc<Inner>) {
        let options = inner.options();
        if options.maintenance == Maintenance::Background && !options.read_only {
            let first = Instant::now().checked_add(options.seal_interval);
            self.chores.ask(inner, |chores| chores.seal_by = first);
            if let Some(store) = &options.segment_store {
                let first = Instant::now().checked_add(store.move_interval);
                self.moves.ask(inner, |moves| moves.look_by = first);
            }
        }
    }

    pub(crate) fn sync_within(&self, inner: &Arc<Inner>, time: Duration) {
        let by = Instant::now().checked_add(time);
        self.promises.ask(inner, |promises| promises.sync_by = earliest(promises.sync_by, by));
    }

    pub(crate) fn hand_over_soon(&self, inner: &Arc<Inner>) {
        let by = Instant::now().checked_add(HAND_OVER_TIME);
        self.promises.ask(inner, |promises| {
            promises.hand_over_by = earliest(promises.hand_over_by, by);
        });
    }

    /// Whether the background flushes, which it then does soon.
    pub(crate) fn flush_soon(&self, inner: &Arc<Inner>) -> bool {
        let does = inner.options().maintenance == Maintenance::Background;
        if does {
            self.chores.ask(inner, |chores| chores.flush = true);
        }
        does
    }

    pub(crate) fn when_durable(&self, inner: &Arc<Inner>, sequence: Sequence, then: Callback) {
        self.promises.ask(inner, |promises| promises.callbacks.push((sequence, then)));
    }

    /// Ends the threads and returns when they have ended. Callbacks that wait are called here.
    pub(crate) fn stop(&self, inner: &Arc<Inner>) {
        self.moves.stop();
        self.chores.stop();
        self.promises.stop().keep_all(inner);
    }
}
