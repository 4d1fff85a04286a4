//! The command line.
//!
//! Every command prints for people, and with `--json` for programs. Exit codes: 0 done, 1 failed,
//! 2 wrong usage, 3 done with rejected input, 130 stopped by Ctrl-C.

mod aggregate;
#[cfg(feature = "sql")]
mod answer;
mod asking;
mod bench;
mod blob;
mod chain;
mod config;
#[cfg(feature = "continuous")]
mod continuous;
mod contract;
mod copies;
pub(crate) mod database;
mod demo;
mod export;
mod fetch;
mod identity;
mod ingest;
mod interrupt;
mod keys;
mod listing;
mod market;
mod net;
mod output;
mod pack;
mod pattern;
#[cfg(feature = "plot")]
mod plot;
mod privacy;
mod produce;
#[cfg(feature = "promql")]
mod promql;
#[cfg(feature = "promql")]
mod promqltest;
#[cfg(feature = "sql")]
mod query;
#[cfg(feature = "search")]
mod remote;
mod retention;
mod rights;
#[cfg(feature = "search")]
mod search;
mod serve;
mod storage;
#[cfg(feature = "s3")]
mod store;
mod testnet;
mod token;
mod top;
mod upkeep;
mod usage;
mod wallet;
#[cfg(feature = "continuous")]
mod watch;
mod whole;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A time-series database whose sealed chunks are provable.
#[derive(Debug, Parser)]
#[command(name = "chronolith", version, about, propagate_version = true)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done with rejected input, \
                        130 stopped by Ctrl-C")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one for each run of the program")]
enum Command {
    /// Make an empty database
    Init(upkeep::InitCommand),
    /// Read records from files into a database
    Ingest(ingest::IngestCommand),
    /// Write records as CSV, JSON lines or Parquet, ordered by device, metric and time
    Export(export::ExportCommand),
    /// Aggregate metrics over buckets of time
    Aggregate(aggregate::AggregateCommand),
    /// Answer SQL or PromQL; without any, a prompt
    #[cfg(feature = "sql")]
    Query(query::QueryCommand),
    /// Answer PromQL
    #[cfg(all(feature = "promql", not(feature = "sql")))]
    Query(promql::PromqlCommand),
    /// Run tests in Prometheus' format for its query language
    #[cfg(feature = "promql")]
    Promqltest(promqltest::PromqltestCommand),
    /// Find metrics, devices, chunks and offers by text, labels, time and place
    #[cfg(feature = "search")]
    Search(search::SearchCommand),
    /// Headers of others' chunks and offers, kept for search
    #[cfg(feature = "search")]
    #[command(subcommand)]
    Remote(remote::RemoteCommand),
    /// Draw metrics or the answer of a query as a line chart: in the terminal, as SVG or PNG
    #[cfg(feature = "plot")]
    Plot(plot::PlotCommand),
    /// Follow a continuous query: print its changes as they come
    #[cfg(feature = "continuous")]
    Watch(watch::WatchCommand),
    /// Show the latest record of each metric
    Latest(listing::LatestCommand),
    /// List metrics with what they hold
    Metrics(listing::MetricsCommand),
    /// List sealed chunks with their content ids
    Chunks(listing::ChunksCommand),
    /// Show the root of a device's catalogue: the Merkle DAG of all its chunks
    Catalogue(listing::CatalogueCommand),
    /// Show figures of a database
    Stats(upkeep::StatsCommand),
    /// Seal windows into immutable, content-addressed chunks
    Seal(upkeep::SealCommand),
    /// Merge small files, carry out deletions and retention
    Compact(upkeep::CompactCommand),
    /// Delete records: hidden at once, their bytes gone with the next compact
    Delete(upkeep::DeleteCommand),
    /// Values of any size: photos, recordings, models
    #[command(subcommand)]
    Blob(blob::BlobCommand),
    /// How long records are kept
    #[command(subcommand)]
    Retention(retention::RetentionCommand),
    /// The keys that chunks are sealed under, and files are encrypted with
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// How private metrics are
    #[command(subcommand)]
    Privacy(privacy::PrivacyCommand),
    /// Old segments in an S3-compatible store or another folder
    #[cfg(feature = "s3")]
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Check every byte of a database, or a proved answer; exit code 1 where something is wrong
    Verify(upkeep::VerifyCommand),
    /// Keep everything that is whole and say what is lost
    Repair(upkeep::RepairCommand),
    /// Copy a database, as it is now, to an empty directory
    Backup(copies::BackupCommand),
    /// Copy a backup to an empty directory, where it is a database again
    Restore(copies::RestoreCommand),
    /// The ledger: anchors of chunks, rights and coin
    #[command(subcommand)]
    Chain(chain::ChainCommand),
    /// Keys of accounts, and what is signed with them
    #[command(subcommand)]
    Wallet(wallet::WalletCommand),
    /// Rights to data: offered, bought, granted, received
    #[command(subcommand)]
    Market(market::MarketCommand),
    /// Data contracts: checked, made from templates, applied
    #[command(subcommand)]
    Contract(contract::ContractCommand),
    /// What was bought and sold, and taking it back
    #[command(subcommand)]
    Rights(rights::RightsCommand),
    /// Who is who: certificates, devices, services, and access for a time
    #[command(subcommand)]
    Identity(identity::IdentityCommand),
    /// Serve a database over HTTP, or run a node with the roles that its configuration names
    Serve(serve::ServeCommand),
    /// Tokens of those who come in over HTTP
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// What a node's configuration can say
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Make the configurations and keys of a network of nodes
    #[command(subcommand)]
    Testnet(testnet::TestnetCommand),
    /// Show a running node as it is now, again and again
    Top(top::TopCommand),
    /// Look at a running node and its peers
    #[command(subcommand)]
    Net(net::NetCommand),
    /// Packs of sealed chunks, and the fragments that peers keep of them
    #[command(subcommand)]
    Pack(pack::PackCommand),
    /// Fetch a pack, or one item of it, from the peers that keep it
    Fetch(fetch::FetchCommand),
    /// Anchor what a database seals, and have it kept by storage peers
    Produce(produce::ProduceCommand),
    /// Peer storage
    #[command(subcommand)]
    Storage(storage::StorageCommand),
    /// Measure the database on data made from a seed
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Run the main job on real drives, and check every step
    Demo(demo::DemoCommand),
}

