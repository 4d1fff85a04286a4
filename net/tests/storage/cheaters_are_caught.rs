//! Cheaters are caught as often as the formula says, and honest peers are never accused.

use chronolith_net::simulate::audits::{AuditError, CheaterKind, Config, Report, simulate};

use crate::fixture::count;

fn run(cheater: CheaterKind, epochs: u64, seed: u64) -> Report {
    // 4,096 blocks a peer; the formula draws with replacement and audits do not, which no campaign of
    // 10^5 audits tells apart at this size.
    let config = Config { packs: 4, seed, ..Config::new(cheater, epochs) };
    simulate(&config).unwrap()
}

#[test]
fn droppers_are_caught_as_often_as_the_formula_says() {
    let epochs = count("CHRONOLITH_AUDITS", 600);
    for (seed, share) in [(1, 0.02), (2, 0.1), (3, 0.25), (4, 0.5), (5, 1.0), (6, 0.0)] {
        let report = run(CheaterKind::Drop(share), epochs, seed);
        let (low, high) = report.interval();
        let rate = report.detection_rate();
        println!("drop={share}: {rate} between {low} and {high}, {} lies", report.lies);
        assert!((low..=high).contains(&rate), "drop={share}: {rate} not in {low}..{high}");
        assert_eq!((report.audits, report.lies, report.honest_accused), (epochs, 0, 0));
    }
}

#[test]
fn the_interval_would_show_another_rate() {
    let report = run(CheaterKind::Drop(0.1), 600, 7);
    let other = Report { expected_rate: CheaterKind::Drop(0.05).expected_rate(20), ..report };
    let (low, high) = other.interval();
    assert!(!(low..=high).contains(&report.detection_rate()));
}

#[test]
fn replay_forgery_another_answer_and_regeneration_without_the_mask_never_pass() {
    let epochs = count("CHRONOLITH_AUDITS", 200);
    for cheater in
        [CheaterKind::Replay, CheaterKind::Forge, CheaterKind::Other, CheaterKind::Regenerate]
    {
        let report = run(cheater, epochs, 8);
        println!("{cheater}: {} of {} lies", report.lies, report.audits);
        assert_eq!(report.detected, epochs, "{cheater}");
        assert!(report.lies > epochs / 10, "{cheater} signs what it sends");
        assert_eq!(report.honest_accused, 0);
    }
}

#[test]
fn what_audits_cannot_see_is_said_so() {
    for cheater in [CheaterKind::RegenerateWithMask, CheaterKind::Outsource] {
        let report = run(cheater, 50, 9);
        assert_eq!((report.detected, report.expected_rate), (0, 0.0), "{cheater}");
        assert!(!cheater.is_detectable());
    }
}

#[test]
fn honest_peers_are_never_accused_on_a_bad_network() {
    let epochs = count("CHRONOLITH_HONEST_AUDITS", 2_000).div_ceil(5);
    let config = Config { packs: 4, loss: 1_500, ..Config::new(CheaterKind::Drop(0.1), epochs) };
    let report = simulate(&config).unwrap();
    println!("{} audits, {} missed, 0 accused", report.honest_audits, report.honest_missed);
    assert_eq!((report.honest_audits, report.honest_accused), (5 * epochs, 0));
    assert!(report.honest_missed > report.honest_audits / 5, "the network is bad");
}

#[test]
fn numbers_without_sense_are_refused() {
    let good = Config::new(CheaterKind::Replay, 1);
    for wrong in [
        Config { epochs: 0, ..good.clone() },
        Config { samples: 0, ..good.clone() },
        Config { samples: 65, ..good.clone() },
        Config { packs: 1_000, ..good },
    ] {
        assert!(matches!(simulate(&wrong), Err(AuditError::Bounds { .. })));
    }
    for text in ["drop", "drop=", "drop=1.5", "drop=-1", "drop=NaN", "steal", ""] {
        assert!(text.parse::<CheaterKind>().is_err(), "{text}");
    }
    for text in ["drop=0.1", "replay", "regenerate-with-mask", "outsource"] {
        assert_eq!(text.parse::<CheaterKind>().unwrap().to_string(), text);
    }
}
