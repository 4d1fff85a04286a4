//! `chronolith search`: which metrics, devices and chunks there are.

use std::path::Path;

use anyhow::{Result, bail};
use chronolith_engine::Db;
use chronolith_query::search::remote::{Offer, Trust};
use chronolith_query::search::{
    Answer, CatalogueSource, Facet, Followed, GeoBox, Hit, Origin, Request, SearchError,
    SearchIndex, Sort, Target,
};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::Outcome;
use super::database::{DatabaseArgs, RangeArgs};
use super::output::{RowFormat, Rows, print_json, say};
use super::usage::Usage;
use crate::rows::{Cell, rfc3339};

/// The folder of the index in a database.
const FOLDER: &str = "search";

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

/// Two corners as `LAT,LON,LAT,LON`.
fn corners(text: &str) -> Result<GeoBox> {
    let numbers: Vec<f64> = text.split(',').map_while(|part| part.trim().parse().ok()).collect();
    match (&numbers[..], text.split(',').count()) {
        (&[south, west, north, east], 4) => {
            let (south, north) = (south.min(north), south.max(north));
            GeoBox::new(south, west, north, east).map_err(|error| Usage(error.to_string()).into())
        }
        _ => {
            let what = "write two corners in degrees: 48.1,11.4,48.3,11.7";
            bail!(Usage(format!("--box {text:?} is no box; {what}")))
        }
    }
}

/// Brings the search index of a database up to date; what fails is said and done by the next
/// search.
pub(super) fn follow(directory: &Path, db: &Db) {
    let followed = SearchIndex::open(directory.join(FOLDER))
        .and_then(|mut index| follow_all(&mut index, directory, &CatalogueSource::new(db)));
    if let Err(error) = followed {
        eprintln!("the search index was not brought up to date: {error}");
    }
}

