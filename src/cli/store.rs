//! `chronolith store`: old segments in an S3-compatible store or another folder.

use std::time::Duration;

use anyhow::{Result, bail};
use chronolith_engine::{Db, StoreStatus};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Outcome;
use super::database::DatabaseArgs;
use super::output::{print_json, say};
use super::upkeep::{fault_json, left_for_repair};
use super::usage::duration;
use crate::store::{FILE, StoreFile};

/// Old segments of a database in an S3-compatible store or another folder. Their indexes stay here,
/// so that opening and whole-window aggregates read nothing from there.
#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Say where old segments go, and when; keys are taken from the environment
    Set(SetCommand),
    /// Show what is where, and what failed last
    Status(StatusCommand),
    /// Move what is old enough, and remove what is not needed there any more
    Move(MoveCommand),
}

impl StoreCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        match self {
            Self::Set(command) => command.run(),
            Self::Status(command) => command.run(),
            Self::Move(command) => command.run(),
        }
    }
}

/// Say where old segments go, and when.
#[derive(Debug, Args)]
pub(super) struct SetCommand {
    #[command(flatten)]
    database: DatabaseArgs,

    /// s3://BUCKET/PREFIX or file:///FOLDER
    #[arg(value_name = "URL")]
    url: String,

    /// The address of an S3 server other than Amazon's: https://HOST:PORT
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,

    /// The region of the bucket
    #[arg(long, value_name = "NAME")]
    region: Option<String>,

    /// Put the bucket in the path, or not; by default it is with an endpoint
    #[arg(long, value_name = "YES")]
    path_style: Option<bool>,

    /// Let what is stored cross the network in the clear, to an http:// endpoint elsewhere
    #[arg(long)]
    allow_http: bool,

    /// Move segments whose last window ended longer ago than this (30 days where nothing is said)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    after: Option<Duration>,

    /// Keep so many bytes of the store's content on this disk (1 GiB where nothing is said)
    #[arg(long, value_name = "BYTES")]
    cache_bytes: Option<u64>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl SetCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let database = &self.database.db;
        if !database.join("manifest").exists() {
            bail!("there is no database at {}; chronolith init makes one", database.display());
        }
        // Keys that were written by hand stay.
        let before = StoreFile::read(database).ok().flatten();
        let mut file = StoreFile::new(&self.url);
        if let Some(before) = before {
            (file.access_key, file.secret_key) = (before.access_key, before.secret_key);
        }
        file.endpoint.clone_from(&self.endpoint);
        file.region.clone_from(&self.region);
        file.path_style = self.path_style;
        file.allow_http = self.allow_http;
        file.after_s = self.after.map(|after| after.as_secs());
        file.cache_bytes = self.cache_bytes;
        file.write(database)?;
        let db = self.database.read()?;
        let status = db.store_status();
        let moved = (status.moved.0 > 0).then_some(status.moved_to.as_ref()).flatten();
        let other = moved.filter(|moved| Some(*moved) != status.store.as_ref());
        if self.json {
            print_json(&json!({"store": status.store, "file": database.join(FILE)}))?;
        } else {
            say!("old segments go to {}", status.store.as_deref().unwrap_or_default());
            say!("next: chronolith store move --db {}", database.display());
        }
        if let Some(other) = other {
            eprintln!(
                "chronolith: {} segments were moved to {other}; copy its objects to the new store, \
                 or they cannot be read",
                status.moved.0
            );
        }
        Ok(Outcome::Done)
    }
}

/// Show what is where, and what failed last.
#[derive(Debug, Args)]
pub(super) struct StatusCommand {
    #[command(flatten)]
    database: DatabaseArgs,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn status_json(status: &StoreStatus) -> Value {
    let figures = |(count, bytes): (u64, u64)| json!({"segments": count, "bytes": bytes});
    json!({
        "store": status.store,
        "moved_to": status.moved_to,
        "local": figures(status.local),
        "moved": figures(status.moved),
        "waiting": figures(status.waiting),
        "removals": status.removals,
        "last_error": status.last_error,
    })
}

fn say_status(db: &Db) -> Result<()> {
    let status = db.store_status();
    match (&status.store, &status.moved_to) {
        (Some(store), _) => say!("store     {store}"),
        (None, Some(moved_to)) => say!("store     none is set; segments were moved to {moved_to}"),
        (None, None) => say!("store     none is set; chronolith store set names one"),
    }
    for (what, (count, bytes)) in
        [("local", status.local), ("moved", status.moved), ("waiting", status.waiting)]
    {
        say!("{what:<9} {count} segments, {bytes} bytes");
    }
    say!("removals  {} objects", status.removals);
    if let Some(error) = &status.last_error {
        say!("failed    {error}");
    }
    Ok(())
}

impl StatusCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let db = self.database.read()?;
        if self.json {
            print_json(&status_json(&db.store_status()))?;
        } else {
            say_status(&db)?;
        }
        Ok(Outcome::Done)
    }
}

/// Move what is old enough, and remove what is not needed there any more.
#[derive(Debug, Args)]
pub(super) struct MoveCommand {
    #[command(flatten)]
    database: DatabaseArgs,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl MoveCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let db = self.database.change()?;
        let report = db.move_segments()?;
        let status = db.store_status();
        if self.json {
            print_json(&json!({
                "segments": report.segments,
                "bytes": report.bytes,
                "removed": report.removed,
                "faults": report.faults.iter().map(fault_json).collect::<Vec<_>>(),
                "status": status_json(&status),
            }))?;
        } else {
            say!("{} segments moved, {} bytes", report.segments, report.bytes);
            if report.removed > 0 {
                say!("{} objects removed that nothing needed", report.removed);
            }
            say_status(&db)?;
        }
        db.close()?;
        Ok(left_for_repair(&report.faults))
    }
}
