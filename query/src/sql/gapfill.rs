//! Filling gaps: a row for every bucket of a range, also for those without any record.
//!
//! [`rule`] finds aggregations over `time_bucket_gapfill` and puts a [`node`] above them; the
//! [`planner`] makes of it the [`operator`] that adds the rows. The range is that of the call's two
//! times, else that of the query's conditions on time, else from the first to the last bucket found.

mod node;
mod operator;
pub(super) mod planner;
mod rule;

use std::sync::Arc;

use datafusion::execution::SessionStateBuilder;

/// Puts the rule into a session.
pub(crate) fn install(builder: SessionStateBuilder) -> SessionStateBuilder {
    builder.with_analyzer_rule(Arc::new(rule::GapFillRule))
}
