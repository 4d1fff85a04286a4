//! `chronolith init`, `seal`, `compact`, `delete`, `stats`, `verify` and `repair`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use chronolith_disk::{Disk, DiskLock, RealDisk};
use chronolith_engine::{
    Aggregated, Aggregation, Clock, Db, DbStatistics, Every, Fault, Function, Maintenance,
    MetricId, Options, SealScope, SystemClock, repair, verify,
};
use clap::Args;
use serde_json::{Value, json};

use super::Outcome;
use super::chain::{WalletArgs, anchor_all};
use super::database::{DatabaseArgs, RangeArgs, SelectorArgs};
use super::output::{hex, print_json, say};
use super::usage::Usage;
use crate::chain::Chain;
use crate::rows::rfc3339;

/// Make an empty database.
#[derive(Debug, Args)]
pub(super) struct InitCommand {
    /// The directory; it must be empty or not exist
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl InitCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let place = self.directory.display();
        if self.directory.join("manifest").exists() {
            bail!("{place} is a database already");
        }
        let options = Options { maintenance: Maintenance::Manual, ..Options::default() };
        Db::open(&self.directory, options)?.close()?;
        if self.json {
            print_json(&json!({"database": self.directory}))?;
        } else {
            say!("made an empty database in {place}");
            say!("next: chronolith ingest --db {place} FILE...");
        }
        Ok(Outcome::Done)
    }
}

/// Seal windows into immutable, content-addressed chunks.
#[derive(Debug, Args)]
pub(super) struct SealCommand {
    #[command(flatten)]
    database: DatabaseArgs,

    /// Seal every window; else those that ended more than the lateness allowance ago
    #[arg(long)]
    all: bool,

    /// Anchor the seal batches on the chain in this directory, as chronolith chain anchor does
    #[arg(long, value_name = "DIR")]
    chain: Option<PathBuf>,

    #[command(flatten)]
    wallet: WalletArgs,

    /// The key of the account that anchors and pays
    #[arg(long, value_name = "NAME", default_value = "main", requires = "chain")]
    account: String,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl SealCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        // What is in the way of anchoring is said before anything is sealed.
        let chain = self.chain.as_deref().map(Chain::open).transpose()?;
        let account = chain.as_ref().map(|_| self.wallet.load(&self.account)).transpose()?;
        let db = self.database.change()?;
        let scope = match self.all {
            true => SealScope::All,
            false => SealScope::ClosedAt(SystemClock.now_ns()),
        };
        let report = db.seal(scope)?;
        #[cfg(feature = "search")]
        super::search::follow(&self.database.db, &db);
        db.close()?;
        let anchors = match (chain, account) {
            (Some(mut chain), Some(account)) => {
                Some(anchor_all(&mut chain, &self.database.read()?, &account)?)
            }
            _ => None,
        };
        let batches: Vec<Value> = report
            .batches
            .iter()
            .map(|batch| {
                json!({
                    "number": batch.number,
                    "chunks": batch.chunks,
                    "root": hex(&batch.root),
                    "producer": hex(&batch.producer),
                    "signature": hex(&batch.signature),
                })
            })
            .collect();
        if self.json {
            print_json(&json!({
                "chunks": report.chunks,
                "records": report.records,
                "batches": batches,
                "faults": report.faults.iter().map(fault_json).collect::<Vec<_>>(),
                "anchors": anchors,
            }))?;
        } else {
            say!("{} records sealed into {} chunks", report.records, report.chunks);
            for batch in &report.batches {
                say!(
                    "batch {} of {} chunks, root {}",
                    batch.number,
                    batch.chunks,
                    hex(&batch.root)
                );
            }
            if let Some(anchors) = &anchors {
                let count = anchors["anchored"].as_array().map_or(0, Vec::len);
                say!("{count} batches anchored, up to height {}", anchors["height"]);
                for device in anchors["left_out"].as_array().into_iter().flatten() {
                    let text = |field: &str| device[field].as_str().unwrap_or_default();
                    say!(
                        "of {} nothing is anchored: of the device {}, {}",
                        text("device"),
                        text("key"),
                        text("why")
                    );
                }
            }
        }
        Ok(left_for_repair(&report.faults))
    }
}

/// Says what was damaged and stays as it is.
pub(super) fn left_for_repair(faults: &[Fault]) -> Outcome {
    for fault in faults {
        eprintln!("damaged, and left as it is until a repair: {fault}");
    }
    if faults.is_empty() { Outcome::Done } else { Outcome::Faults }
}

/// Merge small files, carry out deletions and retention.
#[derive(Debug, Args)]
pub(super) struct CompactCommand {
    #[command(flatten)]
    database: DatabaseArgs,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl CompactCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let db = self.database.change()?;
        let report = db.compact()?;
        #[cfg(feature = "search")]
        super::search::follow(&self.database.db, &db);
        db.close()?;
        if self.json {
            print_json(&json!({
                "runs_before": report.runs.0,
                "runs_after": report.runs.1,
                "segments_before": report.segments.0,
                "segments_after": report.segments.1,
                "rewritten_windows": report.rewritten_windows,
                "faults": report.faults.iter().map(fault_json).collect::<Vec<_>>(),
            }))?;
        } else {
            say!("runs: {} before, {} after", report.runs.0, report.runs.1);
            say!("segments: {} before, {} after", report.segments.0, report.segments.1);
            say!("windows rewritten without deleted records: {}", report.rewritten_windows);
        }
        Ok(left_for_repair(&report.faults))
    }
}

