//! Functions of the way that values take through time: `rate`, `increase`, `delta` and
//! `time_weighted_avg`.
//!
//! They see the records of a group in the order of time, whatever order they come in, and are for
//! one metric at a time: group by what tells metrics apart. `rate` and `increase` take the value as
//! a counter, whose fall is a reset to zero. Nothing is extrapolated to the ends of a bucket.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Field, FieldRef, Float64Type, Int64Type, TimestampNanosecondType,
};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
};

use super::time_argument;
use super::total::Total;

pub(super) fn rate() -> AggregateUDF {
    AggregateUDF::new_from_impl(Points::new(Path::Rate))
}

pub(super) fn increase() -> AggregateUDF {
    AggregateUDF::new_from_impl(Points::new(Path::Increase))
}

pub(super) fn delta() -> AggregateUDF {
    AggregateUDF::new_from_impl(Points::new(Path::Delta))
}

pub(super) fn time_weighted_avg() -> AggregateUDF {
    AggregateUDF::new_from_impl(Points::new(Path::Weighted))
}

/// What is asked of the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Path {
    Rate,
    Increase,
    Delta,
    Weighted,
}

impl Path {
    const ALL: [Self; 4] = [Self::Rate, Self::Increase, Self::Delta, Self::Weighted];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Increase => "increase",
            Self::Delta => "delta",
            Self::Weighted => "time_weighted_avg",
        }
    }

    /// The one of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|path| path.name() == name)
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Points {
    path: Path,
    signature: Signature,
}

impl Points {
    fn new(path: Path) -> Self {
        Self { path, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for Points {
    fn name(&self) -> &str {
        self.path.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let name = self.name();
        let (value, time, method) = match given {
            [value, time] => (value, time, None),
            [value, time, method] if self.path == Path::Weighted => (value, time, Some(method)),
            _ => return plan_err!("{name} wants a value and a time: {name}(value, time)"),
        };
        if !value.is_numeric() && !value.is_null() {
            return plan_err!("{name} wants a number, not {value}");
        }
        let mut types = vec![DataType::Float64, time_argument(name, time)?];
        types.extend(method.map(|_| DataType::Utf8));
        Ok(types)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let list = |part: &str, item: DataType| -> FieldRef {
            let list = DataType::new_list(item, true);
            Arc::new(Field::new(format!("{}[{part}]", args.name), list, true))
        };
        Ok(vec![list("values", DataType::Float64), list("times", DataType::Int64)])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let method = match args.exprs.get(2) {
            None => Method::Locf,
            Some(method) => Method::named(&method.to_string())?,
        };
        Ok(Box::new(Collected { path: self.path, method, points: Vec::new() }))
    }
}

/// How a value stands until the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// It stays as it is.
    Locf,
    /// It goes straight to the next.
    Linear,
}

impl Method {
    pub(crate) fn named(text: &str) -> Result<Self> {
        match text.trim_matches('\'') {
            "locf" => Ok(Self::Locf),
            "linear" => Ok(Self::Linear),
            other => plan_err!("time_weighted_avg knows 'locf' and 'linear', not {other}"),
        }
    }
}

/// The points of a group.
#[derive(Debug)]
struct Collected {
    path: Path,
    method: Method,
    points: Vec<(i64, f64)>,
}

fn seconds(from_ns: i64, to_ns: i64) -> f64 {
    (i128::from(to_ns) - i128::from(from_ns)) as f64 / 1e9
}

impl Collected {
    fn extend(&mut self, times: &[i64], values: &[f64], is_valid: impl Fn(usize) -> bool) {
        let pairs = times.iter().copied().zip(values.iter().copied()).enumerate();
        self.points.extend(pairs.filter(|(row, _)| is_valid(*row)).map(|(_, pair)| pair));
    }

    fn result(&mut self) -> Option<f64> {
        // A stable sort of what is mostly sorted already; equal times keep the order they came in.
        self.points.sort_by_key(|(time_ns, _)| *time_ns);
        let mut way = Way::new(self.path, self.method);
        for (time_ns, value) in &self.points {
            way.add(*time_ns, *value);
        }
        way.result()
    }
}

/// A way through points that come in the order of time: no more is held than its two ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    path: Path,
    method: Method,
    /// The first and the last point.
    ends: Option<((i64, f64), (i64, f64))>,
    is_single: bool,
    /// What has risen, or the area below the way: value times seconds.
    total: Total,
}

impl Way {
    pub(crate) fn new(path: Path, method: Method) -> Self {
        Self { path, method, ends: None, is_single: true, total: Total::default() }
    }

