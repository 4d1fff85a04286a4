//! Scalar functions of time series.

pub(crate) mod bounded;
mod checked;
pub(crate) mod fill;
pub(crate) mod time_bucket;

use std::sync::Arc;

use datafusion::execution::{FunctionRegistry, SessionState};

/// Whether a function is a mark of how gaps are filled.
pub(super) fn is_mark(name: &str) -> bool {
    [fill::LOCF, fill::INTERPOLATE].contains(&name)
}

/// Puts the functions into a session.
pub(crate) fn register(state: &mut SessionState) {
    // Names that nobody has cannot be refused.
    let own = [
        time_bucket::time_bucket(),
        time_bucket::time_bucket_gapfill(),
        fill::locf(),
        fill::interpolate(),
    ];
    for function in own {
        let replaced = state.register_udf(Arc::new(function));
        debug_assert!(replaced.is_ok());
    }
    let installed = checked::install(state);
    debug_assert!(installed.is_ok());
}
