//! Windows: the records of a metric in a range of time, window by window, not yet decoded.
//!
//! What a query layer needs beyond [`crate::Scan`]: it learns how many records a window holds,
//! and between which bounds, before it pays for decoding, decodes times alone where nobody asks
//! for values, and walks from the latest window to the earliest as well. A window of more than some
//! 16 MiB comes in pieces that do not overlap in time, where its chunks and sections allow it.

use std::ops::RangeBounds;
use std::sync::Arc;

use crate::batch::bits_value;
use crate::block::Block;
use crate::chunk::body::BodyView;
use crate::db::{Db, Snapshot, first_and_last};
use crate::error::ReadError;
use crate::layers::{self, MetricRef, Source, WindowLayers, body_fault};
use crate::model::{Kind, MetricId, ValueRef};
use crate::view::View;

/// What reading took, counted while it is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadReport {
    /// Sealed chunks whose bodies were decoded.
    pub chunks_decoded: u64,
    /// Sealed chunks that were answered from their statistics.
    pub chunks_from_statistics: u64,
    /// Length of the bodies that were decoded: bytes.
    pub bytes_read: u64,
}

impl ReadReport {
    /// Adds what another reader took.
    pub fn add(&mut self, other: Self) {
        self.chunks_decoded += other.chunks_decoded;
        self.chunks_from_statistics += other.chunks_from_statistics;
        self.bytes_read += other.bytes_read;
    }

    /// Counts the sealed layers of a window that is decoded.
    pub(crate) fn note(&mut self, window: &WindowLayers) {
        for layer in &window.layers {
            if let Source::Chunk(_, _, body) = &layer.source {
                self.chunks_decoded += 1;
                self.bytes_read += u64::from(body.size);
            }
        }
    }
}

/// What is known of a window without decoding it, where one sealed chunk is all of it.
#[derive(Debug, Clone, Copy)]
pub struct WindowFacts {
    /// How many records.
    pub count: u64,
    /// The first time, nanoseconds since the epoch.
    pub first_ns: i64,
    /// The last time, nanoseconds since the epoch.
    pub last_ns: i64,
    /// The least and the greatest value, NaNs skipped, where the kind has them; both are NaN where
    /// every value is.
    pub bounds: Option<(ValueRef<'static>, ValueRef<'static>)>,
}

/// The windows of one metric that may hold records of a range of time, by time; from the back the
/// latest comes first.
pub struct Windows {
    view: Arc<View>,
    metric: MetricRef,
    from_ns: i64,
    to_ns: i64,
    windows: std::vec::IntoIter<WindowLayers>,
}

/// One window of a metric, or a piece of it: the records in it of the range that was asked for.
pub struct WindowRecords {
    view: Arc<View>,
    metric: MetricRef,
    from_ns: i64,
    to_ns: i64,
    layers: WindowLayers,
}

impl Db {
    /// The database as it is now, for reading: files that are flushed, sealed or deleted later do
    /// not change it, but records that are still being written may appear in it.
    ///
    /// It costs nothing, where [`Db::snapshot`] begins a new memtable.
    #[must_use]
    pub fn live(&self) -> Snapshot {
        self.latest_view()
    }
}

impl Snapshot {
    /// The windows of a metric that may hold records of a range of time.
    pub fn windows(
        &self,
        metric: MetricId,
        range: impl RangeBounds<i64>,
    ) -> Result<Windows, ReadError> {
        let (view, metric) = self.parts(metric)?;
        let Some((from_ns, to_ns)) = first_and_last(&range)? else {
            let windows = Vec::new().into_iter();
            return Ok(Windows { view, metric, from_ns: 0, to_ns: 0, windows });
        };
        let (first, last) = metric.windows(from_ns, to_ns);
        let windows = layers::find_pieces(&view, metric, first, last)?.into_iter();
        Ok(Windows { view, metric, from_ns, to_ns, windows })
    }
}

