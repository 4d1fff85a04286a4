//! Calls: which of the engine's functions an aggregate of SQL is.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, UInt64Array, new_null_array,
};
use arrow::datatypes::DataType;
use chronolith_engine::{Aggregated, Function, Kind, Value};
use datafusion::common::{Result, ScalarValue};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion::physical_plan::PhysicalExpr;

use super::input::Found;
use crate::sql::aggregates::points::{Method, Path, Told};
use crate::sql::columns::{Shape, Source};

/// An aggregate that the operator answers.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) ask: Ask,
    pub(super) about: About,
    pub(super) data_type: DataType,
    /// The slot that answers it, and the place there among the functions or the ways.
    pub(super) slot: usize,
    pub(super) at: usize,
}

/// What it looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Rows,
    /// The values of a column, by its place in the table: null where a metric has another kind.
    Values(usize, Shape),
}

/// How it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// By the engine.
    Function(Function),
    /// By counting the rows of a class.
    Rows,
    /// By a walk over the records of one metric.
    Way(Path, Method),
}

impl Ask {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Function(function) => function.name(),
            Self::Rows => "count(*)",
            Self::Way(path, _) => path.name(),
        }
    }
}

/// The engine's function for a call, where there is one that answers the same.
pub(super) fn call(
    aggregate: &AggregateFunctionExpr,
    find: impl Fn(&Arc<dyn PhysicalExpr>) -> Option<Found>,
    find_number: impl Fn(&Arc<dyn PhysicalExpr>) -> Option<Found>,
) -> Option<Call> {
    if aggregate.is_distinct() || !aggregate.order_bys().is_empty() || aggregate.ignore_nulls() {
        return None;
    }
    let arguments = aggregate.expressions();
    let data_type = aggregate.field().data_type().clone();
    if let Some(told) = aggregate.fun().inner().downcast_ref::<Told>() {
        let [value, time, metric] = &arguments[..] else { return None };
        let found = (find_number(value)?, find(time)?, find(metric)?);
        return way(told, found, data_type);
    }
    // DataFusion takes integers as floats here, and so does the engine.
    let found: Option<Vec<Found>> = match aggregate.fun().name().starts_with("stddev") {
        true => arguments.iter().map(find_number).collect(),
        false => arguments.iter().map(find).collect(),
    };
    let sources = found.as_ref().map(|found| found.iter().map(|one| &one.source));
    let sources: Option<Vec<&Source>> = sources.map(Iterator::collect);
    let function = match (aggregate.fun().name(), sources.as_deref()) {
        ("count", None) => {
            let [argument] = &arguments[..] else { return None };
            let literal = argument.downcast_ref::<Literal>()?;
            (!literal.value().is_null()).then_some(Function::Count)?
        }
        ("count", Some([Source::Time | Source::Device | Source::Value(_)])) => Function::Count,
        ("sum", Some([_])) => Function::Sum,
        ("avg", Some([_])) => Function::Avg,
        ("min", Some([_])) => Function::Min,
        ("max", Some([_])) => Function::Max,
        ("stddev" | "stddev_samp", Some([_])) => Function::Stddev,
        ("first", Some([_, Source::Time])) => Function::First,
        ("last" | "latest", Some([_, Source::Time])) => Function::Last,
        _ => return None,
    };
    let about = match found.iter().flatten().next() {
        // Values of bytes may be blobs, which are null in SQL.
        Some(Found { source: Source::Value(Shape::Kind(Kind::Bytes)), .. }) => return None,
        Some(Found { source: Source::Value(shape), place }) => About::Values(*place, *shape),
        _ => About::Rows,
    };
    match (function, about) {
        (Function::Count, About::Rows | About::Values(_, Shape::Kind(_))) => {}
        (_, About::Values(_, Shape::Kind(kind))) => {
            let is_flag =
                kind == Kind::Bool && !matches!(function, Function::First | Function::Last);
            if !function.applies_to(kind) || is_flag {
                return None;
            }
        }
        _ => return None,
    }
    Some(Call { ask: Ask::Function(function), about, data_type, slot: 0, at: 0 })
}

