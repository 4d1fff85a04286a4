//! Answers equal DuckDB's over the same records: calendars, zones, changes of the clocks.
//!
//! What DuckDB answered is stored in `data/duckdb.json.gz`, so that the test needs no DuckDB. With
//! `CHRONOLITH_DUCKDB` set to a Python that has the package `duckdb`, DuckDB is asked anew and the
//! file is written again.

use std::path::Path;
use std::process::Command;

use flate2::read::GzDecoder;

use crate::fixture::{Fixture, expect_same, fixture, year};

/// Queries over the year of temperatures, in words that both systems know.
fn queries() -> Vec<String> {
    let calls = "count(*), avg(value), min(value), max(value), sum(value)";
    let mut queries = Vec::new();
    let widths = ["7 minutes", "1 hour", "6 hours", "1 day", "3 days", "7 days", "1 month"];
    let zones =
        ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"];
    for width in widths.into_iter().chain(["5 months", "1 year"]) {
        // Narrow buckets over days in which clocks change, wide ones over the year.
        let until = match width {
            "7 minutes" | "1 hour" => "2025-04-01T00:00:00Z",
            _ => "2026-02-01T00:00:00Z",
        };
        for zone in zones {
            queries.push(format!(
                "SELECT time_bucket(INTERVAL '{width}', time, '{zone}') AS bucket, {calls} \
                 FROM temperature WHERE time >= '2025-03-28T00:00:00Z' AND time < '{until}' \
                 GROUP BY bucket"
            ));
        }
        queries.push(format!(
            "SELECT device, time_bucket(INTERVAL '{width}', time) AS bucket, {calls} \
             FROM temperature WHERE time >= '2025-03-30T00:00:00Z' AND time < '{until}' \
             GROUP BY device, bucket"
        ));
    }
    queries.push(
        "SELECT device, time_bucket(INTERVAL '9 hours', time, TIMESTAMPTZ '2025-01-01T05:00:00Z') \
         AS bucket, count(*) FROM temperature GROUP BY device, bucket"
            .to_owned(),
    );
    for condition in [
        "value > 20 AND device <> 'attic'",
        "device LIKE '%a%' AND time < '2025-02-01T00:00:00Z'",
        "device IN ('garden', 'moon') OR value BETWEEN 0 AND 1",
    ] {
        queries.push(format!("SELECT {calls} FROM temperature WHERE {condition}"));
    }
    queries.push(
        "SELECT device, sum(value) OVER (PARTITION BY device ORDER BY time ROWS 3 PRECEDING) AS s \
         FROM temperature WHERE time < '2025-01-05T00:00:00Z'"
            .to_owned(),
    );
    queries.extend(as_of_joins());
    queries
}

/// As-of joins: temperatures above a bound with those of a moment later or earlier.
fn as_of_joins() -> Vec<String> {
    let warm = "(SELECT device, time + INTERVAL '25 minutes' AS time, value FROM temperature \
                WHERE value > 12 AND time < '2025-03-01T00:00:00Z')";
    let all = "(SELECT * FROM temperature WHERE time < '2025-02-15T00:00:00Z')";
    let mut queries = Vec::new();
    for kind in ["", "LEFT "] {
        for sign in [">=", ">", "<=", "<"] {
            queries.push(format!(
                "SELECT a.device, a.time, a.value, b.time, b.value FROM {all} a \
                 ASOF {kind}JOIN {warm} b ON a.device = b.device AND a.time {sign} b.time"
            ));
        }
        queries.push(format!(
            "SELECT device, time, a.value, b.value FROM {all} a ASOF {kind}JOIN {warm} b \
             USING (device, time) WHERE a.value > 0"
        ));
    }
    queries.push(format!(
        "SELECT count(*), sum(b.value) FROM {all} a ASOF JOIN \
         (SELECT * FROM {warm} WHERE device = 'attic') b ON b.time <= a.time \
         WHERE a.device <> 'attic' AND a.time > '2025-01-07T12:00:00Z'"
    ));
    queries
}

/// Asks DuckDB; times are microseconds since the epoch.
const SCRIPT: &str = r#"
import duckdb, gzip, json, sys
connection = duckdb.connect()
connection.execute("SET TimeZone = 'UTC'")
connection.execute("CREATE TABLE temperature AS SELECT make_timestamptz(ns // 1000) AS time, device, value "
                   "FROM read_csv(?, columns={'ns': 'BIGINT', 'device': 'VARCHAR', 'value': 'DOUBLE'}, header=false)", [sys.argv[1]])
answers = []
for query in json.load(open(sys.argv[2])):
    relation = connection.sql(query)
    names = [f'c{i}' for i in range(len(relation.columns))]
    cells = [f'epoch_us({n})::VARCHAR' if 'TIME ZONE' in str(t) else f'{n}::VARCHAR' for n, t in zip(names, relation.types)]
    rows = connection.sql(f"SELECT {', '.join(cells)} FROM ({query}) AS t({', '.join(names)})").fetchall()
    answers.append([["" if cell is None else cell for cell in row] for row in rows])
packed = gzip.compress(json.dumps(answers, separators=(",", ":")).encode(), mtime=0)
open(sys.argv[3], 'wb').write(packed)
"#;

fn ask_duckdb(python: &str, fixture: &Fixture, stored: &Path) {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let records = fixture.of("temperature").into_iter().map(|(time_ns, device, value)| {
        let chronolith_engine::Value::F64(value) = value else { panic!("another kind") };
        format!("{time_ns},{device},{value}\n")
    });
    std::fs::write(path("records.csv"), records.collect::<String>()).unwrap();
    std::fs::write(path("queries.json"), serde_json::to_string(&queries()).unwrap()).unwrap();
    let arguments = [path("records.csv"), path("queries.json"), stored.to_owned()];
    let output = Command::new(python).arg("-c").arg(SCRIPT).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn calendars_zones_and_conditions_agree() {
    let fixture = year();
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/query/data/duckdb.json.gz");
    if let Ok(python) = std::env::var("CHRONOLITH_DUCKDB") {
        ask_duckdb(&python, &fixture, &stored);
    }
    let packed = GzDecoder::new(std::fs::File::open(stored).unwrap());
    let answers: Vec<Vec<Vec<String>>> = serde_json::from_reader(packed).unwrap();
    let queries = queries();
    assert_eq!(queries.len(), answers.len());
    for (sql, mut expected) in queries.into_iter().zip(answers) {
        let microseconds = |cell: String| match cell.parse::<jiff::Timestamp>() {
            Ok(time) => time.as_microsecond().to_string(),
            Err(_) => cell,
        };
        let rows = fixture.rows(&sql).into_iter();
        let mut found: Vec<Vec<String>> =
            rows.map(|row| row.into_iter().map(microseconds).collect()).collect();
        found.sort();
        expected.sort();
        expect_same(&sql, &found, &expected);
    }
}

#[test]
fn the_comparison_can_fail() {
    let fixture = fixture(1);
    let (one, other) = (fixture.rows("SELECT 1.5"), fixture.rows("SELECT 1.50001"));
    assert!(std::panic::catch_unwind(|| expect_same("", &one, &other)).is_err());
}
