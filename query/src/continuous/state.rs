//! What is kept of a query in the database's state, in the same batches as its output.
//!
//! | namespace | key | value |
//! |---|---|---|
//! | `continuous` | name | the statement |
//! | `continuous/NAME` | `p` | [`Progress`] |
//! | `continuous/NAME` | `w` · start · metric | a cell of a window that is open |
//! | `continuous/NAME` | `c` · cursor | the changes of a commit, of which this is the last cursor |

use chronolith_engine::{Batch, Db, Sequence};

use super::bytes::{Bytes, ordered, put_i64, put_texts, put_u32, put_u64, unordered};
use super::cell::Cell;
use super::error::ContinuousError;
use super::row::Cursor;

/// Names and statements.
pub(super) const QUERIES: &str = "continuous";
const PROGRESS: &[u8] = b"p";
const VERSION: u8 = 2;

/// Whether a database has a continuous query of a name.
#[must_use]
pub fn is_query(db: &Db, name: &str) -> bool {
    db.state(QUERIES, name.as_bytes()).is_some()
}

/// The namespace of a query.
pub(super) fn namespace(name: &str) -> String {
    format!("{QUERIES}/{name}")
}

/// How far a query is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// What was written up to here is in the output, but for what is pending.
    pub(super) position: Sequence,
    /// The latest event time that was seen.
    pub(super) latest_ns: Option<i64>,
    /// The last change.
    pub(super) cursor: Cursor,
    pub(super) is_paused: bool,
    /// Records that were taken as they came.
    pub(super) records: u64,
    /// Records that came after their window closed.
    pub(super) late: u64,
    /// Records that were too far ahead of the clock to move the watermark.
    pub(super) ahead: u64,
    /// Windows that were computed from the store.
    pub(super) recomputed: u64,
    /// Records that were read for that.
    pub(super) reread: u64,
    /// Values that their column cannot hold.
    pub(super) unfit: u64,
    /// What is still to be computed from the store.
    pub(super) pending: Vec<(Vec<String>, Pending)>,
}

/// Windows that are to be computed from the store: by their beginnings; of sessions by the times of
/// records that may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pending {
    /// Where it began, to say how much is done.
    pub(super) origin_ns: i64,
    pub(super) from_ns: i64,
    pub(super) to_ns: i64,
}

impl Progress {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_u64(&mut out, self.position);
        out.push(u8::from(self.latest_ns.is_some()));
        put_i64(&mut out, self.latest_ns.unwrap_or(0));
        put_u64(&mut out, self.cursor);
        out.push(u8::from(self.is_paused));
        let counts =
            [self.records, self.late, self.recomputed, self.reread, self.unfit, self.ahead];
        counts.iter().for_each(|count| put_u64(&mut out, *count));
        put_u32(&mut out, self.pending.len() as u32);
        for (keys, pending) in &self.pending {
            put_texts(&mut out, keys);
            let times = [pending.origin_ns, pending.from_ns, pending.to_ns];
            times.iter().for_each(|time_ns| put_i64(&mut out, *time_ns));
        }
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let mut bytes = Bytes::new(bytes);
        let version = bytes.u8()?;
        if !(1..=VERSION).contains(&version) {
            return Err(format!("it has version {version}, and this program knows {VERSION}"));
        }
        let position = bytes.u64()?;
        let has_latest = bytes.u8()? != 0;
        let latest_ns = Some(bytes.i64()?).filter(|_| has_latest);
        let cursor = bytes.u64()?;
        let is_paused = bytes.u8()? != 0;
        let (records, late) = (bytes.u64()?, bytes.u64()?);
        let (recomputed, reread, unfit) = (bytes.u64()?, bytes.u64()?, bytes.u64()?);
        // In version 1 every record moved the watermark.
        let ahead = if version > 1 { bytes.u64()? } else { 0 };
        let mut pending = Vec::new();
        for _ in 0..bytes.u32()? {
            let keys = bytes.texts()?;
            let (origin_ns, from_ns, to_ns) = (bytes.i64()?, bytes.i64()?, bytes.i64()?);
            pending.push((keys, Pending { origin_ns, from_ns, to_ns }));
        }
        bytes.finish()?;
        Ok(Self {
            position,
            latest_ns,
            cursor,
            is_paused,
            records,
            late,
            ahead,
            recomputed,
            reread,
            unfit,
            pending,
        })
    }

    pub(super) fn put(&self, batch: &mut Batch, name: &str) {
        batch.put_state(namespace(name), PROGRESS, &self.encode());
    }
}

/// The key of a cell.
fn cell_key(start_ns: i64, metric: u32) -> Vec<u8> {
    let mut key = vec![b'w'];
    key.extend(ordered(start_ns));
    key.extend(metric.to_be_bytes());
    key
}

/// Keeps a cell, or removes it where there is none.
pub(super) fn put_cell(
    batch: &mut Batch,
    namespace: &str,
    start_ns: i64,
    metric: u32,
    cell: Option<&Cell>,
) {
    let key = cell_key(start_ns, metric);
    match cell {
        None => batch.remove_state(namespace, &key),
        Some(cell) => {
            let mut value = Vec::new();
            cell.encode(&mut value);
            batch.put_state(namespace, &key, &value);
        }
    }
}

/// The key of a commit's changes.
pub(super) fn changes_key(last: Cursor) -> Vec<u8> {
    let mut key = vec![b'c'];
    key.extend(last.to_be_bytes());
    key
}

/// All that is kept of a query.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) progress: Progress,
    /// Start, metric and cell.
    pub(super) cells: Vec<(i64, u32, Cell)>,
    /// The last cursor of each commit, and its changes.
    pub(super) changes: Vec<(Cursor, Vec<u8>)>,
}

impl Kept {
    pub(super) fn load(db: &Db, name: &str) -> Result<Self, ContinuousError> {
        let mut kept = Self::default();
        for (key, value) in db.state_entries(&namespace(name)) {
            kept.take(&key, &value)
                .map_err(|what| ContinuousError::State { name: name.to_owned(), what })?;
        }
        Ok(kept)
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let short = || "it has a key that is too short".to_owned();
        match key {
            PROGRESS => self.progress = Progress::decode(value)?,
            [b'w', rest @ ..] => {
                let (start, metric) = rest.split_at_checked(8).ok_or_else(short)?;
                let start_ns = unordered(start.try_into().map_err(|_| short())?);
                let metric = u32::from_be_bytes(metric.try_into().map_err(|_| short())?);
                let mut bytes = Bytes::new(value);
                let cell = Cell::decode(&mut bytes)?;
                bytes.finish()?;
                self.cells.push((start_ns, metric, cell));
            }
            [b'c', rest @ ..] => {
                let cursor = u64::from_be_bytes(rest.try_into().map_err(|_| short())?);
                self.changes.push((cursor, value.to_vec()));
            }
            _ => return Err("it has a key that this program does not know".to_owned()),
        }
        Ok(())
    }
}

/// Removes all that is kept of a query.
pub(super) fn remove_all(db: &Db, batch: &mut Batch, name: &str) {
    let namespace = namespace(name);
    for (key, _) in db.state_entries(&namespace) {
        batch.remove_state(namespace.as_str(), &key);
    }
    batch.remove_state(QUERIES, name.as_bytes());
}

/// How many bytes are kept of a query.
pub(super) fn size_bytes(db: &Db, name: &str) -> usize {
    let entries = db.state_entries(&namespace(name));
    entries.iter().map(|(key, value)| key.len() + value.len()).sum()
}
