//! Functions of the way that values take through time: `rate`, `increase`, `delta` and
//! `time_weighted_avg`.
//!
//! They see the records of each metric of a group in the order of time, whatever order they come
//! in, and put together what the metrics have ([`crate::ways`]). Which metric a record is of, a
//! query does not say: [`super::per_metric`] adds that to each call. `rate` and `increase` take the
//! value as a counter, whose fall is a reset to zero. Nothing is extrapolated to the ends of a
//! bucket.

mod collected;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
};

use super::time_argument;
use crate::ways::{Share, Total, seconds};
use collected::Collected;

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
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Increase => "increase",
            Self::Delta => "delta",
            Self::Weighted => "time_weighted_avg",
        }
    }
}

/// How a value stands until the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Method {
    /// It stays as it is.
    Locf,
    /// It goes straight to the next.
    Linear,
}

impl Method {
    pub(crate) fn named(text: &str) -> Result<Self> {
        match text {
            "locf" => Ok(Self::Locf),
            "linear" => Ok(Self::Linear),
            other => plan_err!("time_weighted_avg knows 'locf' and 'linear', not '{other}'"),
        }
    }
}

/// A function as a query writes it: `name(value, time [, method])`. [`Told`] takes its place.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Points {
    pub(super) path: Path,
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

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        internal_err!("{} was not told which metric a row is of", self.name())
    }
}

/// The function that is told which metric each record is of: `name(value, time, keys...)`. Records
/// of equal keys are one metric's.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Told {
    pub(crate) path: Path,
    pub(crate) method: Method,
    signature: Signature,
}

impl Told {
    pub(super) fn new(path: Path, method: Method) -> Self {
        Self { path, method, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for Told {
    fn name(&self) -> &str {
        self.path.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        // The rule that writes the call takes arguments whose types are settled.
        Ok(given.to_vec())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let list = |(part, item): (&str, DataType)| -> FieldRef {
            let list = DataType::new_list(item, true);
            Arc::new(Field::new(format!("{}[{part}]", args.name), list, true))
        };
        Ok(Collected::STATE.into_iter().map(list).collect())
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Collected::new(Way::new(self.path, self.method))))
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

    /// What the metric gives to the answer for its group; `None` where there is no way.
    pub(crate) fn share(&self) -> Option<Share> {
        let (first, last) = self.ends?;
        let span = seconds(first.0, last.0);
        match self.path {
            Path::Weighted => Some(Share::Stand { area: self.total, seconds: span, last: last.1 }),
            _ if self.is_single => None,
            Path::Delta => Some(Share::Rise(last.1 - first.1)),
            Path::Increase => Some(Share::Rise(self.total.value())),
            Path::Rate => (span > 0.0).then(|| Share::Rise(self.total.value() / span)),
        }
    }
}
