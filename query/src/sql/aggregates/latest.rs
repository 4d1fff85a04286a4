//! `latest(value)` and `latest_time(value)`: the rule that puts in the time of the table.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema, Result, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use super::calls;

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
    matches!(calls::call(expression), Some((function, [_]))
        if [LATEST, LATEST_TIME].contains(&function.name()))
}

fn complete(mut aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    if !calls::any(&aggregate.aggr_expr, is_short)? {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let schema = Arc::clone(aggregate.input.schema());
    calls::rewrite(&mut aggregate.aggr_expr, is_short, |part| {
        let Some((function, arguments)) = calls::call(&part) else { return Ok(part) };
        let (function, mut arguments) = (Arc::clone(function), arguments.to_vec());
        let time = time_of(function.name(), &arguments, &schema)?;
        arguments.push(Expr::Column(time));
        Ok(calls::with_call(part, function, arguments))
    })?;
    let Aggregate { input, group_expr, aggr_expr, .. } = aggregate;
    let completed = Aggregate::try_new(input, group_expr, aggr_expr)?;
    Ok(Transformed::yes(LogicalPlan::Aggregate(completed)))
}

/// The column `time` of the table that a call's value is of; the only one where that says nothing.
fn time_of(name: &str, arguments: &[Expr], schema: &DFSchema) -> Result<Column> {
    let values = arguments.iter().flat_map(Expr::column_refs);
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
            plan_err!("{name} does not know which time is meant: write {name}(value, time)")
        }
    }
}
