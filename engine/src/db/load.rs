//! Bulk loads: columns of records that become a run as they are, past log and memtable.
//!
//! The order that must hold: the run is on stable storage; everything in memory is flushed, so that
//! what defines its metrics is, too; then, between two batches, a frame without content takes the
//! load's sequence in the log and is synced, the manifest names the run, and the run is shown.
//! Writers wait for these two syncs: nothing that was seen of a load, or came after it, is there
//! without it. Followers of the log are told that something came which is not in memory, and ask
//! [`Db::changes`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::run_output::RunOutput;
use super::{Db, Inner, Maintained, Upkeep};
use crate::batch::Batch;
use crate::block::Block;
use crate::chunk::OpenedForeign;
use crate::error::{MaintenanceError, WriteError};
use crate::layers::MetricRef;
use crate::manifest::RunRecord;
use crate::model::{BlobRef, Column, Definition, MetricId, Window, floor_to_window, window_end};
use crate::run::{self, Columns, encode_sections, fits_section};
use crate::wal::Sequence;

/// The most that a load holds, encoded: bytes.
const LOAD_BYTES_MAX: usize = 256 << 20;

/// Many records on their way into a database at once, without the log: for what is there as
/// columns already, and for imports.
///
/// A load costs the encoding of its columns, a flush and a few syncs, however long it is, and leaves a file:
/// of less than some ten thousand records a [`crate::Batch`] is the better one. Blocks should be long, since
/// each makes a part of the file of its own.
///
/// ```
/// use chronolith_engine::{Block, Column, Db, Kind, Metric, Options};
///
/// let directory = tempfile::tempdir()?;
/// let db = Db::open(directory.path(), Options::default())?;
/// let speed = db.metric(Metric::new("car-17", "speed"), Kind::I64)?;
/// let times = (0..100_000).map(|second| second * 1_000_000_000).collect();
/// let records = Block::of_columns(times, Column::I64((0..100_000).collect())).expect("rising times");
/// let mut load = db.bulk_load();
/// load.push(speed, &records)?;
/// load.finish()?;
/// assert_eq!(db.latest(speed)?.map(|(time_ns, _)| time_ns), Some(99_999 * 1_000_000_000));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "nothing is loaded before it is finished"]
pub struct BulkLoad<'a> {
    db: &'a Db,
    /// By metric and window; of a window by time.
    pieces: BTreeMap<(u32, Window), Vec<Columns>>,
    /// By the positions of their records.
    blobs: Vec<(usize, BlobRef)>,
    records: usize,
    size_bytes: usize,
}

impl Db {
    /// Begins a bulk load. Nothing of it is in the database before [`BulkLoad::finish`].
    pub const fn bulk_load(&self) -> BulkLoad<'_> {
        BulkLoad { db: self, pieces: BTreeMap::new(), blobs: Vec::new(), records: 0, size_bytes: 0 }
    }
}

