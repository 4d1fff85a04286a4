//! `chronolith contract`: data contracts, by hand.

mod follow;
mod plan;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use chronolith_contract::price::{Asked, reference};
use chronolith_contract::template::{BUILTIN, Template, builtin};
use chronolith_contract::{Compiled, schema};
use chronolith_engine::{Clock as _, SystemClock};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Outcome;
use super::chain::{ChainArgs, coins, print_fields};
use super::database::DatabaseArgs;
use super::listing::ListingArgs;
use super::output::{print_json, say};
use super::privacy::warn_of_others;
use super::usage::Usage;
use super::whole;
use crate::market::book;
use crate::market::history::{Market, of_chain, usual_volume};
use crate::privacy::{Fitting, PrivacyFile, PrivacyRule};

/// Data contracts: what is collected and how private it is, what it costs, who is granted without asking, and how
/// a deal goes. A contract is a TOML file; offers name it by the hash of its canonical form.
#[derive(Debug, Subcommand)]
pub(super) enum ContractCommand {
    /// List the templates
    Templates(TemplatesCommand),
    /// Write a contract from a template and its parameters
    New(NewCommand),
    /// Check a contract, and show everything that is wrong with it
    Check(CheckCommand),
    /// Print the JSON Schema of contracts, for editors
    Schema,
    /// Take what a contract says of privacy into a database
    Apply(ApplyCommand),
    /// What an hour of data would have cost, judged by what was sold on a chain
    Price(PriceCommand),
    /// Write the plan of a deal on the ledger that goes by a contract
    Plan(plan::PlanCommand),
    /// Follow a deal of the ledger through its contract: where it is, and who gets what
    Follow(Box<follow::FollowCommand>),
}

impl ContractCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        match self {
            Self::Templates(command) => command.run(),
            Self::New(command) => command.run(),
            Self::Check(command) => command.run(),
            Self::Schema => {
                say!("{:#}", schema());
                Ok(Outcome::Done)
            }
            Self::Apply(command) => command.run(),
            Self::Price(command) => command.run(),
            Self::Plan(command) => command.run(),
            Self::Follow(command) => command.run(),
        }
    }
}

/// List the templates, or the parameters of one.
#[derive(Debug, Args)]
pub(super) struct TemplatesCommand {
    /// The template whose parameters are listed
    #[arg(value_name = "NAME")]
    name: Option<String>,

    #[command(flatten)]
    listing: ListingArgs,
}

fn template(name: &str) -> Result<Template> {
    let found = builtin(name).with_context(|| {
        let names: Vec<&str> = BUILTIN.iter().map(|(name, _)| *name).collect();
        format!("there is no template {name:?}; there are {}", names.join(", "))
    })?;
    Ok(found?)
}

impl TemplatesCommand {
    fn run(&self) -> Result<Outcome> {
        let Some(name) = &self.name else {
            let mut rows = self.listing.rows(&["template", "parameters"])?;
            for (name, _) in BUILTIN {
                let template = template(name)?;
                let names: Vec<&str> =
                    template.parameters().iter().map(|one| one.name.as_str()).collect();
                rows.push(&[(*name).into(), names.join(" ").into()])?;
            }
            rows.finish()?;
            return Ok(Outcome::Done);
        };
        let mut rows = self.listing.rows(&["parameter", "about", "example"])?;
        for parameter in template(name)?.parameters() {
            let (about, example) = (parameter.about.as_str(), parameter.example.as_str());
            rows.push(&[parameter.name.as_str().into(), about.into(), example.into()])?;
        }
        rows.finish()?;
        Ok(Outcome::Done)
    }
}

/// Write a contract from a template and its parameters.
#[derive(Debug, Args)]
pub(super) struct NewCommand {
    /// The template
    #[arg(value_name = "TEMPLATE")]
    template: String,

    /// A parameter; may be given several times
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,

