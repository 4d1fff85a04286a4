//! The threads of a session.

use std::io;
use std::ops::Deref;

use tokio::runtime::{Builder, Runtime};

/// The stack of the threads that plan and run queries: bytes. Planning recurses over expressions
/// of up to as many levels as [`super::guard`] lets through.
pub(super) const STACK_BYTES: usize = 64 << 20;

/// A runtime whose end waits for nobody: a plan that is given up may go on for a while.
pub(crate) struct Threads(Option<Runtime>);

impl Threads {
    pub(super) fn new(count: usize) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(count)
            .thread_stack_size(STACK_BYTES)
            .thread_name("chronolith-query")
            .enable_time()
            .build()?;
        Ok(Self(Some(runtime)))
    }
}

impl Deref for Threads {
    type Target = Runtime;

    fn deref(&self) -> &Runtime {
        // It is there until it is dropped.
        self.0.as_ref().unwrap_or_else(|| unreachable!())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
