//! The command line.
//!
//! Every command prints for people, and with `--json` for programs. Exit codes: 0 done, 1 failed,
//! 2 wrong usage, 3 done with rejected input.

mod aggregate;
mod bench;
mod database;
mod ingest;
mod output;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A time-series database whose sealed chunks are provable.
#[derive(Debug, Parser)]
#[command(name = "chronolith", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read records from files into a database
    Ingest(ingest::IngestCommand),
    /// Aggregate metrics over buckets of time
    Aggregate(aggregate::AggregateCommand),
    /// Measure the database on data made from a seed
    #[command(subcommand)]
    Bench(bench::BenchCommand),
}

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    /// A check found faults.
    Faults,
    /// Done, but some of the input was rejected.
    Rejected,
}

impl Outcome {
    fn code(self) -> ExitCode {
        match self {
            Self::Done => ExitCode::SUCCESS,
            Self::Faults => ExitCode::from(1),
            Self::Rejected => ExitCode::from(3),
        }
    }
}

/// Runs the program with the arguments it was started with.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Ingest(command) => command.run(),
        Command::Aggregate(command) => command.run(),
        Command::Bench(command) => command.run(),
    };
    match outcome {
        Ok(outcome) => outcome.code(),
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chronolith: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the reader of our output went away, as `head` does.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
