//! What the bucket operator answers, plain DataFusion over the same rows answers as well.

use crate::fixture::{Fixture, Random, expect_same, fixture, year};

#[test]
fn both_ways_give_the_same_answer() {
    let fixture = fixture(21);
    let mut random = Random(5);
    let mut replaced = 0;
    for _ in 0..80 {
        let name = *random.choose(&["speed", "rpm", "odometer"]);
        let width = *random.choose(&["90s", "5m", "10m", "1h", "1d", "1w", "1mo", "7mo"]);
        let more = *random.choose(&[
            "",
            "",
            ", TIMESTAMP '2026-01-01T00:03:20Z'",
            ", INTERVAL '17 seconds'",
            ", 'UTC'",
            ", 'Asia/Kolkata'",
            ", 'Asia/Kolkata', INTERVAL '17 seconds'",
        ]);
        let bucket = format!("time_bucket('{width}', time{more})");
        let keys = random.choose(&["", "device, ", "site, device, ", "unit, "]);
        let condition = *random.choose(&[
            "true",
            "time >= '2026-01-01T00:17:03Z'",
            "time BETWEEN '2026-01-01T00:20:00Z' AND '2026-01-01T01:40:00.5Z'",
            "device <> 'car-1'",
            "time > '2026-01-01T00:17:03Z' AND device IN ('car-0', 'car-2')",
            "time < '2020-01-01'",
            "time > '2026-01-02' AND time < '2026-01-01'",
        ]);
        // Metrics may share a time: which of them is first is anyone's, so that ends are compared
        // for each device only.
        let ends =
            if keys.contains("device") { ", first(value, time), last(value, time)" } else { "" };
        let all = format!(
            "count(*), count(value), sum(value), avg(value), min(value), max(value), \
             stddev(value){ends}"
        );
        let ways = "rate(value, time), increase(value, time), delta(value, time), \
                    time_weighted_avg(value, time), time_weighted_avg(value, time, 'linear')";
        let calls = match random.below(4) {
            0 => ways.to_owned(),
            1 => format!("{ways}, {all}"),
            _ => all,
        };
        let calls = calls.as_str();
        let query = |table: &str, calls: &str| match random_group(keys, &bucket) {
            None => format!("SELECT {calls} FROM {table} WHERE {condition}"),
            Some(group) => {
                format!("SELECT {group}, {calls} FROM {table} WHERE {condition} GROUP BY {group}")
            }
        };
        let sql = query(name, calls);
        let plain = query(&format!("(SELECT * FROM {name} LIMIT 1000000000)"), calls);
        replaced += usize::from(both(&fixture, &sql, &plain));
    }
    assert_eq!(replaced, 80, "how often the operator was used");
}

/// Compares a query with one that the operator must not answer; whether it answered the first.
fn both(fixture: &Fixture, sql: &str, plain: &str) -> bool {
    let uses = |sql: &str| {
        let plan = format!("{:?}", fixture.rows(&format!("EXPLAIN {sql}")));
        plan.contains("BucketAggregate")
    };
    assert!(!uses(plain), "{plain}");
    expect_same(sql, &fixture.sorted(sql), &fixture.sorted(plain));
    uses(sql)
}

#[test]
fn calendars_are_the_operators_too() {
    let fixture = year();
    let calls = "count(*), sum(value), min(value), first(value, time), rate(value, time), \
                 time_weighted_avg(value, time, 'linear')";
    let zones = ["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"];
    for width in ["1h", "7h", "1d", "3d", "1w", "1mo", "5mo", "1y", "200y"] {
        for zone in zones {
            for more in ["", ", TIMESTAMP '2025-03-07T11:00:00Z'", ", INTERVAL '-90 minutes'"] {
                let query = |table: &str| {
                    format!(
                        "SELECT device, time_bucket('{width}', time, '{zone}'{more}) AS b, {calls} \
                         FROM {table} WHERE time >= '2025-01-17T03:00:00Z' GROUP BY device, b"
                    )
                };
                let plain = query("(SELECT * FROM temperature LIMIT 1000000000)");
                let sql = query("temperature");
                assert!(both(&fixture, &sql, &plain), "{sql}");
            }
        }
    }
}

#[test]
fn months_from_an_origin_are_the_operators_too() {
    let fixture = year();
    for more in ["TIMESTAMP '2024-11-05T00:00:00Z'", "INTERVAL '36 hours'"] {
        let query = |table: &str| {
            format!(
                "SELECT time_bucket('2mo', time, {more}) AS b, count(*), avg(value), max(value) \
                 FROM {table} GROUP BY b"
            )
        };
        let plain = query("(SELECT * FROM temperature LIMIT 1000000000)");
        assert!(both(&fixture, &query("temperature"), &plain), "{more}");
    }
}

/// The keys of a group; none at all where there is neither a key nor a bucket.
fn random_group(keys: &str, bucket: &str) -> Option<String> {
    (!bucket.contains("7mo") || !keys.is_empty()).then(|| format!("{keys}{bucket}"))
}

#[test]
fn nothing_at_all_is_one_row_without_keys_and_none_with() {
    let fixture = fixture(22);
    let all = "SELECT count(*), sum(value), max(value) FROM speed WHERE device = 'none'";
    assert_eq!(fixture.rows(all), [["0", "", ""]]);
    let keyed = "SELECT device, count(*) FROM speed WHERE device = 'none' GROUP BY device";
    assert!(fixture.rows(keyed).is_empty());
    let never = "SELECT count(*) FROM speed WHERE time > '2026-01-02' AND time < '2026-01-01'";
    assert_eq!(fixture.rows(never), [["0"]]);
}
