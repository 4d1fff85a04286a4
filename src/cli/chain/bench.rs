//! `chronolith chain bench`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;

use super::print_fields;
use crate::chain::bench::{Load, NodeOptions, Terms, run, serve};
use crate::cli::usage::Usage;
use crate::cli::{Outcome, interrupt};

/// How many transfers a second are signed beforehand where nothing is said.
const PER_SECOND: usize = 12_000;
/// The most that are signed beforehand: they are kept in memory, 300 to 600 bytes each.
const TRANSFERS_MOST: usize = 10_000_000;

/// Measure validators as processes of their own that agree on transfers over loopback sockets.
#[derive(Debug, Args)]
pub(in crate::cli) struct BenchCommand {
    /// How many validators
    #[arg(long, value_name = "COUNT", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=128))]
    validators: u16,

    /// For how long transfers are handed in
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,

    /// How many transfers are signed beforehand, rounded up to a multiple of 512 [default: 12000 for
    /// each second]
    #[arg(long, value_name = "COUNT")]
    transfers: Option<usize>,

    /// Anchor batches of so many chunks of one device, in place of transfers
    #[arg(long, value_name = "CHUNKS")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    anchors: Option<u32>,

    /// How many transfers are under way at a time
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    in_flight: u32,

    /// The least time between two blocks, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 200)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=10_000))]
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
    #[arg(value_parser = clap::value_parser!(u64).range(10..=100_000))]
    term_blocks: Option<u64>,

    /// How many candidates there are for the seats, those of the beginning included
    #[arg(long, value_name = "COUNT", requires = "term_blocks")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=128))]
    candidates: Option<u16>,

    /// Where the validators keep their files [default: the directory for temporary files]
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl BenchCommand {
    /// How many transfers are signed beforehand: as many as fit into memory.
    fn transfers(&self) -> Result<usize, Usage> {
        let seconds = usize::try_from(self.seconds).unwrap_or(usize::MAX);
        let count = self.transfers.unwrap_or(PER_SECOND.saturating_mul(seconds));
        if count == 0 {
            return Err(Usage("--transfers: there is at least one".to_owned()));
        }
        if count > TRANSFERS_MOST {
            return Err(Usage(format!(
                "{count} transfers are more than can be signed beforehand and kept in memory; give \
                 --transfers and at most {TRANSFERS_MOST}"
            )));
        }
        Ok(count)
    }

    pub(super) fn run(&self) -> Result<Outcome> {
        let transfers = self.transfers()?;
        if self.term_blocks.is_some() && self.validators < 4 {
            let what = "a term seats at least 4, so that sets of fewer never change";
            bail!(Usage(format!("--term-blocks: {what}; give --validators 4")));
        }
        let stop = interrupt::listen().context("cannot listen for Ctrl-C")?.stop;
        let parent = self.work.clone().unwrap_or_else(std::env::temp_dir);
        let directory = parent.join(format!("chronolith-chain-bench-{}", std::process::id()));
        std::fs::create_dir_all(&parent)
            .and_then(|()| std::fs::create_dir(&directory))
            .with_context(|| format!("cannot create {}", directory.display()))?;
        let load = Load {
            program: std::env::current_exe().context("cannot find this program")?,
            directory: directory.clone(),
            validators: self.validators,
            seconds: self.seconds,
            transfers,
            anchored_chunks: self.anchors,
            in_flight: self.in_flight as usize,
            interval_ms: self.interval_ms,
            kills: self.kills,
            seed: self.seed,
            terms: self.term_blocks.map(|blocks| Terms {
                blocks,
                candidates: self.candidates.unwrap_or(self.validators),
            }),
            stop: Arc::clone(&stop),
        };
        let measured = match run(&load) {
            Err(_) if stop.load(Ordering::Relaxed) => Ok(Outcome::Interrupted),
            measured => measured.and_then(|report| {
                print_fields(self.json, &serde_json::to_value(&report)?)?;
                Ok(if report.holds() { Outcome::Done } else { Outcome::Faults })
            }),
        };
        let removed = std::fs::remove_dir_all(&directory)
            .with_context(|| format!("cannot remove {}", directory.display()));
        both(measured, removed)
    }
}

/// What was measured comes first: that the files stay is worth an error where nothing else is.
fn both(measured: Result<Outcome>, removed: Result<()>) -> Result<Outcome> {
    match (measured, removed) {
        (Err(measured), Err(removed)) => Err(anyhow!("{measured:#}; besides, {removed:#}")),
        (Ok(outcome), removed) => removed.map(|()| outcome),
        (measured, Ok(())) => measured,
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    /// A measurement that failed said that its directory could not be removed, and nothing of why it
    /// had failed: removing came before the report was looked at.
    #[test]
    fn a_directory_that_stays_does_not_hide_what_failed() {
        let failed = || Err(anyhow!("validator 1 ended"));
        let stays = || Err(anyhow!("cannot remove x"));
        let told = |both: Result<Outcome>| format!("{:#}", both.unwrap_err());
        let both_failed = told(both(failed(), stays()));
        assert!(both_failed.starts_with("validator 1 ended"), "{both_failed}");
        assert!(both_failed.contains("cannot remove x"), "{both_failed}");
        assert_eq!(told(both(failed(), Ok(()))), "validator 1 ended");
        assert_eq!(told(both(Ok(Outcome::Done), stays())), "cannot remove x");
        assert!(matches!(both(Ok(Outcome::Faults), Ok(())), Ok(Outcome::Faults)));
    }
}
