//! The operator of latest records: one look into the engine's index for each metric, no scan.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringViewArray};
use arrow::datatypes::{DataType, SchemaRef};
use chronolith_engine::{Kind, Value};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

use super::input::{Found, Group, Input};
use super::operator::Key;
use crate::sql::aggregates::latest::{LATEST, LATEST_TIME};
use crate::sql::catalog::read_error;
use crate::sql::columns::{Shape, Source};
use crate::sql::leaf::{counted, leaf_methods};
use crate::sql::scan::fmt_range;
use crate::sql::watch::Watch;

/// What of the latest record is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Value,
    Time,
}

/// What an aggregate asks of the latest record, and the column of values that it looks at.
pub(super) fn part(
    aggregate: &AggregateFunctionExpr,
    find: impl Fn(&Arc<dyn PhysicalExpr>) -> Option<Found>,
) -> Option<(Part, Option<Shape>)> {
    if aggregate.is_distinct() || !aggregate.order_bys().is_empty() || aggregate.ignore_nulls() {
        return None;
    }
    let arguments = aggregate.expressions();
    let sources = arguments.iter().map(|argument| Some(find(argument)?.source));
    let sources = sources.collect::<Option<Vec<Source>>>()?;
    match (aggregate.fun().name(), &sources[..]) {
        ("max", [Source::Time]) => Some((Part::Time, None)),
        (LATEST_TIME, [Source::Value(shape), Source::Time]) => Some((Part::Time, Some(*shape))),
        ("last" | LATEST, [Source::Value(shape), Source::Time]) => {
            // Values of bytes may be blobs, which are null in SQL.
            (*shape != Shape::Kind(Kind::Bytes)).then_some((Part::Value, Some(*shape)))
        }
        _ => None,
    }
}

/// Gives the latest record of some metrics, by labels.
#[derive(Debug)]
pub(super) struct LatestScan {
    input: Arc<Input>,
    keys: Vec<Key>,
    parts: Vec<Part>,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl LatestScan {
    pub(super) fn new(input: Input, keys: Vec<Key>, parts: Vec<Part>, schema: SchemaRef) -> Self {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        let (input, metrics) = (Arc::new(input), ExecutionPlanMetricsSet::new());
        Self { input, keys, parts, metrics, properties }
    }
}

impl DisplayAs for LatestScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LatestScan: metrics={}", self.input.members.len())?;
        fmt_range(f, &self.input.conditions)
    }
}

impl ExecutionPlan for LatestScan {
    fn name(&self) -> &'static str {
        "LatestScan"
    }

    leaf_methods!();

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let schema = Arc::clone(self.properties.equivalence_properties().schema());
        let rows = Rows {
            input: Arc::clone(&self.input),
            groups: self.input.groups(&self.keys).into_iter(),
            parts: self.parts.clone(),
            schema: Arc::clone(&schema),
            lookups: MetricBuilder::new(&self.metrics).counter("index_lookups", partition),
            watch: Watch::of(&context),
            batch_rows: context.session_config().batch_size().max(1),
        };
        Ok(counted(rows, schema, &self.metrics, partition))
    }
}

/// The rows of an answer, a batch at a time.
struct Rows {
    input: Arc<Input>,
    groups: std::vec::IntoIter<Group>,
    parts: Vec<Part>,
    schema: SchemaRef,
    lookups: Count,
    watch: Arc<Watch>,
    batch_rows: usize,
}

impl Rows {
    /// The latest record of some metrics.
    fn latest(&self, group: &Group) -> Result<Option<(i64, Value)>> {
        let conditions = &self.input.conditions;
        let mut latest: Option<(i64, Value)> = None;
        if conditions.from_ns > conditions.to_ns {
            return Ok(None);
        }
        for member in &group.members {
            let metric = self.input.members[*member].id;
            self.watch.check()?;
            self.lookups.add(1);
            let range = conditions.from_ns..=conditions.to_ns;
            let found = self.input.lookup.snapshot.latest(metric, range).map_err(read_error)?;
            let is_later = |found: &(i64, Value)| latest.as_ref().is_none_or(|l| found.0 >= l.0);
            if let Some(found) = found.filter(is_later) {
                latest = Some(found);
            }
        }
        Ok(latest)
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let (mut groups, mut records) = (Vec::new(), Vec::new());
        while groups.len() < self.batch_rows
            && let Some(group) = self.groups.next()
        {
            let latest = self.latest(&group)?;
            if latest.is_some() || group.keys.is_empty() {
                groups.push(group);
                records.push(latest);
            }
        }
        if groups.is_empty() {
            return Ok(None);
        }
        let width = groups.first().map_or(0, |group| group.keys.len());
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for key in 0..width {
            let labels = groups.iter().map(|group| group.keys[key].as_deref());
            columns.push(Arc::new(labels.collect::<StringViewArray>()));
        }
        for (part, field) in self.parts.iter().zip(self.schema.fields().iter().skip(width)) {
            let cells =
                records.iter().map(|record| cell(record.as_ref(), *part, field.data_type()));
            columns.push(ScalarValue::iter_to_array(cells.collect::<Result<Vec<_>>>()?)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(groups.len()));
        let schema = Arc::clone(&self.schema);
        Ok(Some(RecordBatch::try_new_with_options(schema, columns, &options)?))
    }
}

/// A part of a record as a type; without a record it is null.
fn cell(record: Option<&(i64, Value)>, part: Part, data_type: &DataType) -> Result<ScalarValue> {
    let Some((time_ns, value)) = record else { return ScalarValue::try_from(data_type) };
    Ok(match (part, value) {
        (Part::Time, _) => {
            ScalarValue::TimestampNanosecond(Some(*time_ns), None).cast_to(data_type)?
        }
        (Part::Value, Value::F64(value)) => ScalarValue::Float64(Some(*value)),
        (Part::Value, Value::I64(value)) => ScalarValue::Int64(Some(*value)),
        (Part::Value, Value::U64(value)) => ScalarValue::UInt64(Some(*value)),
        (Part::Value, Value::Bool(value)) => ScalarValue::Boolean(Some(*value)),
        (Part::Value, Value::Text(value)) => ScalarValue::Utf8(Some(value.clone())),
        (Part::Value, _) => ScalarValue::try_from(data_type)?,
    })
}

impl Iterator for Rows {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.batch();
        if next.is_err() {
            self.groups = Vec::new().into_iter();
        }
        next.transpose()
    }
}
