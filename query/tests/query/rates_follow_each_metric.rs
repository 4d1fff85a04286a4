//! `rate`, `increase`, `delta` and `time_weighted_avg` take each metric of a group by itself.

use chronolith_engine::{Db, Durability, Kind, Maintenance, Metric, Options};
use chronolith_query::Sql;

use crate::fixture::{SECOND_NS, START_NS, expect_same, fixture, rows};

/// Two counters that rise by 1 and by 10 a second, side by side, and a gauge of each device.
fn counters() -> (tempfile::TempDir, Sql) {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { maintenance: Maintenance::Manual, ..Options::default() };
    let db = Db::open(directory.path().join("db"), options).unwrap();
    let mut batch = db.batch();
    for (device, start, step) in [("a", 1_000, 1), ("b", 0, 10)] {
        let metric = |name: &str| Metric::new(device, name).tag("class", "meters");
        let counter = db.metric(metric("counter"), Kind::I64).unwrap();
        let gauge = db.metric(metric("gauge"), Kind::F64).unwrap();
        for second in 0..60 {
            let time_ns = START_NS + second * SECOND_NS;
            batch.push(counter, time_ns, start + second * step).unwrap();
            batch.push(gauge, time_ns, step as f64).unwrap();
        }
    }
    db.write(&batch, Durability::Buffered).unwrap();
    (directory, Sql::new(db).unwrap())
}

/// Symptom: `SELECT rate(value, time) FROM counter` of two devices answered hundreds a second, and
/// by 5 minutes another number than the continuous query. Loss: none, but a wrong answer. Cause: the
/// records of both were put in one order of time, where each change of the device was a rise or a
/// reset. Fix: the function is told which metric a record is of.
#[test]
fn devices_in_one_group_are_not_mixed() {
    let (_directory, sql) = counters();
    let functions = "rate(value, time), increase(value, time), delta(value, time)";
    for (from, value) in [
        ("counter", "value"),
        ("(SELECT * FROM counter LIMIT 1000000)", "value"),
        ("(SELECT value AS v, time FROM counter) t", "t.v"),
        (
            "(SELECT value + 0 AS v, time FROM counter WHERE value >= 0 ORDER BY time LIMIT 999) x",
            "v",
        ),
        ("records WHERE name = 'counter'", "value_i64"),
        ("meters", "counter"),
        ("(SELECT time, counter FROM meters LIMIT 1000000)", "counter"),
        (
            "(SELECT time, value FROM counter WHERE device = 'a' \
           UNION ALL SELECT time, value FROM counter WHERE device = 'b')",
            "value",
        ),
        // One metric in two parts is one metric.
        (
            "(SELECT time, value FROM counter WHERE time < '2026-01-01T00:00:30Z' \
           UNION ALL SELECT time, value FROM counter WHERE time >= '2026-01-01T00:00:30Z')",
            "value",
        ),
        ("(SELECT time, value, row_number() OVER (ORDER BY time) AS n FROM counter)", "value"),
        (
            "(SELECT device AS d, time_bucket('1s', time) AS time, max(value) AS v FROM counter \
           GROUP BY 1, 2)",
            "v",
        ),
        (
            "(SELECT max(time) AS time, max(value) AS v FROM counter \
           GROUP BY device, time_bucket('1s', time))",
            "v",
        ),
    ] {
        let functions = functions.replace("value", value);
        let text = format!("SELECT {functions} FROM {from}");
        assert_eq!(rows(&sql, &text).unwrap(), [["11.0", "649.0", "649.0"]], "{text}");
    }
    let text = "WITH c AS (SELECT * FROM counter) SELECT rate(value, time) FROM c";
    assert_eq!(rows(&sql, text).unwrap(), [["11.0"]]);
    let text = "SELECT time_weighted_avg(value, time), time_weighted_avg(value, time, 'linear') \
                FROM gauge";
    assert_eq!(rows(&sql, text).unwrap(), [["5.5", "5.5"]]);
    let text = "SELECT device, rate(value, time) FROM counter GROUP BY device ORDER BY device";
    assert_eq!(rows(&sql, text).unwrap(), [["a", "1.0"], ["b", "10.0"]]);
}

