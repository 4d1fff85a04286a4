//! The logical node of an as-of join.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use datafusion::common::{DFSchemaRef, JoinType, Result, plan_err};
use datafusion::logical_expr::logical_plan::builder::build_join_schema;
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};

/// Which of the right rows a left row is joined with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Nearest {
    /// The last that is not later: `left >= right`.
    AtOrBefore,
    /// The last that is earlier: `left > right`.
    Before,
    /// The first that is not earlier: `left <= right`.
    AtOrAfter,
    /// The first that is later: `left < right`.
    After,
}

impl Nearest {
    /// The operator between the left and the right time.
    pub(super) const fn sign(self) -> &'static str {
        match self {
            Self::AtOrBefore => ">=",
            Self::Before => ">",
            Self::AtOrAfter => "<=",
            Self::After => "<",
        }
    }

    /// Whether rows are looked for towards later times.
    pub(super) const fn is_forward(self) -> bool {
        matches!(self, Self::AtOrAfter | Self::After)
    }

    /// Whether a row of the same time counts.
    pub(super) const fn is_inclusive(self) -> bool {
        matches!(self, Self::AtOrBefore | Self::AtOrAfter)
    }
}

/// Joins each left row with the right row of equal keys whose time is nearest on one side.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct AsOfJoin {
    pub(super) left: LogicalPlan,
    pub(super) right: LogicalPlan,
    /// What must be equal, left and right.
    pub(super) keys: Vec<(Expr, Expr)>,
    /// The times, left and right.
    pub(super) times: (Expr, Expr),
    pub(super) nearest: Nearest,
    /// How far apart the times may be: nanoseconds.
    pub(super) tolerance_ns: Option<i64>,
    /// Whether left rows without a match stay.
    pub(super) is_left: bool,
    schema: DFSchemaRef,
}

/// What an as-of join does, apart from its inputs.
pub(super) struct Terms {
    pub(super) keys: Vec<(Expr, Expr)>,
    pub(super) times: (Expr, Expr),
    pub(super) nearest: Nearest,
    pub(super) tolerance_ns: Option<i64>,
    pub(super) is_left: bool,
}

impl AsOfJoin {
    pub(super) fn new(left: LogicalPlan, right: LogicalPlan, terms: Terms) -> Result<Self> {
        let Terms { keys, times, nearest, tolerance_ns, is_left } = terms;
        let kind = if is_left { JoinType::Left } else { JoinType::Inner };
        let schema = Arc::new(build_join_schema(left.schema(), right.schema(), &kind)?);
        Ok(Self { left, right, keys, times, nearest, tolerance_ns, is_left, schema })
    }
}

impl PartialOrd for AsOfJoin {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        // Nodes that are not equal have no order.
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for AsOfJoin {
    fn name(&self) -> &str {
        "AsOfJoin"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.left, &self.right]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        let pairs = self.keys.iter().chain([&self.times]);
        pairs.flat_map(|(left, right)| [left.clone(), right.clone()]).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { times: (left, right), nearest, .. } = self;
        f.write_str("AsOfJoin: ")?;
        for (left, right) in &self.keys {
            write!(f, "{left} = {right}, ")?;
        }
        write!(f, "{left} {} {right}", nearest.sign())
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let Ok([left, right]) = <[LogicalPlan; 2]>::try_from(inputs) else {
            return plan_err!("an as-of join has two inputs");
        };
        let mut pairs = Vec::with_capacity(exprs.len() / 2);
        let mut exprs = exprs.into_iter();
        while let (Some(one), Some(other)) = (exprs.next(), exprs.next()) {
            pairs.push((one, other));
        }
        let Some(times) = pairs.pop() else { return plan_err!("an as-of join has two times") };
        let Self { nearest, tolerance_ns, is_left, .. } = *self;
        Self::new(left, right, Terms { keys: pairs, times, nearest, tolerance_ns, is_left })
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let width = self.left.schema().fields().len();
        let (left, right): (Vec<usize>, Vec<usize>) =
            output_columns.iter().partition(|column| **column < width);
        Some(vec![left, right.into_iter().map(|column| column - width).collect()])
    }
}
