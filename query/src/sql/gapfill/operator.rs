//! The operator that fills gaps.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, RecordBatch, RecordBatchOptions, UInt64Array,
};
use arrow::compute::kernels::zip::zip;
use arrow::compute::{
    SortColumn, cast, concat_batches, is_null, lexsort_to_indices, partition, take,
};
use arrow::datatypes::{DataType, Float64Type, SchemaRef, TimestampNanosecondType};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, ScalarValue, exec_err, internal_err, resources_datafusion_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, InputDistributionRequirements,
    PlanProperties,
};
use futures::{StreamExt, TryStreamExt};

use super::node::{Fill, GapFill, Method};
use crate::calendar::Buckets;
use crate::sql::columns::{array_bytes, time_array};
use crate::sql::watch::Watch;

/// The most rows that one key is filled to.
const ROWS_MAX: usize = 10_000_000;
/// Memory for so many more rows is asked for before they are made.
const ROWS_RESERVED: usize = 1 << 16;

/// What is filled, and how.
#[derive(Debug, Clone)]
struct Plan {
    buckets: Buckets,
    bucket: usize,
    keys: usize,
    range: (Option<i64>, Option<i64>),
    fills: Vec<Fill>,
    schema: SchemaRef,
}

/// Adds a row for every bucket that the input has no row of. It holds all of the input, which is
/// an aggregation's answer and hence small.
#[derive(Debug)]
pub(super) struct GapFillExec {
    input: Arc<dyn ExecutionPlan>,
    plan: Plan,
    properties: Arc<PlanProperties>,
}

impl GapFillExec {
    pub(super) fn new(
        input: Arc<dyn ExecutionPlan>,
        node: &GapFill,
        buckets: Buckets,
        range: (Option<i64>, Option<i64>),
        schema: SchemaRef,
    ) -> Self {
        let (bucket, keys, fills) = (node.bucket, node.keys, node.fills.clone());
        Self::build(input, Plan { buckets, bucket, keys, range, fills, schema })
    }

    fn build(input: Arc<dyn ExecutionPlan>, plan: Plan) -> Self {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&plan.schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        ));
        Self { input, plan, properties }
    }
}

impl DisplayAs for GapFillExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GapFill: keys={}, filled={}", self.plan.keys - 1, self.plan.fills.len())
    }
}

impl ExecutionPlan for GapFillExec {
    fn name(&self) -> &'static str {
        "GapFill"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![Distribution::SinglePartition])
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match <[Arc<dyn ExecutionPlan>; 1]>::try_from(children) {
            Ok([input]) => Ok(Arc::new(Self::build(input, self.plan.clone()))),
            Err(_) => internal_err!("gaps are filled in one input"),
        }
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, Arc::clone(&context))?;
        let plan = self.plan.clone();
        let schema = Arc::clone(&plan.schema);
        let memory = MemoryConsumer::new("GapFill").register(context.memory_pool());
        let watch = Watch::of(&context);
        let batch_rows = context.session_config().batch_size().max(1);
        let batches = futures::stream::once(async move {
            let rows = collect(input, &memory).await?;
            Ok::<_, datafusion::common::DataFusionError>(
                futures::stream::iter(Filled::new(plan, rows, memory, watch)?)
                    .map_ok(move |batch| futures::stream::iter(pieces(batch, batch_rows)))
                    .try_flatten(),
            )
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches.try_flatten())))
    }
}

/// A large batch in smaller ones.
fn pieces(batch: RecordBatch, rows: usize) -> impl Iterator<Item = Result<RecordBatch>> {
    let starts = (0..batch.num_rows()).step_by(rows);
    starts.map(move |at| Ok(batch.slice(at, rows.min(batch.num_rows() - at))))
}

/// All of the input.
async fn collect(
    mut input: SendableRecordBatchStream,
    memory: &MemoryReservation,
) -> Result<RecordBatch> {
    let mut batches = Vec::new();
    while let Some(batch) = input.next().await {
        let batch = batch?;
        memory.try_grow(2 * array_bytes(batch.columns()))?;
        batches.push(batch);
    }
    Ok(concat_batches(&input.schema(), &batches)?)
}

/// The filled rows, one key after the other.
struct Filled {
    plan: Plan,
    rows: RecordBatch,
    keys: std::vec::IntoIter<Range<usize>>,
    /// The first and the last bucket of all.
    span: Option<(i64, i64)>,
    memory: MemoryReservation,
    watch: Arc<Watch>,
}

impl Filled {
    fn new(
        plan: Plan,
        rows: RecordBatch,
        memory: MemoryReservation,
        watch: Arc<Watch>,
    ) -> Result<Self> {
        let others = (0..plan.keys).filter(|at| *at != plan.bucket);
        let others: Vec<ArrayRef> = others.map(|at| Arc::clone(rows.column(at))).collect();
        let times = Arc::clone(rows.column(plan.bucket));
        let order = others
            .iter()
            .chain([&times])
            .map(|values| SortColumn { values: Arc::clone(values), options: None });
        let order = lexsort_to_indices(&order.collect::<Vec<_>>(), None)?;
        let columns = rows.columns().iter().map(|column| take(column, &order, None));
        let columns = columns.collect::<std::result::Result<Vec<_>, _>>()?;
        let rows = RecordBatch::try_new(rows.schema(), columns)?;
        let count = rows.num_rows();
        let sorted: Vec<ArrayRef> = (0..plan.keys)
            .filter(|at| *at != plan.bucket)
            .map(|at| Arc::clone(rows.column(at)))
            .collect();
        let mut keys = match sorted.is_empty() || count == 0 {
            true => std::iter::once(0..count).collect(),
            false => partition(&sorted)?.ranges(),
        };
        if count == 0 && !sorted.is_empty() {
            keys.clear();
        }
        let times = rows.column(plan.bucket).as_primitive::<TimestampNanosecondType>();
        let (first, last) = (arrow::compute::min(times), arrow::compute::max(times));
        let start =
            |time_ns: Option<i64>| time_ns.and_then(|time_ns| plan.buckets.start_of(time_ns));
        let span = start(plan.range.0).or(first).zip(start(plan.range.1).or(last));
        Ok(Self { keys: keys.into_iter(), plan, rows, span, memory, watch })
    }