#[test]
fn joins_and_windows_follow_the_metrics_of_the_values() {
    let (_directory, sql) = counters();
    for text in [
        "SELECT rate(c.value, c.time) FROM counter c JOIN gauge g USING (device, time)",
        "SELECT rate(c.value, g.time) FROM gauge g JOIN counter c \
         ON c.device = g.device AND c.time = g.time",
        "SELECT rate(c.value + CAST(g.value AS BIGINT), c.time) FROM counter c JOIN gauge g \
         ON c.device = g.device AND c.time = g.time",
        "SELECT rate(c.value, c.time) FROM counter c ASOF JOIN gauge g \
         ON c.device = g.device AND c.time >= g.time",
        "SELECT max(r) FROM (SELECT rate(value, time) OVER () AS r FROM counter)",
        "SELECT rate(value, time) FROM counter \
         WHERE device IN (SELECT device FROM gauge WHERE value > 0)",
        "SELECT (SELECT rate(value, time) FROM counter)",
    ] {
        assert_eq!(rows(&sql, text).unwrap(), [["11.0"]], "{text}");
    }
    // A window shows no more columns than before.
    let text = "SELECT * FROM (SELECT device, rate(value, time) OVER (PARTITION BY device) AS r \
                FROM counter) WHERE r > 5 LIMIT 1";
    assert_eq!(rows(&sql, text).unwrap(), [["b", "10.0"]]);
}

#[test]
fn rows_that_are_no_records_are_one_metric() {
    let (_directory, sql) = counters();
    let text = "SELECT increase(v, t) FROM (VALUES (1.0, TIMESTAMP '2026-01-01T00:00:00Z'), \
                (4.0, TIMESTAMP '2026-01-01T00:00:02Z')) AS x(v, t)";
    assert_eq!(rows(&sql, text).unwrap(), [["3.0"]]);
    // An aggregation over all devices is a metric of its own.
    let text =
        "SELECT rate(v, t) FROM (SELECT time AS t, sum(value) AS v FROM counter GROUP BY time)";
    assert_eq!(rows(&sql, text).unwrap(), [["11.0"]]);
}

#[test]
fn where_the_metric_is_lost_the_error_says_what_to_do() {
    let (_directory, sql) = counters();
    for (text, shown) in [
        ("SELECT rate(value, time) FROM (SELECT DISTINCT time, value FROM counter)", "DISTINCT"),
        (
            "SELECT rate(value, time) FROM (SELECT time, value FROM counter \
             UNION SELECT time, value FROM counter)",
            "DISTINCT",
        ),
        (
            "SELECT rate(v, t) FROM (SELECT time AS t, CAST(value AS DOUBLE) AS v FROM counter \
             UNION ALL SELECT time_bucket('1s', time), avg(value) FROM gauge GROUP BY 1, device)",
            "UNION",
        ),
        ("SELECT rate(DISTINCT value, time) FROM counter", "no DISTINCT"),
        ("SELECT time_weighted_avg(value, time, 'cubic') FROM gauge", "'linear', not 'cubic'"),
        ("SELECT time_weighted_avg(value, time, device) FROM gauge", "'linear', not"),
        ("SELECT rate(value) FROM counter", "rate(value, time)"),
    ] {
        let problem = rows(&sql, text).map(|rows| panic!("{text}: {rows:?}")).unwrap_err();
        assert!(problem.to_string().contains(shown), "{text}: {problem}");
    }
}

#[test]
fn groups_of_several_metrics_add_up_those_of_one() {
    let fixture = fixture(71);
    for name in ["speed", "rpm", "odometer"] {
        let apart = format!(
            "SELECT b, sum(i), sum(d), sum(r) FROM (SELECT device, time_bucket('10m', time) AS b, \
             increase(value, time) AS i, delta(value, time) AS d, rate(value, time) AS r \
             FROM {name} WHERE value > 0 GROUP BY 1, 2) GROUP BY b"
        );
        let together = format!(
            "SELECT time_bucket('10m', time) AS b, increase(value, time), delta(value, time), \
             rate(value, time) FROM {name} WHERE value > 0 GROUP BY 1"
        );
        expect_same(&together, &fixture.sorted(&together), &fixture.sorted(&apart));
    }
}
