//! The logical node of filling gaps.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::{DFSchema, DFSchemaRef, Result, plan_err};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};

/// How a column is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Method {
    Locf,
    Interpolate,
}

/// A column that is filled into a further one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Fill {
    pub(super) column: usize,
    pub(super) method: Method,
    pub(super) name: String,
}

/// An end of the range to fill: an expression without columns, and whether it is in the range.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct End {
    pub(super) time: Expr,
    pub(super) included: bool,
}

/// Adds a row for every bucket that its input has no row of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct GapFill {
    pub(super) input: LogicalPlan,
    /// The call of `time_bucket_gapfill`.
    pub(super) call: Expr,
    /// Which column holds the buckets.
    pub(super) bucket: usize,
    /// How many columns, from the first, are keys, the bucket among them.
    pub(super) keys: usize,
    pub(super) from: Option<End>,
    pub(super) to: Option<End>,
    pub(super) fills: Vec<Fill>,
    schema: DFSchemaRef,
}

impl GapFill {
    pub(super) fn new(input: LogicalPlan, call: Expr, bucket: usize, keys: usize) -> Self {
        let schema = Arc::clone(input.schema());
        Self { input, call, bucket, keys, from: None, to: None, fills: Vec::new(), schema }
    }

    /// The same with more columns, each filled from another.
    pub(super) fn with_fills(mut self, fills: Vec<Fill>) -> Result<Self> {
        let own = self.input.schema();
        let mut fields: Vec<_> =
            own.iter().map(|(table, field)| (table.cloned(), Arc::clone(field))).collect();
        for fill in &fills {
            let data_type = match fill.method {
                Method::Locf => own.field(fill.column).data_type().clone(),
                Method::Interpolate => DataType::Float64,
            };
            fields.push((None, Arc::new(Field::new(&fill.name, data_type, true))));
        }
        self.schema = Arc::new(DFSchema::new_with_metadata(fields, own.metadata().clone())?);
        self.fills = fills;
        Ok(self)
    }
}

impl PartialOrd for GapFill {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        // Nodes that are not equal have no order.
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for GapFill {
    fn name(&self) -> &str {
        "GapFill"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GapFill: bucket={}, filled={}", self.call, self.fills.len())
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        match <[LogicalPlan; 1]>::try_from(inputs) {
            Ok([input]) => Ok(Self { input, ..self.clone() }),
            Err(_) => plan_err!("gaps are filled in one input"),
        }
    }
}