    /// Where the contract is written
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl NewCommand {
    fn run(&self) -> Result<Outcome> {
        let mut given = BTreeMap::new();
        for one in &self.set {
            let parted = one.split_once('=');
            let problem = || Usage(format!("{one:?} is no parameter; write NAME=VALUE"));
            let (name, value) = parted.ok_or_else(problem)?;
            given.insert(name.to_owned(), value.to_owned());
        }
        let template = template(&self.template)?;
        let (compiled, text) = (template.instantiate(&given)?, template.fill(&given)?);
        whole::create(&self.output, |out| {
            use std::io::Write as _;
            Ok(out.write_all(text.as_bytes())?)
        })?;
        print_fields(self.json, &summary(&compiled))?;
        Ok(Outcome::Done)
    }
}

/// What a contract says, in a few fields.
fn summary(compiled: &Compiled) -> Value {
    let contract = compiled.contract();
    let (clock, within) = compiled.ends_within();
    json!({
        "contract": contract.name,
        "cid": compiled.cid().to_string(),
        "offers_name_it": book::hash(compiled).to_string(),
        "metrics": contract.metrics.len(),
        "grant_rules": contract.grants.len(),
        "ends_within": format!("{within} {}", format!("{clock:?}").to_lowercase()),
    })
}

/// Check a contract, and show everything that is wrong with it.
#[derive(Debug, Args)]
pub(super) struct CheckCommand {
    /// The contract
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Print all of it as JSON, in its canonical order
    #[arg(long)]
    whole: bool,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl CheckCommand {
    fn run(&self) -> Result<Outcome> {
        let compiled = book::read(&self.file)?;
        if self.whole {
            print_json(&serde_json::to_value(compiled.contract())?)?;
        } else {
            print_fields(self.json, &summary(&compiled))?;
        }
        Ok(Outcome::Done)
    }
}

/// Take what a contract says of privacy into a database: its levels become rules for metrics to come.
#[derive(Debug, Args)]
pub(super) struct ApplyCommand {
    /// The contract
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    database: DatabaseArgs,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl ApplyCommand {
    fn run(&self) -> Result<Outcome> {
        let compiled = book::read(&self.file)?;
        let db = self.database.change()?;
        let place: &Path = &self.database.db;
        let mut file = PrivacyFile::read(place)?;
        let (mut added, mut all) = (0, Fitting::default());
        for metric in &compiled.contract().metrics {
            let device = match metric.device.as_str() {
                "*" => ".*".to_owned(),
                name => regex::escape(name),
            };
            let rule = PrivacyRule {
                metric: regex::escape(&metric.name),
                device,
                level: metric.level,
                public: false,
                policies: metric.policy.clone(),
            };
            rule.check().map_err(Usage)?;
            if !file.rules.contains(&rule) {
                file.rules.push(rule.clone());
                added += 1;
            }
            let Fitting { changed, other } = rule.make_stricter(&db)?;
            all.changed += changed;
            all.other += other;
        }
        file.write(place)?;
        db.close()?;
        let shown = json!({
            "rules": file.rules.len(),
            "added": added,
            "changed": all.changed,
            "other_policies": all.other,
        });
        print_fields(self.json, &shown)?;
        warn_of_others(all.other);
        Ok(Outcome::Done)
    }
}

/// What an hour of data would have cost, judged by what was sold on a chain. It advises; the owner sets the
/// price. Where too little was sold it says so.
#[derive(Debug, Args)]
pub(super) struct PriceCommand {
    #[command(flatten)]
    chain: ChainArgs,

    /// The metric
    #[arg(long, value_name = "NAME")]
    metric: String,

    /// Its level
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=4))]
    level: u8,

    /// How old the data is, in hours
    #[arg(long, value_name = "HOURS", default_value_t = 0)]
    age: u64,

    /// How many chunks its device had anchored in the last 30 days [default: as many as in the middle of the sales]
    #[arg(long, value_name = "COUNT")]
    chunks: Option<u64>,

    /// Write the history that the price follows from: with it anybody finds the same
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl PriceCommand {
    fn run(&self) -> Result<Outcome> {
        let market = Market { metric: self.metric.clone(), level: self.level };
        let history = of_chain(&self.chain.open()?, &market)?;
        if let Some(file) = &self.history {
            whole::replace(file, &history.to_bytes())?;
        }
        let now_ms = u64::try_from(SystemClock.now_ns() / 1_000_000).unwrap_or(0);
        let volume = self.chunks.unwrap_or_else(|| usual_volume(&history));
        let asked = Asked { at_ms: now_ms, age_hours: self.age, volume };
        let (sales, offers) = (history.sales().len(), history.offers().len());
        let found = match reference(&history, &asked) {
            Ok(found) => found,
            Err(few) => {
                bail!("{few}; the chain has {sales} sales and {offers} offers of {}", market.name())
            }
        };
        let shown = json!({
            "market": market.name(),
            "per_hour": coins(chronolith_chain::coin::Amount(found.per_hour.0)),
            "method": found.method,
            "error_basis_points": found.error_bp,
            "median_error_basis_points": found.median_error_bp,
            "sales": sales,
            "offers": offers,
            "chunks": volume,
            "coin_in_circulation": coins(chronolith_chain::coin::Amount(history.circulation(now_ms).0)),
            "history": history.cid().to_string(),
            "model": found.model_cid.to_string(),
        });
        print_fields(self.json, &shown)?;
        Ok(Outcome::Done)
    }
}
