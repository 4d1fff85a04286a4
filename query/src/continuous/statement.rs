//! Statements: what can be said of continuous queries.
//!
//! ```text
//! CREATE CONTINUOUS QUERY name [INTO metric] AS
//!     SELECT keys, window, aggregates FROM metric | class | records
//!     [WHERE conditions] GROUP BY keys and window
//!     [WITH (lateness = '1m', emit = 'updates' | 'final', late = 'recompute' | 'count',
//!            max_ahead = '1h' | 'none', keep_changes = 10000)]
//! SHOW CONTINUOUS QUERIES
//! REFRESH CONTINUOUS QUERY name [FROM 'time'] [TO 'time']
//! PAUSE | RESUME CONTINUOUS QUERY name
//! DROP CONTINUOUS QUERY name [KEEP DATA]
//! ```

mod call;
mod conditions;
mod options;
mod parse;
mod select;

use chronolith_engine::{Function as Plain, Selector};

use super::error::ContinuousError;
use super::window::Windows;

/// A statement.
#[derive(Debug, Clone)]
pub(super) enum Statement {
    Create(Box<Query>),
    Show,
    Refresh { name: String, from_ns: i64, to_ns: i64 },
    Pause(String),
    Resume(String),
    Drop { name: String, keep_data: bool },
}

impl Statement {
    pub(super) fn parse(text: &str) -> Result<Self, ContinuousError> {
        parse::statement(text).map_err(ContinuousError::statement)
    }
}

/// Whether a text is a statement about continuous queries, right or wrong.
#[must_use]
pub fn is_statement(text: &str) -> bool {
    let mut words = text.split_whitespace().take(3).map(str::to_ascii_uppercase);
    let first = words.next();
    matches!(first.as_deref(), Some("CREATE" | "SHOW" | "REFRESH" | "PAUSE" | "RESUME" | "DROP"))
        && words.next().as_deref() == Some("CONTINUOUS")
}

/// A continuous query as it was stated.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub(super) name: String,
    /// What the output metrics are called.
    pub(super) into: String,
    pub(super) source: Source,
    /// Conditions on labels, the source's among them.
    pub(super) selector: Selector,
    pub(super) conditions: Conditions,
    /// The labels that tell groups apart.
    pub(super) keys: Vec<Key>,
    pub(super) windows: Windows,
    /// What the column of the window's beginning is called.
    pub(super) window_name: String,
    pub(super) columns: Vec<Column>,
    pub(super) options: QueryOptions,
    /// The statement itself.
    pub(super) text: String,
}

/// Where records come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// The metrics of a name.
    Metric(String),
    /// The metrics of a class of devices, each a column. A time at which any of them has a record
    /// is a row, also where no aggregate looks at that column.
    Class(String),
    /// All metrics.
    Records,
}

/// A label that tells groups apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// `device`, `name` or the key of a tag.
    pub(super) label: String,
    pub(super) alias: String,
}

/// Conditions on times and values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Conditions {
    pub(super) from_ns: i64,
    pub(super) to_ns: i64,
    pub(super) values: Vec<ValueCondition>,
}

/// A comparison of the value with a constant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ValueCondition {
    pub(super) comparison: Comparison,
    pub(super) constant: Number,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
}

/// A constant that values are compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Integer(i128),
    Float(f64),
}

/// One aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) alias: String,
    pub(super) aggregate: Aggregate,
    /// Of a class: the metric that is aggregated.
    pub(super) metric: Option<String>,
}

/// A function over the records of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregate {
    /// One of the engine's.
    Plain(Plain),
    /// How much a counter rose: a fall is a reset to zero.
    Increase,
    /// The same per second between the first and the last record.
    Rate,
    /// The last value less the first.
    Delta,
    /// The average by the time that values stand until the next.
    TimeWeighted,
}

/// What `WITH` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QueryOptions {
    pub(super) lateness_ns: i64,
    /// How far a record may be ahead of the clock and still move the watermark; `None`: any time.
    pub(super) max_ahead_ns: Option<i64>,
    pub(super) emit: Emit,
    pub(super) late: Late,
    pub(super) keep_changes: u64,
}

/// When answers are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Emit {
    /// Whenever they change.
    Updates,
    /// When their window closes.
    Final,
}

/// What becomes of records that come after their window closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    /// The window is computed anew, and the old answer taken back.
    Recompute,
    /// They are counted, and nothing else.
    Count,
}

impl Query {
    /// Whether some function follows the way of values through time.
    pub(super) fn needs_path(&self) -> bool {
        self.columns.iter().any(|column| !matches!(column.aggregate, Aggregate::Plain(_)))
    }

    /// A bound on windows of a few columns, as it is for those of this query.
    pub(super) fn share_of(&self, most: usize) -> usize {
        most / (1 + self.columns.len() / 8)
    }

    /// Whether a metric of a name is aggregated: those of a class that are not only say that there
    /// are rows.
    pub(super) fn aggregates(&self, name: &str) -> bool {
        let is_of = |column: &Column| column.metric.as_ref().is_none_or(|metric| metric == name);
        self.columns.iter().any(is_of)
    }

    /// What a row keeps beside its values: the last time of a session, and the last of any other
    /// window where nothing else might say that there is a row.
    pub(super) fn kept_end(&self, last_ns: i64) -> Option<i64> {
        self.keeps_end().then_some(last_ns)
    }

    /// Whether rows keep where their window ends.
    pub(super) fn keeps_end(&self) -> bool {
        let is_count = |column: &Column| column.aggregate == Aggregate::Plain(Plain::Count);
        let is_class = matches!(self.source, Source::Class(_));
        self.windows.gap_ns().is_some() || (is_class && !self.columns.iter().any(is_count))
    }

    /// The engine's functions among the columns.
    pub(super) fn functions(&self) -> Vec<Plain> {
        let plain = self.columns.iter().filter_map(|column| match column.aggregate {
            Aggregate::Plain(function) => Some(function),
            _ => None,
        });
        plain.collect()
    }
}
