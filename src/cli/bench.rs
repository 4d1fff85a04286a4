//! `chronolith bench`: measuring on data made from a seed.

use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use chronolith_engine::{
    Aggregation, Db, Definition, Every, Function, Kind, Maintenance, Metric, MetricId, Options,
    SealScope, Selector, Ticket,
};
use clap::{Args, Subcommand};
use cpu_time::ProcessTime;
use serde_json::{Value, json};

use super::Outcome;
use super::ingest::window;
use super::output::print_json;
use crate::fleet::{Fleet, FleetOptions, METRICS, Row};

/// Measure the database on data made from a seed.
#[derive(Debug, Subcommand)]
pub(super) enum BenchCommand {
    /// The fleet data set: vehicles with ten metrics at one record a second
    Fleet(FleetCommand),
}

/// Make the fleet data set: write it to a file, or measure ingestion, sealing and queries.
#[derive(Debug, Args)]
pub(super) struct FleetCommand {
    /// How many vehicles, with ten metrics each
    #[arg(long, default_value_t = 100)]
    vehicles: u32,

    /// How many seconds
    #[arg(long, default_value_t = 10_800)]
    seconds: u32,

    /// Equal seeds give equal data
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Write the records as line protocol to this file
    #[arg(long, value_name = "FILE", conflicts_with = "db")]
    out: Option<PathBuf>,

    /// Measure a new database in this directory
    #[arg(long, value_name = "DIR")]
    db: Option<PathBuf>,

    /// The window of the metrics
    #[arg(long, value_name = "LENGTH", default_value = "1h", value_parser = window)]
    window: i64,

    /// Sync every batch (the batches of one thread share syncs) instead of buffering
    #[arg(long)]
    synced: bool,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Batches that may wait for the same sync, as those of many writers would.
const TICKETS: usize = 64;

/// Processor and wall time of a piece of work.
struct Cost {
    cpu: Duration,
    wall: Duration,
}

fn measured<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Cost)> {
    let (cpu, wall) = (ProcessTime::now(), Instant::now());
    let done = work()?;
    Ok((done, Cost { cpu: cpu.elapsed(), wall: wall.elapsed() }))
}

impl Cost {
    fn rate(&self, records: u64) -> Value {
        let cpu_s = self.cpu.as_secs_f64();
        json!({
            "cpu_seconds": cpu_s,
            "wall_seconds": self.wall.as_secs_f64(),
            "records_per_cpu_second": records as f64 / cpu_s,
        })
    }
}

impl BenchCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let Self::Fleet(command) = self;
        command.run()
    }
}

impl FleetCommand {
    fn run(&self) -> Result<Outcome> {
        let Self { vehicles, seconds, seed, .. } = *self;
        if vehicles == 0 || seconds == 0 {
            bail!("a fleet needs at least one vehicle and one second");
        }
        let fleet = Fleet::new(FleetOptions { vehicles, seconds, seed });
        match (&self.out, &self.db) {
            (Some(out), _) => self.write(&fleet, out),
            (None, Some(db)) => self.measure(&fleet, db),
            (None, None) => {
                let directory = std::env::temp_dir().join(format!("chronolith-bench-{seed}"));
                let directory = directory.with_extension(std::process::id().to_string());
                let outcome = self.measure(&fleet, &directory);
                let removed = std::fs::remove_dir_all(&directory);
                let outcome = outcome?;
                removed.with_context(|| format!("cannot remove {}", directory.display()))?;
                Ok(outcome)
            }
        }
    }

    fn write(&self, fleet: &Fleet, path: &PathBuf) -> Result<Outcome> {
        let file = File::create(path);
        let file = file.with_context(|| format!("cannot create {}", path.display()))?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        fleet.write_line_protocol(&mut out)?;
        out.flush()?;
        let bytes = out.get_ref().metadata()?.len();
        let records = fleet.record_count();
        if self.json {
            print_json(&json!({"records": records, "bytes": bytes}))?;
        } else {
            println!("{records} records, {bytes} bytes of line protocol in {}", path.display());
        }
        Ok(Outcome::Done)
    }

    fn measure(&self, fleet: &Fleet, directory: &PathBuf) -> Result<Outcome> {
        let is_new = std::fs::read_dir(directory).map_or(true, |mut files| files.next().is_none());
        if !is_new {
            bail!("{} is not empty; choose a new directory", directory.display());
        }
        let options = Options { maintenance: Maintenance::Manual, ..Options::default() };
        let db = Db::open(directory, options)?;
        let metrics = self.define(&db, fleet)?;
        let records = fleet.record_count();
        // Made before the clock starts.
        let rows: Vec<Row> = fleet.rows().collect();
        let (_, ingest) = measured(|| self.ingest(&db, &metrics, &rows))?;
        drop(rows);
        let (report, seal) = measured(|| Ok(db.seal(SealScope::All)?))?;
        let (_, compact) = measured(|| Ok(db.compact()?))?;
        let statistics = db.statistics()?;
        let queries = queries(&db, fleet)?;
        let bytes_per_record = statistics.bytes_on_disk as f64 / statistics.records as f64;
        let mode = if self.synced { "synced" } else { "buffered" };
        let result = json!({
            "records": records,
            "mode": mode,
            "ingest": ingest.rate(records),
            "seal": seal.rate(records),
            "compact": compact.rate(records),
            "sealed_chunks": report.chunks,
            "bytes_on_disk": statistics.bytes_on_disk,
            "bytes_per_record": bytes_per_record,
            "queries": queries,
        });
        db.close()?;
        if self.json {
            print_json(&result)?;
        } else {
            tell(&result);
        }
        Ok(Outcome::Done)
    }

