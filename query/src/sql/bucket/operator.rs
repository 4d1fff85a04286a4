//! The operator that answers aggregations over buckets of time.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::BatchCoalescer;
use arrow::datatypes::SchemaRef;
use chronolith_engine::{Aggregated, Aggregation, Bucket, Function, MetricId, ReadReport, combine};
use datafusion::common::{Result, internal_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

use super::call::{Ask, Call};
use super::cut::{Cut, Run};
use super::walk::{Walked, walk};
use crate::sql::aggregates::points::Way;
use crate::sql::catalog::read_error;
use crate::sql::columns::{Source, repeated, time_array};
use crate::sql::leaf::{counted, leaf_methods};
use crate::sql::scan::{Counters, ScanInput, fmt_range};
use crate::sql::watch::Watch;

/// What rows are grouped by.
#[derive(Debug, Clone)]
pub(super) enum Key {
    Label(Source),
    Bucket,
}

/// The most buckets of one metric that are made at once.
const SLICE_BUCKETS: i64 = 1 << 14;

/// The metrics that share all keys.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) keys: Vec<Option<String>>,
    pub(super) metrics: Vec<MetricId>,
}

/// The metrics of a scan by their labels. Without any key there is one group, even of nothing.
pub(super) fn grouped(input: &ScanInput, keys: &[Key]) -> Vec<Group> {
    let mut found: BTreeMap<Vec<Option<String>>, Vec<MetricId>> = BTreeMap::new();
    for series in &input.series {
        let label = |key: &Key| match key {
            Key::Label(source) => Some(source.label(&series.definition).map(str::to_owned)),
            Key::Bucket => None,
        };
        found.entry(keys.iter().filter_map(label).collect()).or_default().push(series.id);
    }
    if keys.is_empty() && found.is_empty() {
        found.insert(Vec::new(), Vec::new());
    }
    found.into_iter().map(|(keys, metrics)| Group { keys, metrics }).collect()
}

/// Aggregates the records of some metrics over buckets of time.
#[derive(Debug)]
pub(super) struct BucketAggregate {
    input: Arc<ScanInput>,
    keys: Vec<Key>,
    calls: Vec<Call>,
    cut: Cut,
    groups: Vec<Arc<Vec<Group>>>,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl BucketAggregate {
    pub(super) fn new(
        input: Arc<ScanInput>,
        keys: Vec<Key>,
        calls: Vec<Call>,
        cut: Cut,
        schema: SchemaRef,
        partitions: usize,
    ) -> Self {
        let found = grouped(&input, &keys);
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
        let metrics = ExecutionPlanMetricsSet::new();
        Self { input, keys, calls, cut, groups, metrics, properties }
    }
}

impl DisplayAs for BucketAggregate {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups: usize = self.groups.iter().map(|groups| groups.len()).sum();
        let calls: Vec<&str> = self.calls.iter().map(|call| call.ask.name()).collect();
        write!(f, "BucketAggregate: metrics={}, groups={groups}", self.input.series.len())?;
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
        let (mut functions, mut ways) = (Vec::new(), Vec::new());
        for call in &self.calls {
            match call.ask {
                Ask::Function(function) => functions.push(function),
                Ask::Way(path, method) => ways.push(Way::new(path, method)),
            }
        }
        let rows = Rows {
            input: Arc::clone(&self.input),
            keys: self.keys.clone(),
            calls: self.calls.clone(),
            cut: self.cut.clone(),
            functions,
            ways,
            groups: Arc::clone(groups),
            next_group: 0,
            slices: None,
            ready: BatchCoalescer::new(
                Arc::clone(&schema),
                context.session_config().batch_size().max(1),
            ),
            schema: Arc::clone(&schema),
            counters: Counters::new(&self.metrics, partition),
            memory: MemoryConsumer::new("BucketAggregate").register(context.memory_pool()),
            watch: Watch::of(&context),
            is_done: false,
        };
        Ok(counted(rows, schema, &self.metrics, partition))
    }
}

/// The rows of one partition.
struct Rows {
    input: Arc<ScanInput>,
    keys: Vec<Key>,
    calls: Vec<Call>,
    cut: Cut,
    functions: Vec<Function>,
    ways: Vec<Way>,
    groups: Arc<Vec<Group>>,
    next_group: usize,
    /// What is left of the group before `next_group`: from a time, up to the last.
    slices: Option<(i64, i64)>,
    ready: BatchCoalescer,
    schema: SchemaRef,
    counters: Counters,
    memory: MemoryReservation,
    watch: Arc<Watch>,
    is_done: bool,
}

/// What a group has in some buckets: of the engine and of walks, for the same buckets where both
/// are asked for.
#[derive(Default)]
struct Found {
    buckets: Vec<Bucket>,
    walked: Walked,
}

impl Found {
    fn is_empty(&self) -> bool {
        self.buckets.is_empty() && self.walked.is_empty()
    }
}

impl Rows {
    /// The next part of a group: its place and the times to aggregate.
    fn next_part(&mut self) -> Result<Option<(usize, i64, i64)>> {
        loop {
            let group = match self.slices {
                Some(_) => self.next_group - 1,
                None => self.next_group,
            };
            let Some(current) = self.groups.get(group) else { return Ok(None) };
            let (from_ns, to_ns) = match self.slices.take() {
                Some(rest) => rest,
                None => {
                    self.next_group += 1;
                    match self.span(&current.metrics)? {
                        Some(span) => span,
                        None if self.keys.is_empty() => return Ok(Some((group, 0, -1))),
                        None => continue,
                    }
                }
            };
            let end_ns = self.slice_end(from_ns, to_ns);
            if end_ns < to_ns {
                self.slices = Some((end_ns + 1, to_ns));
            }
            return Ok(Some((group, from_ns, end_ns)));
        }
    }

