//! `chronolith market deal`: what several parties do one after the other, with coin set aside for it.

use anyhow::Result;
use chronolith_chain::encoding::List;
use chronolith_chain::hash::DealId;
use chronolith_chain::ledger::{Advance, Arbitrate, Plan, Share};
use chronolith_chain::state::Overlay;
use clap::{Args, Subcommand};
use serde_json::json;

use super::{ActingArgs, PartyArgs, VenueArgs, content, id, print_done};
use crate::chain::shown;
use crate::cli::Outcome;
use crate::cli::chain::{print_fields, read_json};
use crate::cli::listing::ListingArgs;
use crate::cli::usage::Usage;
use crate::market::{VenueError, deal};

/// Deals of several steps, with deadlines, objections and an arbiter. Whatever is set aside comes out again by
/// itself, whoever is away (docs/deals.md).
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum DealCommand {
    /// Open a deal by its plan, and set one's part aside
    Open(OpenCommand),
    /// Join a deal as it is, and set one's part aside
    Join(JoinCommand),
    /// Say that the step that a deal is at is done
    Done(AdvanceCommand),
    /// Object to the step that a deal is at
    Object(AdvanceCommand),
    /// Decide a disputed deal, as its arbiter
    Arbitrate(ArbitrateCommand),
    /// Show a deal: its plan, where it is, who said what
    Show(ShowCommand),
    /// List the deals of an account
    List(ListCommand),
}

impl DealCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        match self {
            Self::Open(command) => command.run(),
            Self::Join(command) => command.run(),
            Self::Done(command) => command.run(false),
            Self::Object(command) => command.run(true),
            Self::Arbitrate(command) => command.run(),
            Self::Show(command) => command.run(),
            Self::List(command) => command.run(),
        }
    }
}

fn deal_id(text: &str) -> Result<DealId> {
    Ok(DealId(id(text, "deal")?))
}

/// Open a deal by its plan, and set one's part aside. Nobody can change the plan any more.
#[derive(Debug, Args)]
pub(in crate::cli) struct OpenCommand {
    /// The plan, as JSON; `-` for standard input
    #[arg(value_name = "FILE")]
    plan: String,

    #[command(flatten)]
    acting: ActingArgs,
}

impl OpenCommand {
    fn run(&self) -> Result<Outcome> {
        let plan: Plan = read_json(&self.plan, "the plan of a deal")?;
        let ActingArgs { venue, party, json } = &self.acting;
        let (deal, done) = deal::open(&mut venue.open()?, &party.key()?, plan)?;
        print_done(*json, json!({"deal": deal}), &done)
    }
}

/// Which deal is dealt with, by whom.
#[derive(Debug, Args)]
struct DealArgs {
    /// The deal
    #[arg(value_name = "DEAL")]
    deal: String,

    #[command(flatten)]
    acting: ActingArgs,
}

/// Join a deal as it is, and set one's part aside. With the last party the first step begins.
#[derive(Debug, Args)]
pub(in crate::cli) struct JoinCommand {
    #[command(flatten)]
    of: DealArgs,
}

impl JoinCommand {
    fn run(&self) -> Result<Outcome> {
        let DealArgs { deal, acting: ActingArgs { venue, party, json } } = &self.of;
        let deal = deal_id(deal)?;
        let done = deal::join(&mut venue.open()?, &party.key()?, deal)?;
        print_done(*json, json!({"deal": deal}), &done)
    }
}

/// Say something of the step that a deal is at.
#[derive(Debug, Args)]
pub(in crate::cli) struct AdvanceCommand {
    #[command(flatten)]
    of: DealArgs,

    /// The number of the step, so that nothing is said of a later one by mistake
    #[arg(long, value_name = "NUMBER")]
    step: u8,

    /// The content id of what shows it
    #[arg(long, value_name = "CID")]
    evidence: Option<String>,
}

impl AdvanceCommand {
    fn run(&self, objects: bool) -> Result<Outcome> {
        let DealArgs { deal, acting: ActingArgs { venue, party, json } } = &self.of;
        let (deal, evidence) = (deal_id(deal)?, self.evidence.as_deref().map(content).transpose()?);
        let said = Advance { deal, step: self.step, objects, evidence };
        let done = deal::advance(&mut venue.open()?, &party.key()?, said)?;
        print_done(*json, json!({"deal": deal, "step": self.step}), &done)
    }
}

/// Decide a disputed deal, as its arbiter: everything is paid out as the shares say.
#[derive(Debug, Args)]
pub(in crate::cli) struct ArbitrateCommand {
    #[command(flatten)]
    of: DealArgs,

    /// The shares, as JSON: [{"of": 0, "to": 1, "share": 10000}]; `-` for standard input
    #[arg(long, value_name = "FILE")]
    shares: String,

    /// The content id of the reasons
    #[arg(long, value_name = "CID")]
    reasons: Option<String>,
}

impl ArbitrateCommand {
    fn run(&self) -> Result<Outcome> {
        let shares: Vec<Share> = read_json(&self.shares, "shares of a deal")?;
        let shares = List::new(shares).map_err(|error| Usage(format!("--shares: {error}")))?;
        let DealArgs { deal, acting: ActingArgs { venue, party, json } } = &self.of;
        let (deal, reasons) = (deal_id(deal)?, self.reasons.as_deref().map(content).transpose()?);
        let decision = Arbitrate { deal, shares, reasons };
        let done = deal::arbitrate(&mut venue.open()?, &party.key()?, decision)?;
        print_done(*json, json!({"deal": deal}), &done)
    }
}

/// Show a deal: its plan, where it is, who said what.
#[derive(Debug, Args)]
pub(in crate::cli) struct ShowCommand {
    /// The deal
    #[arg(value_name = "DEAL")]
    deal: String,

    #[command(flatten)]
    venue: VenueArgs,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl ShowCommand {
    fn run(&self) -> Result<Outcome> {
        let id = deal_id(&self.deal)?;
        let found = deal::of(&self.venue.open()?, id)?;
        let mut shown = shown::deal(id, &found);
        if let (false, Some(fields)) = (self.json, shown.as_object_mut()) {
            // What does not go onto a line.
            fields.retain(|name, _| name != "plan" && name != "verdict");
        }
        print_fields(self.json, &shown)?;
        Ok(Outcome::Done)
    }
}

/// List the deals of an account: those that it is a party or the arbiter of.
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
        let mut rows = self.listing.rows(&["deal", "as", "contract", "parties", "status"])?;
        let all = self.venue.open()?.look(|state, _| {
            deal::all_of(&Overlay::new(state), account).map_err(VenueError::from)
        })?;
        for (id, found) in all {
            rows.show(&shown::deal_line(id, &found, account))?;
        }
        rows.finish()?;
        Ok(Outcome::Done)
    }
}
