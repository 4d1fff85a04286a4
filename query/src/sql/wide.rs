//! Wide tables: the metrics of a class side by side.
//!
//! Records of one device that share a time become one row; a metric that has no record of that time
//! is null. Where a device has several metrics of one name, the tags that tell them apart are
//! columns, and part of what makes a row.

mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use chronolith_engine::{Match, Selector};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, internal_err};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::expressions::Column as ColumnExpr;
use datafusion::physical_expr::{
    EquivalenceProperties, LexOrdering, Partitioning, PhysicalSortExpr,
};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

use super::catalog::Lookup;
use super::columns::{Layout, Names, Series, Shape, Source, are_exact, kinds, time_type};
use super::filter::{Conditions, support};
use super::leaf::{counted, leaf_methods};
use super::reads;
use super::scan::{Counters, fmt_range};
use super::watch::Watch;
use rows::Rows;

/// The tag that makes a class.
const CLASS: &str = "class";

/// Numbers of rows' metrics in a class begin here: they are no metric's of a table of records.
const FIRST_NUMBER: u64 = 1 << 32;

/// What becomes one row for each time: a device's metrics, at most one of each name.
#[derive(Debug)]
pub(super) struct RowSet {
    /// Any of its metrics: they share the labels that the table shows.
    pub(super) labels: Series,
    /// Its metrics, by the number of their name.
    pub(super) members: Vec<(usize, Series)>,
}

impl RowSet {
    /// What tells the rows from those of others.
    fn number(&self) -> u64 {
        FIRST_NUMBER + u64::from(self.labels.id.index())
    }
}

/// The metrics of a class, one row for each device and time.
#[derive(Debug)]
pub(crate) struct WideTable {
    lookup: Lookup,
    sets: Vec<Arc<RowSet>>,
    columns: Arc<Columns>,
}

/// The columns of a wide table.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) layout: Layout,
    /// For each column that shows a metric, the number of the metric's name.
    pub(super) names: Vec<Option<usize>>,
}

impl WideTable {
    /// The class of a name.
    pub(crate) fn of_class(lookup: &Lookup, class: &str) -> Result<Self> {
        let selector = Selector::all().label(CLASS, Match::Equal(class.to_owned()));
        let series = lookup.series(&selector)?;
        let tags = telling_tags(&series);
        let mut names: BTreeMap<&str, Vec<&Series>> = BTreeMap::new();
        for one in &series {
            names.entry(one.definition.metric.name()).or_default().push(one);
        }
        let columns = Arc::new(columns(lookup, &tags, &names)?);
        let numbers: BTreeMap<&str, usize> =
            names.keys().enumerate().map(|(number, name)| (*name, number)).collect();
        let mut sets: BTreeMap<Vec<&str>, RowSet> = BTreeMap::new();
        for one in &series {
            let metric = &one.definition.metric;
            let mut key = vec![metric.device()];
            key.extend(tags.iter().map(|tag| metric.tag_value(tag).unwrap_or_default()));
            let set = sets
                .entry(key)
                .or_insert_with(|| RowSet { labels: one.clone(), members: Vec::new() });
            if let Some(number) = numbers.get(metric.name()) {
                set.members.push((*number, one.clone()));
            }
        }
        let sets = sets.into_values().map(Arc::new).collect();
        Ok(Self { lookup: lookup.clone(), sets, columns })
    }

    /// The same with a column that tells apart what a column's metrics are: each row is of one
    /// metric of a name at most.
    pub(crate) fn with_metric_column(&self, name: &str) -> Self {
        let mut names = self.columns.names.clone();
        names.push(None);
        let layout = self.columns.layout.with_metric_column(name);
        let columns = Arc::new(Columns { layout, names });
        Self { lookup: self.lookup.clone(), sets: self.sets.clone(), columns }
    }
}

/// The tags in which metrics of one device and name differ.
fn telling_tags(series: &[Series]) -> BTreeSet<String> {
    let mut seen: BTreeMap<(&str, &str), &Series> = BTreeMap::new();
    let mut tags = BTreeSet::new();
    for one in series {
        let metric = &one.definition.metric;
        let Some(other) = seen.insert((metric.device(), metric.name()), one) else { continue };
        let both = metric.tags().iter().chain(other.definition.metric.tags());
        for (key, _) in both {
            if metric.tag_value(key) != other.definition.metric.tag_value(key) {
                tags.insert(key.clone());
            }
        }
    }
    tags
}

fn columns(
    lookup: &Lookup,
    tags: &BTreeSet<String>,
    names: &BTreeMap<&str, Vec<&Series>>,
) -> Result<Columns> {
    let mut taken = Names::default();
    let text = arrow::datatypes::DataType::Utf8View;
    let mut fields = vec![
        Field::new(taken.take("time"), time_type(), false),
        Field::new(taken.take("device"), text.clone(), false),
    ];
    let mut sources = vec![Source::Time, Source::Device];
    let mut numbers = vec![None, None];
    for tag in tags {
        fields.push(Field::new(taken.prefixed("tag_", tag), text.clone(), true));
        sources.push(Source::Tag(tag.clone()));
        numbers.push(None);
    }
    for (number, (name, series)) in names.iter().enumerate() {
        let kinds = kinds(series.iter().copied());
        let shapes = Shape::of(&kinds, || are_exact(lookup, series.iter().copied()))?;
        for (end, shape) in shapes {
            let name = taken.prefixed("metric_", &format!("{name}{end}"));
            fields.push(Field::new(name, shape.data_type(), true));
            sources.push(Source::Value(shape));
            numbers.push(Some(number));
        }
    }
    let layout = Layout { schema: Arc::new(Schema::new(fields)), sources };
    Ok(Columns { layout, names: numbers })
}

