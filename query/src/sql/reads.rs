//! What an answer depends on: which metrics, over which times, and whether it comes again.
//!
//! It is written down where it is decided: a table that is planned into a scan notes what the scan will read,
//! so that nothing can be read that is not noted. Rules that run later only ever read less.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chronolith_engine::MetricId;
use datafusion::catalog::Session;
use datafusion::catalog::default_table_source::source_as_provider;
use datafusion::common::Result as PlanResult;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::{
    Expr, LogicalPlan, Signature, Volatility, WindowFunctionDefinition,
};
use datafusion::prelude::SessionContext;

use super::columns::Series;
use super::error::QueryError;
use super::filter::Conditions;
use super::session::{Limits, Sql};
use super::table::MetricTable;
use super::wide::WideTable;
use super::{asof, functions};

/// What the answer to a query depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// The metrics, by their numbers, and the times that are read of each.
    pub metrics: Vec<Read>,
    /// Whether the order of the rows is a part of the answer.
    pub is_ordered: bool,
}

/// What is read of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// Which one.
    pub metric: MetricId,
    /// The first time, nanoseconds since the epoch.
    pub from_ns: i64,
    /// The last time.
    pub to_ns: i64,
}

/// What the scans of a query read.
#[derive(Debug, Default)]
pub(super) struct ReadLog {
    reads: Mutex<BTreeMap<MetricId, (i64, i64)>>,
}

impl ReadLog {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<MetricId, (i64, i64)>> {
        // Whoever panicked changed an entry or did not: there is nothing in between.
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes what a scan will read, where somebody wants to know. A scan of no times reads nothing, and what
/// it reads nothing of is noted as well.
pub(super) fn note<'a>(
    session: &dyn Session,
    conditions: &Conditions,
    series: impl IntoIterator<Item = &'a Series>,
) {
    let Some(log) = session.config().get_extension::<ReadLog>() else { return };
    let (from_ns, to_ns) = (conditions.from_ns, conditions.to_ns);
    let mut reads = log.lock();
    for one in series {
        let (from, to) = reads.entry(one.id).or_insert((from_ns, to_ns));
        if from_ns <= to_ns {
            let was_empty = *from > *to;
            *from = if was_empty { from_ns } else { from_ns.min(*from) };
            *to = if was_empty { to_ns } else { to_ns.max(*to) };
        }
    }
}

impl Sql {
    /// What the answer to a query depends on. Nothing is read for it but what planning needs.
    ///
    /// # Errors
    /// [`QueryError::NotRepeatable`] where the answer depends on something else than records: the clock,
    /// chance, the tables of the schema `system`, how a query was carried out; and where there is none.
    pub fn reads(&self, sql: &str, limits: &Limits) -> Result<Reads, QueryError> {
        let log = Arc::new(ReadLog::default());
        let context = self.logging(limits, Arc::clone(&log));
        let text = sql.to_owned();
        let task = async move { plan(&context.map_err(Box::new)?, &text).await };
        let planned = self.planned(sql, limits, task)?;
        match planned {
            Err(what) => Err(QueryError::NotRepeatable { what }),
            Ok(is_ordered) => {
                let reads = std::mem::take(&mut *log.lock()).into_iter();
                let metrics =
                    reads.map(|(metric, (from_ns, to_ns))| Read { metric, from_ns, to_ns });
                Ok(Reads { metrics: metrics.collect(), is_ordered })
            }
        }
    }
}

/// Plans a query: whether its rows have an order, or what it depends on beside records.
async fn plan(
    context: &SessionContext,
    sql: &str,
) -> Result<Result<bool, String>, Box<datafusion::common::DataFusionError>> {
    let options =
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let state = context.state();
    let statement = asof::question(&state, sql).map_err(Box::new)?;
    let plan = state.statement_to_plan(statement).await.map_err(Box::new)?;
    options.verify_plan(&plan).map_err(Box::new)?;
    if let Some(what) = outside(&plan).map_err(Box::new)? {
        return Ok(Err(what));
    }
    state.create_physical_plan(&plan).await.map_err(Box::new)?;
    Ok(Ok(is_ordered(&plan)))
}

/// Whether the order of a plan's rows was asked for.
fn is_ordered(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Sort(_) => true,
        LogicalPlan::Limit(_) | LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) => {
            plan.inputs().first().is_some_and(|input| is_ordered(input))
        }
        _ => false,
    }
}

/// What a plan depends on beside records, where it does.
fn outside(plan: &LogicalPlan) -> PlanResult<Option<String>> {
    let mut found = None;
    plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::TableScan(scan) => {
                let provider = source_as_provider(&scan.source)?;
                let holds_records = provider.downcast_ref::<MetricTable>().is_some()
                    || provider.downcast_ref::<WideTable>().is_some();
                if !holds_records {
                    found = Some(format!("the table {}, which is not of records", scan.table_name));
                }
            }
            LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) => {
                found = Some("how a query is carried out".to_owned());
            }
            _ => {}
        }
        node.apply_expressions(|expression| {
            expression.apply(|expression| {
                found = found.take().or_else(|| changing(expression));
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// The function of an expression that gives something else each time, where it does.
fn changing(expression: &Expr) -> Option<String> {
    let (name, signature): (&str, &Signature) = match expression {
        Expr::ScalarFunction(call) => (call.func.name(), call.func.signature()),
        Expr::AggregateFunction(call) => (call.func.name(), call.func.signature()),
        Expr::WindowFunction(call) => match &call.fun {
            WindowFunctionDefinition::AggregateUDF(function) => {
                (function.name(), function.signature())
            }
            WindowFunctionDefinition::WindowUDF(function) => {
                (function.name(), function.signature())
            }
        },
        _ => return None,
    };
    let is_own = asof::is_mark(name) || functions::is_mark(name);
    let changes = match signature.volatility {
        Volatility::Immutable => false,
        Volatility::Stable => !is_own,
        Volatility::Volatile => true,
    };
    changes.then(|| {
        format!("{name}(), which gives something else each time (write its value instead)")
    })
}
