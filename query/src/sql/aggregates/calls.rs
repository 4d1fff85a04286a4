//! Calls of aggregate functions in a plan, rewritten without changing the names of columns.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{AggregateUDF, Expr, WindowFunctionDefinition};

/// The function of an expression that is a call of one, as an aggregation or over a window, and its
/// arguments.
pub(super) fn call(expression: &Expr) -> Option<(&Arc<AggregateUDF>, &[Expr])> {
    match expression {
        Expr::AggregateFunction(AggregateFunction { func, params }) => Some((func, &params.args)),
        Expr::WindowFunction(window) => match &window.fun {
            WindowFunctionDefinition::AggregateUDF(function) => {
                Some((function, &window.params.args))
            }
            WindowFunctionDefinition::WindowUDF(_) => None,
        },
        _ => None,
    }
}

/// The same call of another function with other arguments.
pub(super) fn with_call(expression: Expr, function: Arc<AggregateUDF>, args: Vec<Expr>) -> Expr {
    match expression {
        Expr::AggregateFunction(mut call) => {
            (call.func, call.params.args) = (function, args);
            Expr::AggregateFunction(call)
        }
        Expr::WindowFunction(mut call) => {
            call.fun = WindowFunctionDefinition::AggregateUDF(function);
            call.params.args = args;
            Expr::WindowFunction(call)
        }
        other => other,
    }
}

/// Whether some expression has a part that is wanted.
pub(super) fn any(expressions: &[Expr], is_wanted: impl Fn(&Expr) -> bool) -> Result<bool> {
    let mut found = false;
    for expression in expressions {
        found |= expression.exists(|part| Ok(is_wanted(part)))?;
    }
    Ok(found)
}

/// Rewrites the calls of expressions; the columns that these make keep their names.
pub(super) fn rewrite(
    expressions: &mut [Expr],
    is_wanted: impl Fn(&Expr) -> bool,
    mut change: impl FnMut(Expr) -> Result<Expr>,
) -> Result<()> {
    for expression in expressions {
        let (relation, name) = expression.qualified_name();
        let changed = expression.clone().transform_up(|part| match is_wanted(&part) {
            true => change(part).map(Transformed::yes),
            false => Ok(Transformed::no(part)),
        })?;
        if changed.transformed {
            *expression = changed.data.alias_qualified(relation, name);
        }
    }
    Ok(())
}
