//! Someone who follows a continuous query by a cursor file sees every change, and the same change
//! under the same cursor, however often the command is killed; what they end with is the ad-hoc
//! answer.
//!
//! `CHRONOLITH_KILLS=200 cargo test --test cli followers` runs the long campaign.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::run::{expect, kills, program};

const QUERY: &str = "CREATE CONTINUOUS QUERY speed_1m AS SELECT device, time_bucket('1m', time), \
                     count(*), avg(value), max(value) FROM speed GROUP BY 1, 2 \
                     WITH (lateness = '10s', keep_changes = 100000)";

/// Follows the query until so many lines are read, or to the end; the lines.
fn follow(directory: &Path, lines: Option<usize>) -> Vec<Value> {
    let mut watch = Command::new(program())
        .args(["watch", "--db", "fleet.db", "--format", "json", "--cursor-file", "cursor"])
        .args(["--ingest", "fleet.lp", QUERY])
        .current_dir(directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(watch.stdout.take().unwrap());
    let mut parsed = Vec::new();
    if lines == Some(0) {
        watch.kill().unwrap();
    }
    // What was handed over before the kill counts; the last line may be half of one.
    for line in output.lines() {
        parsed.extend(serde_json::from_str(&line.unwrap()).ok());
        if Some(parsed.len()) == lines {
            watch.kill().unwrap();
        }
    }
    let ended = watch.wait().unwrap();
    assert!(lines.is_some() || ended.success(), "{ended}");
    parsed
}

#[test]
fn followers_of_a_killed_command_lose_and_double_nothing() {
    let kills = kills(8) as usize;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let size = ["--vehicles", "6", "--seconds", "3000"];
    expect(path, 0, &[&["bench", "fleet", "--out", "fleet.lp"], &size[..]].concat());
    let mut told: BTreeMap<u64, Value> = BTreeMap::new();
    let mut take = |lines: Vec<Value>| {
        for line in lines {
            let cursor = line["cursor"].as_u64().unwrap();
            // Rows of a snapshot share a cursor; the first one is of an empty database.
            assert_ne!(line["change"], "row", "{line}");
            if let Some(before) = told.insert(cursor, line.clone()) {
                assert_eq!(before, line, "two changes of one cursor");
            }
        }
    };
    for kill in 0..kills {
        // At once, in the middle of the backfill, and later and later.
        take(follow(path, Some(kill * 37 % 400)));
    }
    take(follow(path, None));
    let cursors: Vec<u64> = told.keys().copied().collect();
    assert_eq!(cursors, (1..=cursors.len() as u64).collect::<Vec<_>>(), "changes without gaps");
    let mut rows: BTreeMap<(String, String), Value> = BTreeMap::new();
    for change in told.into_values() {
        let text = |name: &str| change[name].as_str().unwrap().to_owned();
        let key = (text("time_bucket"), text("device"));
        match change["change"].as_str().unwrap() {
            "insert" => assert!(rows.insert(key, change).is_none(), "inserted twice"),
            "update" => assert!(rows.insert(key, change).is_some(), "updated before it was there"),
            _ => assert!(rows.remove(&key).is_some(), "deleted before it was there"),
        }
    }
    let arguments = ["aggregate", "--db", "fleet.db", "--metric", "speed", "--every", "1m"];
    let functions = ["--fn", "count,avg,max", "--format", "json"];
    let answer = expect(path, 0, &[&arguments[..], &functions[..]].concat());
    let answer: Vec<Value> = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer.len(), rows.len());
    for expected in &answer {
        let text = |name: &str| expected[name].as_str().unwrap().to_owned();
        let row = &rows[&(text("time"), text("device"))];
        assert_eq!((&row["count"], &row["max"]), (&expected["count"], &expected["max"]));
        let number = |value: &Value| value.as_f64().unwrap();
        let (found, wanted) = (number(&row["avg"]), number(&expected["avg"]));
        assert!((found - wanted).abs() <= 1e-12 * wanted.abs(), "{row} and {expected}");
    }
    expect(path, 0, &["verify", "--db", "fleet.db"]);
}

#[test]
fn what_cannot_be_followed_is_explained() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    expect(path, 0, &["init", "some.db"]);
    let watch = |code: i32, more: &[&str]| {
        expect(path, code, &[&["watch", "--db", "some.db"], more].concat())
    };
    watch(1, &["nobody"]);
    watch(2, &["nobody", "--from", "yesterday"]);
    watch(1, &["CREATE CONTINUOUS QUERY q AS SELECT 1"]);
    let select = "SELECT time_bucket('1m', time), count(*) FROM speed GROUP BY 1";
    assert_eq!(watch(0, &["--format", "csv", select]).lines().count(), 1, "nothing but the header");
    watch(1, &["--from", "7", select]);
    assert_eq!(watch(0, &["SHOW CONTINUOUS QUERIES"]).lines().count(), 8);
}
