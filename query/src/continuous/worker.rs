//! A thread that moves continuous queries on as records come.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::error::ContinuousError;
use super::runtime::Continuous;

/// How long the thread waits at most before it looks whether it should end.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Moves queries on while it is held. Dropping it ends the thread behind the step that it is at.
pub struct Worker {
    queries: Continuous,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    should_end: AtomicBool,
    failure: Mutex<Option<ContinuousError>>,
}

impl Continuous {
    /// Starts a thread that moves all queries on as records come.
    pub fn start(&self) -> Result<Worker, ContinuousError> {
        let shared = Arc::new(Shared::default());
        let (queries, of_thread) = (self.clone(), Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("chronolith-continuous".to_owned())
            .spawn(move || run(&queries, &of_thread))
            .map_err(ContinuousError::Thread)?;
        Ok(Worker { queries: self.clone(), shared, thread: Some(thread) })
    }
}

fn run(queries: &Continuous, shared: &Shared) {
    while !shared.should_end.load(Ordering::Acquire) {
        match queries.advance() {
            Ok(true) => {}
            Ok(false) => queries.wait(LONGEST_WAIT),
            Err(error) => {
                *shared.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                return;
            }
        }
    }
}

impl Worker {
    /// Why the thread has ended by itself, where it has.
    #[must_use]
    pub fn failure(&self) -> Option<ContinuousError> {
        self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether the thread still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.should_end.store(true, Ordering::Release);
        self.queries.wake();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed; there is nothing more to be done about it.
            let _ = thread.join();
        }
    }
}
