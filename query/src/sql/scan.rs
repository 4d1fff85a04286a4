//! The scan: an operator that reads records block by block.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{BatchCoalescer, SortOptions};
use arrow::datatypes::SchemaRef;
use chronolith_engine::{ReadReport, WindowRecords, Windows};
use datafusion::common::{Result, internal_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column as ColumnExpr;
use datafusion::physical_expr::{
    EquivalenceProperties, LexOrdering, Partitioning, PhysicalSortExpr,
};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, SortOrderPushdownResult,
};

use super::catalog::{Lookup, read_error};
use super::columns::{
    Layout, Series, Source, array_bytes, blob_array, repeated, repeated_number, time_array,
    value_array,
};
use super::filter::Conditions;
use super::leaf::{counted, leaf_methods};
use super::order::Ordered;
use super::watch::Watch;

/// What a scan reads.
#[derive(Debug)]
pub(crate) struct ScanInput {
    pub(crate) lookup: Lookup,
    pub(crate) layout: Arc<Layout>,
    pub(crate) series: Vec<Series>,
    pub(crate) conditions: Conditions,
}

/// Which way through time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Ascending,
    Descending,
}

/// More metrics in one partition are not merged by time: each of them may hold a decoded block.
const MERGED_MAX: usize = 512;

/// Reads the records of some metrics.
///
/// By itself it reads one metric after the other. Asked for an order by time, it merges the
/// metrics of each partition, and opens a window only when the merge has come to its beginning.
#[derive(Debug)]
pub(crate) struct RecordScan {
    input: Arc<ScanInput>,
    projection: Vec<usize>,
    partitions: Vec<Range<usize>>,
    order: Option<Direction>,
    fetch: Option<usize>,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl RecordScan {
    /// A scan of all series in about as many partitions as asked for.
    pub(crate) fn new(
        input: Arc<ScanInput>,
        projection: Vec<usize>,
        partitions: usize,
        fetch: Option<usize>,
    ) -> Result<Self> {
        let count = input.series.len();
        let partitions = partitions.clamp(1, count.max(1));
        let bound = |index: usize| index * count / partitions;
        let partitions: Vec<Range<usize>> =
            (0..partitions).map(|index| bound(index)..bound(index + 1)).collect();
        // One metric is by time as it is.
        let order = (count <= partitions.len()).then_some(Direction::Ascending);
        Self::build(input, projection, partitions, order, fetch)
    }

    fn build(
        input: Arc<ScanInput>,
        projection: Vec<usize>,
        partitions: Vec<Range<usize>>,
        order: Option<Direction>,
        fetch: Option<usize>,
    ) -> Result<Self> {
        let schema: SchemaRef = Arc::new(input.layout.schema.project(&projection)?);
        let time = projection.iter().position(|at| input.layout.sources[*at] == Source::Time);
        let mut equivalence = EquivalenceProperties::new(Arc::clone(&schema));
        if let (Some(at), Some(direction)) = (time, order) {
            let column = Arc::new(ColumnExpr::new(schema.field(at).name(), at));
            let descending = direction == Direction::Descending;
            let options = SortOptions { descending, nulls_first: descending };
            equivalence.add_orderings(LexOrdering::new([PhysicalSortExpr::new(column, options)]));
        }
        let properties = Arc::new(PlanProperties::new(
            equivalence,
            Partitioning::UnknownPartitioning(partitions.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        let metrics = ExecutionPlanMetricsSet::new();
        Ok(Self { input, projection, partitions, order, fetch, metrics, properties })
    }

    pub(crate) const fn input(&self) -> &Arc<ScanInput> {
        &self.input
    }

    pub(crate) const fn is_limited(&self) -> bool {
        self.fetch.is_some()
    }

    /// The place in the table of a column of the scan.
    pub(crate) fn place(&self, index: usize) -> Option<usize> {
        self.projection.get(index).copied()
    }

    fn with(&self, order: Option<Direction>, fetch: Option<usize>) -> Result<Self> {
        let (input, projection) = (Arc::clone(&self.input), self.projection.clone());
        Self::build(input, projection, self.partitions.clone(), order, fetch)
    }
}

impl DisplayAs for RecordScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { input, partitions, .. } = self;
        let (series, conditions) = (input.series.len(), &input.conditions);
        write!(f, "RecordScan: metrics={series}, partitions={}", partitions.len())?;
        fmt_range(f, conditions)?;
        let columns: Vec<&str> =
            self.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
        write!(f, ", columns=[{}]", columns.join(", "))?;
        match self.order {
            Some(Direction::Ascending) => write!(f, ", order=time")?,
            Some(Direction::Descending) => write!(f, ", order=time DESC")?,
            None => {}
        }
        if let Some(fetch) = self.fetch {
            write!(f, ", fetch={fetch}")?;
        }
        Ok(())
    }
}

/// Shows the range of time of a scan, where there is one.
pub(crate) fn fmt_range(f: &mut fmt::Formatter<'_>, conditions: &Conditions) -> fmt::Result {
    let show = |time_ns: i64| {
        jiff::Timestamp::from_nanosecond(time_ns.into())
            .map_or_else(|_| time_ns.to_string(), |time| time.to_string())
    };
    if conditions.from_ns > conditions.to_ns {
        return write!(f, ", time=none");
    }
    if conditions.from_ns > i64::MIN {
        write!(f, ", from={}", show(conditions.from_ns))?;
    }
    if conditions.to_ns < i64::MAX {
        write!(f, ", to={}", show(conditions.to_ns))?;
    }
    Ok(())
}

impl RecordScan {
    fn schema_ref(&self) -> &SchemaRef {
        self.properties.equivalence_properties().schema()
    }
}

impl ExecutionPlan for RecordScan {
    fn name(&self) -> &'static str {
        "RecordScan"
    }

    leaf_methods!();

    fn fetch(&self) -> Option<usize> {
        self.fetch
    }

    fn with_fetch(&self, fetch: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        Some(Arc::new(self.with(self.order, fetch).ok()?))
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
    ) -> Result<SortOrderPushdownResult<Arc<dyn ExecutionPlan>>> {
        let [first] = order else { return Ok(SortOrderPushdownResult::Unsupported) };
        let column = first.expr.downcast_ref::<ColumnExpr>();
        let source =
            column.and_then(|column| self.input.layout.sources.get(self.place(column.index())?));
        let widest = self.partitions.iter().map(Range::len).max().unwrap_or(0);
        if source != Some(&Source::Time) || self.fetch.is_some() || widest > MERGED_MAX {
            return Ok(SortOrderPushdownResult::Unsupported);
        }
        let descending = first.options.descending;
        let direction = if descending { Direction::Descending } else { Direction::Ascending };
        let inner = Arc::new(self.with(Some(direction), None)?);
        Ok(SortOrderPushdownResult::Exact { inner })
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let Some(range) = self.partitions.get(partition).cloned() else {
            return internal_err!("there is no partition {partition}");
        };
        let schema = Arc::clone(self.schema_ref());
        let reader = Reader {
            input: Arc::clone(&self.input),
            projection: self.projection.clone(),
            schema: Arc::clone(&schema),
            counters: Counters::new(&self.metrics, partition),
            memory: MemoryConsumer::new("RecordScan").register(context.memory_pool()),
            watch: Watch::of(&context),
        };
        let batch_rows = context.session_config().batch_size().max(1);
        let rows: Box<dyn Iterator<Item = Result<RecordBatch>> + Send> = match self.order {
            Some(direction) => {
                // No more than is wanted, since every window more is one more to decode.
                let rows = batch_rows.min(self.fetch.unwrap_or(usize::MAX)).max(1);
                Box::new(Ordered::new(reader, range, direction, rows)?)
            }
            None => Box::new(Rows::new(reader, range, batch_rows)),
        };
        let rows = limited(rows, self.fetch.unwrap_or(usize::MAX));
        Ok(counted(rows, schema, &self.metrics, partition))
    }
}

/// What `EXPLAIN ANALYZE` shows of a partition.
pub(crate) struct Counters {
    pruned: Count,
    from_statistics: Count,
    decoded: Count,
    bytes_read: Count,
}

impl Counters {
    pub(crate) fn new(metrics: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        let counter = |name| MetricBuilder::new(metrics).counter(name, partition);
        Self {
            pruned: counter("chunks_pruned"),
            from_statistics: counter("chunks_from_statistics"),
            decoded: counter("chunks_decoded"),
            bytes_read: counter("bytes_read"),
        }
    }

