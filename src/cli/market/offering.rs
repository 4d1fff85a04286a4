//! `chronolith market offer`, `offers` and `close`.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use chronolith_chain::coin::{Amount, BasisPoints};
use chronolith_chain::hash::Hash;
use chronolith_chain::ledger::Subject;
use chronolith_chain::state::Overlay;
use clap::Args;
use serde_json::json;

use super::{PartyArgs, VenueArgs, coin, offer_id, print_done, time_ms};
use crate::chain::shown::milliseconds;
use crate::cli::Outcome;
use crate::cli::chain::{amount, coins};
use crate::cli::database::DatabaseArgs;
use crate::cli::listing::ListingArgs;
use crate::cli::usage::Usage;
use crate::keys::KeysFile;
use crate::market::VenueError;
use crate::market::book;
use crate::market::offer::{More, Wish, close, offer};
use crate::market::policy::Policy;
use crate::market::question::Question;
use crate::market::queue::all_offers;

/// Offer metrics of a device: the right to a range of time, whole windows of them.
///
/// Metrics of level 1 and 2 are offered by a salted hash; what it is of is kept in the wallet, in a file
/// that is told to those who may buy.
#[derive(Debug, Args)]
pub(in crate::cli) struct OfferCommand {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    venue: VenueArgs,
    #[command(flatten)]
    party: PartyArgs,

    /// The device
    #[arg(long, value_name = "NAME")]
    device: String,

    /// A metric; may be given several times [default: all of levels 3 and 4, also those to come]
    #[arg(long, value_name = "NAME")]
    metric: Vec<String>,

    /// From this time on [default: since the device is the account's]
    #[arg(long, value_name = "TIME")]
    from: Option<String>,

    /// Until this time [default: whatever will come]
    #[arg(long, value_name = "TIME")]
    until: Option<String>,

    /// What a right costs, whatever its length
    #[arg(long, value_name = "COIN", value_parser = amount, default_value = "0")]
    fixed: Amount,

    /// What it costs for each hour of data
    #[arg(long, value_name = "COIN", value_parser = amount, default_value = "0")]
    per_hour: Amount,

    /// The issued coin of the price [default: the chain's own]
    #[arg(long, value_name = "ID")]
    coin: Option<String>,

    /// How many blocks a buyer has to check a grant [default: the least that the ledger allows]
    #[arg(long, value_name = "BLOCKS")]
    check_blocks: Option<u32>,

    /// The right may be revoked after it was paid, for a refund of the time that is left
    #[arg(long)]
    revocable: bool,

    /// What a revocation costs on top, in hundredths of a percent of the price
    #[arg(long, value_name = "BASIS POINTS", default_value_t = 0, requires = "revocable")]
    revocation_fee: u16,

    /// The file of the policy by which requests are granted without asking
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    /// The data contract that the offer is of: price and terms are what it says, its rules grant
    #[arg(long, value_name = "FILE", conflicts_with_all = ["policy", "fixed", "per_hour", "coin"])]
    #[arg(conflicts_with_all = ["check_blocks", "revocable", "royalty"])]
    contract: Option<PathBuf>,

    /// Sell answers to this question instead of the keys
    #[arg(long, value_name = "FILE")]
    question: Option<PathBuf>,

    /// What is asked of sales of what is made of this data, in hundredths of a percent of their price
    #[arg(long, value_name = "BASIS POINTS", default_value_t = 0)]
    royalty: u16,

