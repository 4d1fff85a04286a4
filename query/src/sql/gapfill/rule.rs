//! The rule that finds aggregations over `time_bucket_gapfill`.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::{Between, ScalarFunction};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Expr, Extension, Filter, LogicalPlan, Operator, Projection,
};
use datafusion::optimizer::AnalyzerRule;

use super::node::{End, Fill, GapFill, Method};
use crate::sql::functions::fill::{INTERPOLATE, LOCF};
use crate::sql::functions::time_bucket::TIME_BUCKET_GAPFILL;

/// Puts a node that fills gaps above each aggregation that asks for it.
#[derive(Debug)]
pub(super) struct GapFillRule;

impl AnalyzerRule for GapFillRule {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let filled = plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Aggregate(aggregate) => fill_gaps(aggregate),
            LogicalPlan::Projection(projection) => take_marks(projection),
            other => Ok(Transformed::no(other)),
        })?;
        Ok(filled.data)
    }

    fn name(&self) -> &str {
        "fill_gaps"
    }
}

fn without_alias(expression: &Expr) -> &Expr {
    match expression {
        Expr::Alias(alias) => without_alias(&alias.expr),
        other => other,
    }
}

/// The arguments of a call of `time_bucket_gapfill`.
fn gapfill_arguments(expression: &Expr) -> Option<&[Expr]> {
    match without_alias(expression) {
        Expr::ScalarFunction(ScalarFunction { func, args })
            if func.name() == TIME_BUCKET_GAPFILL =>
        {
            Some(args)
        }
        _ => None,
    }
}

fn fill_gaps(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let calls = aggregate.group_expr.iter().enumerate();
    let mut calls = calls.filter_map(|(at, call)| Some((at, call, gapfill_arguments(call)?)));
    let Some((bucket, call, arguments)) = calls.next() else {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    };
    if calls.next().is_some() {
        return plan_err!("a query has one {TIME_BUCKET_GAPFILL}");
    }
    let (call, arguments) = (without_alias(call).clone(), arguments.to_vec());
    let keys = aggregate.group_expr.len();
    let (mut from, mut to) = range_of_call(&aggregate, &arguments)?;
    if let Some(Expr::Column(time)) = arguments.get(1) {
        let (low, high) = range_of_conditions(&aggregate.input, time)?;
        (from, to) = (from.or(low), to.or(high));
    }
    let mut node = GapFill::new(LogicalPlan::Aggregate(aggregate), call, bucket, keys);
    (node.from, node.to) = (from, to);
    Ok(Transformed::yes(extension(node)))
}

fn extension(node: GapFill) -> LogicalPlan {
    LogicalPlan::Extension(Extension { node: Arc::new(node) })
}

type Range = (Option<End>, Option<End>);

/// The range that the call itself says: its first time is in it, its second is not.
fn range_of_call(aggregate: &Aggregate, arguments: &[Expr]) -> Result<Range> {
    use datafusion::logical_expr::ExprSchemable;
    let (mut from, mut to) = (None, None);
    for argument in arguments.iter().skip(2) {
        let data_type = argument.get_type(aggregate.input.schema())?;
        if !matches!(data_type, arrow::datatypes::DataType::Timestamp(..)) {
            continue;
        }
        if argument.any_column_refs() {
            return plan_err!("the range of {TIME_BUCKET_GAPFILL} must be the same for all rows");
        }
        let time = argument.clone();
        match (&from, &to) {
            (None, _) => from = Some(End { time, included: true }),
            (_, None) => to = Some(End { time, included: false }),
            _ => return plan_err!("{TIME_BUCKET_GAPFILL} takes two times: start and finish"),
        }
    }
    Ok((from, to))
}

