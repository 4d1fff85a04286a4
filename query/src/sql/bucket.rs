//! The bucket operator: aggregates over buckets of time from sorted columns and chunk statistics.
//!
//! `SELECT keys, time_bucket(...), aggregates FROM metric GROUP BY ...` is what everybody asks of
//! time series. DataFusion would hash every row; the engine walks columns that are sorted already,
//! and a bucket that covers whole chunks needs no decoding at all. [`rule`] recognises the query,
//! [`input`] says which metrics each call is about (in a class those of its column), and [`operator`]
//! answers it, or where only the latest records are asked for, [`latest`]. What the rule does not
//! recognise stays DataFusion's, with equal answers.

mod call;
mod cut;
mod gathered;
mod input;
mod latest;
mod operator;
mod rows;
mod rule;
mod union;
mod walk;

use std::sync::Arc;

use datafusion::execution::SessionStateBuilder;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;

/// Puts the rule before DataFusion's own, which would split the aggregation in two.
pub(crate) fn install(builder: SessionStateBuilder) -> SessionStateBuilder {
    let mut rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> =
        vec![Arc::new(rule::BucketRule)];
    rules.extend(PhysicalOptimizer::new().rules);
    builder.with_physical_optimizer_rules(rules)
}
