//! `latest(value)` and `latest_time(value)`: the rule that puts in the time of the table.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

pub(crate) const LATEST: &str = "latest";
pub(crate) const LATEST_TIME: &str = "latest_time";

/// Adds the column `time` to calls that leave it out.
#[derive(Debug)]
pub(crate) struct LatestRule;

impl AnalyzerRule for LatestRule {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let completed = plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Aggregate(aggregate) => complete(aggregate),
            other => Ok(Transformed::no(other)),
        })?;
        Ok(completed.data)
    }

    fn name(&self) -> &str {
        "latest"
    }
}

fn is_short(expression: &Expr) -> bool {
    matches!(expression, Expr::AggregateFunction(AggregateFunction { func, params })
        if [LATEST, LATEST_TIME].contains(&func.name()) && params.args.len() == 1)
}

fn complete(mut aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let has_short = |expression: &Expr| expression.exists(|part| Ok(is_short(part)));
    let found = aggregate.aggr_expr.iter().map(has_short).collect::<Result<Vec<bool>>>()?;
    if !found.contains(&true) {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let schema = std::sync::Arc::clone(aggregate.input.schema());
    for expression in &mut aggregate.aggr_expr {
        let (relation, name) = expression.qualified_name();
        let completed = expression.clone().transform_up(|part| {
            if !is_short(&part) {
                return Ok(Transformed::no(part));
            }
            let Expr::AggregateFunction(mut call) = part else { return Ok(Transformed::no(part)) };
            let time = time_of(&call, &schema)?;
            call.params.args.push(Expr::Column(time));
            Ok(Transformed::yes(Expr::AggregateFunction(call)))
        })?;
        if completed.transformed {
            *expression = completed.data.alias_qualified(relation, name);
        }
    }
    let Aggregate { input, group_expr, aggr_expr, .. } = aggregate;
    let completed = Aggregate::try_new(input, group_expr, aggr_expr)?;
    Ok(Transformed::yes(LogicalPlan::Aggregate(completed)))
}

/// The column `time` of the table that a call's value is of; the only one where that says nothing.
fn time_of(call: &AggregateFunction, schema: &DFSchema) -> Result<Column> {
    let values = call.params.args.iter().flat_map(Expr::column_refs);
    let tables: Vec<_> = values.map(|column| column.relation.clone()).collect();
    let times = schema.iter().filter(|(_, field)| {
        field.name() == "time" && matches!(field.data_type(), DataType::Timestamp(..))
    });
    let times: Vec<Column> = times.map(Column::from).collect();
    let of_table = times.iter().filter(|time| tables.contains(&time.relation));
    match (&of_table.collect::<Vec<_>>()[..], &times[..]) {
        ([time], _) => Ok((*time).clone()),
        (_, [time]) => Ok(time.clone()),
        _ => {
            let name = call.func.name();
            plan_err!("{name} does not know which time is meant: write {name}(value, time)")
        }
    }
}
