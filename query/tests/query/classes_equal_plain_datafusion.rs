//! What the bucket operator answers of classes, plain DataFusion over their rows answers as well.

use chronolith_engine::{
    Db, Durability, Kind, Maintenance, Metric, MetricId, Options, SealScope, Value,
};
use chronolith_query::Sql;

use crate::fixture::{Random, SECOND_NS, START_NS, expect_same, rows};

/// A class with everything that makes rows hard: metrics that some devices lack, several of one
/// name, names of several kinds, records that share a time with none, some or all others, buckets
/// of which only one metric knows, late records, deletions.
fn class(seed: u64) -> (tempfile::TempDir, Sql) {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { maintenance: Maintenance::Manual, ..Options::default() };
    let db = Db::open(directory.path().join("db"), options).unwrap();
    let mut random = Random(seed);
    let mut metrics: Vec<(MetricId, Kind, u64)> = Vec::new();
    let mut define = |device: &str, name: &str, axle: &str, kind: Kind, often: u64| {
        let mut metric = Metric::new(device, name).tag("class", "truck");
        if !axle.is_empty() {
            metric = metric.tag("axle", axle);
        }
        let definition = chronolith_engine::Definition::new(metric, kind);
        let definition = definition.window_ns(600 * SECOND_NS);
        metrics.push((db.define(definition).unwrap(), kind, often));
    };
    for device in ["t1", "t2", "t3"] {
        define(device, "speed", "", Kind::F64, 2);
        define(device, "rpm", "", Kind::I64, 3);
        define(device, "odometer", "", Kind::U64, 40);
        define(device, "door", "", Kind::Bool, 90);
        define(device, "note", "", Kind::Text, 300);
    }
    define("t1", "load", "front", Kind::F64, 5);
    define("t1", "load", "rear", Kind::F64, 5);
    define("t2", "load", "rear", Kind::F64, 7);
    // Of two kinds, and too large to be floats.
    define("t1", "code", "", Kind::I64, 30);
    define("t2", "code", "", Kind::Text, 30);
    // A device of one metric.
    define("t4", "rpm", "", Kind::I64, 20);
    let mut write = |from: i64, to: i64| {
        let mut batch = db.batch();
        for (id, kind, often) in &metrics {
            for second in from..to {
                if random.below(*often) > 0 {
                    continue;
                }
                let jitter = if random.below(3) == 0 { random.below(1_000) as i64 } else { 0 };
                let time_ns = START_NS + second * SECOND_NS + jitter * 1_000_000;
                let value = match kind {
                    Kind::F64 if random.below(50) == 0 => Value::F64(f64::NAN),
                    Kind::F64 => Value::F64(random.below(9_000) as f64 / 64.0),
                    Kind::I64 => Value::I64((1 << 60) + random.below(9_000) as i64),
                    Kind::U64 => Value::U64(random.below(1 << 30)),
                    Kind::Bool => Value::Bool(random.below(2) == 1),
                    _ => Value::Text(format!("n{}", random.below(9))),
                };
                batch.push(*id, time_ns, value.as_ref()).unwrap();
            }
        }
        db.write(&batch, Durability::Buffered).unwrap();
    };
    write(0, 2_400);
    db.seal(SealScope::All).unwrap();
    write(900, 1_000);
    db.seal(SealScope::All).unwrap();
    write(2_400, 3_600);
    db.flush().unwrap();
    write(3_500, 3_700);
    for (id, ..) in metrics.iter().skip(1).step_by(3) {
        let hidden = START_NS + 1_500 * SECOND_NS..START_NS + 2_100 * SECOND_NS;
        db.delete(&[*id], hidden).unwrap();
    }
    // One bucket that only notes know.
    let (note, ..) = metrics[4];
    let mut batch = db.batch();
    batch.push(note, START_NS + 9_000 * SECOND_NS, "alone").unwrap();
    db.write(&batch, Durability::Buffered).unwrap();
    (directory, Sql::new(db).unwrap())
}

