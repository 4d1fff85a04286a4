//! How many queries run at a time, and what each may take.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::problem::Problem;
use crate::http::state::HttpState;

/// Room for those who ask: so many threads are theirs, and no more.
pub(in crate::http) struct Admission(Arc<Semaphore>);

impl Admission {
    /// Room for so many at a time.
    pub(in crate::http) fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))))
    }

    /// Waits for room, no longer than this.
    pub(in crate::http) async fn enter(
        &self,
        longest: Duration,
    ) -> Result<OwnedSemaphorePermit, Problem> {
        let entered = tokio::time::timeout(longest, Arc::clone(&self.0).acquire_owned()).await;
        match entered {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Problem::unavailable("busy", "too many ask; come again", 1)),
        }
    }
}

/// Waits until a query may run. It may as long as the permit is held.
pub(super) async fn enter(state: &HttpState) -> Result<OwnedSemaphorePermit, Problem> {
    // The deadline of the whole request counts this time, too.
    state.admission().enter(state.request_time() / 2).await
}

/// The longest time of a query that wants this much.
pub(super) fn longest(state: &HttpState, wanted: Option<Duration>) -> Duration {
    let most = state.request_time();
    wanted.unwrap_or(most).min(most)
}

/// Runs what may wait or compute on a thread for that, when a query may run.
pub(in crate::http) async fn run<T: Send + 'static>(
    state: &HttpState,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let permit = enter(state).await?;
    let done = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work()
    });
    done.await.map_err(|_| Problem::internal("the query has failed; simplify it and report it"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    /// Who asked the chain took threads without a bound, and those who write found none while it was busy.
    #[test]
    fn who_finds_no_room_is_told_to_come_again() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let room = Admission::new(1);
            let held = room.enter(Duration::ZERO).await.unwrap();
            let refused = room.enter(Duration::ZERO).await.unwrap_err();
            assert_eq!(refused.status.as_u16(), 503);
            drop(held);
            drop(room.enter(Duration::ZERO).await.unwrap());
        });
    }
}
