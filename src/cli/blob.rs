//! `chronolith blob`: values of any size, streamed in and out.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use chronolith_engine::{
    BlobRef, Clock, Db, Durability, Kind, Metric, MetricId, SystemClock, Value, ValueRef,
};
use clap::{Args, Subcommand};
use serde_json::json;

use super::Outcome;
use super::database::{DatabaseArgs, RangeArgs, SelectorArgs, time};
use super::listing::{ListingArgs, names};
use super::output::{print_json, say};
use super::usage::Usage;
use crate::rows::{Cell, rfc3339};

/// Values of any size: photos, recordings, models. Each is one record of a metric of kind bytes.
#[derive(Debug, Subcommand)]
pub(super) enum BlobCommand {
    /// Write a file as one record
    Put(PutCommand),
    /// Write the content of a record to a file or to standard output
    Get(GetCommand),
    /// List the blobs of a database with their content ids
    List(ListCommand),
}

impl BlobCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        match self {
            Self::Put(command) => command.run(),
            Self::Get(command) => command.run(),
            Self::List(command) => command.run(),
        }
    }
}

/// Write a file as one record.
#[derive(Debug, Args)]
pub(super) struct PutCommand {
    #[command(flatten)]
    database: DatabaseArgs,

    /// The metric's name
    #[arg(long, value_name = "NAME")]
    metric: String,

    /// The device
    #[arg(long, value_name = "NAME", default_value = "")]
    device: String,

    /// A tag of the metric
    #[arg(long = "tag", value_name = "KEY=VALUE")]
    tags: Vec<String>,

    /// The time of the record: RFC 3339, or nanoseconds since the epoch [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    time: Option<String>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    /// The file; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl PutCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let mut metric = Metric::new(&self.device, &self.metric);
        for tag in &self.tags {
            let Some((key, value)) = tag.split_once('=').filter(|(key, _)| !key.is_empty()) else {
                bail!(Usage(format!("--tag {tag:?} has no =; write it like site=depot")));
            };
            metric = metric.tag(key, value);
        }
        let time_ns = match &self.time {
            Some(text) => time(text)?,
            None => SystemClock.now_ns(),
        };
        let content: Box<dyn Read> = match self.file.as_os_str() == "-" {
            true => Box::new(io::stdin().lock()),
            false => {
                let file = File::open(&self.file);
                Box::new(file.with_context(|| format!("cannot open {}", self.file.display()))?)
            }
        };
        let db = self.database.write()?;
        let id = db.metric(metric, Kind::Bytes)?;
        let blob = db.write_blob(content)?;
        let mut batch = db.batch();
        batch.push(id, time_ns, ValueRef::Blob(blob))?;
        db.write(&batch, Durability::Synced)?;
        db.close()?;
        let (cid, time) = (blob.cid.to_string(), rfc3339(time_ns));
        if self.json {
            print_json(&json!({"cid": cid, "bytes": blob.len_bytes, "time": time}))?;
        } else {
            say!("{cid}\n{} bytes at {time}", blob.len_bytes);
        }
        Ok(Outcome::Done)
    }
}

/// Write the content of a record to a file or to standard output.
#[derive(Debug, Args)]
pub(super) struct GetCommand {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    selector: SelectorArgs,

    /// The time of the record [default: the latest]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    time: Option<String>,

    /// The content id, as `blob list` shows it, instead of a time
    #[arg(long, value_name = "CID", conflicts_with = "time")]
    cid: Option<String>,