impl BulkLoad<'_> {
    /// How many records there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.records
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// How much memory the load takes, encoded as it will be on the disk: bytes.
    #[must_use]
    pub const fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Adds records: of each time of a metric a load takes one.
    ///
    /// # Errors
    /// Where there is no such metric, it is of another kind, a value is too long, the load has become too large, or
    /// records before and after these are in it; nothing of the records is then in it.
    pub fn push(&mut self, metric: MetricId, records: &Block) -> Result<(), WriteError> {
        let (reference, definition) = self.check(metric, records)?;
        let parts = by_window(records, reference.window_ns);
        for (window, range) in &parts {
            self.check_room((reference.number, *window), records, range, &definition)?;
        }
        self.note(records);
        for (window, range) in parts {
            let part = match range.len() == records.len() {
                true => Cow::Borrowed(records),
                false => Cow::Owned(records.part(range)),
            };
            encode_sections(&part, &mut |columns| {
                self.keep((reference.number, window), columns);
                Ok::<_, WriteError>(())
            })?;
        }
        Ok(())
    }

    /// Adds the records of a chunk of somebody else. Where the metric has windows as long as the
    /// chunk's, its columns are taken as they are.
    ///
    /// # Errors
    /// As [`BulkLoad::push`].
    pub fn push_opened(
        &mut self,
        metric: MetricId,
        opened: &OpenedForeign,
    ) -> Result<(), WriteError> {
        let records = opened.records();
        let known = self.db.definition(metric).map(|definition| definition.window_ns);
        let (Some(first_ns), Some(last_ns)) = (records.first_time(), records.last_time()) else {
            return Ok(());
        };
        if known != Some(opened.definition().window_ns) || !fits_section(records) {
            return self.push(metric, records);
        }
        let (reference, definition) = self.check(metric, records)?;
        let place = (reference.number, floor_to_window(first_ns, reference.window_ns));
        self.check_room(place, records, &(0..records.len()), &definition)?;
        self.note(records);
        let (count, bytes) = (records.len() as u32, opened.columns().to_vec());
        self.keep(place, Columns { count, first_ns, last_ns, bytes });
        Ok(())
    }

    /// Checks records against their metric.
    fn check(
        &self,
        metric: MetricId,
        records: &Block,
    ) -> Result<(MetricRef, Arc<Definition>), WriteError> {
        let (position, number) = (self.records, metric.index());
        let unknown = || WriteError::UnknownMetric { position, metric: number };
        let definition = self.db.definition(metric).ok_or_else(unknown)?;
        let (expected, found) = (definition.kind, records.values().kind());
        if expected != found {
            let metric = definition.metric.to_string();
            return Err(WriteError::Kind { position, metric, expected, found });
        }
        let limit = self.db.inner.options.limits.value_bytes;
        if let Column::Text(values) | Column::Bytes(values) = records.values() {
            let sizes = (0..values.len()).map(|at| values.bytes(at).map_or(0, <[u8]>::len));
            if let Some((at, size)) = sizes.enumerate().find(|(_, size)| *size > limit) {
                return Err(WriteError::ValueTooLong { position: position + at, size, limit });
            }
        }
        if self.size_bytes > LOAD_BYTES_MAX {
            let (size, limit) = (self.size_bytes, LOAD_BYTES_MAX);
            return Err(WriteError::BatchTooLarge { size, limit });
        }
        Ok((MetricRef { number, kind: expected, window_ns: definition.window_ns }, definition))
    }

    /// Refuses records of a window that has some from before and after them: pieces that overlap would have to be
    /// merged in memory.
    fn check_room(
        &self,
        place: (u32, Window),
        records: &Block,
        range: &Range<usize>,
        definition: &Definition,
    ) -> Result<(), WriteError> {
        let times = records.times().get(range.clone()).unwrap_or_default();
        let (Some(first_ns), Some(last_ns)) = (times.first(), times.last()) else { return Ok(()) };
        let pieces = self.pieces.get(&place).map_or(&[][..], |pieces| pieces);
        let next = pieces.partition_point(|piece| piece.last_ns < *first_ns);
        if pieces.get(next).is_none_or(|piece| piece.first_ns > *last_ns) {
            return Ok(());
        }
        let (position, metric) = (self.records + range.start, definition.metric.to_string());
        Err(WriteError::Overlap { position, metric })
    }

    /// Counts records that are added.
    fn note(&mut self, records: &Block) {
        if let Column::Bytes(values) = records.values() {
            let blobs = values.blobs().iter();
            self.blobs.extend(blobs.map(|(at, blob)| (self.records + at, *blob)));
            self.size_bytes += size_of_val(values.blobs());
        }
        self.records += records.len();
    }

    fn keep(&mut self, place: (u32, Window), mut piece: Columns) {
        piece.bytes.shrink_to_fit();
        self.size_bytes += size_of::<Columns>() + piece.bytes.len();
        let pieces = self.pieces.entry(place).or_default();
        let next = pieces.partition_point(|other| other.first_ns < piece.first_ns);
        pieces.insert(next, piece);
    }

    /// Puts all of it into the database, or nothing; returns when it is on stable storage. It is newer
    /// than what was written before, and older than what is written from now on.
    ///
    /// # Errors
    /// Where a metric's records are changed by policies as they are written, which columns are not, where
    /// a blob is not here, or where the disk refuses. Where that leaves unknown what the disk holds, the database
    /// takes no more writes until it is opened again, and the load is then there whole or not at all.
    pub fn finish(self) -> Result<Sequence, WriteError> {
        let inner = &*self.db.inner;
        let wal = inner.log()?;
        if self.pieces.is_empty() {
            return Ok(wal.last());
        }
        inner.check_unchanged(self.pieces.keys().map(|(metric, _)| *metric))?;
        let held = inner.hold(self.blobs)?;
        let sequence = inner.load(self.pieces).map_err(|error| match error {
            MaintenanceError::Write(error) => error,
            error => Box::new(error).into(),
        })?;
        held.are_used();
        Ok(sequence)
    }
}

