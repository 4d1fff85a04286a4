//! What one query may take.

use std::time::{Duration, Instant};

use chronolith_query::promql::Limits;

use super::refusal::Refusal;
use super::time::length;
use crate::http::query::admission::longest;
use crate::http::query::form::Form;
use crate::http::state::HttpState;

/// What a query may take at most.
pub(super) struct Wanted(Duration);

impl Wanted {
    pub(super) fn new(state: &HttpState) -> Self {
        Self(longest(state, None))
    }

    /// What it may take: what it asks for, or what is the most.
    pub(super) fn limits(&self, form: &Form) -> Result<Limits, Refusal> {
        let mut limits = Limits::default();
        let mut time = self.0;
        if let Some(text) = form.get("timeout") {
            let wanted_ns = length("timeout", text)?;
            time = time.min(Duration::from_nanos(wanted_ns.try_into().unwrap_or(0)));
        }
        limits.deadline = Instant::now().checked_add(time);
        if let Some(text) = form.get("lookback_delta") {
            limits.lookback_ns = length("lookback_delta", text)?;
        }
        Ok(limits)
    }
}

/// The time on the clock.
pub(super) fn now_ns() -> Result<i64, Refusal> {
    i64::try_from(jiff::Timestamp::now().as_nanosecond())
        .map_err(|_| Refusal::from("the clock is outside of the years 1677 to 2262".to_owned()))
}
