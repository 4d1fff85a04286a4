//! As-of joins: each row of a table with the latest row of another that is not later.
//!
//! `FROM a ASOF [LEFT] JOIN b ON a.device = b.device AND a.time >= b.time [TOLERANCE '1m']`, as in
//! DuckDB; the tolerance is QuestDB's. The way of such a join: [`syntax`] makes an ordinary join with
//! [`marks`] of it, which the parser knows → the [`rule`] makes a [`node`] of a marked join →
//! [`push_down`] takes conditions below it → the [`planner`] makes the [`operator`], which reads two
//! sorted streams and holds one row for each key ([`matches`]).

mod marks;
mod matches;
mod node;
mod operator;
pub(super) mod planner;
mod push_down;
mod rule;
mod syntax;

use std::sync::Arc;

use datafusion::execution::{FunctionRegistry, SessionState, SessionStateBuilder};
use datafusion::optimizer::optimizer::Optimizer;

pub(super) use syntax::question;
#[cfg(test)]
pub(super) use syntax::statement;

/// Puts the rules into a session. Conditions go below a join right after they came to it: later rules
/// put a projection between.
pub(super) fn install(builder: SessionStateBuilder) -> SessionStateBuilder {
    let mut rules = Optimizer::new().rules;
    let at = rules.iter().position(|rule| rule.name() == "push_down_filter");
    rules.insert(at.map_or(rules.len(), |at| at + 1), Arc::new(push_down::PushDownAsOf));
    builder.with_analyzer_rule(Arc::new(rule::AsOfRule)).with_optimizer_rules(rules)
}

/// Whether a function is one of the marks, which say nothing but how to join.
pub(super) fn is_mark(name: &str) -> bool {
    [marks::ASOF, marks::TOLERANCE].contains(&name)
}

/// Puts the marks into a session.
pub(super) fn register(state: &mut SessionState) {
    for mark in [marks::asof(), marks::tolerance()] {
        // Names that nobody has cannot be refused.
        let replaced = state.register_udf(Arc::new(mark));
        debug_assert!(replaced.is_ok());
    }
}
