//! The rule that recognises aggregations over buckets of time.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::physical_expr::ScalarFunctionExpr;
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};

use super::call::{Ask, call, column};
use super::cut::Cut;
use super::latest::{LatestScan, part};
use super::operator::{BucketAggregate, Key, grouped};
use crate::calendar::Buckets;
use crate::sql::columns::{Shape, Source};
use crate::sql::functions::time_bucket::{TimeBucket, buckets};
use crate::sql::scan::RecordScan;

/// Replaces aggregations over the records of metrics that the engine can answer.
#[derive(Debug)]
pub(super) struct BucketRule;

impl PhysicalOptimizerRule for BucketRule {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let partitions = config.execution.target_partitions;
        let replaced = plan.transform_down(|plan| {
            let operator = plan.downcast_ref::<AggregateExec>().map(|top| replace(top, partitions));
            match operator.transpose()?.flatten() {
                Some(operator) => Ok(Transformed::yes(operator)),
                None => Ok(Transformed::no(plan)),
            }
        })?;
        Ok(replaced.data)
    }

    fn name(&self) -> &str {
        "bucket_aggregate"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The operator in place of an aggregation, where it applies.
fn replace(top: &AggregateExec, partitions: usize) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let bottom = match top.mode() {
        AggregateMode::Single | AggregateMode::SinglePartitioned => top,
        AggregateMode::Final | AggregateMode::FinalPartitioned => {
            let below = top.input().downcast_ref::<AggregateExec>();
            match below.filter(|below| *below.mode() == AggregateMode::Partial) {
                Some(below) => below,
                None => return Ok(None),
            }
        }
        _ => return Ok(None),
    };
    let groups = bottom.group_expr();
    let is_plain = groups.is_single() || groups.is_empty();
    let has_filter = bottom.filter_expr().iter().any(Option::is_some);
    if !is_plain || groups.has_grouping_set() || has_filter || top.limit_options().is_some() {
        return Ok(None);
    }
    let Some((scan, projection)) = scan_below(bottom.input()) else { return Ok(None) };
    if scan.is_limited() {
        return Ok(None);
    }
    let source = |expression: &Arc<dyn PhysicalExpr>| {
        let below = match projection {
            None => column(expression)?,
            Some(projection) => column(&projection.expr().get(column(expression)?)?.expr)?,
        };
        scan.source(below).cloned()
    };
    let mut cut: Option<Buckets> = None;
    let mut keys = Vec::new();
    for (expression, _) in groups.expr() {
        let expression = below(expression, projection);
        let key = match source(expression) {
            Some(source) if source.is_label() => Key::Label(source),
            _ => match bucket(expression, scan, &mut cut) {
                Some(key) => key,
                None => return Ok(None),
            },
        };
        keys.push(key);
    }
    // A column of one kind is null for metrics of another, which the engine does not know.
    let series = &scan.input().series;
    let fits =
        |shape: Shape| series.iter().all(|series| Shape::Kind(series.definition.kind) == shape);
    let parts = bottom.aggr_expr().iter().map(|aggregate| part(aggregate, source));
    if let (None, Some(parts)) = (&cut, parts.collect::<Option<Vec<_>>>())
        && !parts.is_empty()
        && parts.iter().filter_map(|(_, shape)| *shape).all(fits)
    {
        let parts = parts.into_iter().map(|(part, _)| part).collect();
        let (input, schema) = (Arc::clone(scan.input()), top.schema());
        return Ok(Some(Arc::new(LatestScan::new(input, keys, parts, schema))));
    }
    let calls = bottom.aggr_expr().iter().map(|aggregate| call(aggregate, source));
    let Some(calls) = calls.collect::<Option<Vec<_>>>() else { return Ok(None) };
    if !calls.iter().filter_map(|call| call.shape).all(fits) {
        return Ok(None);
    }
    // Metrics side by side would have to be joined by time.
    let walks = calls.iter().any(|call| matches!(call.ask, Ask::Way(..)));
    if walks && grouped(scan.input(), &keys).iter().any(|group| group.metrics.len() > 1) {
        return Ok(None);
    }
    let cut = cut.map_or(Cut::Whole, Cut::new);
    let (input, schema) = (Arc::clone(scan.input()), top.schema());
    Ok(Some(Arc::new(BucketAggregate::new(input, keys, calls, cut, schema, partitions))))
}

/// The scan that an aggregation reads, and the projection between them.
fn scan_below(plan: &Arc<dyn ExecutionPlan>) -> Option<(&RecordScan, Option<&ProjectionExec>)> {
    if let Some(scan) = plan.downcast_ref::<RecordScan>() {
        return Some((scan, None));
    }
    let projection = plan.downcast_ref::<ProjectionExec>()?;
    Some((projection.input().downcast_ref::<RecordScan>()?, Some(projection)))
}

/// What an expression over a projection is made from.
fn below<'a>(
    expression: &'a Arc<dyn PhysicalExpr>,
    projection: Option<&'a ProjectionExec>,
) -> &'a Arc<dyn PhysicalExpr> {
    let made = column(expression).zip(projection).and_then(|(at, projection)| {
        let made = projection.expr().get(at)?;
        // A plain column stays, since it is looked up by way of the projection.
        column(&made.expr).is_none().then_some(&made.expr)
    });
    made.unwrap_or(expression)
}

/// The bucket that an expression makes, where there is but one width of buckets.
fn bucket(
    expression: &Arc<dyn PhysicalExpr>,
    scan: &RecordScan,
    cut: &mut Option<Buckets>,
) -> Option<Key> {
    let function = expression.downcast_ref::<ScalarFunctionExpr>()?;
    if !function.fun().inner().is::<TimeBucket>() {
        return None;
    }
    let [width, time, more @ ..] = function.args() else { return None };
    if scan.source(column(time)?) != Some(&Source::Time) {
        return None;
    }
    let literal = |expression: &Arc<dyn PhysicalExpr>| -> Option<ScalarValue> {
        Some(expression.downcast_ref::<Literal>()?.value().clone())
    };
    let more = more.iter().map(literal).collect::<Option<Vec<_>>>()?;
    let found = buckets(function.fun().name(), &literal(width)?, &more).ok()?;
    if cut.as_ref().is_some_and(|cut| *cut != found) {
        return None;
    }
    *cut = Some(found);
    Some(Key::Bucket)
}
