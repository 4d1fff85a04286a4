//! `chronolith retention`: how long records are kept.

use anyhow::{Result, bail};
use chronolith_engine::{Db, Every, Fault, RetentionRule};
use clap::{Args, Subcommand};
use serde_json::json;

use super::Outcome;
use super::database::DatabaseArgs;
use super::listing::ListingArgs;
use super::output::{print_json, say};
use super::pattern::PatternArgs;
use super::upkeep::{fault_json, left_for_repair};

/// How long records are kept. Rules choose metrics by regular expressions for the whole device and
/// the whole name; of the rules that fit a metric, the last one holds. `apply`, and every compact,
/// deletes the windows that hold nothing younger.
#[derive(Debug, Subcommand)]
pub(super) enum RetentionCommand {
    /// List the rules
    Show(ShowCommand),
    /// Add a rule, or change the one with the same patterns
    Set(SetCommand),
    /// Take a rule away
    Remove(RemoveCommand),
    /// Delete what the rules no longer keep, and free its space
    Apply(ApplyCommand),
}

impl RetentionCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        match self {
            Self::Show(command) => command.run(),
            Self::Set(command) => command.run(),
            Self::Remove(command) => command.run(),
            Self::Apply(command) => command.run(),
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
        let db = self.database.read()?;
        let mut rows = self.listing.rows(&["device", "metric", "keep"])?;
        for rule in db.retention() {
            rows.push(&[rule.device.into(), rule.name.into(), kept(rule.keep_ns).into()])?;
        }
        rows.finish()?;
        Ok(Outcome::Done)
    }
}

/// Add a rule, or change the one with the same patterns.
#[derive(Debug, Args)]
pub(super) struct SetCommand {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    pattern: PatternArgs,

    /// How long records are kept: 36h, 90d, 52w or forever
    #[arg(long, value_name = "LENGTH", value_parser = keep)]
    keep: i64,
}

impl SetCommand {
    fn run(&self) -> Result<Outcome> {
        let db = self.database.change()?;
        let mut rules = db.retention();
        let (device, name) = (self.pattern.device.clone(), self.pattern.metric.clone());
        match rules.iter_mut().find(|rule| self.pattern.are(&rule.device, &rule.name)) {
            Some(rule) => rule.keep_ns = self.keep,
            None => rules.push(RetentionRule { device, name, keep_ns: self.keep }),
        }
        store(db, rules)
    }
}

/// Take a rule away.
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
        let mut rules = db.retention();
        let before = rules.len();
        rules.retain(|rule| !self.pattern.are(&rule.device, &rule.name));
        if rules.len() == before {
            let PatternArgs { device, metric } = &self.pattern;
            bail!(
                "there is no rule with --device {device:?} --metric {metric:?}; retention show lists them"
            );
        }
        store(db, rules)
    }
}

/// Delete what the rules no longer keep, and free its space.
#[derive(Debug, Args)]
pub(super) struct ApplyCommand {
    #[command(flatten)]
    database: DatabaseArgs,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl ApplyCommand {
    fn run(&self) -> Result<Outcome> {
        let db = self.database.change()?;
        let before = db.statistics()?.records;
        let report = db.compact()?;
        let deleted = before.saturating_sub(db.statistics()?.records);
        db.close()?;
        let faults: &[Fault] = &report.faults;
        if self.json {
            let faults: Vec<_> = faults.iter().map(fault_json).collect();
            print_json(&json!({"records": deleted, "faults": faults}))?;
        } else {
            say!("{deleted} records were older than the rules keep, and are deleted");
        }
        Ok(left_for_repair(faults))
    }
}

fn store(db: Db, rules: Vec<RetentionRule>) -> Result<Outcome> {
    let count = rules.len();
    db.set_retention(rules)?;
    db.close()?;
    say!("rules: {count}; retention apply and every compact carry them out");
    Ok(Outcome::Done)
}

/// How long records are kept: nanoseconds, 0 for ever.
fn keep(text: &str) -> Result<i64, String> {
    if text == "forever" {
        return Ok(0);
    }
    match text.parse::<Every>() {
        Ok(Every::Nanoseconds(length_ns)) => Ok(length_ns),
        _ => Err("write 36h, 90d, 52w or forever; months and years have no one length".to_owned()),
    }
}

/// A length as `--keep` takes it.
fn kept(keep_ns: i64) -> String {
    if keep_ns == 0 {
        return "forever".to_owned();
    }
    let units = [
        ("d", 86_400_000_000_000),
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
    ];
    let (mut rest, mut text) = (keep_ns, String::new());
    for (unit, length_ns) in units {
        if rest >= length_ns {
            text.push_str(&format!("{}{unit}", rest / length_ns));
            rest %= length_ns;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{keep, kept};

    #[test]
    fn lengths_are_written_as_they_are_read() {
        for text in ["1d", "90d", "1d12h", "1h1m1s1ms1us1ns", "forever"] {
            assert_eq!(keep(text).map(kept).as_deref(), Ok(text));
        }
        assert!(keep("1mo").is_err() && keep("all").is_err() && keep("0d").is_err());
    }
}
