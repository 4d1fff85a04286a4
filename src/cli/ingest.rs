//! `chronolith ingest`: the command around the parsers.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::time::Instant;

use anyhow::{Context, Result};
use chronolith_engine::{
    Batch, Db, Definition, Durability, Kind, Metric, MetricId, ValueRef, WriteError,
};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::Outcome;
use super::database::{DatabaseArgs, durability, rfc3339};
use super::output::print_json;
use crate::ingest::{
    IngestArgs, IngestError, RecordSink, Refusal, Report, SinkMetric, Summary, ingest_file,
};

/// Records are committed in batches of about so many.
const BATCH_RECORDS: usize = 20_000;
/// How many rejected rows are shown on a terminal.
const SHOWN_REJECTIONS: usize = 10;

/// Read records from files into a database.
#[derive(Debug, Args)]
pub(super) struct IngestCommand {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    input: IngestArgs,

    /// When a batch counts as written: synced, within=MS or buffered
    #[arg(long, value_name = "WHEN", default_value = "synced", value_parser = durability)]
    durability: Durability,

    /// The window of metrics that are made: 1h, 1d, ...
    #[arg(long, value_name = "LENGTH", default_value = "1h", value_parser = window)]
    window: i64,

    /// Print progress and the result as JSON lines
    #[arg(long)]
    json: bool,
}

/// A length of time that windows can have: nanoseconds.
pub(super) fn window(text: &str) -> Result<i64, String> {
    match text.parse() {
        Ok(chronolith_engine::Every::Nanoseconds(length)) => Ok(length),
        Ok(_) => Err("windows have a fixed length, at most 366d".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Puts rows into batches and commits them in the order of the input.
struct DatabaseSink<'a> {
    db: &'a Db,
    durability: Durability,
    window_ns: i64,
    batch: Batch,
    metrics: Vec<MetricId>,
    /// Records of batches that are as durable as asked for.
    acknowledged: u64,
    tells: bool,
}

impl DatabaseSink<'_> {
    fn commit(&mut self) -> Result<(), IngestError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.db
            .write(&self.batch, self.durability)
            .map_err(|error| IngestError::Sink(Box::new(error)))?;
        self.acknowledged += self.batch.len() as u64;
        self.batch.clear();
        if self.tells {
            let mut out = io::stdout().lock();
            let told = writeln!(out, "{}", json!({"acknowledged": self.acknowledged}));
            told.and_then(|()| out.flush()).map_err(|error| IngestError::Sink(Box::new(error)))?;
        }
        Ok(())
    }
}

fn refusal(error: WriteError, metric: &Metric) -> Refusal {
    match error {
        WriteError::Redefined { expected, found, .. } => Refusal::kind(metric, expected, found),
        WriteError::Definition(error) => Refusal::Limit(error.to_string()),
        other => Refusal::Other(other.to_string()),
    }
}

impl RecordSink for DatabaseSink<'_> {
    fn metric(&mut self, metric: &Metric, kind: Kind, unit: &str) -> Result<SinkMetric, Refusal> {
        let id = match self.db.find_metric(metric) {
            Some(id) if id.kind() == kind => id,
            Some(id) => return Err(Refusal::kind(metric, id.kind(), kind)),
            None => {
                let definition = Definition::new(metric.clone(), kind);
                let definition = definition.unit(unit).window_ns(self.window_ns);
                self.db.define(definition).map_err(|error| refusal(error, metric))?
            }
        };
        self.metrics.push(id);
        Ok(SinkMetric(self.metrics.len() as u32 - 1))
    }

    fn known_kind(&mut self, metric: &Metric) -> Option<Kind> {
        self.db.find_metric(metric).map(MetricId::kind)
    }

    #[inline]
    fn record(
        &mut self,
        metric: SinkMetric,
        time_ns: i64,
        value: ValueRef<'_>,
    ) -> Result<(), Refusal> {
        let Some(id) = self.metrics.get(metric.0 as usize) else {
            return Err(Refusal::Other("the metric was never defined".to_owned()));
        };
        self.batch.push(*id, time_ns, value).map_err(|error| match error {
            WriteError::ValueTooLong { .. } => Refusal::Limit(error.to_string()),
            other => Refusal::Other(other.to_string()),
        })
    }

    #[inline]
    fn end_row(&mut self) -> Result<(), IngestError> {
        if self.batch.len() >= BATCH_RECORDS || self.batch.data_bytes() >= 8 << 20 {
            return self.commit();
        }
        Ok(())
    }
}

impl IngestCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let started = Instant::now();
        let options = self.input.options()?;
        let mut report = Report::new(SHOWN_REJECTIONS);
        if let Some(path) = &self.input.errors {
            let file = File::create(path);
            let file = file.with_context(|| format!("cannot create {}", path.display()))?;
            report = report.with_errors(BufWriter::new(file));
        }
        let db = self.database.write()?;
        let mut sink = DatabaseSink {
            db: &db,
            durability: self.durability,
            window_ns: self.window,
            batch: db.batch(),
            metrics: Vec::new(),
            acknowledged: 0,
            tells: self.json,
        };
        let bar = self.progress_bar();
        let mut total: Option<Summary> = None;
        let mut before = 0;
        for path in &self.input.files {
            let mut progress = |bytes: u64| bar.set_position(before + bytes);
            let summary = ingest_file(path, &options, &mut sink, &mut report, &mut progress);
            sink.commit()?;
            let summary = summary?;
            before += summary.bytes;
            for note in &summary.notes {
                bar.suspend(|| eprintln!("{}: {note}", path.display()));
            }
            match &mut total {
                Some(total) => total.add(&summary),
                None => total = Some(summary),
            }
        }
        bar.finish_and_clear();
        let metrics = db.metric_count();
        let accepted = sink.acknowledged;
        db.sync()?;
        db.close()?;
        self.tell(&report, total.as_ref(), accepted, metrics, started)?;
        match report.rejected_rows() {
            0 => Ok(Outcome::Done),
            _ => Ok(Outcome::Rejected),
        }
    }

    fn progress_bar(&self) -> ProgressBar {
        if self.json || !io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let sizes = self.input.files.iter().map(std::fs::metadata);
        let total: u64 = sizes.map(|size| size.map_or(0, |size| size.len())).sum();
        let style = "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        let style = ProgressStyle::with_template(style);
        ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }

    fn tell(
        &self,
        report: &Report,
        total: Option<&Summary>,
        accepted: u64,
        metrics: usize,
        started: Instant,
    ) -> Result<()> {
        let time = |time_ns: Option<i64>| time_ns.map(rfc3339);
        let first_time = time(total.and_then(|total| total.first_time_ns));
        let last_time = time(total.and_then(|total| total.last_time_ns));
        let seconds = started.elapsed().as_secs_f64();
        if self.json {
            return print_json(&json!({
                "accepted": accepted,
                "rejected": report.rejected_rows(),
                "rejected_records": report.rejected_records(),
                "metrics": metrics,
                "first_time": first_time,
                "last_time": last_time,
                "seconds": seconds,
            }));
        }
        for rejection in report.sample() {
            eprintln!("{rejection}");
        }
        let hidden = report.rejected_rows().saturating_sub(report.sample().len() as u64);
        if hidden > 0 {
            eprintln!("... and {hidden} more rejected rows; --errors FILE lists them all");
        }
        println!(
            "{accepted} records accepted, {} rows rejected; {metrics} metrics; {seconds:.2} s",
            report.rejected_rows()
        );
        if let (Some(first), Some(last)) = (first_time, last_time) {
            println!("from {first} to {last}");
        }
        Ok(())
    }
}