    /// Adds what reading took.
    pub(crate) fn add(&self, report: ReadReport) {
        self.from_statistics.add(report.chunks_from_statistics as usize);
        self.decoded.add(report.chunks_decoded as usize);
        self.bytes_read.add(report.bytes_read as usize);
    }

    /// Chunks that were in the range and that nobody had to look into.
    pub(crate) fn prune(&self, chunks: u64) {
        self.pruned.add(chunks as usize);
    }
}

/// Turns windows into batches.
pub(crate) struct Reader {
    pub(crate) input: Arc<ScanInput>,
    pub(crate) projection: Vec<usize>,
    pub(crate) schema: SchemaRef,
    pub(crate) counters: Counters,
    pub(crate) memory: MemoryReservation,
    pub(crate) watch: Arc<Watch>,
}

impl Reader {
    /// The windows of a series; an impossible range has none.
    pub(crate) fn windows(&self, series: usize) -> Result<Option<Windows>> {
        let conditions = &self.input.conditions;
        let Some(series) = self.input.series.get(series) else { return Ok(None) };
        if conditions.from_ns > conditions.to_ns {
            return Ok(None);
        }
        let range = conditions.from_ns..=conditions.to_ns;
        self.input.lookup.snapshot.windows(series.id, range).map(Some).map_err(read_error)
    }

    fn wants(&self, wanted: impl Fn(&Source) -> bool) -> bool {
        self.projection.iter().any(|at| wanted(&self.input.layout.sources[*at]))
    }

