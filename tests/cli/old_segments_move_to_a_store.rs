//! Old segments go to another folder; every command still answers, and says where it is at a loss.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::run::{chronolith, expect, json};

/// A database with a sealed window of a year that is over, and its store beside it.
fn moved(at: &Path) {
    let lines: String = (0..5_000)
        .map(|n| format!("speed,car=a v={}.{} {}000000000\n", n % 97, n % 10, 1_600_000_000 + n))
        .collect();
    fs::write(at.join("in.lp"), lines).unwrap();
    fs::create_dir(at.join("cold")).unwrap();
    expect(at, 0, &["ingest", "--db", "db", "in.lp"]);
    expect(at, 0, &["seal", "--db", "db", "--all"]);
    let url = format!("file://{}", at.join("cold").display());
    expect(at, 0, &["store", "set", "--db", "db", &url]);
}

fn count(value: &Value, what: &str) -> u64 {
    value[what]["segments"].as_u64().unwrap()
}

#[test]
fn a_moved_database_answers_and_is_verified_backed_up_and_restored() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    moved(at);
    let whole = expect(at, 0, &["export", "--db", "db"]);
    let waiting = json(at, 0, &["store", "status", "--db", "db", "--json"]);
    assert_eq!((count(&waiting, "local"), count(&waiting, "waiting")), (1, 1));
    let report = json(at, 0, &["store", "move", "--db", "db", "--json"]);
    assert_eq!((report["segments"].as_u64(), count(&report["status"], "moved")), (Some(1), 1));
    assert_eq!(expect(at, 0, &["export", "--db", "db"]), whole);
    let verified = json(at, 0, &["verify", "--db", "db", "--json"]);
    assert_eq!(verified["moved_segments"].as_u64(), Some(1));
    assert_eq!(verified["extra"].as_array().map(Vec::len), Some(0));
    expect(at, 0, &["backup", "--db", "db", "--to", "copy"]);
    expect(at, 0, &["restore", "--db", "again", "--from", "copy"]);
    fs::rename(at.join("cold"), at.join("gone")).unwrap();
    assert_eq!(expect(at, 0, &["export", "--db", "again"]), whole);
    expect(at, 0, &["verify", "--db", "again"]);

    // Away: what is here is here, and what is not is said.
    let output = chronolith(at, &["export", "--db", "db"]);
    let problem = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    for part in ["cold", ".seg", "mount"] {
        assert!(problem.contains(part), "{part}: {problem}");
    }
    let verified = json(at, 1, &["verify", "--db", "db", "--json"]);
    assert_eq!(verified["faults"].as_array().map(Vec::len), Some(0));
    assert_eq!(verified["unchecked"].as_array().map(Vec::len), Some(1));
    fs::write(at.join("more.lp"), "speed,car=a v=1 1700000000000000000\n").unwrap();
    expect(at, 0, &["ingest", "--db", "db", "more.lp"]);
    expect(at, 0, &["seal", "--db", "db", "--all"]);
    fs::rename(at.join("gone"), at.join("cold")).unwrap();
    let all = expect(at, 0, &["export", "--db", "db"]);
    assert_eq!(all.lines().count(), whole.lines().count() + 1);
}

#[test]
fn what_names_no_store_is_refused_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    expect(at, 1, &["store", "set", "--db", "db", "s3://fleet"]);
    expect(at, 0, &["init", "db"]);
    for url in ["fleet", "ftp://fleet", "s3://", "s3://key:secret@fleet"] {
        let output = chronolith(at, &["store", "set", "--db", "db", url]);
        let problem = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{url}");
        assert!(!problem.contains("secret@"), "{problem}");
        assert!(!at.join("db/store.toml").exists(), "{url}");
    }
    expect(at, 1, &["store", "move", "--db", "db"]);
    fs::write(at.join("db/store.toml"), "url = 's3://fleet'\nsecret_key = 'hush'\n").unwrap();
    for arguments in [&["stats", "--db", "db"][..], &["verify", "--db", "db"]] {
        let output = chronolith(at, arguments);
        let problem = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(problem.contains("store.toml") && !problem.contains("hush"), "{problem}");
    }
}
