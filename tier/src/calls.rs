//! Blocking calls of asynchronous clients, on threads of their own and with a deadline.

use std::future::Future;
use std::sync::mpsc;
use std::time::Duration;

use chronolith_engine::StoreProblem;
use tokio::runtime::{Builder, Runtime};

use crate::problem::problem;

/// How much longer than the deadline it is waited for a call that should have ended by itself.
const MARGIN: Duration = Duration::from_secs(5);

/// Runs calls.
pub(crate) struct Calls {
    /// Gone only while this is dropped.
    runtime: Option<Runtime>,
    deadline: Duration,
}

impl Drop for Calls {
    /// Does not wait for calls that were given up, and may be done by any thread.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Calls {
    pub(crate) fn new(deadline: Duration) -> std::io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).thread_name("segments").enable_all();
        Ok(Self { runtime: Some(builder.build()?), deadline })
    }

    /// What a call gives, or why it does not; at the deadline it is given up.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        call: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> Result<T, StoreProblem> {
        self.run_with(async move { call.await.map_err(|error| problem(&error)) })?
    }

    /// The same for calls that cannot fail by themselves.
    pub(crate) fn run_with<T: Send + 'static>(
        &self,
        call: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, StoreProblem> {
        let deadline = self.deadline;
        let late =
            || StoreProblem::Unreachable(format!("no answer in {} seconds", deadline.as_secs()));
        let Some(runtime) = &self.runtime else { return Err(StoreProblem::Stopped) };
        // Not `block_on`: the caller may be a thread of another runtime.
        let (sender, receiver) = mpsc::sync_channel(1);
        runtime.spawn(async move {
            // Nobody waits any more where this fails.
            let _ = sender.send(tokio::time::timeout(deadline, call).await);
        });
        match receiver.recv_timeout(deadline + MARGIN) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(mpsc::RecvTimeoutError::Timeout) => Err(late()),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                Err(StoreProblem::Other("the client ended without an answer".to_owned()))
            }
        }
    }
}
