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

    /// Everything that changed after a sequence (0: since the beginning).
    pub fn changes(&self, since: Sequence) -> Result<Changes, ReadError> {
        let (from, tombstones) = {
            let upkeep = self.inner.upkeep.lock();
            (upkeep.manifest.changes_from, upkeep.manifest.tombstones.clone())
        };
        if since < from {
            return Ok(Changes::TooOld { from });
        }
        let snapshot = self.snapshot();
        let view = &snapshot.view;
        let mut changes = Vec::new();
        let mut until = view.active.after();
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
        for table in view.frozen.iter().filter(|table| table.last() > since) {
            for metric in table.metrics() {
                for copy in table.copies(metric, i64::MIN, i64::MAX) {
                    let block = copy.decode();
                    let (Some(first_ns), Some(last_ns)) = (block.first_time(), block.last_time())
                    else {
                        continue;
                    };
                    let sequences = (table.after() + 1, table.last());
                    let kind = ChangeKind::Write;
                    changes.push(Change { metric, first_ns, last_ns, sequences, kind });
                }
            }
        }
        for tombstone in tombstones.iter().filter(|tombstone| tombstone.sequence > since) {
            changes.push(Change {
                metric: tombstone.deletion.metric,
                first_ns: tombstone.deletion.from_ns,
                last_ns: tombstone.deletion.to_ns,
                sequences: (tombstone.sequence, tombstone.sequence),
                kind: ChangeKind::Delete,
            });
            until = until.max(tombstone.sequence);
        }
        changes.sort_by_key(|change| change.sequences.1);
        Ok(Changes::Known { changes, until })
    }
}
