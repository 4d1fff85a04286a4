//! Order: the records of several metrics merged by time, forwards or backwards.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use arrow::array::{AsArray, RecordBatch};
use arrow::buffer::ScalarBuffer;
use arrow::compute::interleave_record_batch;
use arrow::datatypes::TimestampNanosecondType;
use chronolith_engine::{WindowRecords, Windows};
use datafusion::common::{Result, internal_datafusion_err};

use super::columns::{Source, array_bytes};
use super::scan::{Direction, Reader};

/// The records of some metrics by time. Records of the same time come in the order of the metrics.
///
/// A heap holds for each metric the place of its next record, or while its next window is not yet
/// decoded a bound on it; a window is decoded when the merge has come to that bound.
pub(crate) struct Ordered {
    reader: Reader,
    direction: Direction,
    time_column: usize,
    cursors: Vec<Cursor>,
    heap: BinaryHeap<Reverse<(i64, usize)>>,
    batch_rows: usize,
    failed: bool,
}

/// Where the merge stands in one metric.
struct Cursor {
    series: usize,
    windows: Windows,
    /// A window that the merge has not come to.
    waiting: Option<WindowRecords>,
    open: Option<OpenWindow>,
}

/// A decoded window.
struct OpenWindow {
    batch: RecordBatch,
    times: ScalarBuffer<i64>,
    /// How many of its records were given.
    given: usize,
    bytes: usize,
}

impl Direction {
    /// A number that rises in this direction.
    const fn key(self, time_ns: i64) -> i64 {
        match self {
            Self::Ascending => time_ns,
            Self::Descending => !time_ns,
        }
    }
}

impl OpenWindow {
    /// The row of the `nth` record in a direction.
    fn row(&self, direction: Direction, nth: usize) -> usize {
        match direction {
            Direction::Ascending => nth,
            Direction::Descending => self.times.len() - 1 - nth,
        }
    }

    fn key(&self, direction: Direction) -> Option<i64> {
        (self.given < self.times.len())
            .then(|| direction.key(self.times[self.row(direction, self.given)]))
    }
}

impl Ordered {
    pub(crate) fn new(
        reader: Reader,
        series: Range<usize>,
        direction: Direction,
        batch_rows: usize,
    ) -> Result<Self> {
        let sources = &reader.input.layout.sources;
        let time = reader.projection.iter().position(|at| sources[*at] == Source::Time);
        let mut cursors = Vec::new();
        for series in series {
            if let Some(windows) = reader.windows(series)? {
                cursors.push(Cursor { series, windows, waiting: None, open: None });
            }
        }
        // Without the column nothing can be merged by it, and nobody can see the order.
        let time_column = time.unwrap_or(usize::MAX);
        let heap = BinaryHeap::new();
        let mut ordered =
            Self { reader, direction, time_column, cursors, heap, batch_rows, failed: false };
        for cursor in 0..ordered.cursors.len() {
            ordered.wait_for_next(cursor);
        }
        Ok(ordered)
    }

    /// Puts the next window of a cursor on the heap, undecoded.
    fn wait_for_next(&mut self, at: usize) {
        let (direction, cursor) = (self.direction, &mut self.cursors[at]);
        let window = match direction {
            Direction::Ascending => cursor.windows.next(),
            Direction::Descending => cursor.windows.next_back(),
        };
        let Some(window) = window else { return };
        let bound = match direction {
            Direction::Ascending => window.not_before_ns(),
            Direction::Descending => window.not_after_ns(),
        };
        self.heap.push(Reverse((direction.key(bound), at)));
        cursor.waiting = Some(window);
    }

    /// Decodes the window that a cursor waits for.
    fn open(&mut self, at: usize, window: &WindowRecords) -> Result<()> {
        let series = self.cursors[at].series;
        let Some(batch) = self.reader.read(series, window)? else {
            self.wait_for_next(at);
            return Ok(());
        };
        let times = match batch.columns().get(self.time_column) {
            Some(times) => times
                .as_primitive_opt::<TimestampNanosecondType>()
                .map(|times| times.values().clone())
                .ok_or_else(|| internal_datafusion_err!("times are no timestamps"))?,
            None => ScalarBuffer::from(vec![0; batch.num_rows()]),
        };
        let bytes = array_bytes(batch.columns());
        self.reader.memory.try_grow(bytes)?;
        let open = OpenWindow { batch, times, given: 0, bytes };
        if let Some(key) = open.key(self.direction) {
            self.heap.push(Reverse((key, at)));
        }
        self.cursors[at].open = Some(open);
        Ok(())
    }

    fn merge(&mut self) -> Result<Option<RecordBatch>> {
        let mut batches: Vec<RecordBatch> = Vec::new();
        let mut slots: Vec<Option<usize>> = vec![None; self.cursors.len()];
        let mut rows: Vec<(usize, usize)> = Vec::with_capacity(self.batch_rows);
        while rows.len() < self.batch_rows {
            let Some(Reverse((_, at))) = self.heap.pop() else { break };
            if let Some(window) = self.cursors[at].waiting.take() {
                self.open(at, &window)?;
                continue;
            }
            let limit = self.heap.peek().map(|Reverse(next)| *next);
            let Some(open) = &mut self.cursors[at].open else { continue };
            let slot = *slots[at].get_or_insert_with(|| {
                batches.push(open.batch.clone());
                batches.len() - 1
            });
            // Everything up to the next metric's record goes at once.
            while let Some(key) = open.key(self.direction)
                && limit.is_none_or(|limit| (key, at) < limit)
                && rows.len() < self.batch_rows
            {
                rows.push((slot, open.row(self.direction, open.given)));
                open.given += 1;
            }
            match open.key(self.direction) {
                Some(key) => self.heap.push(Reverse((key, at))),
                None => {
                    self.reader.memory.shrink(open.bytes);
                    self.cursors[at].open = None;
                    slots[at] = None;
                    self.wait_for_next(at);
                }
            }
        }
        if rows.is_empty() {
            return Ok(None);
        }
        self.gather(&batches, &rows).map(Some)
    }

    fn gather(&self, batches: &[RecordBatch], rows: &[(usize, usize)]) -> Result<RecordBatch> {
        // One run of one batch needs no copy.
        if let ([batch], Some((_, first)), Some((_, last))) = (batches, rows.first(), rows.last())
            && self.direction == Direction::Ascending
        {
            return Ok(batch.slice(*first, last + 1 - first));
        }
        let batches: Vec<&RecordBatch> = batches.iter().collect();
        if self.reader.schema.fields().is_empty() {
            let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.len()));
            let schema = std::sync::Arc::clone(&self.reader.schema);
            return Ok(RecordBatch::try_new_with_options(schema, Vec::new(), &options)?);
        }
        Ok(interleave_record_batch(&batches, rows)?)
    }
}

impl Iterator for Ordered {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.merge();
        self.failed = next.is_err();
        next.transpose()
    }
}
