//! Validators that are processes of their own agree under load, through changes of term and lot,
//! and killed ones lose nothing and sign nothing twice.
//!
//! `CHRONOLITH_KILLS=500 cargo test --test cli killed_validators` runs the long campaign.

use serde_json::{Value, json};

use crate::run::{json, kills};

fn bench(more: &[&str]) -> Value {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["chain", "bench", "--work", ".", "--json"];
    json(directory.path(), 0, &[&arguments[..], more].concat())
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
