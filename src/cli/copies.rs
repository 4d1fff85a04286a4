//! `chronolith backup` and `restore`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use chronolith_disk::{Disk, RealDisk};
use chronolith_engine::{Options, restore};
use clap::Args;
use serde_json::json;

use super::Outcome;
use super::database::DatabaseArgs;
use super::output::{print_json, say};
use super::upkeep::{existing, lock};
use super::usage::Usage;
use crate::database::with_files;
use crate::keys::KeysFile;
use crate::privacy::PrivacyFile;

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

/// Copies what others told, which the engine knows nothing of.
#[cfg(feature = "search")]
fn copy_told(from: &Path, to: &Path) -> Result<()> {
    super::remote::copy(from, to).context("what others told is not copied")?;
    Ok(())
}

/// Copies what says where the keys are, and what is private; the keys themselves stay where they are.
fn copy_files(from: &Path, to: &Path) -> Result<()> {
    if let Some(keys) = KeysFile::read(from)? {
        keys.seen_from(from)?.write(to)?;
    }
    let privacy = PrivacyFile::read(from)?;
    if privacy != PrivacyFile::default() {
        privacy.write(to)?;
    }
    Ok(())
}

/// Refuses a target inside of the database that is copied.
fn outside(target: &Path, source: &Path) -> Result<()> {
    let whole = std::path::absolute(target).context("cannot find the target")?;
    let existing = whole.ancestors().find_map(|folder| folder.canonicalize().ok());
    let source = source.canonicalize().context("cannot find the source")?;
    if existing.is_some_and(|folder| folder.starts_with(&source)) {
        let (target, source) = (target.display(), source.display());
        bail!(Usage(format!("{target} is inside of {source}; choose a directory outside")));
    }
    Ok(())
}

impl BackupCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let db = self.database.change()?;
        outside(&self.to, &self.database.db)?;
        let report = db.backup(&created(&self.to)?)?;
        db.close()?;
        copy_files(&self.database.db, &self.to)?;
        #[cfg(feature = "search")]
        copy_told(&self.database.db, &self.to)?;
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
        outside(&self.db, &self.from)?;
        // A backup has no lock file before somebody opens it.
        let _lock = match self.from.join("LOCK").exists() {
            true => Some(lock(&backup, "copy it with chronolith backup, or stop that process")?),
            false => None,
        };
        let options = with_files(&self.from, Options::default())?;
        let report = restore(&backup, &created(&self.db)?, &options)?;
        copy_files(&self.from, &self.db)?;
        #[cfg(feature = "search")]
        copy_told(&self.from, &self.db)?;
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
