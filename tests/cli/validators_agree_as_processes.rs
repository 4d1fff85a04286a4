//! Validators that are processes of their own agree under load, through changes of term and lot,
//! and killed ones lose nothing and sign nothing twice.
//!
//! `CHRONOLITH_KILLS=500 cargo test --test cli killed_validators` runs the long campaign.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::run::{chronolith, json, kills, program};

fn bench(more: &[&str]) -> Value {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["chain", "bench", "--work", ".", "--json"];
    json(directory.path(), 0, &[&arguments[..], more].concat())
}

/// `--transfers 1000000000000` took memory until the process was killed, `--seconds 86400` alone as
/// well: so many were signed beforehand. What cannot be measured is refused before anything is made.
#[test]
fn what_cannot_be_measured_is_wrong_usage() {
    let directory = tempfile::tempdir().unwrap();
    for (arguments, told) in [
        (&["--transfers", "1000000000000"][..], "at most 10000000"),
        (&["--transfers", "18446744073709551615"], "at most 10000000"),
        (&["--transfers", "0"], "at least one"),
        (&["--seconds", "86400"], "at most 10000000"),
        (&["--seconds", "100000"], "1..=86400"),
        (&["--validators", "0"], "1..=128"),
        (&["--validators", "129"], "1..=128"),
        (&["--in-flight", "0"], "1.."),
        (&["--anchors", "0"], "1.."),
        (&["--term-blocks", "9"], "10..=100000"),
        (&["--interval-ms", "60000"], "0..=10000"),
        (&["--term-blocks", "50", "--candidates", "200"], "1..=128"),
        (&["--term-blocks", "50", "--validators", "3"], "--validators 4"),
    ] {
        let bench = ["chain", "bench", "--work", "."];
        let output = chronolith(directory.path(), &[&bench[..], arguments].concat());
        let problem = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {problem}");
        assert!(problem.contains(told), "{arguments:?}: {problem}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// Ctrl-C left the directory of the measurement with the files of all validators: nobody heard it.
#[test]
#[cfg(unix)]
fn a_measurement_that_is_interrupted_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let mut child = std::process::Command::new(program())
        .args(["chain", "bench", "--work", ".", "--transfers", "512", "--seconds", "600"])
        .current_dir(directory)
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(120);
    let begun = directory.join(format!("chronolith-chain-bench-{}/3/data", child.id()));
    while !begun.exists() {
        assert!(Instant::now() < until && child.try_wait().unwrap().is_none(), "it did not begin");
        std::thread::yield_now();
    }
    let interrupt = ["-INT", &child.id().to_string()];
    assert!(std::process::Command::new("kill").args(interrupt).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), 0);
}

fn assert_agreed(report: &Value) {
    assert_eq!((&report["state_roots_equal"], &report["forks"]), (&json!(true), &json!(0)));
    assert_eq!((&report["missed_heights"], &report["height_gaps"]), (&json!(0), &json!(0)));
    assert!(report["submitted"].as_u64() > Some(0), "{report}");
    assert_eq!(report["committed_in_all"], report["submitted"]);
}

#[test]
fn four_validators_come_to_one_state() {
    let report = bench(&["--seconds", "2", "--transfers", "4000", "--in-flight", "500"]);
    assert_agreed(&report);
    assert_eq!(report["cpu_seconds"].as_array().unwrap().len(), 4);
}

#[test]
fn terms_and_lots_change_under_load_and_every_height_has_its_block() {
    let report = bench(&[
        "--seconds",
        "6",
        "--transfers",
        "20000",
        "--in-flight",
        "200",
        "--interval-ms",
        "20",
        "--term-blocks",
        "10",
        "--candidates",
        "8",
    ]);
    assert_agreed(&report);
    assert_eq!(report["cpu_seconds"].as_array().unwrap().len(), 8);
    assert!(report["lots"].as_u64() > Some(0), "{report}");
    assert!(report["set_changes"].as_u64() > Some(0), "{report}");
    assert!(report["terms"].as_u64() > report["lots"].as_u64(), "{report}");
}

#[test]
fn killed_validators_come_back_with_all_that_they_told_and_sign_nothing_twice() {
    let count = kills(12);
    let transfers = (count * 600).to_string();
    let (kills, seed) = (count.to_string(), "7");
    let report = bench(&[
        "--seconds",
        "4",
        "--transfers",
        &transfers,
        "--in-flight",
        "200",
        "--kills",
        &kills,
        "--seed",
        seed,
    ]);
    println!("{report}");
    assert_agreed(&report);
    assert_eq!((&report["kills"], &report["lost_blocks"]), (&json!(count), &json!(0)));
    assert_eq!(report["signed_twice"], 0);
    assert!(report["steps_signed"].as_u64() > Some(0), "signatures are watched");
}