    pub(crate) fn add(&mut self, time_ns: i64, value: f64) {
        let point = (time_ns, value);
        let Some((first, last)) = self.ends else {
            self.ends = Some((point, point));
            return;
        };
        self.is_single = false;
        let (from_ns, from) = last;
        match (self.path, self.method) {
            (Path::Delta, _) => {}
            (Path::Weighted, method) => {
                let height = match method {
                    Method::Locf => from,
                    Method::Linear => f64::midpoint(from, value),
                };
                self.total.add(height * seconds(from_ns, time_ns));
            }
            (Path::Rate | Path::Increase, _) => {
                self.total.add(if value < from { value } else { value - from });
            }
        }
        self.ends = Some((first, point));
    }

    pub(crate) fn result(&self) -> Option<f64> {
        let (first, last) = self.ends?;
        let span = seconds(first.0, last.0);
        match self.path {
            Path::Weighted if span == 0.0 => Some(last.1),
            Path::Weighted => Some(self.total.value() / span),
            _ if self.is_single => None,
            Path::Delta => Some(last.1 - first.1),
            Path::Increase => Some(self.total.value()),
            Path::Rate => (span > 0.0).then(|| self.total.value() / span),
        }
    }
}

impl Accumulator for Collected {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (Some(values), Some(times)) = (values.first(), values.get(1)) else { return Ok(()) };
        let values = values.as_primitive::<Float64Type>();
        let times = times.as_primitive::<TimestampNanosecondType>();
        self.extend(times.values(), values.values(), |row| {
            times.is_valid(row) && values.is_valid(row)
        });
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.result()))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.points.capacity() * size_of::<(i64, f64)>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = self.points.iter().map(|(_, value)| ScalarValue::from(*value));
        let times = self.points.iter().map(|(time_ns, _)| ScalarValue::from(*time_ns));
        let values = ScalarValue::new_list_from_iter(values, &DataType::Float64, true);
        let times = ScalarValue::new_list_from_iter(times, &DataType::Int64, true);
        Ok(vec![ScalarValue::List(values), ScalarValue::List(times)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [values, times] = states else { return Ok(()) };
        let (values, times) = (values.as_list::<i32>(), times.as_list::<i32>());
        for (values, times) in values.iter().zip(times.iter()) {
            let (Some(values), Some(times)) = (values, times) else { continue };
            let values = values.as_primitive::<Float64Type>();
            let times = times.as_primitive::<Int64Type>();
            self.extend(times.values(), values.values(), |_| true);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(path: Path, method: Method, points: &[(i64, f64)]) -> Option<f64> {
        let points = points.iter().map(|(second, value)| (second * 1_000_000_000, *value));
        Collected { path, method, points: points.collect() }.result()
    }

    #[test]
    fn a_fall_of_a_counter_is_a_reset_and_order_does_not_matter() {
        let points = [(20, 5.0), (0, 10.0), (10, 30.0), (30, 6.0)];
        assert_eq!(result(Path::Increase, Method::Locf, &points), Some(26.0));
        assert_eq!(result(Path::Rate, Method::Locf, &points), Some(26.0 / 30.0));
        assert_eq!(result(Path::Delta, Method::Locf, &points), Some(-4.0));
    }

    #[test]
    fn values_weigh_as_long_as_they_stand() {
        let points = [(0, 10.0), (1, 20.0), (10, 0.0)];
        assert_eq!(result(Path::Weighted, Method::Locf, &points), Some(19.0));
        assert_eq!(result(Path::Weighted, Method::Linear, &points), Some(10.5));
        assert_eq!(result(Path::Weighted, Method::Locf, &[(5, 3.0)]), Some(3.0));
    }

    #[test]
    fn one_point_has_no_way() {
        for path in [Path::Increase, Path::Rate, Path::Delta] {
            assert_eq!(result(path, Method::Locf, &[(0, 1.0)]), None);
        }
        assert_eq!(result(Path::Weighted, Method::Locf, &[]), None);
    }
}
