//! The rule that tells functions of ways which metric a row is of.
//!
//! A group may hold several metrics (of one name, of several devices), and each has a way of its
//! own. So every call of `rate` and its kin gets arguments that tell metrics apart: [`identity`]
//! finds them in the input, or leads them there from the tables.

mod identity;

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result, ScalarValue, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::{
    Aggregate, AggregateUDF, Expr, LogicalPlan, Projection, Window, WindowFunctionDefinition,
};
use datafusion::optimizer::AnalyzerRule;

use super::calls;
use super::points::{Method, Points, Told};
use identity::Tracer;

/// Replaces calls that say nothing of metrics by such that do.
#[derive(Debug)]
pub(crate) struct PerMetricRule;

impl AnalyzerRule for PerMetricRule {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let mut tracer = Tracer::default();
        let told = plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Aggregate(aggregate) => tell_aggregate(aggregate, &mut tracer),
            LogicalPlan::Window(window) => tell_window(window, &mut tracer),
            other => Ok(Transformed::no(other)),
        })?;
        Ok(told.data)
    }

    fn name(&self) -> &str {
        "per_metric"
    }
}

fn points(expression: &Expr) -> Option<&Points> {
    calls::call(expression)?.0.inner().downcast_ref::<Points>()
}

fn is_untold(expression: &Expr) -> bool {
    points(expression).is_some()
}

fn tell_aggregate(
    mut aggregate: Aggregate,
    tracer: &mut Tracer,
) -> Result<Transformed<LogicalPlan>> {
    if !calls::any(&aggregate.aggr_expr, is_untold)? {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let input = tell(&mut aggregate.aggr_expr, Arc::clone(&aggregate.input), tracer)?;
    let told = Aggregate::try_new(input, aggregate.group_expr, aggregate.aggr_expr)?;
    Ok(Transformed::yes(LogicalPlan::Aggregate(told)))
}

fn tell_window(mut window: Window, tracer: &mut Tracer) -> Result<Transformed<LogicalPlan>> {
    if !calls::any(&window.window_expr, is_untold)? {
        return Ok(Transformed::no(LogicalPlan::Window(window)));
    }
    let shown: Vec<Expr> = window.schema.columns().into_iter().map(Expr::Column).collect();
    let input = tell(&mut window.window_expr, Arc::clone(&window.input), tracer)?;
    let told = LogicalPlan::Window(Window::try_new(window.window_expr, input)?);
    // A window shows all of its input, which now has more columns.
    let told = Projection::try_new(shown, Arc::new(told))?;
    Ok(Transformed::yes(LogicalPlan::Projection(told)))
}

/// Rewrites the calls over an input; returns the input that shows what they need.
fn tell(
    expressions: &mut [Expr],
    input: Arc<LogicalPlan>,
    tracer: &mut Tracer,
) -> Result<Arc<LogicalPlan>> {
    let mut input = Arc::unwrap_or_clone(input);
    // Calls of the same columns share what tells their metrics apart.
    let mut found: Vec<(Vec<Column>, Vec<Column>)> = Vec::new();
    calls::rewrite(expressions, is_untold, |call| {
        let (path, arguments) = match (points(&call), calls::call(&call)) {
            (Some(points), Some((_, arguments))) => (points.path, arguments),
            _ => return Ok(call),
        };
        if is_distinct(&call) {
            return plan_err!("{} has no DISTINCT: it follows every record", path.name());
        }
        let [value, time, more @ ..] = arguments else {
            return plan_err!("{0} wants a value and a time: {0}(value, time)", path.name());
        };
        let method = match more.first() {
            None => Method::Locf,
            Some(Expr::Literal(ScalarValue::Utf8(Some(method)), _)) => Method::named(method)?,
            Some(other) => {
                return plan_err!("{} wants 'locf' or 'linear', not {other}", path.name());
            }
        };
        let mut used: Vec<Column> =
            value.column_refs().into_iter().chain(time.column_refs()).cloned().collect();
        used.sort();
        used.dedup();
        let keys = match found.iter().find(|(known, _)| *known == used) {
            Some((_, keys)) => keys.clone(),
            None => {
                let traced = tracer.trace(path.name(), input.clone(), &used)?;
                input = traced.plan;
                found.push((used, traced.keys.clone()));
                traced.keys
            }
        };
        let mut arguments = vec![value.clone(), time.clone()];
        arguments.extend(keys.into_iter().map(Expr::Column));
        let told = AggregateUDF::new_from_impl(Told::new(path, method));
        Ok(calls::with_call(call, Arc::new(told), arguments))
    })?;
    Ok(Arc::new(input))
}

fn is_distinct(call: &Expr) -> bool {
    match call {
        Expr::AggregateFunction(call) => call.params.distinct,
        Expr::WindowFunction(call) => {
            matches!(call.fun, WindowFunctionDefinition::AggregateUDF(_)) && call.params.distinct
        }
        _ => false,
    }
}