    /// The times that some metrics may have records of: no more is known without decoding.
    fn span(&self, metrics: &[MetricId]) -> Result<Option<(i64, i64)>> {
        let conditions = &self.input.conditions;
        let (from_ns, to_ns) = (conditions.from_ns, conditions.to_ns);
        if from_ns > to_ns || metrics.is_empty() {
            return Ok(None);
        }
        let is_short = match (&self.cut, self.cut.length_ns()) {
            (_, Some(length_ns)) => to_ns.saturating_sub(from_ns) / length_ns < SLICE_BUCKETS,
            (cut, None) => !matches!(cut, Cut::Uneven(_)),
        };
        if is_short {
            return Ok(Some((from_ns, to_ns)));
        }
        let mut span: Option<(i64, i64)> = None;
        for metric in metrics {
            let windows = self.input.lookup.snapshot.windows(*metric, from_ns..=to_ns);
            let mut windows = windows.map_err(read_error)?;
            let Some(first) = windows.next() else { continue };
            let first_ns = first.not_before_ns();
            let last_ns = windows.next_back().unwrap_or(first).not_after_ns();
            let (low, high) = span.unwrap_or((first_ns, last_ns));
            span = Some((low.min(first_ns), high.max(last_ns)));
        }
        Ok(span)
    }

    /// Where a part that begins at a time ends: before the bucket that would be one too many.
    fn slice_end(&self, from_ns: i64, to_ns: i64) -> i64 {
        let Some(length_ns) = self.cut.length_ns() else { return to_ns };
        let (_, last_ns) = self.cut.bucket(from_ns);
        let more = i128::from(length_ns) * i128::from(SLICE_BUCKETS - 1);
        i64::try_from((i128::from(last_ns) + more).min(to_ns.into())).unwrap_or(to_ns)
    }

    fn aggregate(&self, group: &Group, from_ns: i64, to_ns: i64) -> Result<Found> {
        if from_ns > to_ns {
            return Ok(Found::default());
        }
        let mut found = Found::default();
        let snapshot = &self.input.lookup.snapshot;
        // Ways alone need nothing of the engine.
        let runs = match self.functions.is_empty() && !self.ways.is_empty() {
            true => Vec::new(),
            false => self.cut.runs(from_ns, to_ns),
        };
        for metric in &group.metrics {
            self.watch.check()?;
            let mut report = ReadReport::default();
            let mut one: Vec<Bucket> = Vec::new();
            for Run { every, from_ns, to_ns } in &runs {
                let (from_ns, to_ns, every) = (*from_ns, *to_ns, *every);
                let functions = self.functions.clone();
                let aggregation = Aggregation { from_ns, to_ns, every, functions };
                let some = snapshot.aggregate_one(*metric, &aggregation, &mut report);
                one.append(&mut some.map_err(read_error)?);
                self.memory
                    .try_resize((found.buckets.len() + one.len()) * 2 * size_of::<Bucket>())?;
            }
            if !self.ways.is_empty() {
                let range = (from_ns, to_ns);
                let (cut, ways, watch) = (&self.cut, &self.ways, &self.watch);
                found.walked = walk(snapshot, *metric, range, cut, ways, watch, &mut report)?;
            }
            self.counters.add(report);
            found.buckets = match found.buckets.is_empty() {
                true => one,
                false => combine(&[std::mem::take(&mut found.buckets), one]),
            };
        }
        Ok(found)
    }

    fn batch(&self, group: &Group, found: &Found) -> Result<RecordBatch> {
        let (buckets, walked) = (&found.buckets, &found.walked);
        let is_nothing = found.is_empty();
        let rows = buckets.len().max(walked.len()).max(1);
        let starts = || match buckets.is_empty() {
            true => walked.iter().map(|(start_ns, _)| *start_ns).collect(),
            false => buckets.iter().map(|bucket| bucket.start_ns).collect(),
        };
        let mut labels = group.keys.iter();
        let key = |key: &Key| match key {
            Key::Label(_) => repeated(labels.next().and_then(Option::as_deref), rows),
            Key::Bucket => Ok(time_array(starts())),
        };
        let mut columns: Vec<ArrayRef> = self.keys.iter().map(key).collect::<Result<_>>()?;
        let mut ways = 0;
        for call in &self.calls {
            columns.push(match call.ask {
                _ if is_nothing => call.of_nothing()?,
                Ask::Function(function) => {
                    call.column(buckets.iter().map(|bucket| bucket.get(function)))?
                }
                Ask::Way(..) => {
                    let at = ways;
                    ways += 1;
                    let result = |(_, results): &(i64, Vec<Option<f64>>)| {
                        results.get(at).copied().flatten().map(Aggregated::Float)
                    };
                    call.column(walked.iter().map(result))?
                }
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }

    fn advance(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.ready.next_completed_batch() {
                return Ok(Some(batch));
            }
            if self.is_done {
                return Ok(None);
            }
            let Some((group, from_ns, to_ns)) = self.next_part()? else {
                self.is_done = true;
                self.ready.finish_buffered_batch()?;
                continue;
            };
            let groups = Arc::clone(&self.groups);
            let group = &groups[group];
            let found = self.aggregate(group, from_ns, to_ns)?;
            if !found.is_empty() || self.keys.is_empty() {
                let batch = self.batch(group, &found)?;
                if batch.num_columns() == 0 {
                    return Ok(Some(batch));
                }
                self.ready.push_batch(batch)?;
            }
        }
    }
}

impl Iterator for Rows {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance();
        if next.is_err() {
            self.is_done = true;
            self.next_group = self.groups.len();
        }
        next.transpose()
    }
}
