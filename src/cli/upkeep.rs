//! `chronolith init`, `seal`, `compact`, `delete`, `stats`, `verify`, `repair`, `backup` and
//! `restore`.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use chronolith_disk::{Disk, RealDisk};
use chronolith_engine::{
    Clock, Db, DbStatistics, Fault, Maintenance, Options, SealScope, SystemClock, repair, restore,
    verify,
};
use clap::Args;
use serde_json::{Value, json};

use super::Outcome;
use super::database::{DatabaseArgs, RangeArgs, SelectorArgs, rfc3339};
use super::output::{print_json, say};
use super::usage::Usage;

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

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl SealCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let db = self.database.change()?;
        let scope = match self.all {
            true => SealScope::All,
            false => SealScope::ClosedAt(SystemClock.now_ns()),
        };
        let report = db.seal(scope)?;
        db.close()?;
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
        }
        Ok(left_for_repair(&report.faults))
    }
}

/// Says what was damaged and stays as it is.
fn left_for_repair(faults: &[Fault]) -> Outcome {
    for fault in faults {
        eprintln!("damaged, and left as it is until a repair: {fault}");
    }
    if faults.is_empty() { Outcome::Done } else { Outcome::Faults }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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

impl DeleteCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        if !self.all_metrics && self.selector.is_empty() {
            let what = "say which metrics: --metric, --device, --label, or --all-metrics";
            bail!(Usage(what.to_owned()));
        }
        let db = self.database.change()?;
        let metrics = self.selector.metrics(&db)?;
        if let Some((from_ns, to_ns)) = self.range.first_and_last()? {
            db.delete(&metrics, from_ns..=to_ns)?;
        }
        db.close()?;
        if self.json {
            print_json(&json!({"metrics": metrics.len()}))?;
        } else {
            say!("deleted in {} metrics; compact frees the space", metrics.len());
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

/// Check every byte; exit code 1 where something is damaged.
#[derive(Debug, Args)]
pub(super) struct VerifyCommand {
    #[command(flatten)]
    database: DatabaseArgs,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn fault_json(fault: &Fault) -> Value {
    json!({"file": fault.file, "offset": fault.offset, "what": fault.what})
}

fn existing(directory: &PathBuf) -> Result<Arc<dyn Disk>> {
    let disk = RealDisk::existing(directory);
    Ok(Arc::new(disk.with_context(|| format!("cannot open {}", directory.display()))?))
}

impl VerifyCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let disk = existing(&self.database.db)?;
        // A writer would replace files under the check.
        let _lock = match disk.lock("LOCK") {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                bail!("another process has this database open; stop it, or verify a backup")
            }
            lock => lock.context("cannot lock the database")?,
        };
        let report = verify(&disk, &Options::read_only());
        if self.json {
            let torn = report.torn.as_ref().map(|torn| {
                json!({"file": torn.file, "offset": torn.offset, "bytes": torn.dropped_bytes})
            });
            print_json(&json!({
                "faults": report.faults.iter().map(fault_json).collect::<Vec<_>>(),
                "known": report.known.iter().map(fault_json).collect::<Vec<_>>(),
                "extra": report.extra,
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
            if !report.faults.is_empty() {
                let place = self.database.db.display();
                say!("next: chronolith repair --db {place} keeps everything that is whole");
            }
        }
        Ok(if report.faults.is_empty() { Outcome::Done } else { Outcome::Faults })
    }
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
        let report = repair(&disk, &options)?;
        if self.json {
            print_json(&json!({
                "faults": report.faults.iter().map(fault_json).collect::<Vec<_>>(),
                "lost": report.lost,
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

/// Copy a database, as it is now, to an empty directory.
#[derive(Debug, Args)]
pub(super) struct BackupCommand {
    #[command(flatten)]
    database: DatabaseArgs,

    /// The directory of the copy
    #[arg(long, value_name = "DIR")]
    to: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn created(directory: &PathBuf) -> Result<Arc<dyn Disk>> {
    let disk = RealDisk::create(directory);
    Ok(Arc::new(disk.with_context(|| format!("cannot create {}", directory.display()))?))
}

impl BackupCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let db = self.database.change()?;
        let report = db.backup(&created(&self.to)?)?;
        db.close()?;
        if self.json {
            print_json(&json!({"files": report.files, "bytes": report.bytes}))?;
        } else {
            say!("{} files, {} bytes copied to {}", report.files, report.bytes, self.to.display());
            say!("the copy holds the signing key: keep it as safe as the database");
        }
        Ok(Outcome::Done)
    }
}

/// Copy a backup to an empty directory, where it is a database again.
#[derive(Debug, Args)]
pub(super) struct RestoreCommand {
    /// The directory of the new database
    #[arg(long, value_name = "DIR")]
    db: PathBuf,

    /// The directory of the backup
    #[arg(long, value_name = "DIR")]
    from: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl RestoreCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let backup = existing(&self.from)?;
        let report = restore(&backup, &created(&self.db)?, &Options::default())?;
        if self.json {
            print_json(&json!({"files": report.files, "bytes": report.bytes}))?;
        } else {
            say!(
                "{} files, {} bytes restored to {}",
                report.files,
                report.bytes,
                self.db.display()
            );
            say!("next: chronolith verify --db {}", self.db.display());
        }
        Ok(Outcome::Done)
    }
}
