//! `chronolith chain simulate`: seeds that replay, and what is broken said with its seed.

use std::path::Path;

use serde_json::{Value, json};

use crate::run::{chronolith, json};

fn simulate(code: i32, more: &[&str]) -> Value {
    json(Path::new("."), code, &[&["chain", "simulate", "--json"], more].concat())
}

#[test]
fn a_seed_replays_exactly() {
    let few = ["--byzantine", "equivocator", "--seeds", "3"];
    let report = simulate(0, &few);
    assert_eq!((&report["seeds"], &report["forks"]), (&json!(3), &json!(0)));
    assert!(report["heights_min"].as_u64() >= Some(12), "{report}");
    assert!(report["byzantine_messages"].as_u64() > Some(0), "{report}");
    assert!(report["rounds_max"].is_u64() && report.get("broken").is_none(), "{report}");
    assert_eq!(simulate(0, &few), report);
    let others = simulate(0, &[&few[..], &["--first-seed", "3"]].concat());
    assert_ne!(others["run_hash"], report["run_hash"]);
}

#[test]
fn more_byzantine_validators_than_the_rest_bears_fork_the_chain() {
    let report =
        simulate(1, &["--byzantine", "equivocator", "--byzantine-count", "2", "--seeds", "2"]);
    assert!(report["forks"].as_u64() > Some(0), "{report}");
    assert_eq!(report["broken"]["invariant"], "agreement");
    let seed = report["broken"]["seed"].to_string();
    let again = ["--byzantine", "equivocator", "--byzantine-count", "2", "--seeds", "1"];
    let again = simulate(1, &[&again[..], &["--first-seed", &seed]].concat());
    assert_eq!(again["broken"], report["broken"]);
}

/// `--seeds 0` ended with 0 and a report of no run, so that a script whose count of seeds was empty
/// passed without a check: a range of none was simulated. `--byzantine twins --validators 3` had no
/// twins, because three bear none. Both are wrong usage now.
#[test]
fn what_cannot_be_simulated_is_wrong_usage() {
    for (arguments, told) in [
        (&["--byzantine", "nobody"][..], "there is no actor"),
        (&["--validators", "0"], "at least 1"),
        (&["--validators", "1000000"], "at most 100"),
        (&["--byzantine", "twins", "--byzantine-count", "4"], "one must be honest"),
        (&["--byzantine", "twins", "--byzantine-count", "0"], "none is Byzantine"),
        (&["--byzantine", "twins", "--validators", "3"], "none is Byzantine"),
        (&["--byzantine-count", "1"], "--byzantine <ACTOR>"),
        (&["--loss", "200%"], "more than all messages"),
        (&["--loss", "much"], "10%"),
        (&["--heights", "0"], "at least one height"),
        (&["--seeds", "0"], "at least one run"),
        (&["--first-seed", "18446744073709551615"], "beyond 2^64"),
    ] {
        let output = chronolith(Path::new("."), &[&["chain", "simulate"], arguments].concat());
        let problem = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {problem}");
        assert!(problem.contains(told), "{arguments:?}: {problem}");
    }
}
