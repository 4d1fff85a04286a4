//! The rule that makes as-of joins of marked ones.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, JoinConstraint, JoinType, Result, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, Extension, Join, LogicalPlan, Operator,
};
use datafusion::optimizer::AnalyzerRule;

use super::marks;
use super::node::{AsOfJoin, Nearest, Terms};
use crate::calendar::Width;
use crate::sql::functions::time_bucket::text_width;

const FORM: &str = "write it like \
    a ASOF JOIN b ON a.device = b.device AND a.time >= b.time TOLERANCE '1m'";

/// Replaces joins whose right side is marked.
#[derive(Debug)]
pub(super) struct AsOfRule;

impl AnalyzerRule for AsOfRule {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let replaced = plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Join(join) => {
                let right = without_mark(&join.right)?;
                if !right.transformed {
                    return Ok(Transformed::no(LogicalPlan::Join(join)));
                }
                let node = as_of(join, right.data)?;
                let node = Arc::new(node);
                Ok(Transformed::yes(LogicalPlan::Extension(Extension { node })))
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(replaced.data)
    }

    fn name(&self) -> &str {
        "as_of_join"
    }
}

fn is_call(expression: &Expr, name: &str) -> bool {
    matches!(expression, Expr::ScalarFunction(ScalarFunction { func, .. }) if func.name() == name)
}

/// The right side of a join without its mark, where it has one.
fn without_mark(plan: &LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Filter(filter) if is_call(&filter.predicate, marks::ASOF) => {
            Ok(Transformed::yes(filter.input.as_ref().clone()))
        }
        LogicalPlan::SubqueryAlias(_) | LogicalPlan::Projection(_) => {
            let [input] = plan.inputs()[..] else { return Ok(Transformed::no(plan.clone())) };
            without_mark(input)?
                .map_data(|input| plan.with_new_exprs(plan.expressions(), vec![input]))
        }
        other => Ok(Transformed::no(other.clone())),
    }
}

/// Where the columns of an expression come from.
fn is_of(expression: &Expr, schema: &DFSchema) -> bool {
    let columns = expression.column_refs();
    !columns.is_empty() && columns.iter().all(|column| schema.has_column(column))
}

fn as_of(join: Join, right: LogicalPlan) -> Result<AsOfJoin> {
    let is_left = match join.join_type {
        JoinType::Inner => false,
        JoinType::Left => true,
        other => return plan_err!("an ASOF JOIN is inner or LEFT, not {other}"),
    };
    let mut keys = join.on;
    let (mut times, mut tolerance_ns) = (None, None);
    if join.join_constraint == JoinConstraint::Using {
        // As in DuckDB, the last column is the time.
        times = keys.pop().map(|pair| (pair, Nearest::AtOrBefore));
    }
    for condition in join.filter.map(split_conjunction_owned).unwrap_or_default() {
        if let Expr::ScalarFunction(ScalarFunction { func, args }) = &condition
            && func.name() == marks::TOLERANCE
        {
            tolerance_ns = Some(length(args)?);
            continue;
        }
        let Expr::BinaryExpr(BinaryExpr { left: one, op, right: other }) = condition else {
            return plan_err!("an ASOF JOIN has no use for the condition {condition}; {FORM}");
        };
        let (mine, theirs) = (join.left.schema(), right.schema());
        let (one, op, other) = if is_of(&one, mine) && is_of(&other, theirs) {
            (*one, op, *other)
        } else if let (true, Some(swapped)) =
            (is_of(&other, mine) && is_of(&one, theirs), op.swap())
        {
            (*other, swapped, *one)
        } else {
            return plan_err!(
                "each condition of an ASOF JOIN compares its two sides, unlike {one} {op} {other}; \
                 {FORM}, and put other conditions into WHERE or a subquery"
            );
        };
        let nearest = match op {
            Operator::Eq => {
                keys.push((one, other));
                continue;
            }
            Operator::GtEq => Nearest::AtOrBefore,
            Operator::Gt => Nearest::Before,
            Operator::LtEq => Nearest::AtOrAfter,
            Operator::Lt => Nearest::After,
            _ => return plan_err!("an ASOF JOIN has no use for {one} {op} {other}; {FORM}"),
        };
        if times.replace(((one, other), nearest)).is_some() {
            return plan_err!(
                "an ASOF JOIN compares one pair of times with >=, >, <= or <; {FORM}"
            );
        }
    }
    let Some((times, nearest)) = times else {
        return plan_err!("an ASOF JOIN compares two times with >=, >, <= or <; {FORM}");
    };
    let data_type = times.0.get_type(join.left.schema())?;
    let is_time = matches!(data_type, DataType::Timestamp(..));
    if !is_time && !data_type.is_integer() && !matches!(data_type, DataType::Date32) {
        return plan_err!("an ASOF JOIN compares times or integers, not {data_type}; {FORM}");
    }
    if tolerance_ns.is_some() && !is_time {
        return plan_err!("TOLERANCE is a length of time, but {data_type} is compared");
    }
    let left = Arc::unwrap_or_clone(join.left);
    AsOfJoin::new(left, right, Terms { keys, times, nearest, tolerance_ns, is_left })
}

/// The length of time that the argument of the mark says: nanoseconds.
fn length(arguments: &[Expr]) -> Result<i64> {
    let text = match arguments {
        [Expr::Literal(value, _)] => value.try_as_str().flatten(),
        _ => None,
    };
    let width = text.and_then(|text| text_width(text).ok());
    match width.and_then(Width::fixed_ns) {
        Some(length) => Ok(length),
        None => plan_err!("a TOLERANCE is a length of time: '30s', '5m', '1h'"),
    }
}
