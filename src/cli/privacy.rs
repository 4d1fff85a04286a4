//! `chronolith privacy`: how private metrics are.

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use super::Outcome;
use super::database::DatabaseArgs;
use super::listing::ListingArgs;
use super::output::{print_json, say};
use super::pattern::PatternArgs;
use super::usage::Usage;
use crate::privacy::{Fitting, PrivacyFile, PrivacyRule};

/// How private metrics are: level 1 (highly sensitive) and 2 (personal) hide names, tags, times and counts
/// from everybody who has no key; 3 (regular) and 4 (bulk) show them. Rules are for metrics that are yet to
/// come, and choose them by regular expressions for the whole device and the whole name; of the rules
/// that fit a metric, the last one holds. A metric that is there becomes stricter, never less strict. A rule may
/// also say what is done to records before anything of them is kept: rounding, coarser times, pseudonyms, noise.
#[derive(Debug, Subcommand)]
pub(super) enum PrivacyCommand {
    /// List the rules
    Show(ShowCommand),
    /// Add a rule, or change the one with the same patterns, and make the metrics that it fits stricter
    Set(SetCommand),
    /// Take a rule away; metrics that are there stay as they are
    Remove(RemoveCommand),
}

impl PrivacyCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        match self {
            Self::Show(command) => command.run(),
            Self::Set(command) => command.run(),
            Self::Remove(command) => command.run(),
        }
    }
}

/// List the rules.
#[derive(Debug, Args)]
pub(super) struct ShowCommand {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    listing: ListingArgs,
}

impl ShowCommand {
    fn run(&self) -> Result<Outcome> {
        drop(self.database.read()?);
        let mut rows = self.listing.rows(&["device", "metric", "level", "public", "policies"])?;
        for rule in PrivacyFile::read(&self.database.db)?.rules {
            let level = u64::from(rule.level).into();
            let public = if rule.public { "yes" } else { "no" };
            let (device, metric, policies) = (rule.device, rule.metric, rule.policies);
            rows.push(&[device.into(), metric.into(), level, public.into(), policies.into()])?;
        }
        rows.finish()?;
        Ok(Outcome::Done)
    }
}

/// Add a rule, or change the one with the same patterns, and make the metrics that it fits stricter. What is
/// sealed already stays as it is until it is written anew.
#[derive(Debug, Args)]
pub(super) struct SetCommand {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    pattern: PatternArgs,

    /// 1 highly sensitive, 2 personal, 3 regular, 4 bulk
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..=4))]
    level: u8,

    /// Leave chunks in the clear for everybody, although the database has keys
    #[arg(long)]
    public: bool,

    /// What is done to records as they are written, of metrics that are yet to come: round:0.5,
    /// time:60000000000;grid:0.01, band:0,18,65, pseudonym, local-laplace:1,2/1, drop
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    policies: String,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl SetCommand {
    fn run(&self) -> Result<Outcome> {
        let (device, metric) = (self.pattern.device.clone(), self.pattern.metric.clone());
        let (level, public, policies) = (self.level, self.public, self.policies.clone());
        let rule = PrivacyRule { metric, device, level, public, policies };
        rule.check().map_err(Usage)?;
        let db = self.database.change()?;
        let mut file = PrivacyFile::read(&self.database.db)?;
        match file.rules.iter_mut().find(|rule| self.pattern.are(&rule.device, &rule.metric)) {
            Some(known) => *known = rule.clone(),
            None => file.rules.push(rule.clone()),
        }
        file.write(&self.database.db)?;
        let Fitting { changed, other } = rule.make_stricter(&db)?;
        db.close()?;
        if self.json {
            print_json(&json!({"changed": changed, "other_policies": other}))?;
        } else {
            say!("the rule holds; {changed} metrics are stricter now");
        }
        warn_of_others(other);
        Ok(Outcome::Done)
    }
}

/// Says how many metrics a rule comes too late for.
pub(super) fn warn_of_others(count: usize) {
    if count > 0 {
        eprintln!(
            "chronolith: {count} metrics are there already and are written as before: what is done to records \
             is said before there are any"
        );
    }
}

/// Take a rule away; metrics that are there stay as they are.
#[derive(Debug, Args)]
pub(super) struct RemoveCommand {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    pattern: PatternArgs,
}

impl RemoveCommand {
    fn run(&self) -> Result<Outcome> {
        let db = self.database.change()?;
        let mut file = PrivacyFile::read(&self.database.db)?;
        let before = file.rules.len();
        file.rules.retain(|rule| !self.pattern.are(&rule.device, &rule.metric));
        if file.rules.len() == before {
            bail!("there is no such rule; chronolith privacy show lists them");
        }
        file.write(&self.database.db)?;
        db.close()?;
        say!("the rule is gone");
        Ok(Outcome::Done)
    }
}
