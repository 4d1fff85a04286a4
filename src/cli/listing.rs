//! `chronolith latest`, `metrics` and `chunks`: what is there.

use anyhow::{Context, Result, bail};
use chronolith_engine::{Db, MetricId};
use clap::Args;
use serde_json::json;

use super::Outcome;
use super::database::{DatabaseArgs, RangeArgs, SelectorArgs};
use super::output::{RowFormat, Rows, print_json, say};
use crate::rows::{Cell, rfc3339};

/// How a listing is printed.
#[derive(Debug, Args)]
pub(super) struct ListingArgs {
    /// How rows are printed
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: RowFormat,

    /// The same as --format json
    #[arg(long)]
    json: bool,
}

impl ListingArgs {
    pub(super) fn rows(&self, columns: &[&str]) -> Result<Rows> {
        Rows::new(if self.json { RowFormat::Json } else { self.format }, columns)
    }
}

/// What a listing says of a metric.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) device: String,
    pub(super) metric: String,
    /// Tags as `key=value,...`.
    pub(super) tags: String,
    pub(super) unit: String,
}

/// The names of a metric.
pub(super) fn names(db: &Db, id: MetricId) -> Names {
    let Some(definition) = db.definition(id) else { return Names::default() };
    let metric = &definition.metric;
    let tags = metric.tags().iter().map(|(key, value)| format!("{key}={value}"));
    Names {
        device: metric.device().to_owned(),
        metric: metric.name().to_owned(),
        tags: tags.collect::<Vec<_>>().join(","),
        unit: definition.unit.clone(),
    }
}

/// Show the latest record of each metric.
#[derive(Debug, Args)]
pub(super) struct LatestCommand {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    selector: SelectorArgs,
    #[command(flatten)]
    listing: ListingArgs,
}

impl LatestCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let db = self.database.read()?;
        let mut rows = self.listing.rows(&["time", "device", "metric", "value", "unit", "tags"])?;
        for id in self.selector.metrics(&db)? {
            if let Some((time_ns, value)) = db.latest(id)? {
                let Names { device, metric, tags, unit } = names(&db, id);
                let value = Cell::from(value.as_ref());
                let text = [rfc3339(time_ns), device, metric].map(Cell::from);
                let cells: Vec<Cell> =
                    text.into_iter().chain([value, unit.into(), tags.into()]).collect();
                rows.push(&cells)?;
            }
        }
        rows.finish()?;
        Ok(Outcome::Done)
    }
}

/// List metrics with what they hold.
#[derive(Debug, Args)]
pub(super) struct MetricsCommand {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    selector: SelectorArgs,
    #[command(flatten)]
    listing: ListingArgs,
}

impl MetricsCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let db = self.database.read()?;
        let mut rows = self.listing.rows(&[
            "device", "metric", "kind", "unit", "records", "first", "last", "chunks", "tags",
        ])?;
        for id in self.selector.metrics(&db)? {
            let statistics = db.metric_statistics(id)?;
            let Names { device, metric, tags, unit } = names(&db, id);
            let time = |time_ns: Option<i64>| Cell::from(time_ns.map(rfc3339).unwrap_or_default());
            rows.push(&[
                device.into(),
                metric.into(),
                id.kind().name().into(),
                unit.into(),
                statistics.records.into(),
                time(statistics.first_ns),
                time(statistics.last_ns),
                statistics.sealed_chunks.into(),
                tags.into(),
            ])?;
        }
        rows.finish()?;
        Ok(Outcome::Done)
    }
}

/// Show the root of a device's catalogue: the Merkle DAG of all its chunks.
#[derive(Debug, Args)]
pub(super) struct CatalogueCommand {
    #[command(flatten)]
    database: DatabaseArgs,

    /// The device
    #[arg(long, value_name = "NAME")]
    device: String,

    /// Write each node as a block to this directory, named by its content id
    #[arg(long, value_name = "DIR")]
    blocks: Option<std::path::PathBuf>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl CatalogueCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let db = self.database.read()?;
        let known = db.label_values("device");
        if known.iter().all(|(device, _)| *device != self.device) {
            let some: Vec<&str> = known.iter().take(8).map(|(device, _)| device.as_str()).collect();
            bail!(
                "there is no device {:?}; there are for example {}",
                self.device,
                some.join(", ")
            );
        }
        let catalogue = db.catalogue(&self.device)?;
        if let Some(directory) = &self.blocks {
            std::fs::create_dir_all(directory)
                .with_context(|| format!("cannot create {}", directory.display()))?;
            for (cid, block) in &catalogue.nodes {
                let path = directory.join(cid.to_string());
                std::fs::write(&path, block)
                    .with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
        let (root, nodes) = (catalogue.root.to_string(), catalogue.nodes.len());
        if self.json {
            print_json(&json!({"root": root, "chunks": catalogue.chunks, "nodes": nodes}))?;
        } else {
            say!("{root}\n{} chunks in {nodes} nodes", catalogue.chunks);
        }
        Ok(Outcome::Done)
    }
}

/// List sealed chunks with their content ids.
#[derive(Debug, Args)]
pub(super) struct ChunksCommand {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    selector: SelectorArgs,
    #[command(flatten)]
    range: RangeArgs,
    #[command(flatten)]
    listing: ListingArgs,

    /// Also write the headers to this file, for others to import: JSON lines where it ends in .ndjson,
    /// else CAR
    #[cfg(feature = "search")]
    #[arg(long, value_name = "FILE")]
    headers: Option<std::path::PathBuf>,
}

impl ChunksCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let db = self.database.read()?;
        #[cfg(feature = "search")]
        let mut headers = match &self.headers {
            Some(path) => Some(super::remote::HeaderFile::create(path)?),
            None => None,
        };
        let mut rows = self.listing.rows(&[
            "device",
            "metric",
            "window",
            "generation",
            "part",
            "records",
            "first",
            "last",
            "bytes",
            "batch",
            "cid",
            "tags",
        ])?;
        if let Some((from_ns, to_ns)) = self.range.first_and_last()? {
            for id in self.selector.metrics(&db)? {
                let Names { device, metric, tags, .. } = names(&db, id);
                for chunk in db.chunks(id, from_ns..=to_ns)? {
                    let body = chunk.body;
                    #[cfg(feature = "search")]
                    if let Some(headers) = &mut headers
                        && let Some(header) = db.chunk_header(chunk.key)?
                    {
                        headers.put(&chunk.cid, &header)?;
                    }
                    let time =
                        |time_ns: Option<i64>| Cell::from(time_ns.map(rfc3339).unwrap_or_default());
                    rows.push(&[
                        device.clone().into(),
                        metric.clone().into(),
                        chunk.key.window.into(),
                        u64::from(chunk.key.generation).into(),
                        u64::from(chunk.key.part).into(),
                        body.map_or(0, |body| u64::from(body.count)).into(),
                        time(body.map(|body| body.first_ns)),
                        time(body.map(|body| body.last_ns)),
                        body.map_or(0, |body| u64::from(body.size_bytes)).into(),
                        chunk.batch.into(),
                        chunk.cid.to_string().into(),
                        tags.clone().into(),
                    ])?;
                }
            }
        }
        rows.finish()?;
        #[cfg(feature = "search")]
        if let Some(headers) = headers {
            headers.finish()?;
        }
        Ok(Outcome::Done)
    }
}
