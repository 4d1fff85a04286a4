//! As-of joins equal a search through all pairs, read by index, and hold little.

use chronolith_engine::{
    Db, Definition, Durability, Kind, Maintenance, Metric, Options, SealScope,
};
use chronolith_query::{Limits, QueryError, Sql};

use crate::fixture::{Fixture, Random, SECOND_NS, START_NS, fixture, rows};

/// The nearest right time for each left record, by looking at all.
fn naive(
    fixture: &Fixture,
    sign: &str,
    is_left: bool,
    tolerance_ns: Option<i64>,
    range: (i64, i64),
) -> Vec<Vec<String>> {
    let (left, right) = (fixture.of("speed"), fixture.of("rpm"));
    let mut answer = Vec::new();
    for (time_ns, device, _) in left {
        if !(range.0..range.1).contains(&time_ns) {
            continue;
        }
        let candidates = right.iter().filter(|(other, other_device, _)| {
            let fits = match sign {
                ">=" => time_ns >= *other,
                ">" => time_ns > *other,
                "<=" => time_ns <= *other,
                _ => time_ns < *other,
            };
            fits && device == *other_device
        });
        let nearest =
            candidates.map(|(other, ..)| *other).min_by_key(|other| time_ns.abs_diff(*other));
        let nearest = nearest.filter(|other| {
            tolerance_ns.is_none_or(|t| time_ns.abs_diff(*other) <= t.unsigned_abs())
        });
        if nearest.is_some() || is_left {
            let shown = |time_ns: Option<i64>| time_ns.map_or(String::new(), |t| t.to_string());
            answer.push(vec![shown(Some(time_ns)), device.to_owned(), shown(nearest)]);
        }
    }
    answer.sort();
    answer
}

#[test]
fn random_joins_equal_a_search_through_all_pairs() {
    let fixture = fixture(51);
    let mut random = Random(3);
    for _ in 0..40 {
        let sign = *random.choose(&[">=", ">", "<=", "<"]);
        let is_left = random.below(2) == 0;
        let tolerance = *random.choose(&[None, Some(1), Some(20)]);
        let (from, to) = (random.below(4_000) as i64, 4_000 + random.below(5_000) as i64);
        let (from_ns, to_ns) = (START_NS + from * SECOND_NS, START_NS + to * SECOND_NS);
        let words = tolerance.map_or(String::new(), |seconds| match seconds {
            1 => " TOLERANCE 1s".to_owned(),
            _ => format!(" TOLERANCE INTERVAL '{seconds} seconds'"),
        });
        let kind = if is_left { "LEFT " } else { "" };
        let show = |column: &str| format!("CAST(CAST({column} AS TIMESTAMP) AS BIGINT)");
        let condition = match random.below(2) {
            0 => format!("speed.time {sign} rpm.time"),
            _ => {
                let turned = match sign {
                    ">=" => "<=",
                    ">" => "<",
                    "<=" => ">=",
                    _ => ">",
                };
                format!("rpm.time {turned} speed.time")
            }
        };
        let sql = format!(
            "SELECT {}, speed.device, {} FROM speed ASOF {kind}JOIN rpm \
             ON speed.device = rpm.device AND {condition}{words} \
             WHERE speed.time >= to_timestamp_nanos({from_ns}) \
             AND speed.time < to_timestamp_nanos({to_ns})",
            show("speed.time"),
            show("rpm.time"),
        );
        let tolerance_ns = tolerance.map(|seconds| seconds * SECOND_NS);
        let expected = naive(&fixture, sign, is_left, tolerance_ns, (from_ns, to_ns));
        assert_eq!(fixture.sorted(&sql), expected, "{sql}");
    }
}

#[test]
fn plans_need_no_sort_and_read_no_more_than_they_must() {
    let fixture = fixture(52);
    let sql = "EXPLAIN SELECT a.time, a.value, b.value FROM speed a ASOF JOIN rpm b \
               ON a.device = b.device AND a.time >= b.time \
               WHERE a.device = 'car-1' AND a.time < '2026-01-01T01:00:00Z' ORDER BY a.time LIMIT 3";
    let plan: String = fixture.rows(sql).concat().concat();
    assert!(plan.contains("AsOfJoin: type=Inner, on=[device@"), "{plan}");
    assert!(!plan.contains("SortExec"), "{plan}");
    // The condition on devices and the end of the times reach both sides.
    assert_eq!(plan.matches("RecordScan: metrics=1, ").count(), 2, "{plan}");
    assert_eq!(plan.matches("to=2026-01-01T00:59:59.999999999Z").count(), 2, "{plan}");
}

