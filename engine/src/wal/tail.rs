//! The tail of the log in memory: what was written lately, batch by batch, for those who follow it.
//!
//! Kept only while somebody follows, up to a bound; who falls behind it asks [`crate::Db::changes`]
//! instead. Events are pushed under the lock that gives them their sequence, so that they are in
//! order and none is missing; their records may become visible a moment later, but a reader waits
//! for the shards that a writer holds and so never misses what it was told of.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::batch::{Batch, bits_value, read_value};
use crate::db::Db;
use crate::encoding::Reader;
use crate::error::WriteError;
use crate::model::{Kind, ValueRef};

use super::payload::Deletion;
use super::{Sequence, Wal};

/// One batch of the log: deletions, and then records.
#[derive(Debug)]
pub struct Logged {
    sequence: Sequence,
    deletions: Vec<Deletion>,
    batch: Batch,
}

impl Logged {
    /// The batch's number in the log.
    #[must_use]
    pub const fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// The metrics of which records were deleted, by number, with the first and the last time:
    /// nanoseconds since the epoch. They concern what was there before the batch's records.
    pub fn deletions(&self) -> impl Iterator<Item = (u32, i64, i64)> + '_ {
        self.deletions.iter().map(|deletion| (deletion.metric, deletion.from_ns, deletion.to_ns))
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The records in the order they were written: the metric's number, the time in nanoseconds
    /// since the epoch, the value.
    pub fn records(&self) -> impl Iterator<Item = (u32, i64, ValueRef<'_>)> + '_ {
        let batch = &self.batch;
        let columns =
            batch.metrics.iter().zip(&batch.times).zip(batch.kinds.iter().zip(&batch.bits));
        columns.filter_map(|((metric, time_ns), (kind, bits))| {
            Some((*metric, *time_ns, value(batch, *kind, *bits)?))
        })
    }

    /// The same of some metrics alone, with their places among all.
    pub fn records_of(
        &self,
        is_wanted: impl Fn(u32) -> bool,
    ) -> impl Iterator<Item = (usize, u32, i64, ValueRef<'_>)> {
        let batch = &self.batch;
        let wanted =
            batch.metrics.iter().enumerate().filter(move |(_, metric)| is_wanted(**metric));
        wanted.filter_map(move |(index, metric)| {
            let (kind, bits) = (batch.kinds.get(index)?, batch.bits.get(index)?);
            Some((index, *metric, *batch.times.get(index)?, value(batch, *kind, *bits)?))
        })
    }

    fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.batch.size_bytes() + self.deletions.len() * size_of::<Deletion>()
    }
}

fn value(batch: &Batch, kind: Kind, bits: u64) -> Option<ValueRef<'_>> {
    bits_value(kind, bits).or_else(|| {
        let data = batch.data.get(usize::try_from(bits).ok()?..)?;
        read_value(&mut Reader::new(data), kind).ok()
    })
}

/// What a frame holds for followers.
pub(crate) struct Told {
    deletions: Vec<Deletion>,
    batch: Batch,
}

/// The tail that a log keeps.
#[derive(Default)]
pub(crate) struct Tail {
    followers: AtomicUsize,
    kept: Mutex<Kept>,
    arrived: Condvar,
}

#[derive(Default)]
struct Kept {
    /// Everything after this and up to `last` is in `events`; nothing else is.
    after: Sequence,
    last: Sequence,
    events: VecDeque<Arc<Logged>>,
    size_bytes: usize,
    /// The largest bound that a follower asked for.
    size_bytes_max: usize,
}

impl Tail {
    /// What followers will be told of a frame; nothing where there are none.
    pub(crate) fn told(&self, deletions: &[Deletion], batch: &Batch) -> Option<Told> {
        if self.followers.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut batch = batch.clone();
        batch.state = Vec::new();
        Some(Told { deletions: deletions.to_vec(), batch })
    }