impl Command {
    fn run(&self) -> anyhow::Result<Outcome> {
        match self {
            Self::Init(command) => command.run(),
            Self::Ingest(command) => command.run(),
            Self::Export(command) => command.run(),
            Self::Aggregate(command) => command.run(),
            #[cfg(any(feature = "sql", feature = "promql"))]
            Self::Query(command) => command.run(),
            #[cfg(feature = "promql")]
            Self::Promqltest(command) => command.run(),
            #[cfg(feature = "search")]
            Self::Search(command) => command.run(),
            #[cfg(feature = "search")]
            Self::Remote(command) => command.run(),
            #[cfg(feature = "plot")]
            Self::Plot(command) => command.run(),
            #[cfg(feature = "continuous")]
            Self::Watch(command) => command.run(),
            Self::Latest(command) => command.run(),
            Self::Metrics(command) => command.run(),
            Self::Chunks(command) => command.run(),
            Self::Catalogue(command) => command.run(),
            Self::Stats(command) => command.run(),
            Self::Seal(command) => command.run(),
            Self::Compact(command) => command.run(),
            Self::Delete(command) => command.run(),
            Self::Blob(command) => command.run(),
            Self::Retention(command) => command.run(),
            Self::Keys(command) => command.run(),
            Self::Privacy(command) => command.run(),
            #[cfg(feature = "s3")]
            Self::Store(command) => command.run(),
            Self::Verify(command) => command.run(),
            Self::Repair(command) => command.run(),
            Self::Backup(command) => command.run(),
            Self::Restore(command) => command.run(),
            Self::Chain(command) => command.run(),
            Self::Wallet(command) => command.run(),
            Self::Market(command) => command.run(),
            Self::Contract(command) => command.run(),
            Self::Rights(command) => command.run(),
            Self::Identity(command) => command.run(),
            Self::Serve(command) => command.run(),
            Self::Token(command) => command.run(),
            Self::Config(command) => command.run(),
            Self::Testnet(command) => command.run(),
            Self::Top(command) => command.run(),
            Self::Net(command) => command.run(),
            Self::Pack(command) => command.run(),
            Self::Fetch(command) => command.run(),
            Self::Produce(command) => command.run(),
            Self::Storage(command) => command.run(),
            Self::Bench(command) => command.run(),
            Self::Demo(command) => command.run(),
        }
    }
}

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    /// A check found faults.
    Faults,
    /// Done, but some of the input was rejected.
    Rejected,
    /// Stopped by Ctrl-C, in order.
    Interrupted,
}

impl Outcome {
    fn code(self) -> ExitCode {
        match self {
            Self::Done => ExitCode::SUCCESS,
            Self::Faults => ExitCode::from(1),
            Self::Rejected => ExitCode::from(3),
            Self::Interrupted => ExitCode::from(interrupt::EXIT_CODE),
        }
    }
}

/// Runs the program with the arguments it was started with.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = Cli::parse().command.run();
    match outcome {
        Ok(outcome) => outcome.code(),
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chronolith: {}", told(&error));
            if usage::is_usage(&error) { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// An error and its causes; a cause that the text before ends with is not said again.
fn told(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if told.is_empty() {
            told = text;
        } else if !told.contains(&text) {
            told.push_str(": ");
            told.push_str(&text);
        }
    }
    told
}

/// Whether the reader of our output went away, as `head` does.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
