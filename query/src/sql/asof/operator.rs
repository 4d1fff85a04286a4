//! The operator of as-of joins: one pass over two streams in the order of time.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::compute::{SortOptions, take_record_batch};
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{
    EquivalenceProperties, LexOrdering, LexRequirement, OrderingRequirements, Partitioning,
    PhysicalExpr, PhysicalSortExpr, PhysicalSortRequirement,
};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, InputDistributionRequirements,
    PlanProperties,
};
use futures::StreamExt;

use super::matches::{KeyMaker, Keys, Matches, Place, Times, evaluate};
use super::node::Nearest;
use crate::sql::watch::Watch;

/// What is joined: two inputs, and for each its keys and its time.
#[derive(Debug, Clone)]
pub(super) struct Sides {
    pub(super) left: Arc<dyn ExecutionPlan>,
    pub(super) right: Arc<dyn ExecutionPlan>,
    pub(super) keys: [Vec<Arc<dyn PhysicalExpr>>; 2],
    pub(super) times: [Arc<dyn PhysicalExpr>; 2],
}

/// Joins each left row with the nearest right row. Both inputs come in the order of time, forwards
/// or, where the next row is wanted, backwards; of the right one a row for each key is held.
#[derive(Debug)]
pub(super) struct AsOfJoinExec {
    sides: Sides,
    nearest: Nearest,
    tolerance_ns: Option<i64>,
    is_left: bool,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl AsOfJoinExec {
    pub(super) fn new(
        sides: Sides,
        nearest: Nearest,
        tolerance_ns: Option<i64>,
        is_left: bool,
        schema: SchemaRef,
    ) -> Self {
        let mut equivalence = EquivalenceProperties::new(schema);
        // Left columns keep their places, and left rows their order.
        if sides.times[0].downcast_ref::<Column>().is_some() {
            let time = Arc::clone(&sides.times[0]);
            let order = PhysicalSortExpr::new(time, order(nearest));
            equivalence.add_orderings(LexOrdering::new([order]));
        }
        let properties = Arc::new(PlanProperties::new(
            equivalence,
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        let metrics = ExecutionPlanMetricsSet::new();
        Self { sides, nearest, tolerance_ns, is_left, metrics, properties }
    }

    fn schema_ref(&self) -> &SchemaRef {
        self.properties.equivalence_properties().schema()
    }
}

/// The order that both inputs come in; times that are null come last forwards.
const fn order(nearest: Nearest) -> SortOptions {
    let descending = nearest.is_forward();
    SortOptions { descending, nulls_first: descending }
}

impl DisplayAs for AsOfJoinExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sides { keys, times, .. } = &self.sides;
        write!(f, "AsOfJoin: type={}, on=[", if self.is_left { "Left" } else { "Inner" })?;
        for (left, right) in keys[0].iter().zip(&keys[1]) {
            write!(f, "{left} = {right}, ")?;
        }
        write!(f, "{} {} {}]", times[0], self.nearest.sign(), times[1])?;
        match self.tolerance_ns {
            Some(length) => {
                let length = std::time::Duration::from_nanos(length.unsigned_abs());
                write!(f, ", tolerance={length:?}")
            }
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for AsOfJoinExec {
    fn name(&self) -> &'static str {
        "AsOfJoin"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.sides.left, &self.sides.right]
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![Distribution::SinglePartition; 2])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        let requirement = |time: &Arc<dyn PhysicalExpr>| {
            let options = Some(order(self.nearest));
            let required = PhysicalSortRequirement::new(Arc::clone(time), options);
            LexRequirement::new([required]).map(OrderingRequirements::new)
        };
        self.sides.times.iter().map(requirement).collect()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true, false]
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for expression in self.sides.keys.iter().flatten().chain(&self.sides.times) {
            if visit(expression)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Ok([left, right]) = <[Arc<dyn ExecutionPlan>; 2]>::try_from(children) else {
            return internal_err!("an as-of join has two inputs");
        };
        let (keys, times) = (self.sides.keys.clone(), self.sides.times.clone());
        let sides = Sides { left, right, keys, times };
        let schema = Arc::clone(self.schema_ref());
        let new = Self::new(sides, self.nearest, self.tolerance_ns, self.is_left, schema);
        Ok(Arc::new(new))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let Sides { left, right, keys: [keys, other_keys], times: [time, other_time] } =
            self.sides.clone();
        let types = keys.iter().map(|key| key.data_type(&left.schema()));
        let maker = KeyMaker::new(&types.collect::<Result<Vec<_>>>()?)?;
        let left = left.execute(partition, Arc::clone(&context))?;
        let right = right.execute(partition, Arc::clone(&context))?;
        let memory = MemoryConsumer::new("AsOfJoin").register(context.memory_pool());
        let is_forward = self.nearest.is_forward();
        let join = Join {
            left,
            keys,
            time,
            maker,
            matches: Matches::new(right, other_keys, other_time, is_forward, memory)?,
            nearest: self.nearest,
            tolerance: self.tolerance_ns.map(|length| in_unit(length, &self.sides)).transpose()?,
            is_left: self.is_left,
            open: None,
            schema: Arc::clone(self.schema_ref()),
            watch: Watch::of(&context),
        };
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let rows = futures::stream::try_unfold(join, |mut join| async move {
            Ok(join.next().await?.map(|batch| (batch, join)))
        });
        let rows = rows.map(move |batch| batch.record_output(&baseline));
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(self.schema_ref()), rows)))
    }
}

