//! `chronolith storage simulate` and `audit-simulate`: what peer storage is worth.

use anyhow::Result;
use chronolith_chain::ledger::AUDIT_SAMPLES;
use chronolith_fragment::Profile;
use chronolith_net::simulate::audits::{self, CheaterKind};
use chronolith_net::simulate::durability;
use clap::Args;
use serde_json::json;

use crate::cli::Outcome;
use crate::cli::chain::print_fields;
use crate::cli::usage::Usage;

/// Simulate how often data is lost while peers come and go over years.
///
/// Everything follows from the seed. Beside what was seen stands what a model says: a chain of live
/// fragments that fall one by one, without failures of whole regions.
#[derive(Debug, Args)]
pub(in crate::cli) struct SimulateCommand {
    /// For how many years
    #[arg(long, value_name = "YEARS", default_value_t = 10.0)]
    years: f64,

    /// How many peers there are at any time
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    peers: usize,

    /// How packs are cut: lab, standard or wide
    #[arg(long, value_name = "PROFILE", default_value = "standard")]
    profile: Profile,

    /// How many packs
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    packs: usize,

    /// How long a peer lives, on average
    #[arg(long, value_name = "DAYS", default_value_t = 365.0)]
    lifetime_days: f64,

    /// How long it takes until a pack that needs it is repaired, on average
    #[arg(long, value_name = "HOURS", default_value_t = 24.0)]
    repair_hours: f64,

    /// In how many regions the peers are
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    regions: usize,

    /// How often a region fails in a year
    #[arg(long, value_name = "COUNT", default_value_t = 0.1)]
    region_failures: f64,

    /// Which share of a region's peers is then gone for ever
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    region_loss: f64,

    /// What everything follows from
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl SimulateCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let config = durability::Config {
            years: self.years,
            peers: self.peers,
            profile: self.profile,
            packs: self.packs,
            lifetime_days: self.lifetime_days,
            repair_hours: self.repair_hours,
            regions: self.regions,
            region_failures_per_year: self.region_failures,
            region_loss: self.region_loss,
            seed: self.seed,
        };
        let report = durability::simulate(&config).map_err(|error| Usage(error.to_string()))?;
        let packs = self.packs as f64;
        let loss = report.lost_packs as f64 / packs;
        // Where nothing was lost: with 95 % confidence the chance is below three in so many.
        let bound = if report.lost_packs == 0 { (3.0 / packs).min(1.0) } else { loss };
        let shown = json!({
            "profile": self.profile.name(),
            "years": self.years,
            "peers": self.peers,
            "packs": self.packs,
            "lost_packs": report.lost_packs,
            "loss_rate": loss,
            "loss_rate_bound": bound,
            "model_loss_rate": report.model_loss,
            "deaths": report.deaths,
            "region_failures": report.region_failures,
            "region_deaths": report.region_deaths,
            "repairs": report.repairs,
            "rebuilt_fragments": report.rebuilt_fragments,
            "repair_bytes": report.repair_bytes,
            "live_least": report.live_least,
        });
        print_fields(self.json, &shown)?;
        Ok(Outcome::Done)
    }
}

/// Simulate how often a cheating peer is caught by audits.
///
/// The audits are real ones: packs, fragments, trees, answers and their checks. One peer of six cheats,
/// the others are honest and lose 2 % of their answers on the way. The exit code is 1 where an honest
/// peer was accused, or a cheater was caught less or more often than 99.9 % of such runs.
#[derive(Debug, Args)]
pub(in crate::cli) struct AuditSimulateCommand {
    /// What the cheater does: drop=SHARE, replay, forge, other, regenerate, regenerate-with-mask or
    /// outsource
    #[arg(long, value_name = "CHEATER")]
    cheater: CheaterKind,

    /// How many audits of it
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    epochs: u64,

    /// How many blocks an audit asks for
    #[arg(long, value_name = "COUNT", default_value_t = AUDIT_SAMPLES)]
    samples: usize,

    /// What everything follows from
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl AuditSimulateCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let usual = audits::Config::new(self.cheater, self.epochs);
        let config = audits::Config { samples: self.samples, seed: self.seed, ..usual };
        let report = audits::simulate(&config).map_err(|error| Usage(error.to_string()))?;
        let (low, high) = report.interval();
        let rate = report.detection_rate();
        let is_within = (low..=high).contains(&rate);
        let mut shown = json!({
            "cheater": self.cheater.to_string(),
            "samples": self.samples,
            "audits": report.audits,
            "detected": report.detected,
            "lies": report.lies,
            "detection_rate": rate,
            "expected_rate": report.expected_rate,
            "interval_low": low,
            "interval_high": high,
            "is_within_interval": is_within,
            "is_detectable": self.cheater.is_detectable(),
            "honest_audits": report.honest_audits,
            "honest_missed": report.honest_missed,
            "honest_accused": report.honest_accused,
        });
        if !self.cheater.is_detectable() {
            shown["note"] = json!("not detected: audits cannot tell it from an honest peer");
        }
        print_fields(self.json, &shown)?;
        Ok(if is_within && report.honest_accused == 0 { Outcome::Done } else { Outcome::Faults })
    }
}
