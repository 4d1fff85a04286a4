//! `chronolith aggregate`.

use anyhow::{Result, bail};
use chronolith_engine::{Aggregation, Every, Function, MetricId, combine};
use clap::{Args, ValueEnum};

use super::Outcome;
use super::database::{DatabaseArgs, RangeArgs, SelectorArgs};
use super::listing::{Names, names};
use super::output::{RowFormat, Rows};
use super::usage::Usage;
use crate::rows::{Cell, rfc3339};

/// Aggregate metrics over buckets of time.
#[derive(Debug, Args)]
pub(super) struct AggregateCommand {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    selector: SelectorArgs,
    #[command(flatten)]
    range: RangeArgs,

    /// The length of buckets: 250ms, 5m, 1h30m, 1d, 1w, 1mo, 1y or all
    #[arg(long, value_name = "LENGTH", default_value = "all")]
    every: Every,

    /// Functions: count, sum, avg, min, max, first, last, stddev
    #[arg(long = "fn", value_name = "F,F,...", value_delimiter = ',', default_value = "avg")]
    functions: Vec<String>,

    /// One series per metric, or all metrics together
    #[arg(long, value_name = "BY", default_value = "metric")]
    by: Grouping,

    /// How rows are printed
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: RowFormat,

    /// The same as --format json
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Grouping {
    /// Each metric by itself
    Metric,
    /// All metrics that were chosen together
    All,
}

/// The function of a name.
pub(super) fn function(name: &str) -> Result<Function> {
    match Function::ALL.into_iter().find(|function| function.name() == name.trim()) {
        Some(function) => Ok(function),
        None => {
            let names: Vec<&str> = Function::ALL.iter().map(|function| function.name()).collect();
            bail!(Usage(format!("{name:?} is not a function; there are {}", names.join(", "))))
        }
    }
}

impl AggregateCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let functions =
            self.functions.iter().map(|name| function(name)).collect::<Result<Vec<_>>>()?;
        let db = self.database.read()?;
        let metrics = self.selector.metrics(&db)?;
        let format = if self.json { RowFormat::Json } else { self.format };
        let mut columns = vec!["time"];
        if self.by == Grouping::Metric {
            columns.extend(["device", "metric"]);
        }
        columns.extend(functions.iter().map(|function| function.name()));
        if self.by == Grouping::Metric {
            columns.push("tags");
        }
        let mut rows = Rows::new(format, &columns)?;
        let Some((from_ns, to_ns)) = self.range.first_and_last()? else {
            rows.finish()?;
            return Ok(Outcome::Done);
        };
        let aggregation = Aggregation { from_ns, to_ns, every: self.every, functions };
        let series = db.aggregate(&metrics, &aggregation)?;
        // One bucket for everything begins where the range does, or else with its first record.
        let first_ns = |ids: &[MetricId]| -> Result<i64> {
            if self.every != Every::Everything || self.range.from.is_some() {
                return Ok(from_ns);
            }
            let mut first_ns = None;
            for id in ids {
                let other = db.metric_statistics(*id)?.first_ns;
                first_ns = first_ns.into_iter().chain(other).min();
            }
            Ok(first_ns.unwrap_or(from_ns))
        };
        let time = |start_ns: i64, first_ns: i64| match self.every {
            Every::Everything => Cell::from(rfc3339(first_ns)),
            _ => Cell::from(rfc3339(start_ns)),
        };
        if self.by == Grouping::All {
            let first_ns = first_ns(&metrics)?;
            for bucket in combine(&series) {
                let values = aggregation.functions.iter().map(|f| Cell::from(bucket.get(*f)));
                let start = time(bucket.start_ns, first_ns);
                let cells: Vec<Cell> = [start].into_iter().chain(values).collect();
                rows.push(&cells)?;
            }
        } else {
            for (id, buckets) in metrics.iter().zip(&series) {
                let Names { device, metric, tags, .. } = names(&db, *id);
                let first_ns = if buckets.is_empty() { from_ns } else { first_ns(&[*id])? };
                for bucket in buckets {
                    let values = aggregation.functions.iter().map(|f| Cell::from(bucket.get(*f)));
                    let start = time(bucket.start_ns, first_ns);
                    let cells: Vec<Cell> = [start, device.as_str().into(), metric.as_str().into()]
                        .into_iter()
                        .chain(values)
                        .chain([tags.as_str().into()])
                        .collect();
                    rows.push(&cells)?;
                }
            }
        }
        rows.finish()?;
        Ok(Outcome::Done)
    }
}
