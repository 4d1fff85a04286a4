//! Which metric a row of a plan is of: the columns that say it.
//!
//! | input | its metrics |
//! |---|---|
//! | a table of records, a class | those of the database: the table gets a column for it |
//! | a continuous query | its keys |
//! | an aggregation | what its keys tell apart, apart from times |
//! | a join | those of the sides that the value and the time are of |
//! | `UNION ALL` | those of its parts |
//! | `VALUES`, system tables | one |
//!
//! What lies between, conditions, orders, limits and projections, hands the columns on. `DISTINCT`
//! cannot, since it would tell rows apart by more than they show, and is an error.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::catalog::default_table_source::{provider_as_source, source_as_provider};
use datafusion::common::{Column, DFSchema, ExprSchema, Result, plan_err};
use datafusion::logical_expr::logical_plan::TableScanBuilder;
use datafusion::logical_expr::{
    Aggregate, Expr, Join, LogicalPlan, Projection, SubqueryAlias, TableScan, Union, Window,
};

use crate::sql::columns::KEY_METADATA;
use crate::sql::table::MetricTable;
use crate::sql::wide::WideTable;

/// Leads the columns of metrics through a plan; each gets a name of its own.
#[derive(Debug, Default)]
pub(super) struct Tracer {
    names: usize,
}

/// A plan that shows which metric each row is of: by these columns.
pub(super) struct Traced {
    pub(super) plan: LogicalPlan,
    pub(super) keys: Vec<Column>,
}

impl Tracer {
    fn name(&mut self) -> String {
        self.names += 1;
        // No name that a query could mean: the rule comes after names are resolved.
        format!("__metric_{}", self.names)
    }

    /// Finds what tells the metrics of a plan apart, for a function that uses some of its columns.
    pub(super) fn trace(
        &mut self,
        function: &str,
        plan: LogicalPlan,
        used: &[Column],
    ) -> Result<Traced> {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan, used),
            LogicalPlan::Aggregate(aggregate) => aggregation(aggregate, used),
            LogicalPlan::Projection(projection) => self.projection(function, projection, used),
            LogicalPlan::SubqueryAlias(alias) => self.alias(function, alias, used),
            LogicalPlan::Join(join) => self.join(function, join, used),
            LogicalPlan::Union(union) => self.union(function, union, used),
            LogicalPlan::Window(window) => {
                let used = below_window(&window, used);
                self.through(function, LogicalPlan::Window(window), &used)
            }
            LogicalPlan::Filter(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Repartition(_) => self.through(function, plan, used),
            LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_) => {
                Ok(Traced { plan, keys: Vec::new() })
            }
            LogicalPlan::Distinct(_) => plan_err!(
                "{function} follows one metric through time, and behind DISTINCT nobody can tell \
                 which metric a row is of; leave DISTINCT out, or group the rows by what tells \
                 metrics apart and the time (GROUP BY device, time)"
            ),
            other => plan_err!(
                "{function} follows one metric through time, and behind {} nobody can tell which \
                 metric a row is of; group the rows by what tells metrics apart and the time \
                 (GROUP BY device, time) in a subquery, or ask the table itself",
                shape(&other)
            ),
        }
    }

    /// Plans whose columns are those of their one input, and perhaps more.
    fn through(&mut self, function: &str, plan: LogicalPlan, used: &[Column]) -> Result<Traced> {
        let [input] = plan.inputs()[..] else {
            return Ok(Traced { plan, keys: Vec::new() });
        };
        let Traced { plan: input, keys } = self.trace(function, input.clone(), used)?;
        let plan = plan.with_new_exprs(plan.expressions(), vec![input])?;
        Ok(Traced { plan, keys })
    }

    fn scan(&mut self, scan: TableScan, used: &[Column]) -> Result<Traced> {
        let provider = source_as_provider(&scan.source)?;
        let table: Arc<dyn TableProvider>;
        let name;
        if let Some(metrics) = provider.downcast_ref::<MetricTable>() {
            name = self.name();
            table = Arc::new(metrics.with_metric_column(&name));
        } else if let Some(class) = provider.downcast_ref::<WideTable>() {
            name = self.name();
            table = Arc::new(class.with_metric_column(&name));
        } else {
            let fields = scan.projected_schema.iter();
            let keys = fields.filter(|(_, field)| field.metadata().contains_key(KEY_METADATA));
            let keys: Vec<Column> =
                keys.map(Column::from).filter(|key| !used.contains(key)).collect();
            return Ok(Traced { plan: LogicalPlan::TableScan(scan), keys });
        }
        let last = table.schema().fields().len() - 1;
        let projection = scan.projection.map(|mut projection| {
            projection.push(last);
            projection
        });
        let key = Column::new(Some(scan.table_name.clone()), name);
        let scan = TableScanBuilder::new(scan.table_name, provider_as_source(table))
            .with_projection(projection)
            .with_filters(scan.filters)
            .with_fetch(scan.fetch)
            .with_statistics_requests(scan.statistics_requests)
            .build()?;
        Ok(Traced { plan: LogicalPlan::TableScan(scan), keys: vec![key] })
    }

    fn projection(
        &mut self,
        function: &str,
        projection: Projection,
        used: &[Column],
    ) -> Result<Traced> {
        let made = places(&projection.schema, used)
            .filter_map(|place| projection.expr.get(place))
            .flat_map(Expr::column_refs);
        let below = sorted(made.cloned());
        let input = Arc::unwrap_or_clone(projection.input);
        let Traced { plan: input, keys } = self.trace(function, input, &below)?;
        let mut expressions = projection.expr;
        let mut shown = Vec::with_capacity(keys.len());
        for key in keys {
            let name = self.name();
            shown.push(Column::new_unqualified(&name));
            expressions.push(Expr::Column(key).alias(name));
        }
        let projection = Projection::try_new(expressions, Arc::new(input))?;
        Ok(Traced { plan: LogicalPlan::Projection(projection), keys: shown })
    }

    fn alias(&mut self, function: &str, alias: SubqueryAlias, used: &[Column]) -> Result<Traced> {
        let input = Arc::unwrap_or_clone(alias.input);
        let columns = input.schema().columns();
        let below: Vec<Column> =
            places(&alias.schema, used).filter_map(|place| columns.get(place).cloned()).collect();
        let Traced { plan: input, keys } = self.trace(function, input, &below)?;
        let places: Vec<usize> = places(input.schema(), &keys).collect();
        let alias = SubqueryAlias::try_new(Arc::new(input), alias.alias)?;
        let columns = alias.schema.columns();
        let keys = places.into_iter().filter_map(|place| columns.get(place).cloned()).collect();
        Ok(Traced { plan: LogicalPlan::SubqueryAlias(alias), keys })
    }

    fn join(&mut self, function: &str, join: Join, used: &[Column]) -> Result<Traced> {
        let (mut sides, mut keys) = (Vec::new(), Vec::new());
        for side in [&join.left, &join.right] {
            let mine: Vec<Column> =
                used.iter().filter(|column| side.schema().has_column(column)).cloned().collect();
            let mut side = side.as_ref().clone();
            if !mine.is_empty() {
                let traced = self.trace(function, side, &mine)?;
                side = traced.plan;
                keys.extend(traced.keys);
            }
            sides.push(side);
        }
        let join = LogicalPlan::Join(join);
        let plan = join.with_new_exprs(join.expressions(), sides)?;
        Ok(Traced { plan, keys })
    }

    fn union(&mut self, function: &str, union: Union, used: &[Column]) -> Result<Traced> {
        let places: Vec<usize> = places(&union.schema, used).collect();
        let mut parts = Vec::with_capacity(union.inputs.len());
        for input in &union.inputs {
            let columns = input.schema().columns();
            let below = places.iter().filter_map(|place| columns.get(*place).cloned());
            let below: Vec<Column> = below.collect();
            let traced = self.trace(function, input.as_ref().clone(), &below)?;
            parts.push((columns, traced));
        }
        let types = |traced: &Traced| -> Result<Vec<DataType>> {
            let schema = traced.plan.schema();
            let fields = traced.keys.iter().map(|key| schema.field_from_column(key));
            fields.map(|field| Ok(field?.data_type().clone())).collect()
        };
        let kinds = parts.iter().map(|(_, traced)| types(traced)).collect::<Result<Vec<_>>>()?;
        if kinds.windows(2).any(|pair| pair[0] != pair[1]) {
            return plan_err!(
                "{function} follows one metric through time, and the parts of the UNION tell \
                 metrics apart in different ways; call {function} in each part"
            );
        }
        let names: Vec<String> = kinds.first().into_iter().flatten().map(|_| self.name()).collect();
        let mut inputs = Vec::with_capacity(parts.len());
        for (columns, Traced { plan, keys }) in parts {
            let own = columns.into_iter().map(Expr::Column);
            let keys =
                keys.into_iter().zip(&names).map(|(key, name)| Expr::Column(key).alias(name));
            let projection = Projection::try_new(own.chain(keys).collect(), Arc::new(plan))?;
            inputs.push(Arc::new(LogicalPlan::Projection(projection)));
        }
        let keys = names.iter().map(Column::new_unqualified).collect();
        Ok(Traced { plan: LogicalPlan::Union(Union::try_new(inputs)?), keys })
    }
}

