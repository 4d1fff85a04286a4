//! `chronolith ingest`: the command around the parsers.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use chronolith_engine::{Db, Definition, Durability, Kind, Metric, ValueRef};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::Outcome;
use super::database::{DatabaseArgs, durability};
use super::interrupt::listen;
use super::output::{print_json, say};
use super::usage::Usage;
use crate::ingest::{
    BatchSink, Broken, IdleStdin, IngestArgs, IngestError, IngestOptions, RecordSink, Refusal,
    Report, SinkMetric, Summary, ingest_file, ingest_reader,
};
use crate::rows::rfc3339;

/// Records are committed in batches of about so many.
const BATCH_RECORDS: usize = 20_000;
/// How many rejected rows are shown on a terminal.
const SHOWN_REJECTIONS: usize = 10;

/// What the options do not say.
const NOTES: &str = "\
Times: the time of a CSV row is the column that --time names, or else one with a usual name: \
timestamp, datetime, time, utc, ts, event time, recorded at, created at, date and time, local time, \
date, seconds or t, in any case, with UTC or a unit behind it; a date and a time of day in two such \
columns are read together. ISO dates and times, and dates whose day and month cannot be mistaken, need no \
--time-format; a number always needs one, or --start. In JSON the keys are time, timestamp, \
datetime, @timestamp and ts.

Empty cells of CSV: nothing, and without quotes NA, N/A, #N/A, null (in any case) and -. In quotes \
they are text, and so they are in a column with --type COLUMN=text. nan and inf are floats.

CSV lines that begin with # before the header are comments; the last of them may be the header.

Ctrl-C ends between two rows: what was read is committed and counted. A second one ends at once.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done with rejected rows, 130 stopped by Ctrl-C.";

/// Read records from files into a database.
#[derive(Debug, Args)]
#[command(after_long_help = NOTES, after_help = "--help says more: usual time columns, empty cells, exit codes.")]
pub(super) struct IngestCommand {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    input: IngestArgs,

    /// When a batch counts as written: synced, within=MS or buffered
    #[arg(long, value_name = "WHEN", default_value = "synced", value_parser = durability)]
    #[arg(help_heading = "Writing")]
    durability: Durability,

    /// The window of metrics that are made, 1s to 366d: 1h, 1d, ...; that of others stays
    #[arg(long, value_name = "LENGTH", default_value = "1h", value_parser = window)]
    #[arg(help_heading = "Writing")]
    window: i64,

    /// Print progress and the result as JSON lines
    #[arg(long, help_heading = "Writing")]
    json: bool,
}

