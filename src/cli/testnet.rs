//! `chronolith testnet`.

mod init;
#[cfg(unix)]
mod processes;

use anyhow::Result;
use clap::Subcommand;

use super::Outcome;

/// Networks whose nodes are all one's own
#[derive(Debug, Subcommand)]
pub(super) enum TestnetCommand {
    /// Write the genesis, and a configuration and keys for each node
    Init(init::InitCommand),
    /// Start the nodes as processes that go on by themselves
    #[cfg(unix)]
    Start(processes::StartCommand),
    /// Show which nodes run, and where they are
    #[cfg(unix)]
    Status(processes::StatusCommand),
    /// Wait until the nodes have a height, or packs are placed
    #[cfg(unix)]
    Wait(processes::WaitCommand),
    /// Stop nodes in order
    #[cfg(unix)]
    Stop(processes::StopCommand),
    /// Kill nodes, to see what the others do
    #[cfg(unix)]
    Kill(processes::KillCommand),
    /// Show what a node told
    #[cfg(unix)]
    Logs(processes::LogsCommand),
}

impl TestnetCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        match self {
            Self::Init(command) => command.run(),
            #[cfg(unix)]
            Self::Start(command) => command.run(),
            #[cfg(unix)]
            Self::Status(command) => command.run(),
            #[cfg(unix)]
            Self::Wait(command) => command.run(),
            #[cfg(unix)]
            Self::Stop(command) => command.run(),
            #[cfg(unix)]
            Self::Kill(command) => command.run(),
            #[cfg(unix)]
            Self::Logs(command) => command.run(),
        }
    }
}