    /// An offer that the data was made of, whose royalty each sale pays; may be given several times
    #[arg(long = "source", value_name = "OFFER")]
    sources: Vec<String>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl OfferCommand {
    fn auto_grant(&self) -> Result<Option<Hash>> {
        Ok(self.policy.as_deref().map(policy).transpose()?.map(|policy| policy.hash()))
    }

    /// What a contract says instead of arguments.
    fn by_contract(&self, wish: Wish) -> Result<Wish> {
        let Some(file) = &self.contract else { return Ok(wish) };
        let under = wish.under(&book::read(file)?);
        under.map_err(|error| Usage(format!("{}: {error}", file.display())).into())
    }

    pub(super) fn run(&self) -> Result<Outcome> {
        let wish = self.by_contract(self.wish()?)?;
        self.offer(wish)
    }

    fn wish(&self) -> Result<Wish> {
        Ok(Wish {
            device: self.device.clone(),
            metrics: self.metric.clone(),
            from_ms: self.from.as_deref().map(time_ms).transpose()?,
            until_ms: self.until.as_deref().map(time_ms).transpose()?,
            coin: coin(self.coin.as_deref())?,
            fixed: self.fixed,
            per_hour: self.per_hour,
            check_blocks: self.check_blocks,
            is_revocable: self.revocable,
            revocation_fee: BasisPoints(self.revocation_fee),
            auto_grant: self.auto_grant()?,
            more: self.more()?,
        })
    }

    fn more(&self) -> Result<More> {
        let sources = self.sources.iter().map(|text| offer_id(text)).collect::<Result<_>>()?;
        let question = self.question.as_deref().map(Question::read).transpose()?;
        let question = question.map(|question| question.id);
        Ok(More { question, royalty: BasisPoints(self.royalty), sources })
    }

    fn offer(&self, wish: Wish) -> Result<Outcome> {
        let owner = self.party.key()?;
        let place = &self.database.db;
        let named = KeysFile::read(place)?.with_context(|| {
            format!(
                "{} has no keys, so that all of it is in the clear: chronolith keys init",
                place.display()
            )
        })?;
        let mut venue = self.venue.open()?;
        let db = self.database.change_or_read()?;
        let keys = db.keys().context("the database was opened without keys")?;
        if named.account(place)?.address != owner.address {
            let account = &named.account;
            return Err(
                Usage(format!("the keys of this database are of the account {account}")).into()
            );
        }
        let purse = self.party.purse()?;
        let offered = offer(&mut venue, &db, keys, &owner, &purse, wish)?;
        let file = offered.hidden.as_ref().map(|scope| purse.keep_offer(offered.offer, scope));
        let terms = &offered.terms.terms;
        let shown = json!({
            "offer": offered.offer.to_string(),
            "level": terms.level,
            "hidden": offered.hidden.is_some(),
            "disclosure": file.transpose()?,
            "check_blocks": terms.check_blocks,
        });
        db.close()?;
        print_done(self.json, shown, &offered.done)
    }
}

/// A policy from its file.
pub(super) fn policy(file: &std::path::Path) -> Result<Policy> {
    let read = || format!("cannot read {}", file.display());
    let text = std::fs::read_to_string(file).with_context(read)?;
    let wrong = |reason: &dyn std::fmt::Display| Usage(format!("{}: {reason}", file.display()));
    let policy: Policy = toml::from_str(&text).map_err(|error| wrong(&error))?;
    policy.check().map_err(|reason| wrong(&reason))?;
    Ok(policy)
}

/// List the offers of the chain. What is hidden is shown as such.
#[derive(Debug, Args)]
pub(in crate::cli) struct OffersCommand {
    #[command(flatten)]
    venue: VenueArgs,
    #[command(flatten)]
    listing: ListingArgs,

    /// Also those that take no requests any more
    #[arg(long)]
    closed: bool,
}

impl OffersCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let venue = self.venue.open()?;
        let columns = [
            "offer", "owner", "device", "metrics", "level", "from", "until", "fixed", "per_hour",
            "open",
        ];
        let mut rows = self.listing.rows(&columns)?;
        let all = venue.look(|state, _| Ok::<_, VenueError>(all_offers(&Overlay::new(state))?))?;
        for (offer, found) in all {
            if !found.is_open && !self.closed {
                continue;
            }
            let (scope, terms) = (&found.offer.scope, &found.offer.terms);
            let (device, metrics) = match &scope.subject {
                Subject::Hidden(_) => ("hidden".to_owned(), "hidden".to_owned()),
                Subject::Metrics { device, metrics, .. } => {
                    let names: Vec<_> = metrics.iter().map(|one| one.0.to_string()).collect();
                    let names = if names.is_empty() { "all".to_owned() } else { names.join(" ") };
                    (device.to_string(), names)
                }
            };
            let until = scope.until_ms.map_or_else(|| "open".to_owned(), milliseconds);
            rows.push(&[
                offer.to_string().into(),
                found.owner.to_string().into(),
                device.into(),
                metrics.into(),
                u64::from(terms.level).into(),
                milliseconds(scope.from_ms).into(),
                until.into(),
                coins(found.offer.fixed).into(),
                coins(found.offer.per_hour).into(),
                if found.is_open { "yes" } else { "no" }.into(),
            ])?;
        }
        rows.finish()?;
        Ok(Outcome::Done)
    }
}

/// Take an offer back; what was bought of it stays.
#[derive(Debug, Args)]
pub(in crate::cli) struct CloseCommand {
    /// The offer
    #[arg(value_name = "OFFER")]
    offer: String,

    #[command(flatten)]
    venue: VenueArgs,
    #[command(flatten)]
    party: PartyArgs,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl CloseCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let offer = offer_id(&self.offer)?;
        let done = close(&mut self.venue.open()?, &self.party.key()?, offer)?;
        print_done(self.json, json!({"offer": self.offer}), &done)
    }
}
