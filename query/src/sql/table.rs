//! Tables of records: the metrics of one name, or all of them.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use chronolith_engine::Selector;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::catalog::Lookup;
use super::columns::{Layout, Series};
use super::filter::{Conditions, support};
use super::reads;
use super::scan::{RecordScan, ScanInput};

/// The records of some metrics, one row for each.
#[derive(Debug)]
pub(crate) struct MetricTable {
    lookup: Lookup,
    selector: Selector,
    series: Vec<Series>,
    layout: Arc<Layout>,
}

impl MetricTable {
    /// The metrics of one name.
    pub(crate) fn of_name(lookup: &Lookup, name: &str) -> Result<Self> {
        Self::new(lookup, Selector::all().name(name), false)
    }

    /// All metrics, with their names in a column.
    pub(crate) fn of_all(lookup: &Lookup) -> Result<Self> {
        Self::new(lookup, Selector::all(), true)
    }

    fn new(lookup: &Lookup, selector: Selector, names: bool) -> Result<Self> {
        let series = lookup.series(&selector)?;
        let layout = Arc::new(Layout::new(lookup, &series, names)?);
        Ok(Self { lookup: lookup.clone(), selector, series, layout })
    }

    /// The same with a column that says which metric a row is of.
    pub(crate) fn with_metric_column(&self, name: &str) -> Self {
        let layout = Arc::new(self.layout.with_metric_column(name));
        let (lookup, selector) = (self.lookup.clone(), self.selector.clone());
        Self { lookup, selector, series: self.series.clone(), layout }
    }

    /// A scan of the metrics that a selector chooses, ordered by device, name, tags and time.
    pub(crate) fn ordered_scan(
        lookup: &Lookup,
        selector: Selector,
        range: (i64, i64),
    ) -> Result<RecordScan> {
        let Self { lookup, mut series, layout, .. } = Self::new(lookup, selector, true)?;
        series.sort_by(|one, other| one.definition.metric.cmp(&other.definition.metric));
        let mut conditions = Conditions::new(&layout, &[]);
        (conditions.from_ns, conditions.to_ns) = range;
        let projection = (0..layout.sources.len()).collect();
        let input = Arc::new(ScanInput { lookup, layout, series, conditions });
        RecordScan::new(input, projection, 1, None)
    }

    /// The series that conditions on labels let through.
    fn chosen(&self, session: &dyn Session, conditions: &Conditions) -> Result<Vec<Series>> {
        let candidates = if conditions.labels.is_empty() {
            self.series.clone()
        } else {
            let labels = conditions.labels.iter().cloned();
            let selector = labels.fold(self.selector.clone(), |selector, (label, condition)| {
                selector.label(label, condition)
            });
            let mut found = self.lookup.series(&selector)?;
            // Metrics that came since the table was planned are not part of it.
            let last = self.series.last().map(|series| series.id.index());
            found.retain(|series| Some(series.id.index()) <= last);
            found
        };
        conditions.retain(session, &self.layout, candidates)
    }
}

#[async_trait]
impl TableProvider for MetricTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.layout.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters.iter().map(|filter| support(&self.layout, filter)).collect())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let conditions = Conditions::new(&self.layout, filters);
        let series = self.chosen(session, &conditions)?;
        reads::note(session, &conditions, &series);
        let all = || (0..self.layout.sources.len()).collect();
        let projection = projection.cloned().unwrap_or_else(all);
        let (lookup, layout) = (self.lookup.clone(), Arc::clone(&self.layout));
        let input = Arc::new(ScanInput { lookup, layout, series, conditions });
        let partitions = session.config().target_partitions();
        Ok(Arc::new(RecordScan::new(input, projection, partitions, limit)?))
    }
}
