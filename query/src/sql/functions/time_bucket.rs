//! `time_bucket(width, time [, zone | origin | offset ...])`.
//!
//! The width is an interval or a text like `5m`; what follows the time is told apart by its type: a
//! text is a time zone, a time the origin, an interval an offset.

use std::sync::Arc;

use arrow::array::{Array, AsArray, PrimitiveArray};
use arrow::datatypes::{
    DataType, IntervalMonthDayNano, IntervalUnit, TimeUnit, TimestampNanosecondType,
};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use jiff::tz::TimeZone;

use crate::calendar::{Buckets, Width};

pub(crate) const TIME_BUCKET: &str = "time_bucket";

/// The same with empty buckets filled in: by [`super::super::gapfill`], which finds its calls.
pub(crate) const TIME_BUCKET_GAPFILL: &str = "time_bucket_gapfill";

pub(crate) fn time_bucket() -> ScalarUDF {
    ScalarUDF::new_from_impl(TimeBucket::named(TIME_BUCKET))
}

/// `time_bucket_gapfill(width, time [, start, finish] [, zone | offset ...])`.
pub(crate) fn time_bucket_gapfill() -> ScalarUDF {
    ScalarUDF::new_from_impl(TimeBucket::named(TIME_BUCKET_GAPFILL))
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct TimeBucket {
    name: &'static str,
    signature: Signature,
}

impl TimeBucket {
    fn named(name: &'static str) -> Self {
        Self { name, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// The types that the arguments are taken as.
pub(crate) fn argument_types(name: &str, given: &[DataType]) -> Result<Vec<DataType>> {
    let [width, time, more @ ..] = given else {
        return plan_err!("{name} wants a width and a time: {name}('5m', time)");
    };
    let width = match width {
        DataType::Interval(_) => INTERVAL,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        other => return plan_err!("the width of {name} is an interval or a text, not {other}"),
    };
    let time = super::super::aggregates::time_argument(name, time)?;
    let mut types = vec![width, time.clone()];
    for more in more {
        types.push(match more {
            DataType::Interval(_) => INTERVAL,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
            DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => {
                DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
            }
            other => {
                return plan_err!("{name} takes a zone, an origin or an offset, not {other}");
            }
        });
    }
    Ok(types)
}

/// The buckets that constant arguments describe: the width and what follows the time.
pub(crate) fn buckets<'a>(
    name: &str,
    width: &ScalarValue,
    more: impl IntoIterator<Item = &'a ScalarValue>,
) -> Result<Buckets> {
    let width = match width {
        ScalarValue::IntervalMonthDayNano(Some(interval)) => {
            Width::new(interval.months, interval.days, interval.nanoseconds)
        }
        value => match value.try_as_str() {
            Some(Some(text)) => text_width(text),
            _ => return plan_err!("the width of {name} must not be null"),
        },
    };
    let width = match width {
        Ok(width) => width,
        Err(problem) => return plan_err!("{name}: {problem}"),
    };
    let (mut origin_ns, mut offset_ns, mut zone) = (None, 0, None);
    for value in more {
        match value {
            // There a time is an end of the range to fill.
            ScalarValue::TimestampNanosecond(..) if name == TIME_BUCKET_GAPFILL => {}
            ScalarValue::TimestampNanosecond(Some(time_ns), _) => origin_ns = Some(*time_ns),
            ScalarValue::IntervalMonthDayNano(Some(interval)) => match offset(*interval) {
                Some(nanoseconds) => offset_ns = nanoseconds,
                None => return plan_err!("the offset of {name} must have no months"),
            },
            value => match value.try_as_str() {
                Some(Some(text)) => zone = Some(named_zone(name, text)?),
                _ => return plan_err!("the zone, origin and offset of {name} must not be null"),
            },
        }
    }
    Ok(Buckets::new(width, origin_ns, offset_ns, zone))
}

pub(crate) fn text_width(text: &str) -> Result<Width, String> {
    Width::parse(text).or_else(|problem| {
        // What is no length of ours may be one of SQL's: '5 minutes'.
        let interval = arrow::compute::kernels::cast_utils::parse_interval_month_day_nano(text);
        let interval = interval.map_err(|_| problem)?;
        Width::new(interval.months, interval.days, interval.nanoseconds)
    })
}

fn offset(interval: IntervalMonthDayNano) -> Option<i64> {
    if interval.months != 0 {
        return None;
    }
    i64::from(interval.days).checked_mul(86_400_000_000_000)?.checked_add(interval.nanoseconds)
}

/// A time zone by its name in the IANA database.
pub(crate) fn named_zone(function: &str, name: &str) -> Result<TimeZone> {
    match TimeZone::get(name) {
        Ok(zone) => Ok(zone),
        Err(_) => plan_err!(
            "{function}: {name:?} is not a time zone; write one like 'Europe/Berlin' or 'UTC'"
        ),
    }
}

impl ScalarUDFImpl for TimeBucket {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        argument_types(self.name, given)
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match given {
            [_, time, ..] => Ok(time.clone()),
            _ => plan_err!("{} wants a width and a time", self.name),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = |value: &ColumnarValue| match value {
            ColumnarValue::Scalar(value) => Ok(value.clone()),
            ColumnarValue::Array(_) => {
                exec_err!("only the time of {} may differ from row to row", self.name)
            }
        };
        let [width, time, more @ ..] = &args.args[..] else {
            return plan_err!("{} wants a width and a time", self.name);
        };
        let width = constant(width)?;
        let more = more.iter().map(constant).collect::<Result<Vec<_>>>()?;
        let buckets = buckets(self.name, &width, &more)?;
        match time {
            ColumnarValue::Scalar(ScalarValue::TimestampNanosecond(time_ns, zone)) => {
                let start_ns = time_ns.and_then(|time_ns| buckets.start_of(time_ns));
                let zone = zone.clone();
                Ok(ColumnarValue::Scalar(ScalarValue::TimestampNanosecond(start_ns, zone)))
            }
            ColumnarValue::Array(times) => {
                let times = times.as_primitive::<TimestampNanosecondType>();
                Ok(ColumnarValue::Array(Arc::new(starts(times, &buckets))))
            }
            ColumnarValue::Scalar(other) => exec_err!("{} wants a time, not {other}", self.name),
        }
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        // A later time is never in an earlier bucket.
        let others = inputs.iter().enumerate().filter(|(index, _)| *index != 1);
        let are_constant =
            others.into_iter().all(|(_, input)| input.sort_properties == SortProperties::Singleton);
        match inputs.get(1) {
            Some(time) if are_constant => Ok(time.sort_properties),
            _ => Ok(SortProperties::Unordered),
        }
    }
}

/// The starts of the buckets of some times. Times that follow each other mostly share a bucket, so
/// that the calendar is asked once for each run of them.
fn starts(
    times: &PrimitiveArray<TimestampNanosecondType>,
    buckets: &Buckets,
) -> PrimitiveArray<TimestampNanosecondType> {
    let mut current: Option<(i64, i64)> = None;
    let mut start = |time_ns: i64| -> Option<i64> {
        if let Some((start_ns, end_ns)) = current
            && (start_ns..end_ns).contains(&time_ns)
        {
            return Some(start_ns);
        }
        let start_ns = buckets.start_of(time_ns)?;
        current = buckets.next(start_ns).map(|end_ns| (start_ns, end_ns));
        Some(start_ns)
    };
    let starts = times.iter().map(|time_ns| time_ns.and_then(&mut start));
    let starts: PrimitiveArray<TimestampNanosecondType> = starts.collect();
    starts.with_data_type(times.data_type().clone())
}
