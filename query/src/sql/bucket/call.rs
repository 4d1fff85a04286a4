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

use crate::sql::aggregates::points::{Method, Path};
use crate::sql::columns::{Shape, Source};

/// An aggregate that the operator answers.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) ask: Ask,
    /// Whether the call looks at values, whose kind must then be the column's.
    pub(super) shape: Option<Shape>,
    pub(super) data_type: DataType,
}

/// How it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// By the engine.
    Function(Function),
    /// By a walk over the records of one metric.
    Way(Path, Method),
}

impl Ask {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Function(function) => function.name(),
            Self::Way(path, _) => path.name(),
        }
    }
}

/// The engine's function for a call, where there is one that answers the same.
pub(super) fn call(
    aggregate: &AggregateFunctionExpr,
    source: impl Fn(&Arc<dyn PhysicalExpr>) -> Option<Source>,
) -> Option<Call> {
    if aggregate.is_distinct() || !aggregate.order_bys().is_empty() || aggregate.ignore_nulls() {
        return None;
    }
    let mut arguments = aggregate.expressions();
    if let Some(path) = Path::named(aggregate.fun().name()) {
        return way(path, &arguments, source, aggregate.field().data_type().clone());
    }
    if aggregate.fun().name().starts_with("stddev") {
        // DataFusion takes integers as floats here, and so does the engine.
        arguments = arguments.iter().map(as_number).collect();
    }
    let sources: Option<Vec<Source>> = arguments.iter().map(&source).collect();
    let value = |sources: &[Source]| match sources.first() {
        Some(Source::Value(shape)) => Some(*shape),
        _ => None,
    };
    let (function, shape) = match (aggregate.fun().name(), sources.as_deref()) {
        ("count", None) => {
            let [argument] = &arguments[..] else { return None };
            let literal = argument.downcast_ref::<Literal>()?;
            (!literal.value().is_null()).then_some((Function::Count, None))?
        }
        ("count", Some([Source::Time | Source::Device])) => (Function::Count, None),
        ("count", Some(sources @ [Source::Value(_)])) => (Function::Count, value(sources)),
        ("sum", Some(sources)) => (Function::Sum, value(sources)),
        ("avg", Some(sources)) => (Function::Avg, value(sources)),
        ("min", Some(sources)) => (Function::Min, value(sources)),
        ("max", Some(sources)) => (Function::Max, value(sources)),
        ("stddev" | "stddev_samp", Some(sources)) => (Function::Stddev, value(sources)),
        ("first", Some(sources @ [_, Source::Time])) => (Function::First, value(sources)),
        ("last" | "latest", Some(sources @ [_, Source::Time])) => (Function::Last, value(sources)),
        _ => return None,
    };
    if function != Function::Count {
        let Shape::Kind(kind) = shape? else { return None };
        let is_flag = kind == Kind::Bool && !matches!(function, Function::First | Function::Last);
        if !function.applies_to(kind) || is_flag {
            return None;
        }
    }
    // Values of bytes may be blobs, which are null in SQL.
    if shape == Some(Shape::Kind(Kind::Bytes)) {
        return None;
    }
    let ask = Ask::Function(function);
    Some(Call { ask, shape, data_type: aggregate.field().data_type().clone() })
}

/// The call of a function of the way that values take.
fn way(
    path: Path,
    arguments: &[Arc<dyn PhysicalExpr>],
    source: impl Fn(&Arc<dyn PhysicalExpr>) -> Option<Source>,
    data_type: DataType,
) -> Option<Call> {
    let [value, time, more @ ..] = arguments else { return None };
    let method = match more {
        [] => Method::Locf,
        [method] => {
            let text = method.downcast_ref::<Literal>()?.value().try_as_str()??.to_owned();
            Method::named(&text).ok()?
        }
        _ => return None,
    };
    match (source(&as_number(value))?, source(time)?) {
        (Source::Value(shape @ Shape::Kind(kind)), Source::Time) if kind.is_number() => {
            Some(Call { ask: Ask::Way(path, method), shape: Some(shape), data_type })
        }
        _ => None,
    }
}

/// What an expression is a float of.
fn as_number(expression: &Arc<dyn PhysicalExpr>) -> Arc<dyn PhysicalExpr> {
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

    /// The call's value over nothing at all.
    pub(super) fn of_nothing(&self) -> Result<ArrayRef> {
        if self.ask == Ask::Function(Function::Count) {
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