#[test]
fn what_is_no_as_of_join_is_explained() {
    let fixture = fixture(53);
    let join = |rest: &str| format!("SELECT * FROM speed a ASOF {rest}");
    for (sql, words) in [
        (join("JOIN rpm b ON a.device = b.device"), "compares two times"),
        (join("JOIN rpm b ON a.time >= b.time AND a.time < b.time"), "one pair of times"),
        (join("JOIN rpm b ON a.time >= b.time OR a.device = b.device"), "its two sides"),
        (join("JOIN rpm b ON a.time >= b.time AND b.value > 3"), "its two sides"),
        (join("JOIN rpm b ON a.time <> b.time"), "no use for"),
        (join("JOIN rpm b ON a.device >= b.device"), "times or integers"),
        (join("JOIN rpm b ON a.time >= b.time TOLERANCE 'far'"), "length of time"),
        (join("RIGHT JOIN rpm b ON a.time >= b.time"), "cannot be read"),
        (join("JOIN rpm b"), "compares two times"),
        ("SELECT __asof()".to_owned(), "no function of its own"),
    ] {
        let problem = rows(&fixture.sql, &sql).expect_err(&sql).to_string();
        assert!(problem.contains(words), "{sql}: {problem}");
    }
    // The places of errors are those of the text that was given.
    let problem =
        rows(&fixture.sql, "SELECT a.valeu\nFROM speed a ASOF JOIN rpm b ON a.time >= b.time");
    let problem = problem.unwrap_err().to_string();
    assert!(
        problem.contains("   1 | SELECT a.valeu\n") && problem.contains("did you mean"),
        "{problem}"
    );
}

#[test]
fn words_stay_names_where_no_join_follows() {
    let fixture = fixture(54);
    assert_eq!(fixture.rows("SELECT 1 AS asof, 2 AS tolerance"), [["1", "2"]]);
    assert_eq!(fixture.rows("SELECT asof FROM (SELECT 3 AS asof) AS tolerance"), [["3"]]);
}

/// A long right side between few left rows: only a row for each key is held.
#[test]
fn memory_grows_with_keys_and_not_with_records() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { maintenance: Maintenance::Manual, ..Options::default() };
    let db = Db::open(directory.path().join("db"), options).unwrap();
    let mut batch = db.batch();
    for device in 0..3 {
        let metric = |name: &str| {
            let metric = Metric::new(format!("car-{device}"), name);
            db.define(Definition::new(metric, Kind::F64).window_ns(60 * SECOND_NS)).unwrap()
        };
        let (dense, sparse) = (metric("dense"), metric("sparse"));
        for at in 0..1_000_000_i64 {
            batch.push(dense, START_NS + at * 3_000_000, at as f64).unwrap();
        }
        for at in 0..30_i64 {
            batch.push(sparse, START_NS + at * 90 * SECOND_NS, at as f64).unwrap();
        }
        db.write(&batch, Durability::Buffered).unwrap();
        batch.clear();
    }
    db.seal(SealScope::All).unwrap();
    let sql = Sql::new(db).unwrap();
    let join = "SELECT count(*), sum(b.value) FROM sparse a ASOF JOIN dense b \
                ON a.device = b.device AND a.time >= b.time";
    let answer = |memory_bytes| -> Result<Vec<i64>, QueryError> {
        let limits = Limits { memory_bytes, ..Limits::default() };
        let counts = sql.query(join, &limits)?.map(|batch| Ok(batch?.num_rows() as i64));
        counts.collect()
    };
    // The dense side alone has three million rows of 24 bytes and more.
    answer(24 << 20).unwrap();
    assert!(matches!(answer(64 << 10), Err(QueryError::TooMuchMemory { .. })));
    let expected: i64 = 3 * (0..30_i64).map(|at| at * 30_000).sum::<i64>();
    assert_eq!(rows(&sql, join).unwrap(), [["90".to_owned(), format!("{expected}.0")]]);
}