/// The call of a function of the way that values take, where the metric's number tells metrics
/// apart: the operator takes each by itself.
fn way(told: &Told, found: (Found, Found, Found), data_type: DataType) -> Option<Call> {
    let (value, time, metric) = found;
    match (value.source, time.source, metric.source) {
        (Source::Value(shape @ Shape::Kind(kind)), Source::Time, Source::Metric)
            if kind.is_number() =>
        {
            let ask = Ask::Way(told.path, told.method);
            let about = About::Values(value.place, shape);
            Some(Call { ask, about, data_type, slot: 0, at: 0 })
        }
        _ => None,
    }
}

/// What an expression is a float of.
pub(super) fn as_number(expression: &Arc<dyn PhysicalExpr>) -> Arc<dyn PhysicalExpr> {
    match expression.downcast_ref::<CastExpr>() {
        Some(cast) if *cast.cast_type() == DataType::Float64 => Arc::clone(cast.expr()),
        _ => Arc::clone(expression),
    }
}

/// The column that a plain expression is, by its place.
pub(super) fn column(expression: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    Some(expression.downcast_ref::<Column>()?.index())
}

impl Call {
    /// The call's values from those of some buckets.
    pub(super) fn column(
        &self,
        values: impl ExactSizeIterator<Item = Option<Aggregated>>,
    ) -> Result<ArrayRef> {
        Ok(match &self.data_type {
            DataType::Float64 => Arc::new(values.map(float).collect::<Float64Array>()),
            DataType::Int64 => Arc::new(values.map(signed).collect::<Int64Array>()),
            DataType::UInt64 => Arc::new(values.map(unsigned).collect::<UInt64Array>()),
            DataType::Boolean => Arc::new(values.map(flag).collect::<BooleanArray>()),
            DataType::Decimal128(38, 0) => {
                let sums: Decimal128Array = values.map(exact).collect();
                Arc::new(sums.with_precision_and_scale(38, 0)?)
            }
            DataType::Utf8 if values.len() > 0 => {
                ScalarValue::iter_to_array(values.map(|value| ScalarValue::Utf8(text(value))))?
            }
            other => new_null_array(other, values.len()),
        })
    }

    /// The value in a bucket without any record that the call looks at.
    pub(super) const fn of_none(&self) -> Option<Aggregated> {
        match self.ask {
            Ask::Function(Function::Count) | Ask::Rows => Some(Aggregated::Integer(0)),
            _ => None,
        }
    }

    /// The call's value over nothing at all.
    pub(super) fn of_nothing(&self) -> Result<ArrayRef> {
        if self.of_none().is_some() {
            return Ok(Arc::new(Int64Array::from(vec![0])));
        }
        Ok(new_null_array(&self.data_type, 1))
    }
}

fn float(value: Option<Aggregated>) -> Option<f64> {
    match value? {
        Aggregated::Float(value) | Aggregated::Value(Value::F64(value)) => Some(value),
        _ => None,
    }
}

fn signed(value: Option<Aggregated>) -> Option<i64> {
    match value? {
        Aggregated::Integer(value) => i64::try_from(value).ok(),
        Aggregated::Value(Value::I64(value)) => Some(value),
        _ => None,
    }
}

fn unsigned(value: Option<Aggregated>) -> Option<u64> {
    match value? {
        Aggregated::Value(Value::U64(value)) => Some(value),
        _ => None,
    }
}

fn flag(value: Option<Aggregated>) -> Option<bool> {
    match value? {
        Aggregated::Value(Value::Bool(value)) => Some(value),
        _ => None,
    }
}

fn exact(value: Option<Aggregated>) -> Option<i128> {
    match value? {
        Aggregated::Integer(value) => Some(value),
        _ => None,
    }
}

fn text(value: Option<Aggregated>) -> Option<String> {
    match value? {
        Aggregated::Value(Value::Text(value)) => Some(value),
        _ => None,
    }
}
