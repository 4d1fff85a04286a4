//! `chronolith search`: which metrics, devices and chunks there are.

use std::path::Path;

use anyhow::{Result, bail};
use chronolith_engine::Db;
use chronolith_query::search::remote::Trust;
use chronolith_query::search::{
    Answer, CatalogueSource, Facet, Followed, Origin, Request, SearchError, SearchIndex, Sort,
    Target,
};
use clap::{Args, ValueEnum};

use super::Outcome;
use super::database::{DatabaseArgs, RangeArgs};
use super::output::{RowFormat, Rows, print_json, say};
use super::usage::Usage;
use crate::rows::found;
use crate::search::{self, FOLDER, corners};

/// Find metrics, devices, sealed chunks and offers by text, labels, time and place.
#[derive(Debug, Args)]
pub(super) struct SearchCommand {
    #[command(flatten)]
    database: DatabaseArgs,

    /// Words, "phrases", -not, field:value, prefix*, OR and parentheses; all must fit. After -- it
    /// may begin with -
    #[arg(value_name = "QUERY")]
    query: Vec<String>,

    /// What is listed
    #[arg(long, value_name = "KIND", default_value = "metric")]
    kind: Kind,

    /// The same as --kind offer
    #[arg(long, conflicts_with = "kind")]
    offers: bool,

    /// Only what this database has
    #[arg(long, conflicts_with_all = ["remote", "offers"])]
    local: bool,

    /// Only what others have
    #[arg(long)]
    remote: bool,

    /// Of others only what is on a ledger (anchored), or proved to be there
    #[arg(long, value_name = "TRUST", default_value = "told", value_parser = trust)]
    trust: Trust,

    /// Only devices of this class
    #[arg(long, value_name = "NAME")]
    class: Option<String>,

    /// Only this metric name
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,

    /// Only values of this unit
    #[arg(long, value_name = "UNIT")]
    unit: Option<String>,

    /// Only this device
    #[arg(long, value_name = "NAME")]
    device: Option<String>,

    /// Only metrics with this tag
    #[arg(long = "label", value_name = "KEY=VALUE")]
    labels: Vec<String>,

    #[command(flatten)]
    range: RangeArgs,

    /// Only what was recorded between south-west and north-east corner: degrees
    #[arg(long = "box", value_name = "LAT,LON,LAT,LON", allow_hyphen_values = true)]
    place: Option<String>,

    /// Only what has a price, and one that is not below this
    #[arg(long, value_name = "PRICE")]
    min_price: Option<u128>,

    /// Only what has a price, and one that is not above this
    #[arg(long, value_name = "PRICE")]
    max_price: Option<u128>,

    /// The order
    #[arg(long, value_name = "ORDER", default_value = "relevance")]
    sort: Order,

    /// The most that are listed
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    limit: usize,

    /// How many are passed over
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    offset: usize,

    /// Also count by this: class, metric, unit, device, level, type, owner, region, price, coin or
    /// producer
    #[arg(long, value_name = "FACET", value_parser = facet)]
    counts: Vec<Facet>,

    /// How rows are printed
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: RowFormat,

    /// The same as --format json
    #[arg(long)]
    json: bool,

    /// Build the index anew first
    #[arg(long)]
    rebuild: bool,
}

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Metrics
    Metric,
    /// Devices of which some metric fits
    Device,
    /// Sealed chunks
    Chunk,
    /// Offers of others
    Offer,
}

/// The order of what is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Order {
    /// What fits the text best
    Relevance,
    /// What begins first
    Time,
    /// What has the newest records
    Freshness,
    /// The cheapest
    Price,
}

fn facet(name: &str) -> Result<Facet, String> {
    let known = || Facet::ALL.map(Facet::name).join(", ");
    Facet::from_name(name).ok_or_else(|| format!("{name:?} is none of {}", known()))
}

fn trust(name: &str) -> Result<Trust, String> {
    let known = || Trust::ALL.map(Trust::name).join(", ");
    let trust = Trust::ALL.into_iter().find(|trust| trust.name() == name);
    trust.ok_or_else(|| format!("{name:?} is none of {}", known()))
}

/// Brings the search index of a database up to date; what fails is said and done by the next
/// search.
pub(super) fn follow(directory: &Path, db: &Db) {
    let mut tell = |what: &str| eprintln!("{what}");
    let followed = SearchIndex::open(directory.join(FOLDER)).and_then(|mut index| {
        search::follow(&mut index, directory, &CatalogueSource::new(db), &mut tell)
    });
    if let Err(error) = followed {
        eprintln!("the search index was not brought up to date: {error}");
    }
}

