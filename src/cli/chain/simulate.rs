//! `chronolith chain simulate`.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, Result};
use chronolith_chain::simulate::{ActorKind, Config, Outcome as Run, Report, Simulator};
use clap::Args;
use serde_json::{Value, json};

use super::print_fields;
use crate::cli::Outcome;
use crate::cli::usage::Usage;

/// Simulate whole chains with a bad network, power cuts and Byzantine validators.
///
/// A run follows from its seed alone. What is broken first is shown with its seed, and the exit code
/// is then 1; `--seeds 1 --first-seed SEED` runs it again.
#[derive(Debug, Args)]
pub(in crate::cli) struct SimulateCommand {
    /// How many validators
    #[arg(long, value_name = "COUNT", default_value_t = 4)]
    validators: usize,

    /// What the Byzantine ones do: equivocator, withholder, bad-proposer, nil-spammer, amnesiac,
    /// twins or replayer
    #[arg(long, value_name = "ACTOR")]
    byzantine: Option<ActorKind>,

    /// How many are Byzantine [default: as many as the rest bears]
    #[arg(long, value_name = "COUNT", requires = "byzantine")]
    byzantine_count: Option<usize>,

    /// How many messages are lost before the network heals
    #[arg(long, value_name = "PERCENT", default_value = "10%", value_parser = loss)]
    loss: u16,

    /// How many heights each run commits
    #[arg(long, value_name = "COUNT", default_value_t = 12)]
    heights: u64,

    /// How many runs
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    seeds: u64,

    /// The seed of the first run; the others count up from it
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    first_seed: u64,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A share of messages: basis points.
fn loss(text: &str) -> Result<u16, String> {
    let wrong = || format!("{text:?} is no share of messages; give one such as 10% or 2.5%");
    let (whole, part) =
        text.trim_end_matches('%').split_once('.').unwrap_or((text.trim_end_matches('%'), ""));
    if part.len() > 2 || !part.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(wrong());
    }
    let whole: u16 = whole.parse().map_err(|_| wrong())?;
    let part: u16 = format!("{part:0<2}").parse().map_err(|_| wrong())?;
    whole
        .checked_mul(100)
        .and_then(|points| points.checked_add(part))
        .filter(|points| *points <= 10_000)
        .ok_or_else(|| format!("{text:?} is more than all messages"))
}

impl SimulateCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        if self.seeds == 0 {
            return Err(Usage("--seeds: there is at least one run".to_owned()).into());
        }
        let last = self.first_seed.checked_add(self.seeds);
        let last = last.ok_or_else(|| Usage("the seeds go beyond 2^64".to_owned()))?;
        if self.heights == 0 {
            return Err(Usage("--heights: a run commits at least one height".to_owned()).into());
        }
        let config = self.config();
        if let Some(actor) = self.byzantine.filter(|_| config.byzantine_count == 0) {
            let what = format!("of {} validators none is Byzantine then", self.validators);
            let more = "give --byzantine-count, or 4 validators at least";
            return Err(Usage(format!("--byzantine {actor}: {what}; {more}")).into());
        }
        // What cannot be simulated at all is a matter of the options.
        Simulator::new(&config).map_err(|error| Usage(error.to_string()))?;
        let report = simulate(&config, self.first_seed, last)?;
        print_fields(self.json, &shown(&report))?;
        Ok(if report.broken.is_none() { Outcome::Done } else { Outcome::Faults })
    }

    fn config(&self) -> Config {
        let bearable = Config::new(self.validators, self.byzantine);
        Config {
            byzantine_count: self.byzantine_count.unwrap_or(bearable.byzantine_count),
            loss: self.loss,
            heights: self.heights,
            ..bearable
        }
    }
}

/// Runs the seeds on all processors; the report is the same as on one.
fn simulate(config: &Config, first: u64, last: u64) -> Result<Report> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get) as u64;
    let mut report = Report::default();
    thread::scope(|scope| {
        // Bounded, so that a thread that is ahead waits: outcomes are added in the order of seeds.
        let (sender, outcomes) = mpsc::sync_channel::<Result<Run>>(64);
        for start in first..last.min(first.saturating_add(threads)) {
            let sender = sender.clone();
            scope.spawn(move || {
                let simulator = match Simulator::new(config) {
                    Ok(simulator) => simulator,
                    Err(error) => {
                        let _ = sender.send(Err(error.into()));
                        return;
                    }
                };
                for seed in (start..last).step_by(threads as usize) {
                    let run = simulator.run(seed).with_context(|| format!("seed {seed}"));
                    // Nobody takes it where another run failed.
                    if sender.send(run).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut next = first;
        for outcome in outcomes {
            let outcome = outcome?;
            early.insert(outcome.seed, outcome);
            while let Some(outcome) = early.remove(&next) {
                report.add(outcome);
                next += 1;
            }
        }
        Ok(report)
    })
}

fn shown(report: &Report) -> Value {
    let mut shown = json!({
        "seeds": report.seeds,
        "heights_min": report.heights_min,
        "rounds_max": report.rounds_max,
        "byzantine_messages": report.byzantine_messages,
        "forks": report.forks,
        "runs_with_terms": report.runs_with_terms,
        "runs_with_evidence": report.runs_with_evidence,
        "transactions": report.transactions,
        "crashes": report.crashes,
        "run_hash": report.run_hash.to_string(),
    });
    if let Some(first) = &report.broken {
        shown["broken"] = json!({
            "seed": first.seed,
            "invariant": first.broken.invariant.name(),
            "what": first.broken.what,
        });
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::loss;

    #[test]
    fn shares_are_exact_or_errors() {
        for (text, points) in
            [("10%", 1_000), ("0", 0), ("2.5%", 250), ("0.01%", 1), ("100%", 10_000)]
        {
            assert_eq!(loss(text), Ok(points), "{text}");
        }
        for text in ["", "%", "-1%", "101%", "1.234%", "a", "1.x%", "99999%", "+.1"] {
            assert!(loss(text).is_err(), "{text}");
        }
    }
}
