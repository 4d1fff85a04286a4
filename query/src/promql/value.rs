//! Values between the parts of a query, and the answers of whole queries.

use std::collections::BTreeSet;

use super::labels::Labels;
use super::source::{is_stale, stale};

/// The times at which an expression is evaluated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    pub(crate) start_ns: i64,
    pub(crate) step_ns: i64,
    pub(crate) count: usize,
}

impl Grid {
    /// One time.
    pub(crate) const fn instant(time_ns: i64) -> Self {
        Self { start_ns: time_ns, step_ns: 0, count: 1 }
    }

    pub(crate) fn time(&self, index: usize) -> i64 {
        let steps = i64::try_from(index).unwrap_or(i64::MAX);
        self.start_ns.saturating_add(self.step_ns.saturating_mul(steps))
    }

    pub(crate) fn end_ns(&self) -> i64 {
        self.time(self.count.saturating_sub(1))
    }

    pub(crate) fn times(&self) -> impl Iterator<Item = i64> + '_ {
        (0..self.count).map(|index| self.time(index))
    }
}

/// Nanoseconds as the seconds that queries calculate with.
pub(crate) fn seconds(time_ns: i64) -> f64 {
    // Whole milliseconds divide without an error that nanoseconds would bring.
    if time_ns % 1_000_000 == 0 {
        return (time_ns / 1_000_000) as f64 / 1e3;
    }
    time_ns as f64 / 1e9
}

/// One series on a grid: a value for each time, [`ABSENT`] where it has none.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) labels: Labels,
    /// Whether the name goes away at the end; it stays until then, so that labels can be taken
    /// from it.
    pub(crate) drops_name: bool,
    pub(crate) values: Vec<f64>,
}

/// No value. The marker of staleness never is a value: sources' are taken as "the series ends",
/// and no arithmetic gives this signalling NaN.
pub(crate) const ABSENT: f64 = stale();

pub(crate) fn is_absent(value: f64) -> bool {
    is_stale(value)
}

impl Row {
    pub(crate) fn new(labels: Labels, values: Vec<f64>) -> Self {
        Self { labels, drops_name: false, values }
    }

    /// The same with every value changed.
    pub(crate) fn map(mut self, mut change: impl FnMut(usize, f64) -> f64) -> Self {
        for (index, value) in self.values.iter_mut().enumerate() {
            if !is_absent(*value) {
                *value = change(index, *value);
            }
        }
        self
    }

    /// The same as something that is no longer the metric of its name.
    pub(crate) fn nameless(mut self) -> Self {
        self.drops_name = true;
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.iter().all(|value| is_absent(*value))
    }
}

/// What a part of a query gives on a grid.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Scalar(Vec<f64>),
    Text(String),
    Vector(Vec<Row>),
}

/// What was noticed on the way that the user should know.
#[derive(Debug, Clone, Default)]
pub(crate) struct Annotations {
    pub(crate) warnings: BTreeSet<String>,
    pub(crate) infos: BTreeSet<String>,
}

/// The answer to a query.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What the query gives.
    pub data: Data,
    /// What makes the answer doubtful.
    pub warnings: Vec<String>,
    /// What may be unintended.
    pub infos: Vec<String>,
}

/// What a query gives.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Data {
    /// A number.
    Scalar {
        /// When, in nanoseconds since the epoch.
        time_ns: i64,
        /// How much.
        value: f64,
    },
    /// A string.
    Text {
        /// When, in nanoseconds since the epoch.
        time_ns: i64,
        /// The string.
        text: String,
    },
    /// Each series' value at one time; in an order that only sorting functions promise.
    Vector(Vec<Sample>),
    /// Each series' values at several times, ordered by labels.
    Matrix(Vec<super::Series>),
}

/// The value of a series at a time.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Which series.
    pub labels: Labels,
    /// Nanoseconds since the epoch.
    pub time_ns: i64,
    /// The value.
    pub value: f64,
}
