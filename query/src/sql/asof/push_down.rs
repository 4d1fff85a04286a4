//! Conditions on as-of joins go below them, so that less is read.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{BinaryExpr, Expr, Extension, Filter, LogicalPlan, Operator};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use super::node::AsOfJoin;

/// Puts conditions on the left side below an as-of join.
///
/// What they say of the right side goes there as well: conditions on keys, since keys are equal, and
/// the end of the times, beyond which nothing is near.
#[derive(Debug)]
pub(super) struct PushDownAsOf;

impl OptimizerRule for PushDownAsOf {
    fn name(&self) -> &str {
        "push_down_as_of"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let node = match &plan {
            LogicalPlan::Filter(Filter { input, .. }) => match &**input {
                LogicalPlan::Extension(Extension { node }) => node.as_any().downcast_ref(),
                _ => None,
            },
            _ => None,
        };
        let Some(node) = node.cloned() else { return Ok(Transformed::no(plan)) };
        let LogicalPlan::Filter(filter) = plan else { return Ok(Transformed::no(plan)) };
        push(filter, node)
    }
}

fn push(filter: Filter, mut node: AsOfJoin) -> Result<Transformed<LogicalPlan>> {
    let schema = Arc::clone(node.left.schema());
    let is_left = |condition: &Expr| {
        let columns = condition.column_refs();
        let is_known = columns.iter().all(|column| schema.has_column(column));
        !columns.is_empty() && is_known && !condition.is_volatile()
    };
    let conditions = split_conjunction_owned(filter.predicate.clone()).into_iter();
    let (left, kept): (Vec<Expr>, Vec<Expr>) = conditions.partition(is_left);
    if left.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    }
    let right = left.iter().filter_map(|condition| of_right(condition, &node)).collect();
    node.left = filtered(node.left, left)?;
    node.right = filtered(node.right, right)?;
    let joined = LogicalPlan::Extension(Extension { node: Arc::new(node) });
    Ok(Transformed::yes(filtered(joined, kept)?))
}

fn filtered(input: LogicalPlan, conditions: Vec<Expr>) -> Result<LogicalPlan> {
    match conjunction(conditions) {
        Some(condition) => Ok(LogicalPlan::Filter(Filter::try_new(condition, Arc::new(input))?)),
        None => Ok(input),
    }
}

/// What a condition on the left side says of right rows that can be joined.
fn of_right(condition: &Expr, node: &AsOfJoin) -> Option<Expr> {
    if let Expr::BinaryExpr(BinaryExpr { left, op, right }) = condition {
        let (left_time, right_time) = &node.times;
        let operator = match (**left == *left_time, **right == *left_time) {
            (true, false) => Some((*op, right)),
            (false, true) => op.swap().map(|op| (op, left)),
            _ => None,
        };
        if let Some((operator, limit)) = operator.filter(|(_, limit)| !limit.any_column_refs()) {
            let bounds = match node.nearest.is_forward() {
                false => matches!(operator, Operator::Lt | Operator::LtEq),
                true => matches!(operator, Operator::Gt | Operator::GtEq),
            };
            let compared = |operator| {
                let (left, right) = (Box::new(right_time.clone()), limit.clone());
                Expr::BinaryExpr(BinaryExpr { left, op: operator, right })
            };
            return bounds.then(|| compared(operator));
        }
    }
    let twin = |column: &Column| {
        node.keys.iter().find_map(|(left, right)| match left {
            Expr::Column(left) if left == column => Some(right.clone()),
            _ => None,
        })
    };
    if !condition.column_refs().into_iter().all(|column| twin(column).is_some()) {
        return None;
    }
    let exchanged = condition.clone().transform(|part| match &part {
        Expr::Column(column) => Ok(twin(column).map_or(Transformed::no(part), Transformed::yes)),
        _ => Ok(Transformed::no(part)),
    });
    exchanged.ok().map(|exchanged| exchanged.data)
}
