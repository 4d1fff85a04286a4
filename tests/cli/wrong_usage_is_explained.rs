//! Wrong usage ends with the right code and says what would be right.

use std::fs;
use std::path::Path;

use crate::run::{chronolith, expect, json};

fn problem(directory: &Path, code: i32, arguments: &[&str]) -> String {
    let output = chronolith(directory, arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn mistakes_are_named_with_what_would_be_right() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    fs::write(at.join("in.lp"), "fleet,device=car-1 speed=61.2 1\n").unwrap();
    assert!(
        problem(at, 1, &["stats", "--db", "nowhere"])
            .contains("chronolith: there is no database at")
    );
    assert!(!at.join("nowhere").exists(), "a command that reads made a directory");
    expect(at, 0, &["init", "a"]);
    assert!(problem(at, 1, &["init", "a"]).contains("is a database already"));
    expect(at, 0, &["ingest", "--db", "a", "in.lp"]);
    assert!(problem(at, 1, &["latest", "--db", "a", "--metric", "sped"]).contains("speed"));
    assert!(problem(at, 2, &["aggregate", "--db", "a", "--every", "5x"]).contains("5m"));
    assert!(problem(at, 2, &["aggregate", "--db", "a", "--fn", "median"]).contains("stddev"));
    assert!(problem(at, 2, &["export", "--db", "a", "--from", "yesterday"]).contains("2026-01-31"));
    assert!(problem(at, 1, &["ingest", "--db", "a", "gone.csv"]).contains("cannot open gone.csv"));
    assert_eq!(
        problem(at, 2, &["ingets"]).lines().next().map(|l| l.contains("ingets")),
        Some(true)
    );
    fs::create_dir(at.join("full")).unwrap();
    fs::write(at.join("full/notes.txt"), "mine").unwrap();
    assert!(problem(at, 1, &["ingest", "--db", "full", "in.lp"]).contains("notes.txt"));
}

#[test]
fn rejected_rows_are_reported_with_their_place_and_the_rest_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let lines = "fleet,device=car-1 speed=61.2 1\nfleet,device=car-1 speed=oops 2\n\
                 fleet,device=car-1 speed=3i 3\nfleet,device=car-1 speed=60.9 4\n";
    fs::write(at.join("in.lp"), lines).unwrap();
    let result = json(at, 3, &["ingest", "--json", "--errors", "e.jsonl", "--db", "a", "in.lp"]);
    assert_eq!((result["accepted"].as_u64(), result["rejected"].as_u64()), (Some(2), Some(2)));
    let errors = fs::read_to_string(at.join("e.jsonl")).unwrap();
    let errors: Vec<serde_json::Value> =
        errors.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(errors.len(), 2);
    assert_eq!((errors[0]["line"].as_u64(), errors[0]["column"].as_u64()), (Some(2), Some(26)));
    let reason = errors[1]["reason"].as_str().unwrap();
    assert!(
        reason.contains("f64") && reason.contains("i64") && reason.contains("speed"),
        "{reason}"
    );
    assert_eq!(json(at, 0, &["stats", "--json", "--db", "a"])["records"], 2);
}

#[test]
fn a_database_that_is_open_for_writing_says_so_to_the_next_writer() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let db =
        chronolith_engine::Db::open(at.join("a"), chronolith_engine::Options::default()).unwrap();
    assert!(
        problem(at, 1, &["seal", "--db", "a"]).contains("another process has this database open")
    );
    expect(at, 0, &["stats", "--db", "a"]);
    drop(db);
    expect(at, 0, &["seal", "--db", "a"]);
}