/// The range that the query's conditions on time say.
fn range_of_conditions(input: &LogicalPlan, time: &Column) -> Result<Range> {
    let (mut from, mut to) = (None, None);
    input.apply(|plan| {
        if let LogicalPlan::Filter(Filter { predicate, .. }) = plan {
            for condition in split_conjunction(predicate) {
                let (low, high) = range_of_condition(condition, time);
                (from, to) = (from.take().or(low), to.take().or(high));
            }
        }
        // What other tables are joined by says nothing of this one.
        let goes_on = matches!(
            plan,
            LogicalPlan::Filter(_) | LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_)
        );
        Ok(if goes_on { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    })?;
    Ok((from, to))
}

fn range_of_condition(condition: &Expr, time: &Column) -> Range {
    let is_time = |side: &Expr| {
        let mut side = side;
        while let Expr::Cast(cast) = side {
            side = &cast.expr;
        }
        matches!(side, Expr::Column(column) if column.name == time.name)
    };
    let end = |time: &Expr, included| Some(End { time: time.clone(), included });
    match condition {
        Expr::Between(Between { expr, negated: false, low, high })
            if is_time(expr) && !low.any_column_refs() && !high.any_column_refs() =>
        {
            (end(low, true), end(high, true))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (operator, value) = if is_time(left) && !right.any_column_refs() {
                (Some(*op), right)
            } else if is_time(right) && !left.any_column_refs() {
                (op.swap(), left)
            } else {
                (None, left)
            };
            match operator {
                Some(Operator::Gt) => (end(value, false), None),
                Some(Operator::GtEq) => (end(value, true), None),
                Some(Operator::Lt) => (None, end(value, false)),
                Some(Operator::LtEq) => (None, end(value, true)),
                _ => (None, None),
            }
        }
        _ => (None, None),
    }
}

/// Takes `locf` and `interpolate` from a projection and has the node below do what they say.
fn take_marks(projection: Projection) -> Result<Transformed<LogicalPlan>> {
    let Some(node) = node_below(&projection.input) else {
        return Ok(Transformed::no(LogicalPlan::Projection(projection)));
    };
    let schema = Arc::clone(node.input.schema());
    let mut fills: Vec<Fill> = Vec::new();
    let mut expressions = Vec::new();
    for expression in projection.expr {
        let name = expression.qualified_name();
        let taken = expression.transform_down(|part| {
            let Some((method, argument)) = mark(&part) else { return Ok(Transformed::no(part)) };
            let Expr::Column(column) = without_alias(argument) else {
                return plan_err!(
                    "{part} must be given an aggregate as it is, like {LOCF}(avg(x))"
                );
            };
            let fill = Fill {
                column: schema.index_of_column(column)?,
                method,
                name: part.schema_name().to_string(),
            };
            let filled = Expr::Column(Column::new_unqualified(&fill.name));
            if !fills.contains(&fill) {
                fills.push(fill);
            }
            Ok(Transformed::new(filled, true, TreeNodeRecursion::Jump))
        })?;
        expressions.push(if taken.transformed {
            taken.data.alias_qualified(name.0, name.1)
        } else {
            taken.data
        });
    }
    if fills.is_empty() {
        let same = Projection::try_new(expressions, projection.input)?;
        return Ok(Transformed::no(LogicalPlan::Projection(same)));
    }
    let node = node.clone().with_fills(fills)?;
    let input = replace_node(&projection.input, node)?;
    let projection = Projection::try_new(expressions, Arc::new(input))?;
    Ok(Transformed::yes(LogicalPlan::Projection(projection)))
}

/// The method and the argument of a mark.
fn mark(expression: &Expr) -> Option<(Method, &Expr)> {
    let Expr::ScalarFunction(ScalarFunction { func, args }) = expression else { return None };
    let method = match func.name() {
        LOCF => Method::Locf,
        INTERPOLATE => Method::Interpolate,
        _ => return None,
    };
    Some((method, args.first()?))
}

/// The node that a projection reads, with nothing but conditions (HAVING) between.
fn node_below(plan: &LogicalPlan) -> Option<&GapFill> {
    match plan {
        LogicalPlan::Filter(filter) => node_below(&filter.input),
        LogicalPlan::Extension(Extension { node }) => node.as_any().downcast_ref::<GapFill>(),
        _ => None,
    }
}

fn replace_node(plan: &LogicalPlan, node: GapFill) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Filter(filter) => {
            let input = Arc::new(replace_node(&filter.input, node)?);
            Ok(LogicalPlan::Filter(Filter::try_new(filter.predicate.clone(), input)?))
        }
        _ => Ok(extension(node)),
    }
}
