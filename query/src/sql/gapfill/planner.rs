//! The planner that makes operators of nodes that fill gaps.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Schema, TimeUnit};
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr, UserDefinedLogicalNode};
use datafusion::physical_plan::ExecutionPlan;

use super::node::{End, GapFill};
use super::operator::GapFillExec;
use crate::sql::functions::time_bucket::{TIME_BUCKET_GAPFILL, argument_types, buckets};

/// The operator of a node that fills gaps.
pub(in crate::sql) fn plan(
    node: &dyn UserDefinedLogicalNode,
    inputs: &[Arc<dyn ExecutionPlan>],
    session: &dyn Session,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(node) = node.as_any().downcast_ref::<GapFill>() else { return Ok(None) };
    let [input] = inputs else { return internal_err!("gaps are filled in one input") };
    let Expr::ScalarFunction(ScalarFunction { args, .. }) = &node.call else {
        return internal_err!("{TIME_BUCKET_GAPFILL} is a function");
    };
    let mut constants = Vec::new();
    for (at, argument) in args.iter().enumerate().filter(|(at, _)| *at != 1) {
        let value = constant(session, argument)?;
        let types = match at {
            0 => argument_types(TIME_BUCKET_GAPFILL, &[value.data_type(), time()])?.remove(0),
            _ => argument_types(TIME_BUCKET_GAPFILL, &[DataType::Utf8, time(), value.data_type()])?
                .remove(2),
        };
        constants.push(value.cast_to(&types)?);
    }
    let Some((width, more)) = constants.split_first() else {
        return plan_err!("{TIME_BUCKET_GAPFILL} wants a width and a time");
    };
    let buckets = buckets(TIME_BUCKET_GAPFILL, width, more)?;
    let end = |end: &Option<End>, step: i64| -> Result<Option<i64>> {
        let Some(end) = end else { return Ok(None) };
        let value = constant(session, &end.time)?.cast_to(&time())?;
        let ScalarValue::TimestampNanosecond(Some(time_ns), _) = value else {
            return plan_err!("the range of {TIME_BUCKET_GAPFILL} must not be null");
        };
        Ok(Some(if end.included { time_ns } else { time_ns.saturating_add(step) }))
    };
    let range = (end(&node.from, 1)?, end(&node.to, -1)?);
    let schema = Arc::new(node_schema(node));
    let operator = GapFillExec::new(Arc::clone(input), node, buckets, range, schema);
    Ok(Some(Arc::new(operator)))
}

fn node_schema(node: &GapFill) -> Schema {
    use datafusion::logical_expr::UserDefinedLogicalNodeCore;
    UserDefinedLogicalNodeCore::schema(node).as_arrow().clone()
}

fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
}

/// The value of an expression without columns.
fn constant(session: &dyn Session, expression: &Expr) -> Result<ScalarValue> {
    let schema = DFSchema::empty();
    let expression = session.create_physical_expr(expression.clone(), &schema)?;
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)?;
    ScalarValue::try_from_array(&expression.evaluate(&row)?.into_array(1)?, 0)
}