impl SearchCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let request = self.request()?;
        let mut index = SearchIndex::open(self.database.db.join(FOLDER))?;
        // After the index, so that the catalogue is never older.
        let db = self.database.read()?;
        if self.rebuild {
            index.forget();
        }
        let source = CatalogueSource::new(&db);
        let mut tell = |what: &str| eprintln!("{what}");
        let followed = search::follow(&mut index, &self.database.db, &source, &mut tell)?;
        if followed == Followed::Behind {
            eprintln!("the index is being changed: this is what was committed last");
        }
        for (file, problem) in source.take_damaged() {
            eprintln!("not all of {file} is searched until a repair: {problem}");
        }
        let answer = match &request {
            Some(request) => index.search(request).map_err(as_usage)?,
            None => Answer::default(),
        };
        let format = if self.json { RowFormat::Json } else { self.format };
        match format {
            RowFormat::Json => {
                print_json(&found::object(self.target(), &answer, !self.counts.is_empty()))?;
            }
            _ if self.counts.is_empty() => self.list(&answer, format)?,
            RowFormat::Table => {
                self.list(&answer, format)?;
                count(&answer, format)?;
            }
            _ => count(&answer, format)?,
        }
        if let Some(suggestion) = &answer.suggestion {
            eprintln!("did you mean: {suggestion}");
        }
        if self.sort == Order::Price && coins(&answer) > 1 {
            eprintln!("prices of several coins are compared as numbers; narrow it with coin:NAME");
        }
        Ok(Outcome::Done)
    }

    /// What is asked for; `None` where the range of time is empty.
    fn request(&self) -> Result<Option<Request>> {
        let mut labels = Vec::new();
        let flags = [
            ("class", &self.class),
            ("metric", &self.metric),
            ("unit", &self.unit),
            ("device", &self.device),
        ];
        for (key, value) in flags {
            labels.extend(value.iter().map(|value| (key.to_owned(), value.clone())));
        }
        for label in &self.labels {
            match label.split_once('=') {
                Some((key, value)) if !key.is_empty() => {
                    labels.push((key.to_owned(), value.to_owned()));
                }
                _ => bail!(Usage(format!("--label {label:?} is not KEY=VALUE"))),
            }
        }
        let place = self.place()?;
        let Some((from_ns, to_ns)) = self.range.first_and_last()? else { return Ok(None) };
        Ok(Some(Request {
            text: self.query.join(" "),
            labels,
            origin: match (self.local, self.remote) {
                (true, _) => Origin::Local,
                (_, true) => Origin::Remote,
                _ => Origin::Any,
            },
            trust: self.trust,
            target: self.target(),
            from_ns,
            to_ns,
            place,
            price: match (self.min_price, self.max_price) {
                (None, None) => None,
                (least, most) => Some(least.unwrap_or(0)..=most.unwrap_or(u128::MAX)),
            },
            sort: match self.sort {
                Order::Relevance => Sort::Relevance,
                Order::Time => Sort::Time,
                Order::Freshness => Sort::Freshness,
                Order::Price => Sort::Price,
            },
            offset: self.offset,
            limit: self.limit,
            counts: self.counts.clone(),
        }))
    }

    fn place(&self) -> Result<Option<chronolith_query::search::GeoBox>> {
        let Some(text) = &self.place else { return Ok(None) };
        match corners(text) {
            Ok(place) => Ok(Some(place)),
            Err(reason) => bail!(Usage(format!("--box: {reason}"))),
        }
    }

    const fn target(&self) -> Target {
        match (self.offers, self.kind) {
            (true, _) | (_, Kind::Offer) => Target::Offer,
            (_, Kind::Metric) => Target::Metric,
            (_, Kind::Device) => Target::Device,
            (_, Kind::Chunk) => Target::Chunk,
        }
    }

    fn list(&self, answer: &Answer, format: RowFormat) -> Result<()> {
        let mut rows = Rows::new(format, found::columns(self.target()))?;
        for hit in &answer.hits {
            rows.push(&found::cells(self.target(), hit))?;
        }
        rows.finish()?;
        let after = self.offset + answer.hits.len();
        if format == RowFormat::Table && answer.total > answer.hits.len() as u64 {
            say!("{} of {} found; the next: --offset {after}", answer.hits.len(), answer.total);
        }
        Ok(())
    }
}

/// How many coins the prices of what is listed are in.
fn coins(answer: &Answer) -> usize {
    let coins = answer.hits.iter().filter_map(|hit| Some(hit.offer.as_ref()?.price.coin.as_str()));
    coins.collect::<std::collections::BTreeSet<_>>().len()
}

/// A query that cannot be read is the caller's fault.
fn as_usage(error: SearchError) -> anyhow::Error {
    match error {
        SearchError::Query { .. } | SearchError::Request(_) => Usage(error.to_string()).into(),
        other => other.into(),
    }
}

fn count(answer: &Answer, format: RowFormat) -> Result<()> {
    let mut rows = Rows::new(format, &["facet", "value", "count"])?;
    for counts in &answer.counts {
        for (value, count) in &counts.values {
            rows.push(&[counts.facet.name().into(), value.as_str().into(), (*count).into()])?;
        }
    }
    rows.finish()
}
