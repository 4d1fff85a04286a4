//! Subscriptions: changes as they come, from a cursor on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::ContinuousError;
use super::feed::Feed;
use super::row::{Change, Cursor, Row};

/// Where a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// With what changes from now on.
    Now,
    /// With the change after this one. [`ContinuousError::CursorTooOld`] where it is not kept.
    Cursor(Cursor),
}

/// The whole answer, and the cursor that it stands at.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// All rows, by group and beginning.
    pub rows: Vec<Row>,
    /// The changes after this one are not in the rows.
    pub cursor: Cursor,
}

/// Whether a change may be delivered; asked before each.
///
/// The node asks the ledger here whether the buyer's right still holds.
pub trait DeliveryCheck: Send {
    /// The reason why the subscription ends, where it does.
    fn check(&mut self, query: &str, change: &Change) -> Result<(), String>;
}

/// Lets everything through.
struct Everything;

impl DeliveryCheck for Everything {
    fn check(&mut self, _: &str, _: &Change) -> Result<(), String> {
        Ok(())
    }
}

/// The changes of a query from a cursor on: each at least once, in order, without gaps.
///
/// Who comes back after a pause, in another process as well, begins with the cursor of the last
/// change that was dealt with. All subscriptions share one computation.
pub struct Subscription {
    name: String,
    feed: Arc<Feed>,
    cursor: Cursor,
    check: Box<dyn DeliveryCheck>,
}

impl Subscription {
    pub(super) fn new(name: &str, feed: Arc<Feed>, from: From) -> Result<Self, ContinuousError> {
        let cursor = match from {
            From::Now => feed.newest(),
            From::Cursor(cursor) => cursor,
        };
        // What cannot be resumed is said at once.
        feed.after(cursor, Some(Instant::now()))?;
        Ok(Self { name: name.to_owned(), feed, cursor, check: Box::new(Everything) })
    }

    pub(super) fn feed(&self) -> &Feed {
        &self.feed
    }

    /// The same with a check before each delivery.
    #[must_use]
    pub fn checked(mut self, check: impl DeliveryCheck + 'static) -> Self {
        self.check = Box::new(check);
        self
    }

    /// The cursor of the last change that was delivered.
    #[must_use]
    pub const fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The next change; waits for it no longer than this, `None` where there was none.
    pub fn wait(&mut self, longest: Duration) -> Result<Option<Arc<Change>>, ContinuousError> {
        self.until(Instant::now().checked_add(longest))
    }

    pub(super) fn until(
        &mut self,
        deadline: Option<Instant>,
    ) -> Result<Option<Arc<Change>>, ContinuousError> {
        let Some(change) = self.feed.after(self.cursor, deadline)? else { return Ok(None) };
        if let Err(reason) = self.check.check(&self.name, &change) {
            return Err(ContinuousError::Refused { name: self.name.clone(), reason });
        }
        self.cursor = change.cursor;
        Ok(Some(change))
    }

    /// All changes that are there already.
    pub fn ready(&mut self) -> Result<Vec<Arc<Change>>, ContinuousError> {
        let mut changes = Vec::new();
        while let Some(change) = self.until(Some(Instant::now()))? {
            changes.push(change);
        }
        Ok(changes)
    }
}

/// Waits for each next change; ends with the error that ends the subscription.
impl Iterator for Subscription {
    type Item = Result<Arc<Change>, ContinuousError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.until(None).transpose()
    }
}
