//! `chronolith contract follow`: where a deal on the ledger is by its contract, and who gets what.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use chronolith_chain::content::ContentId;
use chronolith_chain::hash::DealId;
use chronolith_chain::ledger::{Arbitrate, DealStatus};
use chronolith_contract::data::Extent;
use chronolith_contract::steps::Ruling;
use chronolith_engine::{Db, Options};
use clap::Args;
use serde_json::{Value, json};

use crate::cli::Outcome;
use crate::cli::chain::print_fields;
use crate::cli::database::RangeArgs;
use crate::cli::market::{ActingArgs, id, print_done};
use crate::cli::usage::{Usage, duration};
use crate::cli::whole;
use crate::database::with_files;
use crate::market::agreement::{Answers, answers, follow, record, summary};
use crate::market::{book, deal};
use crate::rows::rfc3339;

/// Follow a deal of the ledger through its contract: where it is, what the data answers, and who gets what. Anybody
/// who has the data finds the same; its arbiter may decide by it.
#[derive(Debug, Args)]
pub(in crate::cli) struct FollowCommand {
    /// The deal
    #[arg(value_name = "DEAL")]
    deal: String,

    /// The contract
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The database with the data that was delivered, which the contract's queries are asked of
    #[arg(long, value_name = "DIR")]
    db: Option<PathBuf>,

    /// A device that the deal is of, where the contract says any; may be given several times
    #[arg(long = "device", value_name = "NAME", requires = "db")]
    devices: Vec<String>,

    /// The time that the deal is of
    #[command(flatten)]
    range: RangeArgs,

    /// How long the queries may take, all of them
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "5m")]
    time: Duration,

    /// What the arbiter says, in a word that rules ask
    #[arg(long, value_name = "WORD")]
    ruling: Option<String>,

    /// What the arbiter says, in basis points
    #[arg(long, value_name = "POINTS")]
    ruling_bp: Option<u16>,

    /// Write down what everything was decided from, so that it can be decided again
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,

    /// Decide the deal by this, as its arbiter; the ledger gets the content id of the record
    #[arg(long, requires = "record")]
    decide: bool,

    #[command(flatten)]
    acting: ActingArgs,
}

impl FollowCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let compiled = book::read(&self.file)?;
        let id = DealId(id(&self.deal, "deal")?);
        let mut venue = self.acting.venue.open()?;
        let found = deal::of(&venue, id)?;
        let extent = self.extent()?;
        let answers = match &self.db {
            Some(db) => {
                let db = Db::open(db, with_files(db, Options::read_only())?)?;
                answers(&db, &compiled, &extent, self.time)?
            }
            None => Answers::default(),
        };
        let ruling = self.ruling();
        let course = follow(&compiled, &found, &answers, ruling.as_ref())?;
        let judged = (&course, ruling.as_ref());
        let record = record(id, &compiled, &found, (&extent, &answers), judged);
        let reasons = ContentId::of_raw(record.as_bytes());
        let mut shown = summary(id, &compiled, &found, &answers, &course);
        if self.record.is_some() {
            shown["record"] = json!(reasons);
        }
        let keep = || match &self.record {
            Some(place) => whole::create(place, |out| {
                use std::io::Write as _;
                Ok(out.write_all(record.as_bytes())?)
            }),
            None => Ok(()),
        };
        if let (false, Some(fields)) = (self.acting.json, shown.as_object_mut()) {
            // What there is nothing of.
            fields.retain(|_, value| !is_empty(value));
        }
        if !self.decide {
            keep()?;
            print_fields(self.acting.json, &shown)?;
            return Ok(Outcome::Done);
        }
        let DealStatus::Disputed { .. } = found.deal.status else {
            let status = deal::status(&found.deal.status);
            return Err(Usage(format!("there is nothing to decide: the deal is {status}")).into());
        };
        let shares = course.shares.with_context(|| {
            let at = course.followed.deal.place();
            format!("the contract is at {at} and says nothing yet: give --ruling or --ruling-bp, or the data by --db")
        })?;
        // It is there before the ledger names it.
        keep()?;
        let decision = Arbitrate { deal: id, shares, reasons: Some(reasons) };
        let done = deal::arbitrate(&mut venue, &self.acting.party.key()?, decision)?;
        print_done(self.acting.json, shown, &done)
    }

    fn extent(&self) -> Result<Extent> {
        let range = self.range.first_and_last()?;
        let (first_ns, last_ns) = range.context("the time of the deal has nothing in it")?;
        let from = self.range.from.as_ref().map(|_| rfc3339(first_ns));
        let until = self.range.to.as_ref().map(|_| rfc3339(last_ns.saturating_add(1)));
        Ok(Extent { devices: self.devices.clone(), from, until })
    }

    fn ruling(&self) -> Option<Ruling> {
        let is_given = self.ruling.is_some() || self.ruling_bp.is_some();
        is_given.then(|| Ruling {
            word: self.ruling.clone().unwrap_or_default(),
            points: self.ruling_bp.unwrap_or_default(),
        })
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
