//! `chronolith storage`.

mod role;
mod simulate;

use anyhow::Result;
use clap::Subcommand;

use super::Outcome;

/// Peer storage.
#[derive(Debug, Subcommand)]
pub(super) enum StorageCommand {
    /// Open a node's storage for others, or change what it offers
    Open(role::OpenCommand),
    /// Show what the ledger has of a node's storage
    Status(role::StatusCommand),
    /// List the leases of a node
    Leases(role::LeasesCommand),
    /// Show how a node's audits went
    Audits(role::AuditsCommand),
    /// Show what a node earned, and what its leases will pay
    Earnings(role::EarningsCommand),
    /// Check every byte that a stopped node keeps
    Scrub(role::ScrubCommand),
    /// Take no more leases, and get the bond back when the last is over
    Leave(role::LeaveCommand),
    /// Simulate how often data is lost while peers come and go over years
    Simulate(simulate::SimulateCommand),
    /// Simulate how often a cheating peer is caught by audits
    AuditSimulate(simulate::AuditSimulateCommand),
}

impl StorageCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        match self {
            Self::Open(command) => command.run(),
            Self::Status(command) => command.run(),
            Self::Leases(command) => command.run(),
            Self::Audits(command) => command.run(),
            Self::Earnings(command) => command.run(),
            Self::Scrub(command) => command.run(),
            Self::Leave(command) => command.run(),
            Self::Simulate(command) => command.run(),
            Self::AuditSimulate(command) => command.run(),
        }
    }
}
