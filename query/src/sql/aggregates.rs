//! Aggregate functions: those of DataFusion with the engine's arithmetic, and those of time series
//! that it lacks.

mod bounds;
mod calls;
mod ends;
mod histogram;
pub(crate) mod latest;
mod numbers;
mod one;
pub(crate) mod per_metric;
pub(crate) mod points;
mod sliding;

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Result, plan_err};
use datafusion::execution::SessionState;
use datafusion::logical_expr::AggregateUDF;

/// Puts the functions into a session, in place of those of the same name.
pub(crate) fn register(state: &mut SessionState) {
    let own = [
        numbers::sum(),
        numbers::avg(),
        ends::first(),
        ends::last(),
        ends::latest(),
        ends::latest_time(),
        points::rate(),
        points::increase(),
        points::delta(),
        points::time_weighted_avg(),
        histogram::histogram(),
    ];
    let functions = state.aggregate_functions();
    let wrapped: Vec<AggregateUDF> = ["min", "max"]
        .into_iter()
        .filter_map(|name| Some(bounds::skipping_nan(Arc::clone(functions.get(name)?))))
        .collect();
    for function in own.into_iter().chain(wrapped) {
        // Replacing a function cannot fail: the old one is handed back.
        let replaced =
            datafusion::execution::FunctionRegistry::register_udaf(state, Arc::new(function));
        debug_assert!(replaced.is_ok());
    }
}

/// The type that a time argument is taken as.
pub(crate) fn time_argument(function: &str, given: &DataType) -> Result<DataType> {
    match given {
        DataType::Timestamp(_, zone) => Ok(DataType::Timestamp(TimeUnit::Nanosecond, zone.clone())),
        DataType::Date32 | DataType::Date64 | DataType::Utf8 | DataType::Utf8View => {
            Ok(DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())))
        }
        DataType::Null => Ok(DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))),
        other => plan_err!("{function} wants a time, not {other}"),
    }
}