/// The metrics of an aggregation are what its keys tell apart; a time is none of them, whether it is
/// the one that the function follows or another.
fn aggregation(aggregate: Aggregate, used: &[Column]) -> Result<Traced> {
    let keys = aggregate.schema.fields().len() - aggregate.aggr_expr.len();
    let is_key = |column: &Column| {
        let field = aggregate.schema.field_from_column(column);
        !used.contains(column) && field.is_ok_and(|field| !field.data_type().is_temporal())
    };
    let keys: Vec<Column> =
        aggregate.schema.columns().into_iter().take(keys).filter(is_key).collect();
    Ok(Traced { plan: LogicalPlan::Aggregate(aggregate), keys })
}

/// The places of some columns in a schema.
fn places(schema: &DFSchema, columns: &[Column]) -> impl Iterator<Item = usize> {
    columns.iter().filter_map(|column| schema.maybe_index_of_column(column))
}

fn sorted(columns: impl Iterator<Item = Column>) -> Vec<Column> {
    let mut columns: Vec<Column> = columns.collect::<HashSet<_>>().into_iter().collect();
    columns.sort();
    columns
}

/// The columns below a window that some of its columns are made from.
fn below_window(window: &Window, used: &[Column]) -> Vec<Column> {
    let width = window.input.schema().fields().len();
    let columns = window.schema.columns();
    let below = places(&window.schema, used).flat_map(|place| {
        match place.checked_sub(width).and_then(|call| window.window_expr.get(call)) {
            Some(call) => call.column_refs().into_iter().cloned().collect(),
            None => columns.get(place).cloned().into_iter().collect::<Vec<_>>(),
        }
    });
    sorted(below)
}

/// What a plan is called in a query.
fn shape(plan: &LogicalPlan) -> String {
    match plan {
        LogicalPlan::RecursiveQuery(_) => "WITH RECURSIVE".to_owned(),
        LogicalPlan::Unnest(_) => "unnest".to_owned(),
        other => other.display().to_string(),
    }
}
