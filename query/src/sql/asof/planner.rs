//! The planner that makes operators of as-of joins.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};

use super::node::AsOfJoin;
use super::operator::{AsOfJoinExec, Sides};

/// Plans as-of joins.
pub(in crate::sql) struct AsOfPlanner;

#[async_trait]
impl ExtensionPlanner for AsOfPlanner {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        _: &PhysicalPlanningContext,
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
}