/// Delete records: hidden at once, their bytes gone with the next compact.
#[derive(Debug, Args)]
pub(super) struct DeleteCommand {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    selector: SelectorArgs,
    #[command(flatten)]
    range: RangeArgs,

    /// Delete the records of all metrics (where no condition is given)
    #[arg(long)]
    all_metrics: bool,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// How many records some metrics hold in a range.
fn count(db: &Db, metrics: &[MetricId], from_ns: i64, to_ns: i64) -> Result<i128> {
    let (every, functions) = (Every::Everything, vec![Function::Count]);
    let aggregation = Aggregation { from_ns, to_ns, every, functions };
    let series = db.aggregate(metrics, &aggregation)?;
    let counts = series.iter().flatten().map(|bucket| match bucket.get(Function::Count) {
        Some(Aggregated::Integer(count)) => count,
        _ => 0,
    });
    Ok(counts.sum())
}

impl DeleteCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        if !self.all_metrics && self.selector.is_empty() {
            let what = "say which metrics: --metric, --device, --label, or --all-metrics";
            bail!(Usage(what.to_owned()));
        }
        let db = self.database.change()?;
        let metrics = self.selector.metrics(&db)?;
        let mut records = 0;
        if let Some((from_ns, to_ns)) = self.range.first_and_last()? {
            records = count(&db, &metrics, from_ns, to_ns)?;
            db.delete(&metrics, from_ns..=to_ns)?;
        }
        db.close()?;
        if self.json {
            print_json(&json!({"metrics": metrics.len(), "records": records}))?;
        } else {
            say!("deleted {records} records of {} metrics; compact frees the space", metrics.len());
        }
        Ok(Outcome::Done)
    }
}

/// Show figures of a database.
#[derive(Debug, Args)]
pub(super) struct StatsCommand {
    #[command(flatten)]
    database: DatabaseArgs,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The figures as one JSON object.
pub(super) fn stats_json(statistics: &DbStatistics) -> Value {
    let by_codec: serde_json::Map<String, Value> = statistics
        .by_codec
        .iter()
        .map(|(codec, figures)| {
            let per_record = figures.bytes as f64 / figures.records.max(1) as f64;
            let figures = json!({
                "chunks": figures.chunks,
                "records": figures.records,
                "bytes": figures.bytes,
                "bytes_per_record": per_record,
            });
            (codec.clone(), figures)
        })
        .collect();
    let per_record = (statistics.records > 0)
        .then(|| statistics.bytes_on_disk as f64 / statistics.records as f64);
    json!({
        "records": statistics.records,
        "metrics": statistics.metrics,
        "devices": statistics.devices,
        "chunks": statistics.chunks,
        "sealed_chunks": statistics.sealed_chunks,
        "bytes_on_disk": statistics.bytes_on_disk,
        "bytes_per_record": per_record,
        "by_codec": by_codec,
        "wal_bytes": statistics.wal_bytes,
        "memtable_bytes": statistics.memtable_bytes,
        "runs": statistics.runs,
        "segments": statistics.segments,
        "first_time": statistics.first_ns.map(rfc3339),
        "last_time": statistics.last_ns.map(rfc3339),
    })
}

impl StatsCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let db = self.database.read()?;
        let statistics = stats_json(&db.statistics()?);
        if self.json {
            print_json(&statistics)?;
            return Ok(Outcome::Done);
        }
        let Some(figures) = statistics.as_object() else { return Ok(Outcome::Done) };
        for (name, value) in figures.iter().filter(|(name, _)| *name != "by_codec") {
            let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            say!("{name:<18} {text}");
        }
        for (codec, figures) in figures["by_codec"].as_object().into_iter().flatten() {
            let bytes = figures["bytes_per_record"].as_f64().unwrap_or_default();
            say!("{codec:<18} {} records, {bytes:.3} bytes each", figures["records"]);
        }
        Ok(Outcome::Done)
    }
}

/// Check every byte of a database, or a proved answer; exit code 1 where something is wrong.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct VerifyCommand {
    #[cfg(feature = "sql")]
    #[command(subcommand)]
    other: Option<super::answer::VerifyOther>,

    #[command(flatten)]
    database: Option<DatabaseArgs>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn fault_json(fault: &Fault) -> Value {
    json!({"file": fault.file, "offset": fault.offset, "what": fault.what})
}

