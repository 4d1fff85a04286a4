//! Backups, restores and new databases leave alone what is none of theirs.

use std::fs;
use std::path::Path;

use crate::run::{chronolith, expect};

fn problem(directory: &Path, code: i32, arguments: &[&str]) -> String {
    let output = chronolith(directory, arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Commands left a file `LOCK` in folders that they refused.
#[test]
fn a_foreign_folder_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    fs::create_dir(at.join("mine")).unwrap();
    fs::write(at.join("mine/notes.txt"), "mine").unwrap();
    fs::write(at.join("in.lp"), "m v=1 1\n").unwrap();
    for arguments in [
        &["init", "mine"][..],
        &["ingest", "--db", "mine", "in.lp"],
        &["seal", "--db", "mine", "--all"],
        &["verify", "--db", "mine"],
        &["repair", "--db", "mine"],
        &["backup", "--db", "mine", "--to", "copy"],
        &["restore", "--db", "copy", "--from", "mine"],
    ] {
        problem(at, 1, arguments);
        let left: Vec<_> = fs::read_dir(at.join("mine")).unwrap().collect();
        assert_eq!(left.len(), 1, "{arguments:?}");
        assert!(!at.join("copy").exists(), "{arguments:?}");
    }
}

#[test]
fn a_copy_is_outside_of_what_is_copied_and_no_writer_is_at_work() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    fs::write(at.join("in.lp"), "m v=1 1\n").unwrap();
    expect(at, 0, &["ingest", "--db", "a", "in.lp"]);
    for inside in ["a/copy", "a", "a/../a/x/y"] {
        let told = problem(at, 2, &["backup", "--db", "a", "--to", inside]);
        assert!(told.contains("inside of"), "{told}");
        let told = problem(at, 2, &["restore", "--db", inside, "--from", "a"]);
        assert!(told.contains("inside of"), "{told}");
    }
    let db = chronolith_engine::Db::open(at.join("a"), chronolith_engine::Options::default());
    let told = problem(at, 1, &["restore", "--db", "b", "--from", "a"]);
    assert!(told.contains("another process has this database open"), "{told}");
    assert!(!at.join("b").exists());
    drop(db);
    expect(at, 0, &["restore", "--db", "b", "--from", "a"]);
    assert_eq!(expect(at, 0, &["export", "--db", "b"]), expect(at, 0, &["export", "--db", "a"]));
}

#[test]
fn deleting_says_how_many_records_are_gone() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    fs::write(at.join("in.lp"), "m v=1,t=\"x\" 1\nm v=2 2\nm v=3 3\n").unwrap();
    expect(at, 0, &["ingest", "--db", "a", "in.lp"]);
    let told = expect(at, 0, &["delete", "--db", "a", "--all-metrics", "--to", "3"]);
    assert_eq!(told, "deleted 3 records of 2 metrics; compact frees the space\n");
    let told = expect(at, 0, &["delete", "--db", "a", "--all-metrics", "--json"]);
    assert_eq!(told, "{\"metrics\":2,\"records\":1}\n");
}

#[test]
fn only_what_a_repair_can_mend_is_left_to_it() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    fs::write(at.join("in.lp"), "m v=1 1\n").unwrap();
    expect(at, 0, &["ingest", "--db", "a", "in.lp"]);
    expect(at, 0, &["seal", "--db", "a", "--all"]);
    fs::write(at.join("a/manifest"), "gone").unwrap();
    let told = expect(at, 1, &["verify", "--db", "a"]);
    assert!(told.contains("restore a backup"), "{told}");
}
