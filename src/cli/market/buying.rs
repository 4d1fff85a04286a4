//! `chronolith market buy` and `cancel`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::{ActingArgs, PartyArgs, RequestArgs, VenueArgs, offer_id, print_done, time_ms};
use crate::buyer::{Wish, cancel, request};
use crate::cli::Outcome;
use crate::cli::chain::coins;
use crate::market::purse::Disclosure;

/// Ask for a right, with its price set aside. Keys open whole windows: a range that begins or ends inside of
/// one is widened to it.
///
/// Where the owner does not grant it in time, the payment comes back without anybody asking.
#[derive(Debug, Args)]
pub(in crate::cli) struct BuyCommand {
    /// The offer
    #[arg(value_name = "OFFER")]
    offer: String,

    #[command(flatten)]
    venue: VenueArgs,
    #[command(flatten)]
    party: PartyArgs,

    /// From this time on
    #[arg(long, value_name = "TIME")]
    from: String,

    /// Until this time
    #[arg(long, value_name = "TIME")]
    until: String,

    /// For how many blocks the owner may think
    #[arg(long, value_name = "BLOCKS", default_value_t = 100)]
    deadline: u64,

    /// What a hidden offer is of: the file that its owner told
    #[arg(long, value_name = "FILE")]
    disclosure: Option<PathBuf>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl BuyCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let offer = offer_id(&self.offer)?;
        let told = self.disclosure.as_deref().map(|file| Disclosure::read(file, offer));
        let wish = Wish {
            offer,
            from_ms: time_ms(&self.from)?,
            until_ms: time_ms(&self.until)?,
            deadline_blocks: self.deadline,
            scope: told.transpose()?.map(|told| told.scope),
        };
        let mut venue = self.venue.open()?;
        let asked = request(&mut venue, &self.party.key()?, &self.party.purse()?, wish)?;
        let (request, price) = (asked.request.to_string(), coins(asked.price));
        print_done(self.json, json!({"request": request, "price": price}), &asked.done)
    }
}

/// Take a request back. The payment comes back after some blocks, unless a grant was on its way.
#[derive(Debug, Args)]
pub(in crate::cli) struct CancelCommand {
    #[command(flatten)]
    request: RequestArgs,
}

impl CancelCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let ActingArgs { venue, party, .. } = &self.request.acting;
        let done = cancel(&mut venue.open()?, &party.key()?, self.request.id()?)?;
        self.request.print_done(&done)
    }
}
