//! Validators that are processes of their own agree under load, and a killed one loses nothing.

use serde_json::{Value, json};

use crate::run::json;

fn bench(more: &[&str]) -> Value {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["chain", "bench", "--work", ".", "--json", "--in-flight", "500"];
    json(directory.path(), 0, &[&arguments[..], more].concat())
}

#[test]
fn four_validators_come_to_one_state() {
    let report = bench(&["--validators", "4", "--seconds", "2", "--transfers", "4000"]);
    assert_eq!((&report["state_roots_equal"], &report["forks"]), (&json!(true), &json!(0)));
    assert!(report["submitted"].as_u64() > Some(0), "{report}");
    assert_eq!(report["committed_in_all"], report["submitted"]);
    assert_eq!(report["cpu_seconds"].as_array().unwrap().len(), 4);
}

#[test]
fn a_killed_validator_comes_back_with_all_that_it_told() {
    let report = bench(&["--validators", "4", "--seconds", "4", "--transfers", "4000", "--kill"]);
    assert_eq!((&report["kills"], &report["lost_blocks"]), (&json!(1), &json!(0)));
    assert_eq!((&report["state_roots_equal"], &report["forks"]), (&json!(true), &json!(0)));
    assert_eq!(report["committed_in_all"], report["submitted"]);
}