    /// Called for each frame, in the order of their sequences.
    pub(super) fn push(&self, sequence: Sequence, told: Option<Told>) {
        if self.followers.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut kept = self.kept.lock();
        kept.last = sequence;
        match told {
            // Made before anybody followed: what was in it is not known here.
            None => {
                kept.events.clear();
                (kept.size_bytes, kept.after) = (0, sequence);
            }
            Some(Told { deletions, batch }) if deletions.is_empty() && batch.times.is_empty() => {}
            Some(Told { deletions, batch }) => {
                let logged = Logged { sequence, deletions, batch };
                kept.size_bytes += logged.size_bytes();
                kept.events.push_back(Arc::new(logged));
                while kept.size_bytes > kept.size_bytes_max
                    && let Some(oldest) = kept.events.pop_front()
                {
                    kept.size_bytes -= oldest.size_bytes();
                    kept.after = oldest.sequence;
                }
            }
        }
        drop(kept);
        self.arrived.notify_all();
    }

    /// Keeps what comes after `last` from now on; called under the lock that gives sequences.
    fn follow(&self, last: Sequence, size_bytes_max: usize) {
        let mut kept = self.kept.lock();
        if self.followers.fetch_add(1, Ordering::AcqRel) == 0 {
            *kept = Kept { after: last, last, ..Kept::default() };
        }
        kept.size_bytes_max = kept.size_bytes_max.max(size_bytes_max);
    }

    fn leave(&self) {
        let mut kept = self.kept.lock();
        if self.followers.fetch_sub(1, Ordering::AcqRel) == 1 {
            *kept = Kept::default();
        }
    }
}

/// Follows the log of a database from memory.
pub struct Follower {
    wal: Arc<Wal>,
}

/// The next batches of the log.
#[derive(Debug, Clone)]
pub struct Followed {
    /// The batches, by sequence. Those without records and deletions are left out.
    pub batches: Vec<Arc<Logged>>,
    /// Everything up to here is among them; the sequence to ask from the next time.
    pub until: Sequence,
}

impl Db {
    /// Follows what is written from now on, batch by batch. Up to so many bytes of it are kept in
    /// memory for those who are slow.
    pub fn follow(&self, size_bytes_max: usize) -> Result<Follower, WriteError> {
        let wal = self.log()?;
        wal.at_head(|last| wal.tail.follow(last, size_bytes_max));
        Ok(Follower { wal })
    }
}

impl Follower {
    /// The batches after a sequence, up to about so many records; `None` where some are not in
    /// memory (any more): then [`Db::changes`] tells what changed.
    #[must_use]
    pub fn since(&self, since: Sequence, records_max: usize) -> Option<Followed> {
        let kept = self.wal.tail.kept.lock();
        if since < kept.after {
            return None;
        }
        let first = kept.events.partition_point(|event| event.sequence <= since);
        let (mut batches, mut records) = (Vec::new(), 0);
        for event in kept.events.range(first..) {
            if records > 0 && records + event.len() > records_max {
                let until = event.sequence - 1;
                return Some(Followed { batches, until });
            }
            records += event.len().max(1);
            batches.push(Arc::clone(event));
        }
        Some(Followed { batches, until: kept.last.max(since) })
    }

    /// The last sequence that was given.
    #[must_use]
    pub fn last(&self) -> Sequence {
        self.wal.last()
    }

    /// A number that tells the log from all others that are open in this process.
    #[must_use]
    pub fn log_address(&self) -> usize {
        Arc::as_ptr(&self.wal).addr()
    }

    /// Waits until something is written after a sequence, for no longer than this; whether there
    /// is something.
    #[must_use]
    pub fn wait(&self, since: Sequence, longest: Duration) -> bool {
        let tail = &self.wal.tail;
        let mut kept = tail.kept.lock();
        if kept.last <= since {
            tail.arrived.wait_for(&mut kept, longest);
        }
        kept.last > since
    }

    /// Ends what others wait for.
    pub fn wake(&self) {
        drop(self.wal.tail.kept.lock());
        self.wal.tail.arrived.notify_all();
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.wal.tail.leave();
    }
}