/// Records by the windows that they are in.
fn by_window(records: &Block, window_ns: i64) -> Vec<(Window, Range<usize>)> {
    let (mut parts, mut from) = (Vec::new(), 0);
    while let Some(first_ns) = records.times().get(from) {
        let window = floor_to_window(*first_ns, window_ns);
        let last_ns = window_end(window, window_ns);
        let end = records.times().partition_point(|time_ns| *time_ns <= last_ns);
        parts.push((window, from..end));
        from = end;
    }
    parts
}

impl Inner {
    /// Refuses metrics whose records are changed as they are written.
    fn check_unchanged(&self, mut metrics: impl Iterator<Item = u32>) -> Result<(), WriteError> {
        let registry = self.registry.read();
        let changed = metrics.find(|metric| registry.with_policies().contains(*metric));
        let Some(definition) = changed.and_then(|metric| registry.get(metric)) else {
            return Ok(());
        };
        Err(WriteError::Refused(format!(
            "metric {} is written by the policies {:?}: write its records in batches",
            definition.metric,
            definition.policies.to_string()
        )))
    }

    fn load(&self, pieces: BTreeMap<(u32, Window), Vec<Columns>>) -> Maintained<Sequence> {
        let _loading = self.loading.read();
        // The sequence is given when the run is shown.
        let mut output = RunOutput::new(self, self.take_number()?, (0, 0))?;
        for ((metric, window), pieces) in pieces {
            let metric = self.metric_ref(metric)?;
            for columns in &pieces {
                output.put_columns(metric, window, columns)?;
            }
        }
        let Some(record) = output.finish()? else { return Ok(self.log()?.last()) };
        let file = run::file_name(record.number);
        let shown = self.upkeep().and_then(|mut upkeep| self.show_load(&mut upkeep, record));
        // Where the log is as it was, no manifest names the run.
        if shown.is_err() && self.log()?.check().is_ok() {
            let _ = self.disk.remove(&file);
        }
        shown
    }

    /// Makes a run that is on stable storage part of the database: the sequence of its records.
    fn show_load(&self, upkeep: &mut Upkeep, record: RunRecord) -> Maintained<Sequence> {
        let wal = self.log()?;
        self.flush_with(upkeep)?;
        // Mostly done before writers are held up.
        wal.sync_to(wal.last())?;
        let empty = self.frame(&[], &[], &Batch::default());
        let mut guard = self.view.write();
        let last = wal.last();
        // Followers do not find it in memory, and look for what changed.
        let sequence = wal.append(empty, None)?;
        // From here on the log and the manifest must have it, or nothing more is taken.
        let named = wal.sync_to(sequence).map_err(MaintenanceError::from).and_then(|()| {
            let (first_sequence, last_sequence) = (sequence, sequence);
            let record = RunRecord { first_sequence, last_sequence, ..record };
            let mut manifest = upkeep.manifest.clone();
            manifest.runs.push(record.clone());
            self.store(&manifest)?;
            upkeep.manifest = manifest;
            Ok(record)
        });
        let record = named.inspect_err(|error| wal.poison(&error.to_string()))?;
        let mut view = guard.rotated_around(last, sequence);
        view.runs.push(self.run(record));
        *guard = Arc::new(view);
        Ok(sequence)
    }
}