fn plan(sql: &Sql, text: &str) -> String {
    let rows = rows(sql, &format!("EXPLAIN ANALYZE {text}"));
    let rows = rows.unwrap_or_else(|error| panic!("{text}\n{error}"));
    rows.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// Compares a query of the class with one that the operator must not answer; whether it answered
/// the first.
fn both(sql: &Sql, query: impl Fn(&str) -> String) -> bool {
    let (text, plain) = (query("truck"), query("(SELECT * FROM truck LIMIT 1000000000)"));
    let sorted = |text: &str| {
        let mut rows = rows(sql, text).unwrap_or_else(|error| panic!("{text}\n{error}"));
        rows.sort();
        rows
    };
    assert!(!plan(sql, &plain).contains("BucketAggregate"), "{plain}");
    expect_same(&text, &sorted(&text), &sorted(&plain));
    plan(sql, &text).contains("BucketAggregate")
}

const CALLS: [&str; 16] = [
    "count(*)",
    "count(time)",
    "count(speed)",
    "avg(speed)",
    "min(speed)",
    "stddev(speed)",
    "sum(rpm)",
    "max(rpm)",
    "rate(odometer, time)",
    "time_weighted_avg(speed, time)",
    "increase(load, time)",
    "avg(load)",
    "count(note)",
    "count(door)",
    "max(code_i64)",
    "count(code_text)",
];

#[test]
fn random_aggregations_of_a_class_are_the_same_both_ways() {
    let (_directory, sql) = class(81);
    let mut random = Random(82);
    for _ in 0..70 {
        let width = *random.choose(&["37s", "5m", "10m", "1h", "1d"]);
        let zone = *random.choose(&["", ", 'Asia/Kathmandu'"]);
        let bucket = format!("time_bucket('{width}', time{zone})");
        let keys = match random.below(6) {
            0 => vec![],
            1 => vec![bucket],
            2 => vec!["device".to_owned()],
            3 => vec!["device".to_owned(), bucket],
            4 => vec![bucket, "axle".to_owned(), "device".to_owned()],
            _ => vec!["axle".to_owned()],
        };
        let condition = *random.choose(&[
            "true",
            "time >= '2026-01-01T00:17:03Z'",
            "time BETWEEN '2026-01-01T00:20:00Z' AND '2026-01-01T00:50:00.5Z'",
            "device <> 't1'",
            "axle = 'rear' AND time > '2026-01-01T00:10:00Z'",
            "device = 't4'",
            "time > '2026-01-01T01:10:00Z'",
            "time < '2020-01-01'",
        ]);
        let mut calls: Vec<&str> =
            (0..1 + random.below(4)).map(|_| *random.choose(&CALLS)).collect();
        // Which of several metrics' records of one time is first is anyone's.
        if keys.len() == 3 {
            calls.extend(["first(load, time)", "last(rpm, time)"]);
        }
        calls.sort_unstable();
        calls.dedup();
        let columns: Vec<&str> =
            keys.iter().map(String::as_str).chain(calls.iter().copied()).collect();
        let columns = columns.join(", ");
        let group =
            if keys.is_empty() { String::new() } else { format!("GROUP BY {}", keys.join(", ")) };
        let used =
            both(&sql, |table| format!("SELECT {columns} FROM {table} WHERE {condition} {group}"));
        assert!(used, "{columns}: {condition}");
    }
}

#[test]
fn what_rows_have_together_stays_datafusions() {
    let (_directory, sql) = class(83);
    for (calls, condition) in [
        ("avg(speed)", "rpm > 1"),
        ("avg(speed)", "note IS NULL"),
        ("avg(speed + rpm)", "true"),
        ("avg(speed), sum(rpm) FILTER (WHERE speed > 3)", "true"),
        ("count(DISTINCT door), max(rpm)", "true"),
        ("max(time), avg(speed)", "true"),
    ] {
        let used = both(&sql, |table| {
            format!("SELECT device, {calls} FROM {table} WHERE {condition} GROUP BY device")
        });
        assert!(!used, "{calls}: {condition}");
    }
}

#[test]
fn other_metrics_are_not_decoded_where_their_buckets_are_known() {
    let (_directory, sql) = class(84);
    let figure = |text: &str, name: &str| -> u64 {
        let plan = plan(&sql, text);
        let (_, rest) = plan.split_once(&format!("{name}=")).unwrap();
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap();
        rest[..end].parse().unwrap()
    };
    let by = "GROUP BY device, time_bucket('10m', time)";
    let range = "time < '2026-01-01T00:09:00Z' AND device = 't2'";
    let of_class = format!("SELECT max(speed) FROM truck WHERE {range} AND axle IS NULL {by}");
    let of_metric = format!("SELECT max(value) FROM speed WHERE {range} {by}");
    for name in ["chunks_decoded", "bytes_read"] {
        assert_eq!(figure(&of_class, name), figure(&of_metric, name), "{name}");
    }
}
