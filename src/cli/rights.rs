//! `chronolith rights`: what was bought and sold, and taking it back.

use anyhow::Result;
use chronolith_chain::ledger::Right;
use clap::{Args, Subcommand, ValueEnum};

use super::Outcome;
use super::chain::coins;
use super::listing::ListingArgs;
use super::market::{ActingArgs, PartyArgs, RequestArgs, VenueArgs};
use crate::chain::shown::milliseconds;
use crate::market::grant::revoke;
use crate::market::queue::{Side, rights, status};

/// What was bought and sold: every request, grant and use of one's data.
#[derive(Debug, Subcommand)]
pub(super) enum RightsCommand {
    /// List the rights of an account
    List(ListCommand),
    /// Revoke a right, with the refund that its terms say
    Revoke(RevokeCommand),
}

impl RightsCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        match self {
            Self::List(command) => command.run(),
            Self::Revoke(command) => command.run(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// What the account sold
    Sold,
    /// What it bought
    Bought,
    /// Both
    All,
}

/// List the rights of an account: who asked for what, for how much, and what became of it.
#[derive(Debug, Args)]
pub(super) struct ListCommand {
    #[command(flatten)]
    venue: VenueArgs,
    #[command(flatten)]
    party: PartyArgs,

    /// Which of them
    #[arg(long, value_name = "SIDE", default_value = "all")]
    side: Which,

    #[command(flatten)]
    listing: ListingArgs,
}

impl ListCommand {
    fn run(&self) -> Result<Outcome> {
        let (venue, account) = (self.venue.open()?, self.party.key()?.address);
        let columns =
            ["request", "side", "with", "offer", "from", "until", "price", "escrow", "status"];
        let mut rows = self.listing.rows(&columns)?;
        let sides = [(Side::Sold, Which::Sold, "sold"), (Side::Bought, Which::Bought, "bought")];
        for (side, which, name) in sides {
            if self.side != Which::All && self.side != which {
                continue;
            }
            for entry in rights(&venue, account, side, |_| true)? {
                let Right { offer, owner, buyer, from_ms, until_ms, price, escrow, .. } =
                    entry.right;
                let with = if side == Side::Sold { buyer } else { owner };
                rows.push(&[
                    entry.request.to_string().into(),
                    name.into(),
                    with.to_string().into(),
                    offer.to_string().into(),
                    milliseconds(from_ms).into(),
                    milliseconds(until_ms).into(),
                    coins(price).into(),
                    coins(escrow).into(),
                    status(&entry.right).into(),
                ])?;
            }
        }
        rows.finish()?;
        Ok(Outcome::Done)
    }
}

/// Revoke a right, with the refund that its terms say. Before it is paid for, all of the payment goes back. Keys
/// that were granted stay with the buyer: what he read he has read.
#[derive(Debug, Args)]
pub(super) struct RevokeCommand {
    #[command(flatten)]
    request: RequestArgs,
}

impl RevokeCommand {
    fn run(&self) -> Result<Outcome> {
        let ActingArgs { venue, party, .. } = &self.request.acting;
        let request = self.request.id()?;
        let done = revoke(&mut venue.open()?, &party.key()?, request)?;
        self.request.print_done(&done)
    }
}
