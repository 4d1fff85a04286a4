//! What changed since a sequence, for continuous queries and copies.
//!
//! Nothing is logged for this: memtables, runs, chunks and deletions all carry the sequences and
//! the times of their records, also long after the log was cut. Changes are therefore coalesced
//! and may name more than what changed, never less.

use crate::db::Db;
use crate::error::ReadError;
use crate::wal::Sequence;

/// What kind of change it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChangeKind {
    /// Records were written.
    Write,
    /// Records were deleted.
    Delete,
}

/// Records of a metric in a span of time changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The number of the metric; [`Db::metric_by_number`] gives its handle.
    pub metric: u32,
    /// The first time that may have changed, nanoseconds since the epoch.
    pub first_ns: i64,
    /// The last time that may have changed, nanoseconds since the epoch.
    pub last_ns: i64,
    /// The sequences in which it happened, first and last.
    pub sequences: (Sequence, Sequence),
    /// What happened.
    pub kind: ChangeKind,
}

/// The answer to a question for changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// Everything that changed, and the sequence to ask from the next time.
    Known {
        /// The changes, oldest source first.
        changes: Vec<Change>,
        /// All changes up to here are among them.
        until: Sequence,
    },
    /// Some changes since then are forgotten (their deletion was carried out): start anew.
    TooOld {
        /// Changes are known from here on.
        from: Sequence,
    },
}

impl Db {
    /// The handle of a metric's number.
    #[must_use]
    pub fn metric_by_number(&self, number: u32) -> Option<crate::MetricId> {
        self.inner.registry.read().id(number)
    }

    /// Everything that changed after a sequence (0: since the beginning). Of records that are
    /// still in memory the span of all in a window is named, not only of those after it.
    pub fn changes(&self, since: Sequence) -> Result<Changes, ReadError> {
        // In this order: what has a sequence up to `until` is in the view, since a writer holds
        // the view, and then the shards of its records, from its sequence on until it is applied.
        let last = self.inner.wal.as_ref().map(|wal| wal.last());
        let view = self.inner.view();
        let mut until = last.unwrap_or(self.inner.recovered);
        // Later than the view: what a deletion that was carried out before it took along is
        // forgotten in both.
        let from = self.inner.upkeep.lock().manifest.changes_from;
        if since < from {
            return Ok(Changes::TooOld { from });
        }
        let mut changes = Vec::new();
        for live in &view.segments {
            if live.record.last_sequence <= since {
                continue;
            }
            live.segment.for_all(&mut |entry, seal, _| {
                if let Some(body) = entry.body.filter(|_| seal.last_sequence > since) {
                    changes.push(Change {
                        metric: entry.key.metric,
                        first_ns: body.first_ns,
                        last_ns: body.last_ns,
                        sequences: (seal.first_sequence, seal.last_sequence),
                        kind: ChangeKind::Write,
                    });
                }
                Ok(())
            })?;
        }
        for live in view.runs.iter().filter(|live| live.record.last_sequence > since) {
            changes.extend(live.run.sections()?.map(|section| Change {
                metric: section.metric,
                first_ns: section.first_ns,
                last_ns: section.last_ns,
                sequences: (live.record.first_sequence, live.record.last_sequence),
                kind: ChangeKind::Write,
            }));
        }
        for table in view.memtables().filter(|table| table.last().min(until) > since) {
            let sequences = (table.after() + 1, table.last().min(until));
            for metric in table.metrics() {
                changes.extend(table.spans(metric).into_iter().map(|(first_ns, last_ns)| Change {
                    metric,
                    first_ns,
                    last_ns,
                    sequences,
                    kind: ChangeKind::Write,
                }));
            }
        }
        for metric in view.tombstones.metrics() {
            let deletions = view.tombstones.of(metric).iter();
            for tombstone in deletions.filter(|tombstone| tombstone.sequence > since) {
                changes.push(Change {
                    metric,
                    first_ns: tombstone.deletion.from_ns,
                    last_ns: tombstone.deletion.to_ns,
                    sequences: (tombstone.sequence, tombstone.sequence),
                    kind: ChangeKind::Delete,
                });
                until = until.max(tombstone.sequence);
            }
        }
        changes.sort_by_key(|change| change.sequences.1);
        Ok(Changes::Known { changes, until })
    }
}
