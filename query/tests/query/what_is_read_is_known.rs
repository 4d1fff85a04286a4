//! What an answer depends on is known before it is computed, and nothing else is read.

use std::collections::BTreeMap;

use chronolith_engine::{Db, Durability, Kind, Metric, Options};
use chronolith_query::{Limits, QueryError, Sql};

use crate::fixture::{SECOND_NS, START_NS};

/// Three cars with some metrics of a class, and nothing in them that matters.
fn sql() -> (Sql, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(directory.path().join("db"), Options::default()).unwrap();
    let mut batch = db.batch();
    for car in ["car-1", "car-2", "car-3"] {
        for (name, axle) in [("speed", "front"), ("speed", "rear"), ("rpm", "")] {
            let metric = Metric::new(car, name).tag("class", "fleet").tag("axle", axle);
            let metric = db.metric(metric, Kind::F64).unwrap();
            for second in 0..10 {
                batch.push(metric, START_NS + second * SECOND_NS, second as f64).unwrap();
            }
        }
    }
    db.write(&batch, Durability::Synced).unwrap();
    (Sql::new(db).unwrap(), directory)
}

/// What a query reads, by the names of metrics: seconds since the start.
fn reads(sql: &Sql, text: &str) -> BTreeMap<String, (i64, i64)> {
    let reads = sql.reads(text, &Limits::default()).unwrap();
    let seconds = |time_ns: i64| time_ns.saturating_sub(START_NS).div_euclid(SECOND_NS);
    let named = |read: &chronolith_query::Read| {
        let metric = sql.db().definition(read.metric).unwrap().metric.clone();
        let axle = metric.tag_value("axle").unwrap_or("");
        let name = format!("{}/{}/{axle}", metric.device(), metric.name());
        (name, (seconds(read.from_ns), seconds(read.to_ns)))
    };
    reads.metrics.iter().map(named).collect()
}

const AT: &str = "TIMESTAMP '2026-01-01T00:00:00Z' + INTERVAL";

#[test]
fn metrics_and_times_are_those_of_the_conditions() {
    let (sql, _directory) = sql();
    let range = format!("time >= {AT} '2 seconds' AND time < {AT} '5 seconds'");
    let one =
        format!("SELECT value FROM speed WHERE device = 'car-2' AND axle = 'rear' AND {range}");
    assert_eq!(reads(&sql, &one), [("car-2/speed/rear".to_owned(), (2, 4))].into());
    let all = reads(&sql, "SELECT max(value) FROM speed GROUP BY device");
    assert_eq!(all.len(), 6);
    let whole = (i64::MIN, i64::MAX);
    let is_whole = |read: &(i64, i64)| read.0 < 0 && read.1 > 1_000_000;
    assert!(all.values().all(is_whole), "{whole:?} {all:?}");
    // Buckets, latest values and classes are read by operators of their own.
    let buckets = format!(
        "SELECT time_bucket('1s', time) AS t, avg(value) FROM rpm WHERE {range} GROUP BY t"
    );
    assert_eq!(reads(&sql, &buckets).values().copied().collect::<Vec<_>>(), [(2, 4); 3]);
    assert_eq!(reads(&sql, "SELECT device, latest(value, time) FROM rpm GROUP BY device").len(), 3);
    let wide = format!("SELECT time, rpm FROM fleet WHERE device = 'car-1' AND {range}");
    let wide = reads(&sql, &wide);
    // Each metric of a class decides which rows there are.
    assert_eq!(wide.len(), 3, "{wide:?}");
    assert_eq!(reads(&sql, "SELECT count(*) FROM records").len(), 9);
    // Two scans of a metric: all that either reads.
    let twice = format!(
        "SELECT value FROM rpm WHERE device = 'car-1' AND {range} AND value > \
         (SELECT avg(value) FROM rpm WHERE device = 'car-1' AND time = {AT} '9 seconds')"
    );
    assert_eq!(reads(&sql, &twice), [("car-1/rpm/".to_owned(), (2, 9))].into());
    let joined = format!(
        "SELECT a.value FROM rpm a ASOF JOIN speed b ON a.device = b.device AND a.time >= b.time \
         WHERE a.device = 'car-3' AND b.device = 'car-3' AND b.axle = 'front' AND a.{range}"
    );
    let joined = joined.replace(" AND time <", " AND a.time <");
    let names: Vec<String> = reads(&sql, &joined).into_keys().collect();
    // Which row is the nearest is decided before the last condition: both axles are read.
    assert_eq!(names, ["car-3/rpm/", "car-3/speed/front", "car-3/speed/rear"]);
    // What no time fits is known, and reads nothing.
    let none =
        format!("SELECT value FROM rpm WHERE time > {AT} '5 seconds' AND time < {AT} '1 second'");
    let none = sql.reads(&none, &Limits::default()).unwrap();
    assert!(none.metrics.len() == 3 && none.metrics.iter().all(|read| read.from_ns > read.to_ns));
}

#[test]
fn whether_rows_have_an_order_is_known() {
    let (sql, _directory) = sql();
    for (text, is_ordered) in [
        ("SELECT value FROM rpm ORDER BY time", true),
        ("SELECT value FROM rpm ORDER BY time LIMIT 3", true),
        ("SELECT value FROM (SELECT * FROM rpm ORDER BY time) ORDER BY value", true),
        ("SELECT value FROM rpm", false),
        ("SELECT value FROM rpm LIMIT 3", false),
        ("SELECT max(value) FROM (SELECT * FROM rpm ORDER BY time) GROUP BY device", false),
    ] {
        let reads = sql.reads(text, &Limits::default()).unwrap();
        assert_eq!(reads.is_ordered, is_ordered, "{text}");
    }
}

#[test]
fn answers_that_would_not_come_again_are_refused() {
    let (sql, _directory) = sql();
    for text in [
        "SELECT count(*) FROM rpm WHERE time < now()",
        "SELECT count(*) FROM rpm WHERE time < current_date",
        "SELECT random(), value FROM rpm",
        "SELECT uuid() FROM rpm",
        "SELECT count(*) FROM system.chunks",
        "SELECT value FROM rpm WHERE value > (SELECT count(*) FROM system.metrics)",
        "SELECT value FROM rpm UNION ALL SELECT records FROM system.metrics",
        "SELECT table_name FROM information_schema.tables",
        "EXPLAIN SELECT value FROM rpm",
        "EXPLAIN ANALYZE SELECT value FROM rpm",
    ] {
        let refused = sql.reads(text, &Limits::default()).unwrap_err();
        assert!(matches!(refused, QueryError::NotRepeatable { .. }), "{text}: {refused}");
    }
    // Fills and as-of joins are marks in the plan, and always the same.
    let filled = "SELECT time_bucket_gapfill('1s', time) AS t, locf(avg(value)) FROM rpm \
                  WHERE time >= TIMESTAMP '2026-01-01' AND time < TIMESTAMP '2026-01-02' GROUP BY t";
    sql.reads(filled, &Limits::default()).unwrap();
    let wrong = sql.reads("SELECT nothing FROM rpm", &Limits::default()).unwrap_err();
    assert!(matches!(wrong, QueryError::Sql(_)), "{wrong}");
}
