//! Every bucket of a range has a row, and empty ones are filled as asked.

use chronolith_engine::{Db, Durability, Kind, Maintenance, Metric, Options};
use chronolith_query::Sql;

use crate::fixture::{SECOND_NS, START_NS, expect_same, fixture, rows};

/// Two devices: at minutes 0, 1, 4 and at minutes 2, 4.
fn gappy() -> (tempfile::TempDir, Sql) {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { maintenance: Maintenance::Manual, ..Options::default() };
    let db = Db::open(directory.path().join("db"), options).unwrap();
    let mut batch = db.batch();
    for (device, records) in
        [("a", vec![(0, 1.0), (1, 2.0), (4, 8.0)]), ("b", vec![(2, 10.0), (4, 20.0)])]
    {
        let id = db.metric(Metric::new(device, "level"), Kind::F64).unwrap();
        for (minute, value) in records {
            batch.push(id, START_NS + minute * 60 * SECOND_NS, value).unwrap();
        }
    }
    db.write(&batch, Durability::Buffered).unwrap();
    (directory, Sql::new(db).unwrap())
}

fn filled(sql: &str) -> Vec<String> {
    let (_directory, session) = gappy();
    let rows = rows(&session, sql).unwrap_or_else(|error| panic!("{sql}\n{error}"));
    let short = |cell: String| cell.replace("2026-01-01T00:", "").replace(":00Z", "");
    rows.into_iter().map(|row| row.into_iter().map(short).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn without_a_range_gaps_reach_from_the_first_bucket_to_the_last() {
    let found = filled(
        "SELECT device, time_bucket_gapfill('1m', time) AS minute, avg(value), count(*) \
         FROM level GROUP BY device, minute ORDER BY device, minute",
    );
    let expected = [
        "a 00 1.0 1",
        "a 01 2.0 1",
        "a 02  0",
        "a 03  0",
        "a 04 8.0 1",
        "b 00  0",
        "b 01  0",
        "b 02 10.0 1",
        "b 03  0",
        "b 04 20.0 1",
    ];
    assert_eq!(found, expected);
}

#[test]
fn values_are_carried_forward_or_interpolated() {
    let found = filled(
        "SELECT device, time_bucket_gapfill('1m', time) AS minute, locf(avg(value)) AS held, \
         interpolate(avg(value)) AS line, locf(max(value)) + 1 AS more, avg(value) AS raw \
         FROM level GROUP BY device, minute ORDER BY device, minute",
    );
    let expected = [
        "a 00 1.0 1.0 2.0 1.0",
        "a 01 2.0 2.0 3.0 2.0",
        "a 02 2.0 4.0 3.0 ",
        "a 03 2.0 6.0 3.0 ",
        "a 04 8.0 8.0 9.0 8.0",
        "b 00    ",
        "b 01    ",
        "b 02 10.0 10.0 11.0 10.0",
        "b 03 10.0 15.0 11.0 ",
        "b 04 20.0 20.0 21.0 20.0",
    ];
    assert_eq!(found, expected);
}

#[test]
fn the_range_is_that_of_the_conditions_or_of_the_call() {
    for sql in [
        "SELECT time_bucket_gapfill('1m', time) AS minute, sum(value) FROM level \
         WHERE time >= '2026-01-01T00:03:00Z' AND time < '2026-01-01T00:07:00Z' GROUP BY minute",
        "SELECT time_bucket_gapfill('1m', time, TIMESTAMP '2026-01-01T00:03:00Z', \
         TIMESTAMP '2026-01-01T00:07:00Z') AS minute, sum(value) FROM level \
         WHERE time > '2026-01-01T00:02:30Z' GROUP BY minute",
        "SELECT time_bucket_gapfill(INTERVAL '1 minute', time) AS minute, sum(value) FROM level \
         WHERE time BETWEEN '2026-01-01T00:03:00Z' AND '2026-01-01T00:06:00Z' GROUP BY 1",
    ] {
        assert_eq!(filled(sql), ["03 ", "04 28.0", "05 ", "06 "], "{sql}");
    }
}

#[test]
fn days_of_changing_clocks_are_buckets_too() {
    let (_directory, session) = gappy();
    let sql = "SELECT time_bucket_gapfill('1d', time, 'Europe/Berlin') AS day, count(*) FROM level \
               WHERE time >= '2026-03-27T23:00:00Z' AND time < '2026-03-30T22:00:00Z' GROUP BY day";
    let days: Vec<String> =
        rows(&session, sql).unwrap().into_iter().map(|row| row[0].clone()).collect();
    let expected = ["2026-03-27T23:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"];
    assert_eq!(days, expected);
}

#[test]
fn buckets_of_zones_with_gaps_to_fill_are_the_bucket_operators() {
    let fixture = fixture(62);
    let mut ways = Vec::new();
    for table in ["speed", "(SELECT * FROM speed LIMIT 1000000000)"] {
        let sql = format!(
            "SELECT device, time_bucket_gapfill('10m', time, 'Europe/Berlin') AS b, \
             locf(last(value, time)), interpolate(max(value)), rate(value, time), count(*) \
             FROM {table} WHERE time >= '2026-01-01T00:30:00Z' AND time < '2026-01-01T03:30:00Z' \
             GROUP BY device, b"
        );
        let plan = format!("{:?}", fixture.rows(&format!("EXPLAIN ANALYZE {sql}")));
        assert!(plan.contains("GapFill"), "{plan}");
        ways.push((plan.contains("BucketAggregate"), fixture.sorted(&sql)));
    }
    let [(true, operator), (false, plain)] = &ways[..] else { panic!("{ways:?}") };
    assert_eq!(operator.len(), 4 * 18);
    expect_same("gaps in a zone", operator, plain);
}

#[test]
fn what_cannot_be_filled_is_an_error() {
    let fixture = fixture(61);
    for sql in [
        "SELECT locf(value) FROM speed",
        "SELECT locf(avg(value)) FROM speed",
        "SELECT time_bucket_gapfill('1ms', time) AS b, avg(value) FROM speed \
         WHERE time > '2000-01-01' AND time < '2026-03-01' GROUP BY b",
        "SELECT time_bucket_gapfill('1m', time) AS b, locf(avg(value) + 1) FROM speed GROUP BY b",
        "SELECT time_bucket_gapfill('1m', time) AS b, time_bucket_gapfill('2m', time) AS c, \
         avg(value) FROM speed GROUP BY b, c",
        "SELECT time_bucket_gapfill('1m', time, TIMESTAMP '2026-01-01', time) AS b, avg(value) \
         FROM speed GROUP BY b",
    ] {
        assert!(rows(&fixture.sql, sql).is_err(), "{sql}");
    }
}