#[async_trait]
impl TableProvider for WideTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.columns.layout.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let supported = filters.iter().map(|filter| match support(&self.columns.layout, filter) {
            TableProviderFilterPushDown::Exact => TableProviderFilterPushDown::Exact,
            _ => TableProviderFilterPushDown::Unsupported,
        });
        Ok(supported.collect())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let conditions = Conditions::new(&self.columns.layout, filters);
        let labels = self.sets.iter().map(|set| set.labels.clone()).collect();
        let kept = conditions.retain(session, &self.columns.layout, labels)?;
        let kept: BTreeSet<u32> = kept.iter().map(|series| series.id.index()).collect();
        let sets = self.sets.iter().filter(|set| kept.contains(&set.labels.id.index()));
        let all = || (0..self.columns.names.len()).collect();
        let sets: Vec<Arc<RowSet>> = sets.cloned().collect();
        // Each of them decides which rows there are, also those that are not shown.
        let members = sets.iter().flat_map(|set| set.members.iter().map(|(_, series)| series));
        reads::note(session, &conditions, members);
        let input = WideInput {
            lookup: self.lookup.clone(),
            columns: Arc::clone(&self.columns),
            sets,
            conditions,
            projection: projection.cloned().unwrap_or_else(all),
        };
        let partitions = session.config().target_partitions();
        Ok(Arc::new(WideScan::new(Arc::new(input), partitions, limit)?))
    }
}

/// What a wide scan reads.
#[derive(Debug)]
pub(super) struct WideInput {
    pub(super) lookup: Lookup,
    pub(super) columns: Arc<Columns>,
    pub(super) sets: Vec<Arc<RowSet>>,
    pub(super) conditions: Conditions,
    pub(super) projection: Vec<usize>,
}

/// Reads the metrics of some devices side by side, one device after the other.
#[derive(Debug)]
pub(super) struct WideScan {
    input: Arc<WideInput>,
    partitions: Vec<Range<usize>>,
    fetch: Option<usize>,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl WideScan {
    fn new(input: Arc<WideInput>, partitions: usize, fetch: Option<usize>) -> Result<Self> {
        let count = input.sets.len();
        let partitions = partitions.clamp(1, count.max(1));
        let bound = |index: usize| index * count / partitions;
        let ranges = (0..partitions).map(|index| bound(index)..bound(index + 1)).collect();
        let schema = Arc::new(input.columns.layout.schema.project(&input.projection)?);
        let mut equivalence = EquivalenceProperties::new(schema);
        let time = input.projection.iter().position(|at| *at == 0);
        // One device is by time as it is.
        if let Some(at) = time.filter(|_| count <= partitions) {
            let column = Arc::new(ColumnExpr::new("time", at));
            let options = SortOptions { descending: false, nulls_first: false };
            equivalence.add_orderings(LexOrdering::new([PhysicalSortExpr::new(column, options)]));
        }
        let properties = Arc::new(PlanProperties::new(
            equivalence,
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        let metrics = ExecutionPlanMetricsSet::new();
        Ok(Self { input, partitions: ranges, fetch, metrics, properties })
    }

    pub(super) const fn input(&self) -> &Arc<WideInput> {
        &self.input
    }

    pub(super) const fn is_limited(&self) -> bool {
        self.fetch.is_some()
    }

    /// The place in the table of a column of the scan.
    pub(super) fn place(&self, index: usize) -> Option<usize> {
        self.input.projection.get(index).copied()
    }
}

impl DisplayAs for WideScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metrics: usize = self.input.sets.iter().map(|set| set.members.len()).sum();
        write!(f, "WideScan: devices={}, metrics={metrics}", self.input.sets.len())?;
        write!(f, ", partitions={}", self.partitions.len())?;
        fmt_range(f, &self.input.conditions)?;
        if let Some(fetch) = self.fetch {
            write!(f, ", fetch={fetch}")?;
        }
        Ok(())
    }
}

impl ExecutionPlan for WideScan {
    fn name(&self) -> &'static str {
        "WideScan"
    }

    leaf_methods!();

    fn fetch(&self) -> Option<usize> {
        self.fetch
    }

    fn with_fetch(&self, fetch: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        let partitions = self.partitions.len();
        Some(Arc::new(Self::new(Arc::clone(&self.input), partitions, fetch).ok()?))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let Some(range) = self.partitions.get(partition).cloned() else {
            return internal_err!("there is no partition {partition}");
        };
        let schema = Arc::clone(self.properties.equivalence_properties().schema());
        let rows = Rows::new(
            Arc::clone(&self.input),
            range,
            Arc::clone(&schema),
            Counters::new(&self.metrics, partition),
            MemoryConsumer::new("WideScan").register(context.memory_pool()),
            Watch::of(&context),
            context.session_config().batch_size().max(1),
        );
        let rows = super::scan::limited(rows, self.fetch.unwrap_or(usize::MAX));
        Ok(counted(rows, schema, &self.metrics, partition))
    }
}