/// The directory of a database, whole or damaged.
pub(super) fn existing(directory: &Path) -> Result<Arc<dyn Disk>> {
    let of_a_database = ["manifest", "segments", "runs", "wal"];
    if directory.is_dir() && !of_a_database.iter().any(|name| directory.join(name).exists()) {
        bail!("there is no database at {}", directory.display());
    }
    let disk = RealDisk::existing(directory);
    Ok(Arc::new(disk.with_context(|| format!("cannot open {}", directory.display()))?))
}

/// Locks a database against writers, who would replace files meanwhile; `instead` is what to do
/// where one is at work.
pub(super) fn lock(disk: &Arc<dyn Disk>, instead: &str) -> Result<Box<dyn DiskLock>> {
    match disk.lock("LOCK") {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            bail!("another process has this database open; {instead}")
        }
        lock => lock.context("cannot lock the database"),
    }
}

/// Whether a repair can do something about a fault: it cannot where the system refused to read.
fn is_for_repair(fault: &Fault) -> bool {
    !["Permission denied", "Input/output error"].iter().any(|refusal| fault.what.contains(refusal))
}

impl VerifyCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        #[cfg(feature = "sql")]
        if let Some(other) = &self.other {
            return other.run();
        }
        let Some(database) = &self.database else {
            bail!(Usage("say which database to check: --db DIR".to_owned()));
        };
        let disk = existing(&database.db)?;
        let _lock = lock(&disk, "stop it, or verify a backup")?;
        let report = verify(&disk, &database.options(Options::read_only())?);
        if self.json {
            let torn = report.torn.as_ref().map(|torn| {
                json!({"file": torn.file, "offset": torn.offset, "bytes": torn.dropped_bytes})
            });
            print_json(&json!({
                "faults": report.faults.iter().map(fault_json).collect::<Vec<_>>(),
                "known": report.known.iter().map(fault_json).collect::<Vec<_>>(),
                "extra": report.extra,
                "unchecked": report.unchecked.iter().map(fault_json).collect::<Vec<_>>(),
                "moved_segments": report.moved_segments,
                "torn": torn,
                "files": report.files,
                "chunks": report.chunks,
                "batches": report.batches,
                "frames": report.frames,
                "blobs": report.blobs,
            }))?;
        } else {
            for fault in &report.faults {
                say!("{fault}");
            }
            for known in &report.known {
                say!("known to be lost since a repair: {known}");
            }
            for extra in &report.extra {
                say!("{extra} belongs to nothing");
            }
            for unchecked in &report.unchecked {
                say!("not checked: {unchecked}");
            }
            if let Some(torn) = &report.torn {
                say!(
                    "{} at byte {}: {} bytes that were never confirmed are torn and will be dropped",
                    torn.file,
                    torn.offset,
                    torn.dropped_bytes
                );
            }
            say!(
                "{} faults in {} files: {} chunks, {} seal batches, {} log frames, {} blobs checked",
                report.faults.len(),
                report.files,
                report.chunks,
                report.batches,
                report.frames,
                report.blobs
            );
            if report.moved_segments > 0 {
                say!("{} of the segments were read from their store", report.moved_segments);
            }
            say_next(database, &report.faults)?;
        }
        // What was not checked is not known to be whole.
        let is_whole = report.faults.is_empty() && report.unchecked.is_empty();
        Ok(if is_whole { Outcome::Done } else { Outcome::Faults })
    }
}

/// What to do about faults.
fn say_next(database: &DatabaseArgs, faults: &[Fault]) -> Result<()> {
    let place = database.db.display();
    if faults.iter().any(|fault| !is_for_repair(fault)) {
        say!("next: let this user read the files, and verify again; a repair cannot help there");
    } else if faults.iter().any(|fault| fault.file == "manifest") {
        say!("next: chronolith repair --db {place} mends one damaged byte of the manifest;");
        say!("      where that is not enough, restore a backup");
    } else if !faults.is_empty() {
        say!("next: chronolith repair --db {place} keeps everything that is whole");
    }
    Ok(())
}

/// Keep everything that is whole and say what is lost.
#[derive(Debug, Args)]
pub(super) struct RepairCommand {
    #[command(flatten)]
    database: DatabaseArgs,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl RepairCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let disk = existing(&self.database.db)?;
        let options = Options { maintenance: Maintenance::Manual, ..Options::default() };
        let report = repair(&disk, &self.database.options(options)?)?;
        if self.json {
            print_json(&json!({
                "faults": report.faults.iter().map(fault_json).collect::<Vec<_>>(),
                "lost": report.lost,
                "unreached": report.unreached,
                "originals": report.originals,
                "salvaged_frames": report.salvaged_frames,
                "changed_files": report.changed_files,
            }))?;
        } else {
            for fault in &report.faults {
                say!("found: {fault}");
            }
            for lost in &report.lost {
                say!("lost: {lost}");
            }
            for unreached in &report.unreached {
                say!("left as it is, since it could not be fetched: {unreached}");
            }
            for original in &report.originals {
                say!("the damaged original is kept as {original}");
            }
            say!(
                "{} faults, {} files changed, {} frames of the log written again",
                report.faults.len(),
                report.changed_files,
                report.salvaged_frames
            );
        }
        Ok(Outcome::Done)
    }
}
