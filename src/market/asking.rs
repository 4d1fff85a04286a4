//! Asking a database what a deal is about: its metrics, and no others.

use std::time::Duration;
#[cfg(feature = "sql")]
use std::time::Instant;

use chronolith_engine::{Db, MetricId};
use serde_json::Value;

use super::question::QuestionError;

/// Whether this program has what questions are asked by.
pub const HAS_SQL: bool = cfg!(feature = "sql");
/// The most rows that an answer is made of.
#[cfg(feature = "sql")]
const ROWS_MOST: u64 = 10_000;
/// The longest that the database may take to answer.
pub const TIME_MOST: Duration = Duration::from_secs(60);

/// The names of the columns of an answer, and its rows.
pub(super) type Table = (Vec<String>, Vec<Vec<Value>>);

/// Asks the database. The SQL may read the metrics of a scope, and no others.
#[cfg(feature = "sql")]
pub(super) fn ask(
    db: &Db,
    is_of_scope: impl Fn(MetricId) -> bool,
    sql: &str,
    within: Duration,
) -> Result<Table, QuestionError> {
    use chronolith_query::{Limits, QueryError, Sql};

    // While rows are made much may fail that is not the records' doing: what is told of them is known by its words.
    let of = |error: QueryError| match error {
        QueryError::TooManyRows(_) | QueryError::NotRepeatable { .. } => {
            QuestionError::Sql(error.to_string())
        }
        QueryError::Sql(problem) if is_of_records(problem.message()) => {
            QuestionError::Sql(problem.to_string())
        }
        other => QuestionError::Limit(other.to_string()),
    };
    let planning = |error: QueryError| match error {
        QueryError::Sql(problem) => QuestionError::Sql(problem.to_string()),
        other => of(other),
    };
    let failed = |error: &dyn std::fmt::Display| QuestionError::Sql(error.to_string());
    let begin = Instant::now();
    let session = Sql::new(db.clone()).map_err(of)?;
    let limits = Limits { rows: Some(ROWS_MOST), time: Some(within), ..Limits::default() };
    let reads = session.reads(sql, &limits).map_err(planning)?;
    let limits = Limits { time: Some(within.saturating_sub(begin.elapsed())), ..limits };
    if let Some(other) = reads.metrics.iter().find(|read| !is_of_scope(read.metric)) {
        let known = db.definition(other.metric);
        let name = known.map(|known| known.metric.to_string()).unwrap_or_default();
        return Err(QuestionError::Scope(name));
    }
    let answer = session.query(sql, &limits).map_err(of)?;
    let schema = answer.schema();
    let columns: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let mut text = Vec::new();
    let written = crate::rows::write_answer(answer, crate::rows::Format::Ndjson, &mut text);
    written.map_err(|error| match error.downcast::<QueryError>() {
        Ok(error) => of(error),
        Err(error) => failed(&error),
    })?;
    let mut rows = Vec::new();
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let mut row: serde_json::Map<String, Value> =
            serde_json::from_slice(line).map_err(|error| failed(&error))?;
        let cells = columns.iter().map(|name| row.remove(name).unwrap_or_default());
        rows.push(cells.collect());
    }
    Ok((columns, rows))
}

/// Whether a failure is of the records: values that are no number of the kind that is asked for, or too large.
#[cfg(feature = "sql")]
fn is_of_records(message: &str) -> bool {
    let of_values = ["can't cast", "cannot cast", "cast error", "divide by zero", "overflow"];
    let message = message.to_lowercase();
    of_values.iter().any(|words| message.contains(words))
}

/// There is nothing to ask by.
#[cfg(not(feature = "sql"))]
pub(super) fn ask(
    _: &Db,
    _: impl Fn(MetricId) -> bool,
    _: &str,
    _: Duration,
) -> Result<Table, QuestionError> {
    Err(QuestionError::NoSql)
}