impl Windows {
    fn records(&self, layers: WindowLayers) -> Option<WindowRecords> {
        let Self { metric, from_ns, to_ns, .. } = *self;
        let records =
            WindowRecords { view: Arc::clone(&self.view), metric, from_ns, to_ns, layers };
        (!records.layers.is_outside(from_ns, to_ns)).then_some(records)
    }
}

impl Iterator for Windows {
    type Item = WindowRecords;

    fn next(&mut self) -> Option<WindowRecords> {
        loop {
            let layers = self.windows.next()?;
            if let Some(records) = self.records(layers) {
                return Some(records);
            }
        }
    }
}

impl DoubleEndedIterator for Windows {
    fn next_back(&mut self) -> Option<WindowRecords> {
        loop {
            let layers = self.windows.next_back()?;
            if let Some(records) = self.records(layers) {
                return Some(records);
            }
        }
    }
}

impl WindowRecords {
    /// The kind of the values.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.metric.kind
    }

    /// A time that no record of this window is before: nanoseconds since the epoch.
    #[must_use]
    pub fn not_before_ns(&self) -> i64 {
        let start_ns = crate::model::window_start(self.layers.window, self.metric.window_ns);
        self.layers.span().map_or(start_ns, |(first_ns, _)| first_ns).max(self.from_ns)
    }

    /// A time that no record of this window is after: nanoseconds since the epoch.
    #[must_use]
    pub fn not_after_ns(&self) -> i64 {
        let end_ns = crate::model::window_end(self.layers.window, self.metric.window_ns);
        self.layers.span().map_or(end_ns, |(_, last_ns)| last_ns).min(self.to_ns)
    }

    /// How many sealed chunks the window consists of.
    #[must_use]
    pub fn sealed_chunks(&self) -> u64 {
        let sealed = |layer: &&layers::Layer| matches!(layer.source, Source::Chunk(..));
        self.layers.layers.iter().filter(sealed).count() as u64
    }

    /// What is known without decoding: only where one sealed chunk is all of the window, nothing
    /// amends or deletes any of it, and all of it is in the range.
    #[must_use]
    pub fn facts(&self) -> Option<WindowFacts> {
        let tombstones = self.view.tombstones.of(self.metric.number);
        let (_, entry, body) = self.layers.single_chunk(tombstones)?;
        if body.first_ns < self.from_ns || body.last_ns > self.to_ns {
            return None;
        }
        let value = |bits| bits_value(entry.kind, bits);
        let bounds = body.statistics.and_then(|s| value(s.min_bits).zip(value(s.max_bits)));
        let (first_ns, last_ns) = (body.first_ns, body.last_ns);
        Some(WindowFacts { count: body.count.into(), first_ns, last_ns, bounds })
    }

    /// Decodes the records.
    pub fn decode(&self, report: &mut ReadReport) -> Result<Block, ReadError> {
        report.note(&self.layers);
        let tombstones = self.view.tombstones.of(self.metric.number);
        let mut block = self.layers.decode(self.metric, tombstones)?;
        block.clip(self.from_ns, self.to_ns);
        Ok(block)
    }

    /// Decodes the times alone, where one sealed chunk is all of the window; everything otherwise.
    pub fn times(&self, report: &mut ReadReport) -> Result<Vec<i64>, ReadError> {
        let tombstones = self.view.tombstones.of(self.metric.number);
        let Some((live, entry, body)) = self.layers.single_chunk(tombstones) else {
            return Ok(self.decode(report)?.into_columns().0);
        };
        report.note(&self.layers);
        let bytes = live.segment.body(entry, body)?;
        let view = BodyView::parse(&bytes, body.count as usize);
        let mut times = Vec::new();
        let decoded = view.and_then(|view| Ok(view.times()?.decode(&mut times)?));
        decoded.map_err(|error| body_fault(live, body, error))?;
        if !times.is_sorted_by(|a, b| a < b) {
            return Err(body_fault(live, body, "the times of the chunk do not rise"));
        }
        times.truncate(times.partition_point(|time| *time <= self.to_ns));
        times.drain(..times.partition_point(|time| *time < self.from_ns));
        Ok(times)
    }
}
