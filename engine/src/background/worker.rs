//! A thread that waits for tasks and deadlines.

use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use crate::db::Inner;

/// What a thread has to do.
pub(super) trait Tasks: Default + Send + 'static {
    /// Whether something is to be done without waiting for a deadline.
    fn is_urgent(&self) -> bool;

    /// When something is to be done at the latest.
    fn next_deadline(&self) -> Option<Instant>;

    /// Takes out what is to be done now; deadlines that have not come stay.
    fn take_due(&mut self, now: Instant) -> Self;

    /// Does what was taken out; when there is more to do, and when.
    fn work(self, inner: &Inner) -> Self;

    /// Adds what [`Tasks::work`] left.
    fn add(&mut self, more: Self);
}

/// A thread's handle, and what it has to do.
pub(super) struct Worker<T> {
    shared: Arc<Shared<T>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    wake: Condvar,
}

#[derive(Default)]
struct State<T> {
    tasks: T,
    stop: bool,
}

impl<T: Tasks> Default for Worker<T> {
    fn default() -> Self {
        let shared = Shared { state: Mutex::default(), wake: Condvar::new() };
        Self { shared: Arc::new(shared), thread: Mutex::new(None) }
    }
}

impl<T: Tasks> Worker<T> {
    /// Adds to the tasks, and starts the thread where it does not run.
    pub(super) fn ask(&self, inner: &Arc<Inner>, change: impl FnOnce(&mut T)) {
        let mut state = self.shared.state.lock();
        let before = state.tasks.next_deadline();
        change(&mut state.tasks);
        let wakes = state.tasks.is_urgent() || state.tasks.next_deadline() != before;
        if state.stop || !wakes {
            return;
        }
        drop(state);
        self.shared.wake.notify_one();
        let mut thread = self.thread.lock();
        // A thread that panicked is finished, too, and its promises must be kept.
        if thread.as_ref().is_none_or(JoinHandle::is_finished) {
            let (shared, inner) = (Arc::clone(&self.shared), Arc::downgrade(inner));
            let builder = thread::Builder::new().name("chronolith".into());
            // Without a thread, deadlines are met by the next write that waits, and by closing.
            *thread = builder.spawn(move || run(&shared, &inner)).ok();
        }
    }

    /// Ends the thread and waits for it, but not on the thread itself. What was left to do.
    pub(super) fn stop(&self) -> T {
        self.shared.state.lock().stop = true;
        self.shared.wake.notify_one();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread.filter(|t| t.thread().id() != thread::current().id()) {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
        std::mem::take(&mut self.shared.state.lock().tasks)
    }
}

impl<T: Tasks> Shared<T> {
    /// Waits until something is to be done; `None` when the thread is to end.
    fn wait(&self) -> Option<T> {
        let mut state = self.state.lock();
        loop {
            if state.stop {
                return None;
            }
            let now = Instant::now();
            let next = state.tasks.next_deadline();
            if state.tasks.is_urgent() || next.is_some_and(|next| next <= now) {
                return Some(state.tasks.take_due(now));
            }
            match next {
                Some(next) => drop(self.wake.wait_until(&mut state, next)),
                None => self.wake.wait(&mut state),
            }
        }
    }
}

fn run<T: Tasks>(shared: &Shared<T>, inner: &Weak<Inner>) {
    while let Some(tasks) = shared.wait() {
        let Some(inner) = inner.upgrade() else { return };
        let more = tasks.work(&inner);
        shared.state.lock().tasks.add(more);
    }
}