/// A length of time that windows can have: nanoseconds.
pub(super) fn window(text: &str) -> Result<i64, String> {
    match text.parse() {
        Ok(chronolith_engine::Every::Nanoseconds(length))
            if (Definition::MIN_WINDOW_NS..=Definition::MAX_WINDOW_NS).contains(&length) =>
        {
            Ok(length)
        }
        Ok(_) => Err("windows are from 1s to 366d long".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The batch that is being filled.
struct Pending {
    db: Db,
    durability: Durability,
    rows: BatchSink,
    /// Records of batches that are as durable as asked for.
    acknowledged: u64,
    tells: bool,
}

impl Pending {
    fn commit(&mut self) -> Result<(), IngestError> {
        self.rows.check().map_err(|error| IngestError::Sink(Box::new(error)))?;
        let batch = self.rows.batch();
        if batch.is_empty() {
            return Ok(());
        }
        self.db
            .write(batch, self.durability)
            .map_err(|error| IngestError::Sink(Box::new(error)))?;
        self.acknowledged += batch.len() as u64;
        self.rows.clear();
        if self.tells {
            let mut out = io::stdout().lock();
            let told = writeln!(out, "{}", json!({"acknowledged": self.acknowledged}));
            told.and_then(|()| out.flush()).map_err(|error| IngestError::Sink(Box::new(error)))?;
        }
        Ok(())
    }
}

/// Commits rows in the order of the input.
struct DatabaseSink {
    /// Shared with the reader of standard input, which commits before it waits.
    pending: Rc<RefCell<Pending>>,
    /// Ends the waiting for standard input.
    wake: UnixStream,
}

impl DatabaseSink {
    fn new(db: &Db, durability: Durability, window_ns: i64, tells: bool, wake: UnixStream) -> Self {
        let rows = BatchSink::new(db.clone(), window_ns);
        let pending = Pending { db: db.clone(), durability, rows, acknowledged: 0, tells };
        Self { pending: Rc::new(RefCell::new(pending)), wake }
    }

    /// Reads one file; what it gave is committed whatever became of the rest.
    fn ingest(
        &mut self,
        path: &Path,
        options: &IngestOptions,
        report: &mut Report,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Summary, Broken> {
        let read = if path.as_os_str() == "-" {
            let pending = Rc::clone(&self.pending);
            let commit = move || pending.borrow_mut().commit().map_err(io::Error::other);
            let wake = self.wake.try_clone();
            let wake = wake.map_err(|error| IngestError::Sink(Box::new(error)))?;
            ingest_reader(IdleStdin::new(wake, commit), "-", options, self, report, progress)
        } else {
            ingest_file(path, options, self, report, progress)
        };
        self.pending.borrow_mut().commit()?;
        read
    }
}

impl RecordSink for DatabaseSink {
    fn metric(&mut self, metric: &Metric, kind: Kind, unit: &str) -> Result<SinkMetric, Refusal> {
        self.pending.borrow_mut().rows.metric(metric, kind, unit)
    }

    fn known_kind(&mut self, metric: &Metric) -> Option<Kind> {
        self.pending.borrow_mut().rows.known_kind(metric)
    }

    #[inline]
    fn record(
        &mut self,
        metric: SinkMetric,
        time_ns: i64,
        value: ValueRef<'_>,
    ) -> Result<(), Refusal> {
        self.pending.borrow_mut().rows.record(metric, time_ns, value)
    }

    #[inline]
    fn end_row(&mut self) -> Result<(), IngestError> {
        let mut pending = self.pending.borrow_mut();
        let batch = pending.rows.batch();
        if batch.len() >= BATCH_RECORDS || batch.data_bytes() >= 8 << 20 {
            return pending.commit();
        }
        Ok(())
    }
}

/// Reads files into a database that is open already, to their end or to Ctrl-C; how many rows were
/// rejected.
#[cfg(feature = "continuous")]
pub(super) fn ingest_into(db: &Db, input: &IngestArgs) -> Result<u64> {
    let interruption = listen()?;
    let options = IngestOptions { stop: Some(interruption.stop), ..input.options()? };
    let mut report = Report::new(SHOWN_REJECTIONS);
    let (durability, window_ns) = (Durability::Synced, Definition::DEFAULT_WINDOW_NS);
    let mut sink = DatabaseSink::new(db, durability, window_ns, false, interruption.wake);
    for path in &input.files {
        match sink.ingest(path, &options, &mut report, &mut |_| {}) {
            Ok(_) => {}
            Err(Broken { error: IngestError::Stopped { .. }, .. }) => break,
            Err(Broken { error, .. }) => return Err(error.into()),
        }
    }
    report.sample().iter().for_each(|rejection| eprintln!("{rejection}"));
    Ok(report.rejected_rows())
}

impl IngestCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let started = Instant::now();
        let interruption = listen()?;
        let options = IngestOptions { stop: Some(interruption.stop), ..self.input.options()? };
        self.check_files()?;
        let mut report = Report::new(SHOWN_REJECTIONS);
        if let Some(path) = &self.input.errors {
            let file = File::create(path);
            let file = file.with_context(|| format!("cannot create {}", path.display()))?;
            report = report.with_errors(BufWriter::new(file));
        }
        let db = self.database.write()?;
        let (durability, wake) = (self.durability, interruption.wake);
        let mut sink = DatabaseSink::new(&db, durability, self.window, self.json, wake);
        let bar = self.progress_bar();
        let mut total: Option<Summary> = None;
        let (mut before, mut failure) = (0, None);
        for path in &self.input.files {
            let mut progress = |bytes: u64| bar.set_position(before + bytes);
            let (summary, error) = match sink.ingest(path, &options, &mut report, &mut progress) {
                Ok(summary) => (Some(summary), None),
                Err(Broken { error, summary }) => (summary.map(|summary| *summary), Some(error)),
            };
            if let Some(summary) = summary {
                before += summary.bytes;
                for note in &summary.notes {
                    bar.suspend(|| eprintln!("{}: {note}", path.display()));
                }
                match &mut total {
                    Some(total) => total.add(&summary),
                    None => total = Some(summary),
                }
            }
            if let Some(error) = error {
                let is_last = matches!(error, IngestError::Sink(_) | IngestError::Stopped { .. });
                match &failure {
                    None => failure = Some(error),
                    Some(_) => bar.suspend(|| eprintln!("chronolith: {error}")),
                }
                if is_last {
                    break;
                }
            }
        }
        bar.finish_and_clear();
        let pending = sink.pending.borrow();
        let mut metrics = pending.rows.metrics().to_vec();
        metrics.sort_unstable();
        metrics.dedup();
        let (metrics, accepted) = (metrics.len(), pending.acknowledged);
        db.sync()?;
        db.close()?;
        self.tell(&report, total.as_ref(), accepted, metrics, started)?;
        match (failure, report.rejected_rows()) {
            (Some(error @ IngestError::Stopped { .. }), _) => {
                eprintln!("chronolith: {error}");
                Ok(Outcome::Interrupted)
            }
            (Some(error), _) => Err(error.into()),
            (None, 0) => Ok(Outcome::Done),
            (None, _) => Ok(Outcome::Rejected),
        }
    }

    /// All inputs must be there, and none of them be what rejections are written to, before
    /// anything is made or emptied.
    fn check_files(&self) -> Result<()> {
        let errors = self.input.errors.as_deref().and_then(|path| path.canonicalize().ok());
        for path in self.input.files.iter().filter(|path| path.as_os_str() != "-") {
            let whole = path.canonicalize();
            let whole = whole.with_context(|| format!("cannot open {}", path.display()))?;
            if errors.as_ref() == Some(&whole) {
                let path = path.display();
                bail!(Usage(format!("--errors {path} is an input, which it would empty")));
            }
        }
        Ok(())
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
                "rows": total.map_or(0, |total| total.rows),
                "rows_skipped": total.map_or(0, |total| total.rows_skipped),
                "empty_cells": total.map_or(0, |total| total.empty),
                "equal_times": total.map_or(0, |total| total.equal_times),
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
        say!(
            "{accepted} records accepted, {} rows rejected; {metrics} metrics; {seconds:.2} s",
            report.rejected_rows()
        );
        if let (Some(first), Some(last)) = (first_time, last_time) {
            say!("from {first} to {last}");
        }
        if let Some(total) = total.filter(|total| total.equal_times > 0) {
            say!(
                "{} rows have the time of the row before; of two values of one metric the last counts",
                total.equal_times
            );
        }
        Ok(())
    }
}