    /// The file to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

impl GetCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        if self.to.is_none() && io::stdout().is_terminal() {
            bail!(Usage("a terminal cannot show bytes; give --to FILE".to_owned()));
        }
        let db = self.database.read()?;
        let metrics = bytes_metrics(&db, &self.selector)?;
        let value = match &self.cid {
            Some(cid) => Value::Blob(by_cid(&db, &metrics, cid)?),
            None => self.of_record(&db, &metrics)?,
        };
        let mut content: Box<dyn Read> = match value {
            Value::Blob(blob) => Box::new(db.open_blob(&blob)?),
            Value::Bytes(bytes) => Box::new(io::Cursor::new(bytes)),
            other => bail!("the record is of kind {} and no bytes", other.as_ref().kind()),
        };
        match &self.to {
            None => {
                let mut out = io::stdout().lock();
                io::copy(&mut content, &mut out)?;
                out.flush()?;
            }
            Some(path) => {
                let bytes = copy_to(&mut content, path)?;
                say!("{bytes} bytes written to {}", path.display());
            }
        }
        Ok(Outcome::Done)
    }

    /// The value at the time that was asked for, or the latest.
    fn of_record(&self, db: &Db, metrics: &[MetricId]) -> Result<Value> {
        let [id] = metrics else {
            let all = metrics.iter().filter_map(|id| db.definition(*id));
            let some: Vec<String> = all.take(8).map(|d| d.metric.to_string()).collect();
            bail!(Usage(format!(
                "{} metrics of kind bytes fit; say which by --metric, --device or --label: {}",
                metrics.len(),
                some.join(", ")
            )));
        };
        let Some(text) = &self.time else {
            let latest = db.latest(*id)?;
            return latest.map(|(_, value)| value).context("the metric holds no record");
        };
        let time_ns = time(text)?;
        for block in db.scan(*id, time_ns..=time_ns)? {
            if let Some((_, value)) = block?.iter().next() {
                return Ok(value.to_value());
            }
        }
        bail!("the metric has no record at {text}; blob list shows the times there are")
    }
}

/// Copies to a file; what was begun is removed where it cannot be ended.
fn copy_to(content: &mut impl Read, path: &Path) -> Result<u64> {
    let file = File::create(path);
    let mut file = file.with_context(|| format!("cannot create {}", path.display()))?;
    let copied = io::copy(content, &mut file).and_then(|bytes| file.sync_all().map(|()| bytes));
    copied.inspect_err(|_| drop(fs::remove_file(path))).context("the content is not whole")
}

/// The chosen metrics of kind bytes.
fn bytes_metrics(db: &Db, selector: &SelectorArgs) -> Result<Vec<MetricId>> {
    let mut metrics = selector.metrics(db)?;
    metrics.retain(|id| id.kind() == Kind::Bytes);
    if metrics.is_empty() {
        bail!("no metric of kind bytes fits; `chronolith blob put` makes one");
    }
    Ok(metrics)
}

/// The records of a metric in a range whose content is a blob.
fn each_blob(
    db: &Db,
    id: MetricId,
    (from_ns, to_ns): (i64, i64),
    take: &mut dyn FnMut(i64, BlobRef) -> Result<()>,
) -> Result<()> {
    for block in db.scan(id, from_ns..=to_ns)? {
        for (time_ns, value) in block?.iter() {
            if let ValueRef::Blob(blob) = value {
                take(time_ns, blob)?;
            }
        }
    }
    Ok(())
}

fn by_cid(db: &Db, metrics: &[MetricId], cid: &str) -> Result<BlobRef> {
    let mut found = None;
    for id in metrics {
        each_blob(db, *id, (i64::MIN, i64::MAX), &mut |_, blob| {
            found = found.or_else(|| (blob.cid.to_string() == cid).then_some(blob));
            Ok(())
        })?;
    }
    found.with_context(|| format!("no record refers to the blob {cid}"))
}

/// List the blobs of a database with their content ids.
#[derive(Debug, Args)]
pub(super) struct ListCommand {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    selector: SelectorArgs,
    #[command(flatten)]
    range: RangeArgs,
    #[command(flatten)]
    listing: ListingArgs,
}

impl ListCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let db = self.database.read()?;
        let columns = ["time", "device", "metric", "bytes", "cid", "tags"];
        let mut rows = self.listing.rows(&columns)?;
        if let Some(range) = self.range.first_and_last()? {
            let mut metrics = self.selector.metrics(&db)?;
            metrics.retain(|id| id.kind() == Kind::Bytes);
            for id in metrics {
                let named = names(&db, id);
                each_blob(&db, id, range, &mut |time_ns, blob| {
                    let cells: [Cell; 6] = [
                        rfc3339(time_ns).into(),
                        named.device.clone().into(),
                        named.metric.clone().into(),
                        blob.len_bytes.into(),
                        blob.cid.to_string().into(),
                        named.tags.clone().into(),
                    ];
                    rows.push(&cells)
                })?;
            }
        }
        rows.finish()?;
        Ok(Outcome::Done)
    }
}
