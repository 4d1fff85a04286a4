//! `chronolith market deal`: what several parties do one after the other, with coin set aside for it.

use anyhow::{Context as _, Result};
use chronolith_chain::encoding::List;
use chronolith_chain::hash::DealId;
use chronolith_chain::ledger::{
    Advance, Arbitrate, DealKey, DealStatus, DealStepKey, DealVerdictKey, JoinDeal, OpenDeal, Plan,
    Share,
};
use chronolith_chain::state::Overlay;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{ActingArgs, PartyArgs, VenueArgs, content, id, print_done};
use crate::cli::Outcome;
use crate::cli::chain::{coins, print_fields, read_json};
use crate::cli::listing::ListingArgs;
use crate::cli::usage::Usage;
use crate::market::VenueError;

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
    venue: VenueArgs,
    #[command(flatten)]
    party: PartyArgs,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl OpenCommand {
    fn run(&self) -> Result<Outcome> {
        let plan: Plan = read_json(&self.plan, "the plan of a deal")?;
        let (key, mut venue) = (self.party.key()?.signer(), self.venue.open()?);
        let (deal, done) = venue.commit_kept("open a deal", &key, OpenDeal { plan }, |id| {
            Ok::<_, VenueError>(DealId::made_by(id))
        })?;
        print_done(self.json, json!({"deal": deal}), &done)
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
        let deal = deal_id(&self.of.deal)?;
        self.of.acting.commit("join a deal", JoinDeal { deal }, json!({"deal": deal}))
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
        let (deal, evidence) =
            (deal_id(&self.of.deal)?, self.evidence.as_deref().map(content).transpose()?);
        let advance = Advance { deal, step: self.step, objects, evidence };
        let what = if objects { "object to a step" } else { "say that a step is done" };
        self.of.acting.commit(what, advance, json!({"deal": deal, "step": self.step}))
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
        let (deal, reasons) =
            (deal_id(&self.of.deal)?, self.reasons.as_deref().map(content).transpose()?);
        let arbitrate = Arbitrate { deal, shares, reasons };
        self.of.acting.commit("decide a deal", arbitrate, json!({"deal": deal}))
    }
}

/// Where a deal is, in words.
fn status(status: &DealStatus) -> String {
    match status {
        DealStatus::Joining => "joining".to_owned(),
        DealStatus::AtStep { step, until } => format!("at step {step} until {until}"),
        DealStatus::Disputed { step, until, .. } => {
            format!("disputed at step {step} until {until}")
        }
        DealStatus::Closed { outcome } => format!("closed with outcome {outcome}"),
        DealStatus::Arbitrated => "decided by the arbiter".to_owned(),
        DealStatus::Void => "void".to_owned(),
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
        let deal = deal_id(&self.deal)?;
        let venue = self.venue.open()?;
        let (found, verdict) = venue.look(|state, _| {
            let state = Overlay::new(state);
            let found = state.get(&DealKey { deal })?;
            Ok::<_, VenueError>((found, state.get(&DealVerdictKey { deal })?))
        })?;
        let found = found.with_context(|| format!("the ledger has no deal {deal}"))?;
        let said = venue.all::<DealStepKey>(&deal.0)?.into_iter();
        let said: Vec<Value> =
            said.map(|(key, advanced)| json!({"step": key.step, "said": advanced})).collect();
        let set_aside: Vec<String> = found.escrows.iter().map(|amount| coins(*amount)).collect();
        let mut shown = json!({
            "deal": deal,
            "status": status(&found.status),
            "contract": found.plan.contract,
            "parties": found.plan.parties.len(),
            "set_aside": set_aside.join(" "),
            "steps": said,
        });
        if self.json {
            shown["plan"] = json!(found.plan);
            shown["verdict"] = json!(verdict);
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
        for (DealKey { deal }, found) in self.venue.open()?.all::<DealKey>(&[])? {
            let number = found.plan.parties.iter().position(|party| party.account == account);
            let part = match number {
                Some(number) => format!("party {number}"),
                None if found.plan.arbiter == Some(account) => "arbiter".to_owned(),
                None => continue,
            };
            rows.push(&[
                deal.to_string().into(),
                part.into(),
                found.plan.contract.to_string().into(),
                (found.plan.parties.len() as u64).into(),
                status(&found.status).into(),
            ])?;
        }
        rows.finish()?;
        Ok(Outcome::Done)
    }
}
