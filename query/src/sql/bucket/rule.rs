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

use super::call::{as_number, call, column};
use super::cut::Cut;
use super::input::{Found, Input, Scan};
use super::latest::{LatestScan, Part, part};
use super::operator::{BucketAggregate, Key};
use crate::calendar::Buckets;
use crate::sql::columns::{Shape, Source};
use crate::sql::functions::time_bucket::{TimeBucket, buckets};
use crate::sql::scan::RecordScan;
use crate::sql::wide::WideScan;

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
    let find = |expression: &Arc<dyn PhysicalExpr>| {
        let below = match projection {
            None => column(expression)?,
            Some(projection) => column(&projection.expr().get(column(expression)?)?.expr)?,
        };
        scan.column(below)
    };
    // What several calls take as a float may be made below them.
    let find_number = |expression: &Arc<dyn PhysicalExpr>| {
        let below = column(&as_number(expression))?;
        match projection {
            None => scan.column(below),
            Some(projection) => {
                scan.column(column(&as_number(&projection.expr().get(below)?.expr))?)
            }
        }
    };
    let mut cut: Option<Buckets> = None;
    let mut keys = Vec::new();
    for (expression, _) in groups.expr() {
        let key = match (find(expression), made_below(expression, projection)) {
            (Some(found), _) if found.source.is_label() => Some(Key::Label(found.source)),
            (_, Some(made)) => bucket(made, |time| scan.column(column(time)?), &mut cut),
            (_, None) => bucket(expression, find, &mut cut),
        };
        let Some(key) = key else { return Ok(None) };
        keys.push(key);
    }
    let schema = top.schema();
    if let (None, Scan::Records(records)) = (&cut, scan)
        && let Some(parts) = latest(bottom, records, find)
    {
        let latest = LatestScan::new(Input::of_all(scan), keys, parts, schema);
        return Ok(Some(Arc::new(latest)));
    }
    let calls = bottom.aggr_expr().iter().map(|aggregate| call(aggregate, find, find_number));
    let Some(mut calls) = calls.collect::<Option<Vec<_>>>() else { return Ok(None) };
    let input = Input::new(scan, &mut calls);
    let cut = cut.map_or(Cut::Whole, Cut::new);
    Ok(Some(Arc::new(BucketAggregate::new(input, keys, calls, cut, schema, partitions))))
}

/// What of the latest records is asked for, where nothing else is.
fn latest(
    aggregation: &AggregateExec,
    scan: &RecordScan,
    find: impl Fn(&Arc<dyn PhysicalExpr>) -> Option<Found>,
) -> Option<Vec<Part>> {
    let parts = aggregation.aggr_expr().iter().map(|aggregate| part(aggregate, &find));
    let parts = parts.collect::<Option<Vec<_>>>()?;
    // A column of one kind is null for metrics of another, which the index does not know.
    let fits = |shape: Shape| {
        let mut series = scan.input().series.iter();
        series.all(|series| Shape::Kind(series.definition.kind) == shape)
    };
    let all_fit = parts.iter().filter_map(|(_, shape)| *shape).all(fits);
    (all_fit && !parts.is_empty()).then(|| parts.into_iter().map(|(part, _)| part).collect())
}

/// The scan that an aggregation reads, and the projection between them.
fn scan_below(plan: &Arc<dyn ExecutionPlan>) -> Option<(Scan<'_>, Option<&ProjectionExec>)> {
    if let Some(scan) = scan(plan) {
        return Some((scan, None));
    }
    let projection = plan.downcast_ref::<ProjectionExec>()?;
    Some((scan(projection.input())?, Some(projection)))
}

fn scan(plan: &Arc<dyn ExecutionPlan>) -> Option<Scan<'_>> {
    let records = plan.downcast_ref::<RecordScan>().map(Scan::Records);
    records.or_else(|| plan.downcast_ref::<WideScan>().map(Scan::Class))
}

/// What the projection makes of the scan for an expression above it, where that is no plain column.
fn made_below<'a>(
    expression: &Arc<dyn PhysicalExpr>,
    projection: Option<&'a ProjectionExec>,
) -> Option<&'a Arc<dyn PhysicalExpr>> {
    let made = &projection?.expr().get(column(expression)?)?.expr;
    column(made).is_none().then_some(made)
}

/// The bucket that an expression makes, where there is but one width of buckets.
fn bucket(
    expression: &Arc<dyn PhysicalExpr>,
    find: impl Fn(&Arc<dyn PhysicalExpr>) -> Option<Found>,
    cut: &mut Option<Buckets>,
) -> Option<Key> {
    let function = expression.downcast_ref::<ScalarFunctionExpr>()?;
    if !function.fun().inner().is::<TimeBucket>() {
        return None;
    }
    let [width, time, more @ ..] = function.args() else { return None };
    if find(time)?.source != Source::Time {
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
