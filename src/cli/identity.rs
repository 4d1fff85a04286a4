//! `chronolith identity`: certificates, devices, services, and access to them for a time.

mod certificates;
mod devices;
mod services;

use anyhow::{Context, Result};
use clap::Subcommand;

use super::Outcome;
use crate::moment::now_ms;

/// Who is who: an account vouches for others by certificates that a server checks against the ledger, a device
/// changes hands, and the owner of a service lets somebody in for a time.
#[derive(Debug, Subcommand)]
pub(super) enum IdentityCommand {
    /// Write the certificate of an account that issues certificates
    Authority(certificates::AuthorityCommand),
    /// Make a TLS key, and the request for its certificate
    Request(certificates::RequestCommand),
    /// Issue the certificate that a request asks for, and put its hash on the ledger
    Certify(certificates::CertifyCommand),
    /// Take a certificate back
    Revoke(certificates::RevokeCommand),
    /// Show what a certificate says, and how it stands; exit code 1 where it is not good
    Show(certificates::ShowCommand),
    /// List what an account certified, and what was certified of it
    List(certificates::ListCommand),
    /// Devices and their owners
    #[command(subcommand)]
    Device(devices::DeviceCommand),
    /// Services that accounts announce
    #[command(subcommand)]
    Service(services::ServiceCommand),
    /// Let somebody use a service for a time
    Allow(services::AllowCommand),
    /// Take that back
    Disallow(services::DisallowCommand),
}

impl IdentityCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        match self {
            Self::Authority(command) => command.run(),
            Self::Request(command) => command.run(),
            Self::Certify(command) => command.run(),
            Self::Revoke(command) => command.run(),
            Self::Show(command) => command.run(),
            Self::List(command) => command.run(),
            Self::Device(command) => command.run(),
            Self::Service(command) => command.run(),
            Self::Allow(command) => command.run(),
            Self::Disallow(command) => command.run(),
        }
    }
}

/// A time so long from now, as the ledger counts.
fn after(length: std::time::Duration) -> Result<u64> {
    let ms = u64::try_from(length.as_millis()).ok().and_then(|ms| now_ms().checked_add(ms));
    ms.context("that is beyond all calendars")
}
