//! `chronolith storage`: simulations that replay, with figures beside what they should be.

use std::path::Path;

use serde_json::Value;

use crate::run::{chronolith, json};

fn storage(arguments: &[&str]) -> Value {
    json(Path::new("."), 0, &[&["storage"], arguments, &["--json"]].concat())
}

#[test]
fn a_dropper_is_caught_as_often_as_the_formula_says() {
    let arguments = ["audit-simulate", "--cheater", "drop=0.1", "--epochs", "200"];
    let report = storage(&arguments);
    let rate = report["detection_rate"].as_f64().unwrap();
    let expected = report["expected_rate"].as_f64().unwrap();
    assert!((expected - 0.878_423).abs() < 1e-6, "{report}");
    assert!(report["interval_low"].as_f64() <= Some(rate), "{report}");
    assert!(report["interval_high"].as_f64() >= Some(rate), "{report}");
    assert_eq!((&report["honest_accused"], &report["audits"]), (&0.into(), &200.into()));
    assert_eq!(storage(&arguments), report);
}

#[test]
fn what_is_always_refused_and_what_is_never_seen() {
    for (cheater, rate) in
        [("replay", 1.0), ("forge", 1.0), ("other", 1.0), ("regenerate", 1.0), ("outsource", 0.0)]
    {
        let report = storage(&["audit-simulate", "--cheater", cheater, "--epochs", "20"]);
        assert_eq!(report["detection_rate"], rate, "{cheater}");
        assert_eq!(report["note"].is_string(), rate == 0.0);
        assert_eq!(report["honest_accused"], 0);
    }
}

#[test]
fn years_of_churn_are_simulated_beside_the_model() {
    let small = ["simulate", "--years", "1", "--peers", "60", "--packs", "20", "--profile", "lab"];
    let report = storage(&small);
    assert!(report["repairs"].as_u64() > Some(20), "{report}");
    assert!(report["model_loss_rate"].as_f64() > Some(0.0), "{report}");
    assert_eq!(storage(&small), report);
    let harsh = [&small[..], &["--repair-hours", "100000"]].concat();
    assert!(storage(&harsh)["lost_packs"].as_u64() > Some(10));
}

#[test]
fn what_makes_no_sense_is_wrong_usage() {
    for (arguments, told) in [
        (&["audit-simulate", "--cheater", "nobody"][..], "there is no cheater"),
        (&["audit-simulate", "--cheater", "drop=2"], "drop=SHARE"),
        (&["audit-simulate", "--cheater", "replay", "--epochs", "0"], "epochs is 0"),
        (&["audit-simulate", "--cheater", "replay", "--samples", "100"], "1 to 64"),
        (&["simulate", "--profile", "deep"], "lab, standard and wide"),
        (&["simulate", "--peers", "10"], "30 are needed"),
        (&["simulate", "--years", "NaN"], "0.001 to 1,000"),
        (&["simulate", "--region-loss", "2"], "a share from 0 to 1"),
    ] {
        let output = chronolith(Path::new("."), &[&["storage"], arguments].concat());
        let problem = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {problem}");
        assert!(problem.contains(told), "{arguments:?}: {problem}");
    }
}
