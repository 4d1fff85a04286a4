//! Simulated losses are those of the model where the model holds, and repairs keep data.

use chronolith_fragment::Profile;
use chronolith_net::simulate::durability::{Config, ConfigError, loss_probability, simulate};

#[test]
fn losses_are_as_many_as_the_model_says() {
    for (profile, peers, lifetime_days, repair_hours, packs) in
        [(Profile::Lab, 400, 30.0, 48.0, 400), (Profile::Standard, 500, 30.0, 100.0, 120)]
    {
        let config = Config {
            years: 0.5,
            peers,
            profile,
            packs,
            lifetime_days,
            repair_hours,
            region_failures_per_year: 0.0,
            ..Config::default()
        };
        let report = simulate(&config).unwrap();
        let expected = report.model_loss * packs as f64;
        // Packs share peers, so that their losses are a little less independent than a binomial's.
        let deviation = (expected * (1.0 - report.model_loss)).sqrt();
        let found = report.lost_packs as f64;
        println!("{profile}: {found} of {packs} lost, {expected:.1} by the model");
        assert!(expected > 5.0 && expected < packs as f64 * 0.9, "{expected}");
        assert!((found - expected).abs() < 4.0 * deviation + 1.0, "{found} for {expected}");
    }
}

#[test]
fn ten_years_of_churn_lose_nothing_with_repairs_and_everything_without() {
    let config = Config { packs: 40, peers: 200, ..Config::default() };
    let report = simulate(&config).unwrap();
    assert_eq!(report.lost_packs, 0);
    assert!(report.repairs > 400 && report.live_least >= 10, "{report:?}");
    assert!(report.model_loss < 1e-6, "{}", report.model_loss);
    assert!(report.region_failures > 0 && report.region_deaths > 0);
    let without = Config { repair_hours: 1e6, ..config };
    let report = simulate(&without).unwrap();
    assert_eq!(report.lost_packs, 40);
    assert!(loss_probability(&without) > 0.99);
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let config = Config { packs: 20, peers: 100, years: 2.0, ..Config::default() };
    assert_eq!(simulate(&config), simulate(&config));
    let other = Config { seed: 1, ..config.clone() };
    assert_ne!(simulate(&config), simulate(&other));
}

#[test]
fn numbers_without_sense_are_refused() {
    let few = Config { peers: 29, ..Config::default() };
    assert!(matches!(simulate(&few), Err(ConfigError::Peers(_))));
    for wrong in [
        Config { years: f64::NAN, ..Config::default() },
        Config { years: 1e9, ..Config::default() },
        Config { region_loss: 1.5, ..Config::default() },
        Config { packs: 0, ..Config::default() },
        Config { regions: 0, ..Config::default() },
        Config { lifetime_days: 0.0, ..Config::default() },
    ] {
        assert!(matches!(simulate(&wrong), Err(ConfigError::Bounds { .. })), "{wrong:?}");
    }
}