    /// The records of a window; `None` where statistics say that none fits.
    pub(crate) fn read(
        &self,
        series: usize,
        window: &WindowRecords,
    ) -> Result<Option<RecordBatch>> {
        self.watch.check()?;
        let facts = window.facts();
        if let Some((low, high)) = facts.and_then(|facts| facts.bounds)
            && !self.input.conditions.may_hold(low, high)
        {
            self.counters.prune(window.sealed_chunks());
            return Ok(None);
        }
        let wants_values = self.wants(|source| matches!(source, Source::Value(_) | Source::Blob));
        let wants_times = self.wants(|source| *source == Source::Time);
        let mut report = ReadReport::default();
        let (mut times, mut values) = (None, None);
        let rows = if wants_values {
            let (decoded, column) = window.decode(&mut report).map_err(read_error)?.into_columns();
            values = Some(column);
            times.insert(decoded).len()
        } else if let (Some(facts), false) = (facts, wants_times) {
            report.chunks_from_statistics = window.sealed_chunks();
            facts.count as usize
        } else {
            times.insert(window.times(&mut report).map_err(read_error)?).len()
        };
        self.counters.add(report);
        if rows == 0 {
            return Ok(None);
        }
        let Series { id, definition } = &self.input.series[series];
        let mut times = times.map(time_array);
        let column = |at: &usize| -> Result<ArrayRef> {
            let source = &self.input.layout.sources[*at];
            match (source, &values) {
                (Source::Time, _) => Ok(times.take().unwrap_or_else(|| time_array(Vec::new()))),
                (Source::Value(shape), Some(values)) => value_array(*shape, values),
                (Source::Blob, Some(values)) => Ok(blob_array(values)),
                (Source::Metric, _) => Ok(repeated_number(id.index().into(), rows)),
                (label, _) => repeated(label.label(definition), rows),
            }
        };
        let columns = self.projection.iter().map(column).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = Arc::clone(&self.schema);
        Ok(Some(RecordBatch::try_new_with_options(schema, columns, &options)?))
    }
}

/// The records of some metrics, one metric after the other.
struct Rows {
    reader: Reader,
    series: Range<usize>,
    current: Option<(usize, Windows)>,
    small: BatchCoalescer,
    ready: VecDeque<RecordBatch>,
    batch_rows: usize,
    failed: bool,
}

impl Rows {
    fn new(reader: Reader, series: Range<usize>, batch_rows: usize) -> Self {
        let small = BatchCoalescer::new(Arc::clone(&reader.schema), batch_rows);
        let (ready, failed) = (VecDeque::new(), false);
        Self { reader, series, current: None, small, ready, batch_rows, failed }
    }

    fn next_window(&mut self) -> Result<Option<(usize, WindowRecords)>> {
        loop {
            if let Some((series, windows)) = &mut self.current {
                if let Some(window) = windows.next() {
                    return Ok(Some((*series, window)));
                }
                self.current = None;
            }
            let Some(series) = self.series.next() else { return Ok(None) };
            self.current = self.reader.windows(series)?.map(|windows| (series, windows));
        }
    }

    /// Cuts a large piece into batches without copying it, and collects small ones.
    fn push(&mut self, piece: RecordBatch) -> Result<()> {
        let rows = piece.num_rows();
        if piece.num_columns() == 0 {
            self.ready.push_back(piece);
            return Ok(());
        }
        if rows < self.batch_rows / 2 {
            self.small.push_batch(piece)?;
        } else {
            self.small.finish_buffered_batch()?;
            while let Some(batch) = self.small.next_completed_batch() {
                self.ready.push_back(batch);
            }
            let starts = (0..rows).step_by(self.batch_rows);
            let slices = starts.map(|at| piece.slice(at, self.batch_rows.min(rows - at)));
            self.ready.extend(slices);
        }
        while let Some(batch) = self.small.next_completed_batch() {
            self.ready.push_back(batch);
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Some(batch));
            }
            let Some((series, window)) = self.next_window()? else {
                self.small.finish_buffered_batch()?;
                return Ok(self.small.next_completed_batch());
            };
            if let Some(piece) = self.reader.read(series, &window)? {
                self.reader.memory.try_resize(array_bytes(piece.columns()))?;
                self.push(piece)?;
            }
        }
    }
}

impl Iterator for Rows {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.advance();
        self.failed = next.is_err();
        next.transpose()
    }
}

/// Batches up to a number of rows.
pub(crate) fn limited<I: Iterator<Item = Result<RecordBatch>>>(
    rows: I,
    limit: usize,
) -> impl Iterator<Item = Result<RecordBatch>> {
    Limited { rows, remaining: limit }
}

struct Limited<I> {
    rows: I,
    remaining: usize,
}

impl<I: Iterator<Item = Result<RecordBatch>>> Iterator for Limited<I> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.remaining == 0 {
            return None;
        }
        let batch = match self.rows.next()? {
            Ok(batch) => batch,
            Err(error) => return Some(Err(error)),
        };
        let taken = batch.num_rows().min(self.remaining);
        self.remaining -= taken;
        Some(Ok(if taken < batch.num_rows() { batch.slice(0, taken) } else { batch }))
    }
}
