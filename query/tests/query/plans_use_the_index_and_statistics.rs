//! Plans show that times, labels, limits, orders and statistics are used.

use crate::fixture::{Fixture, fixture, year};

fn plan(fixture: &Fixture, sql: &str) -> String {
    let rows = fixture.rows(&format!("EXPLAIN ANALYZE {sql}"));
    rows.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// A figure that `EXPLAIN ANALYZE` shows.
fn figure(plan: &str, name: &str) -> u64 {
    let (_, rest) = plan.split_once(&format!("{name}=")).unwrap();
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap();
    rest[..end].parse().unwrap()
}

#[test]
fn times_and_labels_choose_what_is_read() {
    let fixture = fixture(1);
    let sql = "SELECT value FROM speed WHERE site = 'north' AND time >= '2026-01-01T00:10:00Z' \
               AND time < '2026-01-01T00:20:00Z'";
    let plan = plan(&fixture, sql);
    assert!(!plan.contains("FilterExec"), "{plan}");
    assert!(plan.contains("metrics=1, "), "{plan}");
    assert_eq!(figure(&plan, "chunks_decoded"), 1, "{plan}");
}

#[test]
fn counting_decodes_nothing_where_chunks_are_whole() {
    let fixture = year();
    let plan = plan(&fixture, "SELECT device, count(*) FROM temperature GROUP BY device");
    assert!(plan.contains("BucketAggregate"), "{plan}");
    assert_eq!(figure(&plan, "chunks_decoded"), 0, "{plan}");
    assert_eq!(figure(&plan, "bytes_read"), 0, "{plan}");
}

#[test]
fn buckets_of_whole_chunks_come_from_statistics() {
    let fixture = year();
    let sql = "SELECT device, time_bucket('1d', time), max(value), avg(value) FROM temperature \
               GROUP BY 1, 2";
    let plan = plan(&fixture, sql);
    assert_eq!(figure(&plan, "chunks_decoded"), 0, "{plan}");
    assert!(plan.contains("chunks_from_statistics=1.03 K"), "{plan}");
}

#[test]
fn an_order_by_time_needs_no_sort_and_its_limit_no_other_windows() {
    let fixture = year();
    for order in ["time", "time DESC"] {
        let sql = format!("SELECT time, value FROM temperature ORDER BY {order} LIMIT 5");
        let plan = plan(&fixture, &sql);
        assert!(!plan.contains("SortExec"), "{plan}");
        assert!(figure(&plan, "chunks_decoded") <= 3, "{plan}");
    }
    let sql = "SELECT time, value FROM temperature WHERE device = 'attic' ORDER BY time";
    assert!(!plan(&fixture, sql).contains("Sort"));
}

#[test]
fn bounds_on_integers_skip_chunks() {
    let fixture = fixture(2);
    let plan = plan(&fixture, "SELECT value FROM rpm WHERE value > 1000000");
    assert!(figure(&plan, "chunks_pruned") > 0, "{plan}");
}

#[test]
fn the_latest_records_come_from_the_index() {
    let fixture = fixture(3);
    let plain = "SELECT device, last(value, time), max(time) FROM (SELECT * FROM rpm LIMIT 1000000) \
                 GROUP BY device ORDER BY device";
    let expected = fixture.rows(plain);
    for sql in [
        "SELECT device, latest(value), latest_time(value) FROM rpm GROUP BY device ORDER BY device",
        "SELECT device, last(value, time), max(time) FROM rpm GROUP BY device ORDER BY device",
    ] {
        assert_eq!(fixture.rows(sql), expected, "{sql}");
        let plan = plan(&fixture, sql);
        assert!(plan.contains("LatestScan: metrics=4") && !plan.contains("RecordScan"), "{plan}");
        assert_eq!(figure(&plan, "index_lookups"), 4, "{plan}");
    }
    // Where more is asked for, and in ranges, the answer is the same.
    for (short, long) in [
        ("SELECT latest(value) FROM speed", "SELECT last(value, time) FROM speed"),
        (
            "SELECT device, latest(value), count(*) FROM note GROUP BY device ORDER BY 1",
            "SELECT device, last(value, time), count(time) FROM note GROUP BY device ORDER BY 1",
        ),
        (
            "SELECT latest(a.value), latest_time(b.value) FROM rpm a JOIN speed b \
             ON a.time = b.time AND a.device = b.device",
            "SELECT last(a.value, a.time), max(b.time) FROM rpm a JOIN speed b \
             ON a.time = b.time AND a.device = b.device",
        ),
        (
            "SELECT latest_time(value), latest(value) FROM rpm WHERE device = 'car-2' \
             AND time < '2026-01-01T00:31:00Z'",
            "SELECT max(time), last(value, time) FROM (SELECT * FROM rpm LIMIT 1000000) \
             WHERE device = 'car-2' AND time < '2026-01-01T00:31:00Z'",
        ),
        (
            "SELECT latest(value), latest_time(value) FROM rpm WHERE device = 'none'",
            "SELECT NULL AS a, NULL AS b",
        ),
    ] {
        assert_eq!(fixture.rows(short), fixture.rows(long), "{short}");
    }
    let ambiguous = "SELECT latest(1) FROM rpm a JOIN speed b ON a.time = b.time";
    let problem = crate::fixture::rows(&fixture.sql, ambiguous).unwrap_err().to_string();
    assert!(problem.contains("which time is meant"), "{problem}");
}