/// Follows a database and what others told beside it. Where that is damaged, this is said, and the
/// database is followed alone.
fn follow_all(
    index: &mut SearchIndex,
    directory: &Path,
    source: &CatalogueSource<'_>,
) -> Result<Followed, SearchError> {
    let followed = super::remote::source(directory)
        .map_err(SearchError::from)
        .and_then(|remote| index.follow_both(source, &remote));
    match followed {
        Err(SearchError::Remote(error)) => {
            eprintln!("what others told is not brought up to date: {error}");
            index.follow(source)
        }
        other => other,
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
        if follow_all(&mut index, &self.database.db, &source)? == Followed::Behind {
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
            RowFormat::Json => print_json(&self.as_json(&answer))?,
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
        let place = self.place.as_deref().map(corners).transpose()?;
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
            target: match self.kind() {
                Kind::Metric => Target::Metric,
                Kind::Device => Target::Device,
                Kind::Chunk => Target::Chunk,
                Kind::Offer => Target::Offer,
            },
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

    fn kind(&self) -> Kind {
        if self.offers { Kind::Offer } else { self.kind }
    }

    fn columns(&self) -> &'static [&'static str] {
        match self.kind() {
            Kind::Metric => {
                &["device", "metric", "unit", "chunks", "records", "first", "last", "tags", "of"]
            }
            Kind::Device => &["device", "metrics", "chunks", "records", "first", "last", "of"],
            Kind::Offer => &[
                "devices",
                "metrics",
                "from",
                "until",
                "fixed",
                "per_hour",
                "coin",
                "level",
                "region",
                "description",
                "owner",
                "trust",
                "told_by",
                "id",
            ],
            Kind::Chunk => &[
                "device",
                "metric",
                "unit",
                "records",
                "first",
                "last",
                "bytes",
                "window",
                "generation",
                "part",
                "cid",
                "of",
                "trust",
                "told_by",
            ],
        }
    }

    fn cells(&self, hit: &Hit) -> Vec<Cell> {
        if let Some(offer) = &hit.offer {
            return offer_cells(offer, hit);
        }
        let time = |time_ns: Option<i64>| Cell::from(time_ns.map(rfc3339).unwrap_or_default());
        let device = Cell::from(hit.device.as_str());
        let first = time(hit.span_ns.map(|(first, _)| first));
        let last = time(hit.span_ns.map(|(_, last)| last));
        let tags: Vec<String> =
            hit.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let (metric, unit) = (hit.metric.as_str().into(), hit.unit.as_str().into());
        let of = of(hit);
        match (self.kind(), &hit.chunk) {
            (Kind::Device, _) => {
                let counts = [hit.metrics, hit.chunks, hit.records].map(Cell::from);
                [device].into_iter().chain(counts).chain([first, last, of]).collect()
            }
            (Kind::Chunk, Some(chunk)) => vec![
                if chunk.is_hidden { "(hidden)".into() } else { device },
                metric,
                unit,
                hit.records.into(),
                first,
                last,
                hit.size_bytes.into(),
                chunk.window.into(),
                u64::from(chunk.generation).into(),
                u64::from(chunk.part).into(),
                chunk.cid.as_str().into(),
                of,
                trust_of(hit),
                told_by(hit),
            ],
            _ => vec![
                device,
                metric,
                unit,
                hit.chunks.into(),
                hit.records.into(),
                first,
                last,
                tags.join(",").into(),
                of,
            ],
        }
    }

    fn list(&self, answer: &Answer, format: RowFormat) -> Result<()> {
        let mut rows = Rows::new(format, self.columns())?;
        for hit in &answer.hits {
            rows.push(&self.cells(hit))?;
        }
        rows.finish()?;
        let after = self.offset + answer.hits.len();
        if format == RowFormat::Table && answer.total > answer.hits.len() as u64 {
            say!("{} of {} found; the next: --offset {after}", answer.hits.len(), answer.total);
        }
        Ok(())
    }

    fn as_json(&self, answer: &Answer) -> Value {
        let object = |hit: &Hit| -> Value {
            let cells = self.cells(hit);
            self.columns()
                .iter()
                .zip(&cells)
                .map(|(name, cell)| ((*name).to_owned(), cell.json()))
                .collect()
        };
        let hits: Vec<Value> = answer.hits.iter().map(object).collect();
        let mut result = json!({"total": answer.total, "hits": hits});
        if !self.counts.is_empty() {
            let of = |values: &[(String, u64)]| -> Vec<Value> {
                values
                    .iter()
                    .map(|(value, count)| json!({"value": value, "count": count}))
                    .collect()
            };
            let counts = answer.counts.iter();
            result["counts"] = counts
                .map(|counts| (counts.facet.name().to_owned(), json!(of(&counts.values))))
                .collect();
        }
        if let Some(suggestion) = &answer.suggestion {
            result["suggestion"] = json!(suggestion);
        }
        result
    }
}

/// Whose data something is: `local`, or the key of who made it.
fn of(hit: &Hit) -> Cell {
    match (hit.is_remote, hit.producer.is_empty()) {
        (false, _) => "local".into(),
        (true, true) => "(hidden)".into(),
        (true, false) => hit.producer.as_str().into(),
    }
}

/// How sure it is that the ledger knows of something; nothing for what is of this database.
fn trust_of(hit: &Hit) -> Cell {
    hit.provenance.as_ref().map_or("", |provenance| provenance.trust.name()).into()
}

fn told_by(hit: &Hit) -> Cell {
    hit.provenance.as_ref().map_or("", |provenance| &provenance.from).into()
}

fn offer_cells(offer: &Offer, hit: &Hit) -> Vec<Cell> {
    let listing = &offer.listing;
    let devices = match listing.devices.is_empty() {
        true => offer.device.clone(),
        false => listing.devices.join(","),
    };
    vec![
        devices.into(),
        offer.metrics.join(",").into(),
        rfc3339(offer.from_ns).into(),
        offer.until_ns.map(rfc3339).unwrap_or_default().into(),
        // As texts: JSON numbers of that size lose digits.
        offer.price.fixed.to_string().into(),
        offer.price.per_hour.to_string().into(),
        offer.price.coin.as_str().into(),
        u64::from(offer.level.number()).into(),
        listing.region.as_str().into(),
        listing.description.as_str().into(),
        offer.owner.as_str().into(),
        trust_of(hit),
        told_by(hit),
        offer.id.to_string().into(),
    ]
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
