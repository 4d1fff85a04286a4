//! Whatever Byzantine validators do, as long as they are fewer than a third, and however bad the
//! network and the disks are: no fork, nothing lost, nothing signed twice, and a new height within
//! ten rounds after the network healed.
//!
//! `CHRONOLITH_SEEDS` is how many seeds each test runs, `CHRONOLITH_FIRST_SEED` the first of them.

use chronolith_chain::simulate::{ActorKind, Config, Report, Simulator, simulate};
use cpu_time::ThreadTime;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Runs seeds of a configuration; nothing may break.
fn hold(config: &Config, seeds: u64) -> Report {
    let (first, seeds) = (number("CHRONOLITH_FIRST_SEED", 0), number("CHRONOLITH_SEEDS", seeds));
    let begin = ThreadTime::now();
    let report = simulate(config, first..first + seeds).unwrap();
    let actor = config.byzantine.map_or("nobody", ActorKind::name);
    println!(
        "{} of {} {actor}, trouble {} ms: {} seeds, {:.1} a CPU second, heights {}, rounds {:?}, \
         byzantine {}, forks {}, terms in {}, evidence in {}, {} transactions, {} crashes, {:?}",
        config.byzantine_count,
        config.validators,
        config.trouble_ms,
        report.seeds,
        report.seeds as f64 / begin.elapsed().as_secs_f64(),
        report.heights_min,
        report.runs_by_rounds,
        report.byzantine_messages,
        report.forks,
        report.runs_with_terms,
        report.runs_with_evidence,
        report.transactions,
        report.crashes,
        report.run_hash,
    );
    if let Some(first) = &report.broken {
        panic!("{actor}, seed {}: {}", first.seed, first.broken);
    }
    assert_eq!(report.forks, 0);
    assert_eq!(report.seeds, seeds);
    assert!(report.heights_min >= config.heights);
    assert!(report.rounds_max <= Config::ROUNDS_TO_HEAL);
    assert_eq!(report.runs_with_terms, seeds, "every run is longer than a term");
    assert!(report.transactions > 0);
    if config.byzantine.is_some() {
        assert!(report.byzantine_messages > 0, "{actor} did nothing");
    }
    if config.crashes {
        assert!(report.crashes > 0);
    }
    report
}

/// One Byzantine validator of four: alone, and with trouble of all kinds.
fn one_of_four(actor: ActorKind) -> Report {
    let config = Config::new(4, Some(actor));
    hold(&config.clone().calm(), 8);
    hold(&config, 24)
}

/// Two of seven.
fn two_of_seven(actor: ActorKind) {
    hold(&Config::new(7, Some(actor)), 6);
}

#[test]
fn nobody_is_byzantine() {
    hold(&Config::new(4, None).calm(), 4);
    hold(&Config::new(4, None), 24);
}

#[test]
fn one_of_four_equivocates() {
    let report = one_of_four(ActorKind::Equivocator);
    assert!(report.runs_with_evidence > 0, "no equivocator was punished");
}

#[test]
fn one_of_four_withholds() {
    one_of_four(ActorKind::Withholder);
}

#[test]
fn one_of_four_proposes_badly() {
    one_of_four(ActorKind::BadProposer);
}

#[test]
fn one_of_four_votes_nil() {
    one_of_four(ActorKind::NilSpammer);
}

#[test]
fn one_of_four_forgets() {
    one_of_four(ActorKind::Amnesiac);
}

#[test]
fn one_of_four_is_two() {
    one_of_four(ActorKind::Twins);
}

#[test]
fn one_of_four_replays() {
    one_of_four(ActorKind::Replayer);
}

#[test]
fn two_of_seven_equivocate() {
    two_of_seven(ActorKind::Equivocator);
}

#[test]
fn two_of_seven_withhold() {
    two_of_seven(ActorKind::Withholder);
}

#[test]
fn two_of_seven_propose_badly() {
    two_of_seven(ActorKind::BadProposer);
}

#[test]
fn two_of_seven_vote_nil() {
    two_of_seven(ActorKind::NilSpammer);
}

#[test]
fn two_of_seven_forget() {
    two_of_seven(ActorKind::Amnesiac);
}

#[test]
fn two_of_seven_are_four() {
    two_of_seven(ActorKind::Twins);
}

#[test]
fn two_of_seven_replay() {
    two_of_seven(ActorKind::Replayer);
}

#[test]
fn a_seed_replays_exactly() {
    for actor in ActorKind::ALL {
        let simulator = Simulator::new(&Config::new(4, Some(actor))).unwrap();
        let first = simulator.run(5).unwrap();
        assert_eq!(simulator.run(5).unwrap(), first, "{actor}");
        let again = Simulator::new(&Config::new(4, Some(actor))).unwrap();
        assert_eq!(again.run(5).unwrap(), first, "{actor}");
        assert_ne!(simulator.run(6).unwrap().run_hash, first.run_hash, "{actor}");
    }
}

#[test]
fn what_makes_no_chain_is_refused() {
    let refused = |config: Config| Simulator::new(&config).err().unwrap().to_string();
    let none = Config { validators: 0, ..Config::default() };
    assert!(refused(none).contains("at least 1"));
    let many = Config { validators: 1_000, ..Config::default() };
    assert!(refused(many).contains("at most 100"));
    let all = Config { byzantine_count: 4, ..Config::new(4, Some(ActorKind::Twins)) };
    assert!(refused(all).contains("one must be honest"));
    let unknown = "liar".parse::<ActorKind>().unwrap_err().to_string();
    assert!(unknown.contains("\"liar\"") && unknown.contains("equivocator"), "{unknown}");
    for actor in ActorKind::ALL {
        assert_eq!(actor.name().parse::<ActorKind>(), Ok(actor));
    }
}
