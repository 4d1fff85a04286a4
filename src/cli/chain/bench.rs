//! `chronolith chain bench`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use super::print_fields;
use crate::chain::bench::{Load, NodeOptions, Terms, run, serve};
use crate::cli::Outcome;

/// How many transfers a second are signed beforehand where nothing is said.
const PER_SECOND: usize = 12_000;

/// Measure validators as processes of their own that agree on transfers over loopback sockets.
#[derive(Debug, Args)]
pub(in crate::cli) struct BenchCommand {
    /// How many validators
    #[arg(long, value_name = "COUNT", default_value_t = 4)]
    validators: u16,

    /// For how long transfers are handed in
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    seconds: u64,

    /// How many transfers are signed beforehand [default: 12000 for each second]
    #[arg(long, value_name = "COUNT")]
    transfers: Option<usize>,

    /// How many transfers are under way at a time
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    in_flight: usize,

    /// The least time between two blocks, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 200)]
    interval_ms: u64,

    /// Kill so many processes with SIGKILL, random ones at random moments, and start each again
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    kills: u64,

    /// What the random choice of who is killed follows from
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,

    /// End a term after so many blocks, so that sets of validators change [default: 500, and none
    /// of them asks to be seated again]
    #[arg(long, value_name = "COUNT")]
    term_blocks: Option<u64>,

    /// How many candidates there are for the seats, those of the beginning included
    #[arg(long, value_name = "COUNT", requires = "term_blocks")]
    candidates: Option<u16>,

    /// Where the validators keep their files [default: the directory for temporary files]
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl BenchCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let parent = self.work.clone().unwrap_or_else(std::env::temp_dir);
        let directory = parent.join(format!("chronolith-chain-bench-{}", std::process::id()));
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        let seconds = usize::try_from(self.seconds).unwrap_or(usize::MAX);
        let load = Load {
            program: std::env::current_exe().context("cannot find this program")?,
            directory: directory.clone(),
            validators: self.validators,
            seconds: self.seconds,
            transfers: self.transfers.unwrap_or(PER_SECOND.saturating_mul(seconds)),
            in_flight: self.in_flight,
            interval_ms: self.interval_ms,
            kills: self.kills,
            seed: self.seed,
            terms: self.term_blocks.map(|blocks| Terms {
                blocks,
                candidates: self.candidates.unwrap_or(self.validators),
            }),
        };
        let report = run(&load);
        std::fs::remove_dir_all(&directory)
            .with_context(|| format!("cannot remove {}", directory.display()))?;
        let report = report?;
        print_fields(self.json, &serde_json::to_value(&report)?)?;
        Ok(if report.holds() { Outcome::Done } else { Outcome::Faults })
    }
}

/// One validator of a measurement.
#[derive(Debug, Args)]
pub(in crate::cli) struct NodeCommand {
    /// The directory of the measurement
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,

    /// Its number
    #[arg(long)]
    number: u16,

    /// The least time between two blocks, in milliseconds
    #[arg(long)]
    interval_ms: u64,

    /// Tell of every signed message that is sent or arrives
    #[arg(long)]
    watch: bool,

    /// Do what it takes to be seated
    #[arg(long)]
    candidate: bool,
}

impl NodeCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let Self { number, interval_ms, watch, candidate, .. } = *self;
        serve(&self.dir, NodeOptions { number, interval_ms, watch, candidate })?;
        Ok(Outcome::Done)
    }
}
