//! `chronolith identity device`: whose devices are, and how they change hands.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use chronolith_chain::address::Address;
use chronolith_chain::ledger::{DeviceKey, RetireDevice};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::Outcome;
use crate::cli::chain::{print_fields, read_json};
use crate::cli::database::DatabaseArgs;
use crate::cli::keys::keys_of;
use crate::cli::listing::ListingArgs;
use crate::cli::market::{ActingArgs, PartyArgs, VenueArgs};
use crate::cli::whole;
use crate::identity::transfer::{Consent, take};
use crate::market::VenueError;

/// Devices: keys of their own under owners. What a device produced while it was somebody's stays his to sell.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum DeviceCommand {
    /// List the devices of an account
    List(ListCommand),
    /// Sign that the account takes a device, for its owner
    Accept(AcceptCommand),
    /// Give a device to whoever signed that he takes it
    Transfer(TransferCommand),
    /// Say that a device of a database is one that the account took over
    Take(TakeCommand),
    /// Say that a device produces no more
    Retire(RetireCommand),
}

impl DeviceCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        match self {
            Self::List(command) => command.run(),
            Self::Accept(command) => command.run(),
            Self::Transfer(command) => command.run(),
            Self::Take(command) => command.run(),
            Self::Retire(command) => command.run(),
        }
    }
}

/// List the devices of an account.
#[derive(Debug, Args)]
pub(in crate::cli) struct ListCommand {
    #[command(flatten)]
    venue: VenueArgs,
    #[command(flatten)]
    party: PartyArgs,

    #[command(flatten)]
    listing: ListingArgs,
}

impl ListCommand {
    fn run(&self) -> Result<Outcome> {
        let account = self.party.key()?.address;
        let mut rows = self.listing.rows(&[
            "device",
            "producer",
            "owners",
            "batches",
            "catalogue",
            "retired",
        ])?;
        for (key, known) in self.venue.open()?.all::<DeviceKey>(&[])? {
            if known.owner != account {
                continue;
            }
            rows.push(&[
                key.device.to_string().into(),
                known.producer.to_string().into(),
                (u64::from(known.tree) + 1).into(),
                known.batches.into(),
                known.catalogue.to_string().into(),
                if known.is_retired { "yes" } else { "no" }.into(),
            ])?;
        }
        rows.finish()?;
        Ok(Outcome::Done)
    }
}

fn device(text: &str) -> Result<Address> {
    text.parse().with_context(|| format!("{text:?} is no device"))
}

/// Sign that the account takes a device: the owner hands it over with the file. It is good for one transfer.
#[derive(Debug, Args)]
pub(in crate::cli) struct AcceptCommand {
    /// The device: its address
    #[arg(value_name = "DEVICE")]
    device: String,

    #[command(flatten)]
    acting: ActingArgs,

    /// The file of the consent
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl AcceptCommand {
    fn run(&self) -> Result<Outcome> {
        let (device, account) = (device(&self.device)?, self.acting.party.key()?);
        let venue = self.acting.venue.open()?;
        let chain = venue.id()?;
        let consent = venue.look(|state, _| {
            Consent::new(state, chain, device, &account).map_err(VenueError::from)
        })?;
        let Some(consent) = consent else { bail!("the ledger has no device {device}") };
        if consent.from == account.address {
            bail!("{device} is {}'s already", account.address);
        }
        let mut text = serde_json::to_string_pretty(&consent)?;
        text.push('\n');
        whole::replace(&self.out, text.as_bytes())?;
        let shown =
            json!({"device": device, "from": consent.from, "to": consent.to, "file": self.out});
        print_fields(self.acting.json, &shown)?;
        Ok(Outcome::Done)
    }
}

/// Give a device to whoever signed that he takes it. What it produced so far stays the account's to sell; from
/// then on it is sealed under a key tree of the new owner's.
#[derive(Debug, Args)]
pub(in crate::cli) struct TransferCommand {
    /// The consent of the new owner
    #[arg(value_name = "FILE")]
    consent: String,

    #[command(flatten)]
    acting: ActingArgs,

    /// Who anchors for the device from then on beside its owner and itself; the new owner where not said
    #[arg(long, value_name = "ACCOUNT")]
    producer: Option<String>,
}

impl TransferCommand {
    fn run(&self) -> Result<Outcome> {
        let consent: Consent = read_json(&self.consent, "a consent to take a device")?;
        let producer =
            self.producer.as_deref().map(|text| self.acting.address(text)).transpose()?;
        let shown = json!({"device": consent.device, "to": consent.to, "tree": u64::from(consent.tree) + 1});
        self.acting.commit("hand over a device", consent.transfer(producer)?, shown)
    }
}

/// Say that a device of a database is one that the account took over: what is written of it is sealed under keys
/// of the new owner's, and anchored for that device.
#[derive(Debug, Args)]
pub(in crate::cli) struct TakeCommand {
    /// The device: its address
    #[arg(value_name = "DEVICE")]
    device: String,

    #[command(flatten)]
    database: DatabaseArgs,

    /// What it is called in the database
    #[arg(long, value_name = "NAME")]
    name: String,

    #[command(flatten)]
    venue: VenueArgs,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl TakeCommand {
    fn run(&self) -> Result<Outcome> {
        let (device, place) = (device(&self.device)?, &self.database.db);
        let keys = keys_of(&self.database)?;
        // A server would go on as before.
        let db = self.database.change()?;
        let taken = self.venue.open()?.look(|state, _| {
            Ok::<_, VenueError>(take(state, (place, &db), keys.clone(), (device, &self.name)))
        })?;
        let owners = u64::from(taken?.tree) + 1;
        print_fields(self.json, &json!({"device": device, "name": self.name, "owners": owners}))?;
        Ok(Outcome::Done)
    }
}

/// Say that a device produces no more.
#[derive(Debug, Args)]
pub(in crate::cli) struct RetireCommand {
    /// The device: its address
    #[arg(value_name = "DEVICE")]
    device: String,

    #[command(flatten)]
    acting: ActingArgs,
}

impl RetireCommand {
    fn run(&self) -> Result<Outcome> {
        let device = device(&self.device)?;
        self.acting.commit("retire a device", RetireDevice { device }, json!({"device": device}))
    }
}
