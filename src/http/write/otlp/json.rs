//! The same messages as JSON: names in camel case, 64-bit integers as text.

use serde_json::Value;

use super::message::{
    AnyValue, ArrayValue, Data, Exponential, Gauge, Histogram, HistogramPoint, KeyValue, Metric,
    Number, NumberPoint, OneValue, PairList, Quantile, Request, Resource, ResourceMetrics, Scope,
    ScopeMetrics, Sum, Summary, SummaryPoint,
};
use crate::http::problem::{Position, Problem};

/// Reads a request.
pub(super) fn request(bytes: &[u8]) -> Result<Request, Problem> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        let position = Position { line: error.line() as u64, column: error.column() as u64 };
        Problem::invalid(format!("the body is no JSON: {error}")).at(position)
    })?;
    let read = all(&value, "resourceMetrics", |resource| {
        Ok(ResourceMetrics {
            resource: part(resource, "resource", |resource| {
                Ok(Resource { attributes: attributes(resource)? })
            })?,
            scope_metrics: all(resource, "scopeMetrics", |scope| {
                Ok(ScopeMetrics {
                    scope: part(scope, "scope", |scope| {
                        let (name, version) = (text(scope, "name"), text(scope, "version"));
                        Ok(Scope { name, version, attributes: attributes(scope)? })
                    })?,
                    metrics: all(scope, "metrics", metric)?,
                })
            })?,
        })
    });
    match read {
        Ok(resource_metrics) => Ok(Request { resource_metrics }),
        Err(what) => Err(Problem::invalid(format!("the body is no export of metrics: {what}"))),
    }
}

type Read<T> = Result<T, String>;

/// The values of a list; none where it is not there.
fn all<T>(of: &Value, name: &str, read: impl Fn(&Value) -> Read<T>) -> Read<Vec<T>> {
    match &of[name] {
        Value::Null => Ok(Vec::new()),
        Value::Array(values) => values.iter().map(read).collect(),
        _ => Err(format!("{name} is no list")),
    }
}

fn part<T>(of: &Value, name: &str, read: impl Fn(&Value) -> Read<T>) -> Read<Option<T>> {
    match &of[name] {
        Value::Null => Ok(None),
        value @ Value::Object(_) => read(value).map(Some),
        _ => Err(format!("{name} is no object")),
    }
}

fn text(of: &Value, name: &str) -> String {
    of[name].as_str().unwrap_or_default().to_owned()
}

/// A number that may be written as text.
fn number<T: std::str::FromStr>(value: &Value, name: &str) -> Read<T> {
    let parsed = match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    };
    parsed.ok_or_else(|| format!("{name} is not a number of its kind"))
}

fn number_or<T: std::str::FromStr>(of: &Value, name: &str, missing: T) -> Read<T> {
    if of[name].is_null() { Ok(missing) } else { number(&of[name], name) }
}

fn temporality(of: &Value) -> i32 {
    match &of["aggregationTemporality"] {
        Value::String(name) if name == "AGGREGATION_TEMPORALITY_CUMULATIVE" => 2,
        Value::Number(number) => number.as_i64().and_then(|n| i32::try_from(n).ok()).unwrap_or(0),
        _ => 0,
    }
}

fn attributes(of: &Value) -> Read<Vec<KeyValue>> {
    all(of, "attributes", pair)
}

fn pair(value: &Value) -> Read<KeyValue> {
    Ok(KeyValue { key: text(value, "key"), value: part(value, "value", any)? })
}

fn any(value: &Value) -> Read<AnyValue> {
    let Some((kind, inner)) = value.as_object().and_then(|object| object.iter().next()) else {
        return Ok(AnyValue { value: None });
    };
    let value = match kind.as_str() {
        "stringValue" => OneValue::Text(inner.as_str().unwrap_or_default().to_owned()),
        "boolValue" => OneValue::Bool(inner.as_bool().unwrap_or_default()),
        "intValue" => OneValue::Integer(number(inner, kind)?),
        "doubleValue" => OneValue::Float(number(inner, kind)?),
        "arrayValue" => OneValue::Array(ArrayValue { values: all(inner, "values", any)? }),
        "kvlistValue" => OneValue::Pairs(PairList { values: all(inner, "values", pair)? }),
        // Bytes are text in base64 here, and text as labels.
        "bytesValue" => OneValue::Text(inner.as_str().unwrap_or_default().to_owned()),
        _ => return Err(format!("{kind} is no kind of value")),
    };
    Ok(AnyValue { value: Some(value) })
}

fn metric(value: &Value) -> Read<Metric> {
    let points = |data: &Value| all(data, "dataPoints", point);
    let data = if let Some(data) = object(value, "gauge") {
        Some(Data::Gauge(Gauge { data_points: points(data)? }))
    } else if let Some(data) = object(value, "sum") {
        Some(Data::Sum(Sum {
            data_points: points(data)?,
            aggregation_temporality: temporality(data),
            is_monotonic: data["isMonotonic"].as_bool().unwrap_or_default(),
        }))
    } else if let Some(data) = object(value, "histogram") {
        Some(Data::Histogram(Histogram {
            data_points: all(data, "dataPoints", histogram_point)?,
            aggregation_temporality: temporality(data),
        }))
    } else if let Some(data) = object(value, "exponentialHistogram") {
        let data_points = all(data, "dataPoints", |_| Ok(Default::default()))?;
        Some(Data::Exponential(Exponential { data_points }))
    } else if let Some(data) = object(value, "summary") {
        Some(Data::Summary(Summary { data_points: all(data, "dataPoints", summary_point)? }))
    } else {
        None
    };
    Ok(Metric { name: text(value, "name"), unit: text(value, "unit"), data })
}

fn object<'a>(of: &'a Value, name: &str) -> Option<&'a Value> {
    of.get(name).filter(|value| value.is_object())
}

fn point(value: &Value) -> Read<NumberPoint> {
    let number = if !value["asInt"].is_null() {
        Some(Number::Integer(number(&value["asInt"], "asInt")?))
    } else if !value["asDouble"].is_null() {
        Some(Number::Float(number(&value["asDouble"], "asDouble")?))
    } else {
        None
    };
    Ok(NumberPoint {
        attributes: attributes(value)?,
        time_unix_nano: number_or(value, "timeUnixNano", 0)?,
        value: number,
        flags: number_or(value, "flags", 0)?,
    })
}

fn histogram_point(value: &Value) -> Read<HistogramPoint> {
    let sum = &value["sum"];
    Ok(HistogramPoint {
        attributes: attributes(value)?,
        time_unix_nano: number_or(value, "timeUnixNano", 0)?,
        count: number_or(value, "count", 0)?,
        sum: if sum.is_null() { None } else { Some(number(sum, "sum")?) },
        bucket_counts: all(value, "bucketCounts", |count| number(count, "bucketCounts"))?,
        explicit_bounds: all(value, "explicitBounds", |bound| number(bound, "explicitBounds"))?,
        flags: number_or(value, "flags", 0)?,
    })
}

fn summary_point(value: &Value) -> Read<SummaryPoint> {
    Ok(SummaryPoint {
        attributes: attributes(value)?,
        time_unix_nano: number_or(value, "timeUnixNano", 0)?,
        count: number_or(value, "count", 0)?,
        sum: number_or(value, "sum", 0.0)?,
        quantile_values: all(value, "quantileValues", |quantile| {
            Ok(Quantile {
                quantile: number_or(quantile, "quantile", 0.0)?,
                value: number_or(quantile, "value", 0.0)?,
            })
        })?,
        flags: number_or(value, "flags", 0)?,
    })
}
