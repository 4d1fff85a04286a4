//! `chronolith remote`: what others have, kept beside a database for `chronolith search`.

mod header_file;
mod import;
mod lines;

use std::path::Path;

use anyhow::{Result, bail};
use chronolith_engine::Db;
use chronolith_query::search::remote::{
    self, Bounds, Change, RemoteStatistics, RemoteStore, Taken,
};
use clap::{Args, Subcommand};
use serde_json::json;

pub(super) use self::header_file::HeaderFile;
use super::Outcome;
use super::chain::print_fields;
use super::database::DatabaseArgs;
use super::usage::Usage;
use crate::search::REMOTE_FOLDER;

/// Headers of others' chunks and offers, kept for search
#[derive(Debug, Subcommand)]
pub(super) enum RemoteCommand {
    /// Take headers, offers and proofs from files, and offers from a chain
    Import(import::ImportCommand),
    /// Show how much is kept, and who told it
    Status(StatusCommand),
    /// Take out headers, or all that one told
    Forget(ForgetCommand),
    /// Keep what is whole of a damaged file
    Repair(RepairCommand),
}

impl RemoteCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        match self {
            Self::Import(command) => command.run(),
            Self::Status(command) => command.run(),
            Self::Forget(command) => command.run(),
            Self::Repair(command) => command.run(),
        }
    }
}

/// Copies what others told of one database to another; how many bytes.
pub(super) fn copy(from: &Path, to: &Path) -> Result<u64> {
    Ok(remote::copy(&from.join(REMOTE_FOLDER), &to.join(REMOTE_FOLDER))?)
}

/// Opens what is kept beside a database, which has to be there.
fn open(database: &DatabaseArgs) -> Result<(Db, RemoteStore)> {
    let db = database.read()?;
    let store = RemoteStore::open(&database.db.join(REMOTE_FOLDER), Bounds::default())?;
    if store.torn_bytes() > 0 {
        let torn = store.torn_bytes();
        eprintln!("the last {torn} bytes were not finished when they were written, and are gone");
    }
    Ok((db, store))
}

/// Show how much is kept, and who told it.
#[derive(Debug, Args)]
pub(super) struct StatusCommand {
    #[command(flatten)]
    database: DatabaseArgs,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl StatusCommand {
    fn run(&self) -> Result<Outcome> {
        // A look makes no folders.
        let kept = match self.database.db.join(REMOTE_FOLDER).is_dir() {
            true => open(&self.database)?.1.statistics(),
            false => self.database.read().map(|_| RemoteStatistics::default())?,
        };
        let tellers = kept.tellers.iter().map(
            |(name, headers, offers)| json!({"from": name, "headers": headers, "offers": offers}),
        );
        let shown = json!({
            "headers": kept.headers,
            "hidden": kept.hidden,
            "metrics": kept.metrics,
            "offers": kept.offers,
            "closed_offers": kept.closed,
            "bytes": kept.size_bytes,
            "told_by": tellers.collect::<Vec<_>>(),
        });
        print_fields(self.json, &shown)?;
        Ok(Outcome::Done)
    }
}

/// Take out headers, or all that one told.
#[derive(Debug, Args)]
pub(super) struct ForgetCommand {
    #[command(flatten)]
    database: DatabaseArgs,

    /// The headers
    #[arg(value_name = "CID", required_unless_present = "from")]
    headers: Vec<String>,

    /// All that this one told: a name that status shows
    #[arg(long, value_name = "NAME")]
    from: Option<String>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl ForgetCommand {
    fn run(&self) -> Result<Outcome> {
        let mut changes = Vec::new();
        for text in &self.headers {
            match cid::Cid::try_from(text.as_str()) {
                Ok(cid) => changes.push(Change::Forget { cid }),
                Err(_) => bail!(Usage(format!("{text:?} is no content id; search lists them"))),
            }
        }
        changes.extend(self.from.iter().map(|from| Change::ForgetTeller { from: from.clone() }));
        let (db, mut store) = open(&self.database)?;
        let before = store.statistics();
        let results = store.apply(changes)?;
        let now = store.statistics();
        super::search::follow(&self.database.db, &db);
        let absent = results.iter().filter(|result| **result == Ok(Taken::Absent)).count();
        let shown = json!({
            "headers": before.headers - now.headers,
            "offers": before.offers - now.offers,
            "not_there": absent,
        });
        print_fields(self.json, &shown)?;
        Ok(if absent > 0 { Outcome::Faults } else { Outcome::Done })
    }
}

/// Keep what is whole of a damaged file.
#[derive(Debug, Args)]
pub(super) struct RepairCommand {
    #[command(flatten)]
    database: DatabaseArgs,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl RepairCommand {
    fn run(&self) -> Result<Outcome> {
        let db = self.database.read()?;
        let repaired = remote::repair(&self.database.db.join(REMOTE_FOLDER))?;
        super::search::follow(&self.database.db, &db);
        let shown = json!({
            "lost_bytes": repaired.lost_bytes,
            "headers": repaired.headers,
            "offers": repaired.offers,
        });
        print_fields(self.json, &shown)?;
        if repaired.lost_bytes > 0 {
            eprintln!("import again what is lost; offers that were closed may be open until then");
        }
        Ok(if repaired.lost_bytes > 0 { Outcome::Faults } else { Outcome::Done })
    }
}
