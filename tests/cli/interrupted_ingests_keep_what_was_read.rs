//! Ctrl-C: what was read is committed in whole rows, counted, and nothing acknowledged is lost.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use crate::run::{expect, json, program};

/// An ingest of standard input that has acknowledged two records and waits for more.
fn waiting(directory: &std::path::Path) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut command = Command::new(program());
    command.args(["ingest", "--format", "line", "--json", "--db", "a", "-"]);
    command.current_dir(directory).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(b"m v=1 1\nm v=2 2\nm v=3").unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut told = String::new();
    output.read_line(&mut told).unwrap();
    assert_eq!(told, "{\"acknowledged\":2}\n");
    (child, output)
}

fn interrupt(child: &Child) {
    let done = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(done.success());
}

#[test]
fn an_interrupted_ingest_ends_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let (mut child, mut output) = waiting(at);
    interrupt(&child);
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    let summary: serde_json::Value = serde_json::from_str(rest.trim()).unwrap();
    assert_eq!(summary["accepted"].as_u64(), Some(2));
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert!(told.contains("stopped after line 2"), "{told}");
    assert_eq!(json(at, 0, &["stats", "--db", "a", "--json"])["records"].as_u64(), Some(2));
    expect(at, 0, &["verify", "--db", "a"]);
}