/// A length of time in the unit of the times that are compared.
fn in_unit(length_ns: i64, sides: &Sides) -> Result<u64> {
    use arrow::datatypes::{DataType, TimeUnit};
    let unit_ns = match sides.times[0].data_type(&sides.left.schema())? {
        DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000,
        DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000_000,
        DataType::Timestamp(TimeUnit::Second, _) => 1_000_000_000,
        _ => 1,
    };
    Ok(length_ns.unsigned_abs() / unit_ns)
}

/// A join on its way.
struct Join {
    left: SendableRecordBatchStream,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    time: Arc<dyn PhysicalExpr>,
    maker: KeyMaker,
    matches: Matches,
    nearest: Nearest,
    tolerance: Option<u64>,
    is_left: bool,
    open: Option<Open>,
    schema: SchemaRef,
    watch: Arc<Watch>,
}

/// A left batch of which not all rows were joined.
struct Open {
    batch: RecordBatch,
    times: Times,
    keys: Keys,
    next: usize,
}

impl Join {
    /// The next joined rows.
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            self.watch.check()?;
            if self.open.is_none() && !self.open_next().await? {
                return Ok(None);
            }
            let joined = self.join().await?;
            if joined.num_rows() > 0 {
                return Ok(Some(joined));
            }
        }
    }

    async fn open_next(&mut self) -> Result<bool> {
        let Some(batch) = self.left.next().await.transpose()? else { return Ok(false) };
        let keys = self.maker.keys(&evaluate(&self.keys, &batch)?)?;
        let times = self.time.evaluate(&batch)?.into_array(batch.num_rows())?;
        let times = Times::new(&times, self.nearest.is_forward())?;
        self.open = Some(Open { batch, times, keys, next: 0 });
        Ok(true)
    }

    /// Joins rows of the left batch until it ends, or until the right side must make room.
    async fn join(&mut self) -> Result<RecordBatch> {
        let is_inclusive = self.nearest.is_inclusive();
        let Some(open) = &mut self.open else { return internal_err!("no left rows are open") };
        let first = open.next;
        let mut places: Vec<Option<Place>> = Vec::new();
        let mut is_full = false;
        while open.next < open.batch.num_rows() {
            let mut place = None;
            if let Some(time) = open.times.get(open.next) {
                let rank = open.times.rank(time);
                if !self.matches.advance(rank, is_inclusive).await? {
                    is_full = true;
                    break;
                }
                let found = open.keys.get(open.next).and_then(|keys| self.matches.get(keys));
                let is_near = |place: &Place| {
                    self.tolerance.is_none_or(|limit| time.abs_diff(place.time) <= limit)
                };
                place = found.filter(is_near);
            }
            places.push(place);
            open.next += 1;
        }
        let left = open.batch.slice(first, open.next - first);
        if open.next == open.batch.num_rows() {
            self.open = None;
        }
        let joined = self.rows(&left, places)?;
        if is_full {
            self.matches.compact()?;
        }
        Ok(joined)
    }

    /// Left rows beside their matches.
    fn rows(&self, left: &RecordBatch, places: Vec<Option<Place>>) -> Result<RecordBatch> {
        let (left, places) = if self.is_left || places.iter().all(Option::is_some) {
            (left.clone(), places)
        } else {
            let kept =
                places.iter().enumerate().filter_map(|(row, place)| place.map(|_| row as u64));
            let left = take_record_batch(left, &UInt64Array::from_iter_values(kept))?;
            (left, places.into_iter().filter(Option::is_some).collect())
        };
        let mut columns: Vec<ArrayRef> = left.columns().to_vec();
        columns.extend(self.matches.columns(&places)?);
        let options = RecordBatchOptions::new().with_row_count(Some(places.len()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}
