//! A run on its way to the disk, and what the manifest will say of it.

use crate::block::Block;
use crate::db::{Inner, Maintained};
use crate::error::DiskContext;
use crate::layers::{self, Layer, MetricRef, Source};
use crate::manifest::{RunRecord, Tombstone};
use crate::memtable::OpenCopy;
use crate::model::Window;
use crate::run::{self, Columns, Run, RunWriter, Section};
use crate::wal::Sequence;

/// A run under construction. Windows must come in the order of metric and window.
pub(super) struct RunOutput<'a> {
    inner: &'a Inner,
    writer: RunWriter<'a>,
    record: RunRecord,
}

impl<'a> RunOutput<'a> {
    /// Begins the run with a number for records that came in these sequences.
    pub(super) fn new(
        inner: &'a Inner,
        number: u64,
        (first_sequence, last_sequence): (Sequence, Sequence),
    ) -> Maintained<Self> {
        let (disk, protect) = (&*inner.disk, &*inner.options.protect);
        let writer = RunWriter::create(disk, protect, &inner.database, number)?;
        let record = RunRecord {
            number,
            size_bytes: 0,
            first_sequence,
            last_sequence,
            records: 0,
            first_ns: i64::MAX,
            last_ns: i64::MIN,
        };
        Ok(Self { inner, writer, record })
    }

    /// Adds the records of some memtables' window, oldest first; deletions that came between two
    /// of them are carried out.
    pub(super) fn put_layers(
        &mut self,
        metric: MetricRef,
        layers: &[(Window, Layer)],
        tombstones: &[Tombstone],
    ) -> Maintained<()> {
        if let [(_, Layer { source: Source::Open(copy), last_sequence })] = layers
            && tombstones.iter().all(|tombstone| tombstone.sequence < *last_sequence)
            && self.put_stream(metric, copy)?
        {
            return Ok(());
        }
        let Some((window, _)) = layers.first() else { return Ok(()) };
        let all = (i64::MIN, i64::MAX);
        let merged = layers::merge(layers.iter().map(|(_, layer)| layer), metric, tombstones, all)?;
        self.put_block(metric, *window, &merged)
    }

    /// Adds an open chunk's records as they are; `false` where they must be decoded first.
    fn put_stream(&mut self, metric: MetricRef, copy: &OpenCopy) -> Maintained<bool> {
        let Some(stream) = copy.ordered_stream() else { return Ok(false) };
        let (Some(first_ns), Some((last_ns, _))) = (stream.first_time(), stream.last()) else {
            return Ok(false);
        };
        let added = self.writer.push_stream(metric.number, copy.window(), stream)?;
        if added {
            self.note(stream.len() as u64, first_ns, last_ns);
        }
        Ok(added)
    }

    /// Adds a window's records.
    pub(super) fn put_block(
        &mut self,
        metric: MetricRef,
        window: Window,
        block: &Block,
    ) -> Maintained<()> {
        let (Some(first_ns), Some(last_ns)) = (block.first_time(), block.last_time()) else {
            return Ok(());
        };
        self.note(block.len() as u64, first_ns, last_ns);
        Ok(self.writer.push_block(metric.number, window, block)?)
    }

    /// Adds encoded columns of a window as they are.
    pub(super) fn put_columns(
        &mut self,
        metric: MetricRef,
        window: Window,
        columns: &Columns,
    ) -> Maintained<()> {
        self.note(columns.count.into(), columns.first_ns, columns.last_ns);
        Ok(self.writer.push_columns(metric.number, window, columns)?)
    }

    /// Adds a section of another run.
    pub(super) fn copy(&mut self, run: &Run, section: &Section) -> Maintained<()> {
        self.note(section.count.into(), section.first_ns, section.last_ns);
        Ok(self.writer.push_section(run, section)?)
    }

    fn note(&mut self, count: u64, first_ns: i64, last_ns: i64) {
        self.record.records += count;
        self.record.first_ns = self.record.first_ns.min(first_ns);
        self.record.last_ns = self.record.last_ns.max(last_ns);
    }

    /// Puts the run on stable storage; nothing where it has no records.
    pub(super) fn finish(mut self) -> Maintained<Option<RunRecord>> {
        if self.record.records == 0 {
            return Ok(None);
        }
        let disk = &*self.inner.disk;
        self.record.size_bytes = self.writer.finish()?;
        disk.sync_dir(run::DIR).at(disk, "sync", run::DIR)?;
        Ok(Some(self.record))
    }
}
