//! The operator that answers aggregations over buckets of time.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::{Result, internal_err};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

use super::call::Call;
use super::cut::Cut;
use super::input::{Group, Input};
use super::rows::{Asked, Reading, Rows};
use crate::sql::columns::Source;
use crate::sql::leaf::{counted, leaf_methods};
use crate::sql::scan::{Counters, fmt_range};
use crate::sql::watch::Watch;

/// What rows are grouped by.
#[derive(Debug, Clone)]
pub(super) enum Key {
    Label(Source),
    Bucket,
}

/// Aggregates the records of some metrics over buckets of time.
#[derive(Debug)]
pub(super) struct BucketAggregate {
    input: Arc<Input>,
    keys: Vec<Key>,
    calls: Arc<Vec<Call>>,
    cut: Cut,
    groups: Vec<Arc<Vec<Group>>>,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl BucketAggregate {
    pub(super) fn new(
        input: Input,
        keys: Vec<Key>,
        calls: Vec<Call>,
        cut: Cut,
        schema: SchemaRef,
        partitions: usize,
    ) -> Self {
        let found = input.groups(&keys);
        let partitions = partitions.clamp(1, found.len().max(1));
        let mut groups: Vec<Vec<Group>> = (0..partitions).map(|_| Vec::new()).collect();
        for (index, group) in found.into_iter().enumerate() {
            groups[index % partitions].push(group);
        }
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        let groups = groups.into_iter().map(Arc::new).collect();
        let (input, calls) = (Arc::new(input), Arc::new(calls));
        let metrics = ExecutionPlanMetricsSet::new();
        Self { input, keys, calls, cut, groups, metrics, properties }
    }
}

impl DisplayAs for BucketAggregate {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups: usize = self.groups.iter().map(|groups| groups.len()).sum();
        let calls: Vec<&str> = self.calls.iter().map(|call| call.ask.name()).collect();
        write!(f, "BucketAggregate: metrics={}, groups={groups}", self.input.members.len())?;
        write!(f, "{}", self.cut)?;
        fmt_range(f, &self.input.conditions)?;
        write!(f, ", functions=[{}]", calls.join(", "))
    }
}

impl ExecutionPlan for BucketAggregate {
    fn name(&self) -> &'static str {
        "BucketAggregate"
    }

    leaf_methods!();

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let Some(groups) = self.groups.get(partition) else {
            return internal_err!("there is no partition {partition}");
        };
        let schema = Arc::clone(self.properties.equivalence_properties().schema());
        let asked = Asked {
            input: Arc::clone(&self.input),
            keys: self.keys.clone(),
            calls: Arc::clone(&self.calls),
            cut: self.cut.clone(),
            schema: Arc::clone(&schema),
        };
        let reading = Reading {
            counters: Counters::new(&self.metrics, partition),
            memory: MemoryConsumer::new("BucketAggregate").register(context.memory_pool()),
            watch: Watch::of(&context),
        };
        let batch_rows = context.session_config().batch_size().max(1);
        let rows = Rows::new(asked, Arc::clone(groups), reading, batch_rows);
        Ok(counted(rows, schema, &self.metrics, partition))
    }
}
