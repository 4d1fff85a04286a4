//! Subscriptions as streams, for those who wait for many things at once. They need no runtime: a task
//! is woken when a change is on stable storage.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_core::Stream;

use super::error::ContinuousError;
use super::row::{Change, Cursor};
use super::subscription::Subscription;

/// The changes of a query as a stream; see [`Subscription::into_stream`].
pub struct ChangeStream {
    subscription: Subscription,
    /// What the task is known by to the feed.
    waiter: u64,
    has_ended: bool,
}

impl Subscription {
    /// The same changes as a stream. It ends behind the error that ends the subscription.
    #[must_use]
    pub fn into_stream(self) -> ChangeStream {
        let waiter = self.feed().new_waiter();
        ChangeStream { subscription: self, waiter, has_ended: false }
    }
}

impl ChangeStream {
    /// The cursor of the last change that was delivered.
    #[must_use]
    pub const fn cursor(&self) -> Cursor {
        self.subscription.cursor()
    }
}

impl Stream for ChangeStream {
    type Item = Result<Arc<Change>, ContinuousError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let stream = self.get_mut();
        if stream.has_ended {
            return Poll::Ready(None);
        }
        // Before it is looked: what comes in between wakes the task.
        stream.subscription.feed().wake_later(stream.waiter, context.waker());
        match stream.subscription.until(Some(Instant::now())) {
            Ok(None) => Poll::Pending,
            Ok(Some(change)) => Poll::Ready(Some(Ok(change))),
            Err(error) => {
                stream.has_ended = true;
                Poll::Ready(Some(Err(error)))
            }
        }
    }
}

impl Drop for ChangeStream {
    fn drop(&mut self) {
        self.subscription.feed().forget_waiter(self.waiter);
    }
}
