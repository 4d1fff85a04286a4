//! The planner that makes operators of as-of joins.

use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{UserDefinedLogicalNode, UserDefinedLogicalNodeCore};
use datafusion::physical_plan::ExecutionPlan;

use super::node::AsOfJoin;
use super::operator::{AsOfJoinExec, Sides};

/// The operator of an as-of join.
pub(in crate::sql) fn plan(
    node: &dyn UserDefinedLogicalNode,
    inputs: &[Arc<dyn ExecutionPlan>],
    session: &dyn Session,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(node) = node.as_any().downcast_ref::<AsOfJoin>() else { return Ok(None) };
    let [left, right] = inputs else { return internal_err!("an as-of join has two inputs") };
    let (mut keys, mut other_keys) = (Vec::new(), Vec::new());
    for (one, other) in &node.keys {
        keys.push(session.create_physical_expr(one.clone(), node.left.schema())?);
        other_keys.push(session.create_physical_expr(other.clone(), node.right.schema())?);
    }
    let (time, other_time) = node.times.clone();
    let time = session.create_physical_expr(time, node.left.schema())?;
    let other_time = session.create_physical_expr(other_time, node.right.schema())?;
    let operator = AsOfJoinExec::new(
        Sides {
            left: Arc::clone(left),
            right: Arc::clone(right),
            keys: [keys, other_keys],
            times: [time, other_time],
        },
        node.nearest,
        node.tolerance_ns,
        node.is_left,
        Arc::clone(UserDefinedLogicalNodeCore::schema(node).inner()),
    );
    Ok(Some(Arc::new(operator)))
}
