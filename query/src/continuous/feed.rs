//! Feeds: the changes of one query in memory, shared by all who follow it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::error::ContinuousError;
use super::row::{Change, Cursor, decode_changes};

/// The changes of one query.
pub(super) struct Feed {
    name: String,
    kept: Mutex<Kept>,
    arrived: Condvar,
    waiters: Mutex<Waiters>,
}

/// Tasks that are woken with the next change, each once.
#[derive(Default)]
struct Waiters {
    next: u64,
    wakers: BTreeMap<u64, Waker>,
}

#[derive(Default)]
struct Kept {
    changes: VecDeque<Arc<Change>>,
    /// The last cursor of each commit, and how many of its changes are kept.
    commits: VecDeque<(Cursor, usize)>,
    newest: Cursor,
    is_dropped: bool,
}

impl Kept {
    /// How many commits must go for others to come.
    fn surplus(&self, coming: usize, most: u64) -> usize {
        let mut count = self.changes.len() + coming;
        let old = self.commits.iter().take_while(|(_, size)| {
            let is_surplus = count as u64 > most;
            count -= if is_surplus { *size } else { 0 };
            is_surplus
        });
        old.count()
    }
}

impl Feed {
    /// The feed of a query as it was left: the last cursors of commits and their changes.
    pub(super) fn load(
        name: &str,
        commits: &[(Cursor, Vec<u8>)],
        newest: Cursor,
    ) -> Result<Self, ContinuousError> {
        let mut kept = Kept { newest, ..Kept::default() };
        for (last, bytes) in commits {
            let changes = decode_changes(bytes)
                .map_err(|what| ContinuousError::State { name: name.to_owned(), what })?;
            kept.commits.push_back((*last, changes.len()));
            kept.changes.extend(changes.into_iter().map(Arc::new));
        }
        let (name, kept, arrived) = (name.to_owned(), Mutex::new(kept), Condvar::new());
        Ok(Self { name, kept, arrived, waiters: Mutex::default() })
    }

    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for a task that will wait.
    pub(super) fn new_waiter(&self) -> u64 {
        let mut waiters = self.waiters();
        waiters.next += 1;
        waiters.next
    }

    /// Wakes a task with the next change.
    pub(super) fn wake_later(&self, waiter: u64, waker: &Waker) {
        self.waiters().wakers.insert(waiter, waker.clone());
    }

    /// The task does not wait any more.
    pub(super) fn forget_waiter(&self, waiter: u64) {
        self.waiters().wakers.remove(&waiter);
    }

    /// Wakes threads and tasks.
    fn notify(&self) {
        self.arrived.notify_all();
        let wakers = std::mem::take(&mut self.waiters().wakers);
        wakers.into_values().for_each(Waker::wake);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last cursors of the commits that must go when so many changes come.
    pub(super) fn commits_to_drop(&self, coming: usize, most: u64) -> Vec<Cursor> {
        let kept = self.kept();
        let surplus = kept.surplus(coming, most);
        kept.commits.iter().take(surplus).map(|(last, _)| *last).collect()
    }

    /// Tells those who follow of changes that are on stable storage.
    pub(super) fn publish(&self, changes: Vec<Arc<Change>>, newest: Cursor, most: u64) {
        let mut kept = self.kept();
        let fresh = changes.len().saturating_sub(most as usize);
        let coming = changes.len() - fresh;
        for _ in 0..kept.surplus(coming, most) {
            if let Some((_, size)) = kept.commits.pop_front() {
                kept.changes.drain(..size);
            }
        }
        if let Some(last) = changes.last() {
            kept.commits.push_back((last.cursor, coming));
        }
        kept.changes.extend(changes.into_iter().skip(fresh));
        kept.newest = newest;
        drop(kept);
        self.notify();
    }

    /// The query is no more.
    pub(super) fn end(&self) {
        self.kept().is_dropped = true;
        self.notify();
    }

    /// Wakes those who wait.
    pub(super) fn wake(&self) {
        drop(self.kept());
        self.notify();
    }

    pub(super) fn newest(&self) -> Cursor {
        self.kept().newest
    }

    /// The oldest cursor that can be resumed after.
    pub(super) fn oldest(&self) -> Cursor {
        let kept = self.kept();
        kept.changes.front().map_or(kept.newest, |change| change.cursor.saturating_sub(1))
    }

    /// The change after a cursor, where there is one by then; an error where it is not kept.
    pub(super) fn after(
        &self,
        cursor: Cursor,
        deadline: Option<Instant>,
    ) -> Result<Option<Arc<Change>>, ContinuousError> {
        let mut kept = self.kept();
        loop {
            if kept.is_dropped {
                return Err(ContinuousError::Dropped(self.name.clone()));
            }
            if cursor > kept.newest {
                let (name, newest) = (self.name.clone(), kept.newest);
                return Err(ContinuousError::CursorUnknown { name, cursor, newest });
            }
            if cursor < kept.newest {
                let at = kept.changes.partition_point(|change| change.cursor <= cursor);
                match kept.changes.get(at).filter(|change| change.cursor == cursor + 1) {
                    Some(change) => return Ok(Some(Arc::clone(change))),
                    None => {
                        let newest = kept.newest;
                        let first = kept.changes.front();
                        let oldest = first.map_or(newest, |change| change.cursor.saturating_sub(1));
                        let name = self.name.clone();
                        return Err(ContinuousError::CursorTooOld { name, cursor, oldest, newest });
                    }
                }
            }
            let now = Instant::now();
            let left = match deadline {
                Some(deadline) if deadline <= now => return Ok(None),
                Some(deadline) => deadline - now,
                None => Duration::from_secs(3_600),
            };
            let waited = self.arrived.wait_timeout(kept, left);
            kept = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
