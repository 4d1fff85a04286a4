//! Limits on rows, time and memory end a query with an error that says so.

use std::time::Duration;

use chronolith_query::{Limits, QueryError};

use crate::fixture::{Fixture, fixture};

fn outcome(fixture: &Fixture, sql: &str, limits: Limits) -> Result<u64, QueryError> {
    let mut rows = 0;
    for batch in fixture.sql.query(sql, &limits)? {
        rows += batch?.num_rows() as u64;
    }
    Ok(rows)
}

#[test]
fn one_row_too_many_is_an_error() {
    let fixture = fixture(41);
    let limits = Limits { rows: Some(10), ..Limits::default() };
    assert_eq!(outcome(&fixture, "SELECT * FROM speed LIMIT 10", limits).ok(), Some(10));
    let error = outcome(&fixture, "SELECT * FROM speed LIMIT 11", limits);
    assert!(matches!(error, Err(QueryError::TooManyRows(10))));
}

#[test]
fn a_query_without_end_is_ended_by_its_time() {
    let fixture = fixture(42);
    let limits = Limits { time: Some(Duration::from_millis(200)), ..Limits::default() };
    for sql in [
        "SELECT count(*) FROM records a, records b, records c WHERE a.value_f64 < b.value_f64",
        "SELECT a.time FROM records a, records b, records c, records d",
    ] {
        let error = outcome(&fixture, sql, limits);
        assert!(matches!(error, Err(QueryError::TooSlow(_))), "{sql}: {error:?}");
    }
}

#[test]
fn a_cancelled_query_says_so() {
    let fixture = fixture(43);
    let sql = "SELECT a.time FROM records a, records b, records c, records d";
    let mut answer = fixture.sql.query(sql, &Limits::default()).unwrap();
    answer.canceller().cancel();
    assert!(matches!(answer.next(), Some(Err(QueryError::Cancelled))));
    assert!(answer.next().is_none());
}

#[test]
fn what_needs_too_much_memory_is_an_error() {
    let fixture = fixture(44);
    let limits = Limits { memory_bytes: 64 << 10, ..Limits::default() };
    for sql in [
        "SELECT a.device, b.device FROM records a JOIN records b ON a.time = b.time",
        // Not by the bucket operator, so that all points are held and put in order.
        "SELECT rate(value + 1, time) FROM rpm",
        "SELECT array_agg(time) FROM records",
    ] {
        let error = outcome(&fixture, sql, limits);
        assert!(matches!(error, Err(QueryError::TooMuchMemory { .. })), "{sql}: {error:?}");
    }
}
