//! A chain whose disk fails ends with an error that names the file, and the database beside it is as
//! it was.

use std::process::Command;

use serde_json::Value;

use crate::run::{expect, json, program, source};

#[test]
fn a_full_disk_under_the_chain_is_said_and_the_database_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let fleet = source("testdata/ingest/fleet.lp").display().to_string();
    expect(directory, 0, &["ingest", "--db", "db", &fleet]);
    expect(directory, 0, &["seal", "--db", "db", "--all"]);
    json(directory, 0, &["chain", "init", "--dir", "c", "--wallet", "w", "--json"]);
    let chunks = || json(directory, 0, &["chunks", "--db", "db", "--json"]);
    let before: Value = chunks();
    let anchor = ["chain", "anchor", "--db", "db", "--chain", "c", "--wallet", "w", "--json"];
    // No file may grow beyond one block of the shell's: as on a full disk, writes fail.
    let limited = "trap '' XFSZ; ulimit -f 1; exec \"$@\"";
    let output = Command::new("sh")
        .args(["-c", limited, "sh", program()])
        .args(anchor)
        .current_dir(directory)
        .output()
        .unwrap();
    let problem = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{problem}");
    assert!(problem.contains("File too large"), "{problem}");

    expect(directory, 0, &["verify", "--db", "db"]);
    assert_eq!(chunks(), before);
    let line = "speed,device=late value=1 1767225600000000000\n";
    std::fs::write(directory.join("late.lp"), line).unwrap();
    expect(directory, 0, &["ingest", "--db", "db", "late.lp"]);
    // With room again the chain goes on, too.
    let anchored = json(directory, 0, &anchor);
    assert!(!anchored["anchored"].as_array().unwrap().is_empty(), "{anchored}");
    let audit = json(directory, 0, &["chain", "audit", "--dir", "c", "--json"]);
    assert_eq!(audit["holds"], true);
}