    /// About how much a filled row takes: bytes.
    fn row_bytes(&self) -> usize {
        self.plan.schema.fields().len() * 16 + 32
    }

    /// The buckets of a key with the row of each, where it has one.
    fn buckets(&self, key: Range<usize>) -> Result<(Vec<i64>, Vec<Option<u64>>)> {
        let times = self.rows.column(self.plan.bucket).as_primitive::<TimestampNanosecondType>();
        let (mut starts, mut rows) = (Vec::new(), Vec::new());
        let Some((first, last)) = self.span else { return Ok((starts, rows)) };
        let mut own = key.filter(|row| times.is_valid(*row)).peekable();
        let mut next = Some(first);
        loop {
            let own_time = own.peek().map(|row| times.value(*row));
            let due = next.filter(|due| *due <= last);
            let start = match (own_time, due) {
                (Some(own), Some(due)) => own.min(due),
                (Some(own), None) => own,
                (None, Some(due)) => due,
                (None, None) => break,
            };
            starts.push(start);
            rows.push(own.next_if(|row| times.value(*row) == start).map(|row| row as u64));
            if due == Some(start) {
                next = self.plan.buckets.next(start).filter(|next| *next > start);
            }
            if starts.len().is_multiple_of(ROWS_RESERVED) {
                self.watch.check()?;
                self.memory.try_grow(ROWS_RESERVED * self.row_bytes())?;
            }
            if starts.len() > ROWS_MAX {
                return exec_err!(
                    "time_bucket_gapfill would make more than {ROWS_MAX} rows for one key; \
                     make the range shorter or the buckets wider"
                );
            }
        }
        Ok((starts, rows))
    }

    fn batch(&self, key: Range<usize>) -> Result<RecordBatch> {
        self.watch.check()?;
        let first_row = key.start as u64;
        let held = self.memory.size();
        let (starts, rows) = self.buckets(key)?;
        self.memory.try_resize(held + starts.len() * self.row_bytes()).map_err(|error| {
            resources_datafusion_err!("filling gaps to {} rows: {error}", starts.len())
        })?;
        let found = UInt64Array::from(rows);
        let labels = UInt64Array::from(vec![first_row; starts.len()]);
        let mut columns: Vec<ArrayRef> = Vec::new();
        for (at, column) in self.rows.columns().iter().enumerate() {
            columns.push(if at == self.plan.bucket {
                let times = time_array(starts.clone());
                cast(&times, column.data_type())?
            } else if at < self.plan.keys {
                take(column, &labels, None)?
            } else {
                let taken = take(column, &found, None)?;
                if self.plan.schema.field(at).is_nullable() { taken } else { zeroed(&taken)? }
            });
        }
        for fill in &self.plan.fills {
            let column = Arc::clone(&columns[fill.column]);
            columns.push(match fill.method {
                Method::Locf => carried(&column)?,
                Method::Interpolate => interpolated(&column, &starts)?,
            });
        }
        self.memory.try_resize(held)?;
        let options = RecordBatchOptions::new().with_row_count(Some(starts.len()));
        let schema = Arc::clone(&self.plan.schema);
        Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
    }
}

impl Iterator for Filled {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.keys.next()?;
        Some(self.batch(key))
    }
}

/// A column of counts, which are never null: of nothing they are 0.
fn zeroed(column: &ArrayRef) -> Result<ArrayRef> {
    let zero = ScalarValue::new_zero(column.data_type())?.to_scalar()?;
    Ok(zip(&is_null(column)?, &zero, column)?)
}

/// A column with the last value before in the place of each null.
fn carried(column: &ArrayRef) -> Result<ArrayRef> {
    let mut last = None;
    let rows = (0..column.len()).map(|row| {
        if column.is_valid(row) {
            last = Some(row as u64);
        }
        last
    });
    let rows: UInt64Array = rows.collect();
    Ok(take(column, &rows, None)?)
}

/// A column with nulls on the straight line between the values around them.
fn interpolated(column: &ArrayRef, times: &[i64]) -> Result<ArrayRef> {
    let column = cast(column, &DataType::Float64)?;
    let column = column.as_primitive::<Float64Type>();
    let mut values: Vec<Option<f64>> = column.iter().collect();
    let mut before: Option<(usize, f64)> = None;
    for row in 0..values.len() {
        let Some(value) = column.is_valid(row).then(|| column.value(row)) else { continue };
        if let Some((start, from)) = before {
            let span = (i128::from(times[row]) - i128::from(times[start])) as f64;
            for gap in start + 1..row {
                let part = (i128::from(times[gap]) - i128::from(times[start])) as f64 / span;
                values[gap] = Some(from + (value - from) * part);
            }
        }
        before = Some((row, value));
    }
    Ok(Arc::new(values.into_iter().collect::<Float64Array>()))
}