    fn define(&self, db: &Db, fleet: &Fleet) -> Result<Vec<MetricId>> {
        let mut metrics = Vec::new();
        for vehicle in 0..self.vehicles {
            let device = fleet.device_name(vehicle);
            for name in fleet.metric_names() {
                let metric = Metric::new(&device, *name).tag("class", "fleet");
                metrics.push(db.define(Definition::new(metric, Kind::F64).window_ns(self.window))?);
            }
        }
        Ok(metrics)
    }

    /// One batch per second with one record of every metric.
    fn ingest(&self, db: &Db, metrics: &[MetricId], rows: &[Row]) -> Result<()> {
        let mut batch = db.batch();
        let mut tickets: Vec<Ticket> = Vec::new();
        for rows in rows.chunks(self.vehicles as usize) {
            for (row, ids) in rows.iter().zip(metrics.chunks(METRICS)) {
                for (id, (time_ns, value)) in ids.iter().zip(row.times_ns.iter().zip(&row.values)) {
                    batch.push(*id, *time_ns, *value)?;
                }
            }
            if self.synced {
                tickets.push(db.submit(&batch)?);
                if tickets.len() == TICKETS {
                    wait(&mut tickets)?;
                }
            } else {
                db.write(&batch, chronolith_engine::Durability::Buffered)?;
            }
            batch.clear();
        }
        wait(&mut tickets)?;
        Ok(db.sync()?)
    }
}

fn wait(tickets: &mut Vec<Ticket>) -> Result<()> {
    for ticket in tickets.drain(..) {
        ticket.wait()?;
    }
    Ok(())
}

/// The queries of `docs/performance.md`: the least processor time of several runs of each.
fn queries(db: &Db, fleet: &Fleet) -> Result<Value> {
    const RUNS: usize = 7;
    let speed = db.select(&Selector::all().name("speed"))?;
    let all = db.select(&Selector::all())?;
    let aggregation = |every: &str, function: Function| -> Result<Aggregation> {
        let every: Every = every.parse()?;
        let functions = vec![function];
        Ok(Aggregation { from_ns: i64::MIN, to_ns: i64::MAX, every, functions })
    };
    let avg_5m = aggregation("5m", Function::Avg)?;
    let avg_1h = aggregation("1h", Function::Avg)?;
    let max_all = aggregation("all", Function::Max)?;
    let least = |work: &dyn Fn() -> Result<()>| -> Result<f64> {
        let mut least = f64::MAX;
        for _ in 0..RUNS {
            let (_, cost) = measured(work)?;
            least = least.min(cost.cpu.as_secs_f64() * 1e3);
        }
        Ok(least)
    };
    let aggregate = |metrics: &[MetricId], aggregation: &Aggregation| -> Result<f64> {
        least(&|| {
            black_box(db.aggregate(metrics, aggregation)?);
            Ok(())
        })
    };
    let latest = least(&|| {
        for metric in all.iter().take(1000) {
            black_box(db.latest(*metric)?);
        }
        Ok(())
    })?;
    let records = u64::from(fleet.options().vehicles) * u64::from(fleet.options().seconds);
    Ok(json!({
        "speed_records": records,
        "avg_5m_speed_cpu_ms": aggregate(&speed, &avg_5m)?,
        "max_all_speed_cpu_ms": aggregate(&speed, &max_all)?,
        "max_all_everything_cpu_ms": aggregate(&all, &max_all)?,
        "avg_1h_everything_cpu_ms": aggregate(&all, &avg_1h)?,
        "latest_1000_cpu_ms": latest,
    }))
}

fn tell(result: &Value) {
    let number = |path: &str| result.pointer(path).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let rate = |step: &str| {
        let rate = number(&format!("/{step}/records_per_cpu_second")) / 1e6;
        println!("{step:<28}{rate:>10.2} M records per CPU second");
    };
    println!("{} records, {}", number("/records"), result["mode"].as_str().unwrap_or_default());
    rate("ingest");
    rate("seal");
    println!("{:<28}{:>10.4}", "bytes per record", number("/bytes_per_record"));
    if let Some(queries) = result["queries"].as_object() {
        for (name, value) in queries {
            println!("{name:<28}{:>10.3}", value.as_f64().unwrap_or(f64::NAN));
        }
    }
}
