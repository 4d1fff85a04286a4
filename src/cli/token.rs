//! `chronolith token`: who may come in over HTTP.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::Outcome;
use super::output::{RowFormat, Rows, print_json, say};
use super::usage::{Usage, duration};
use crate::http::{Scope, Token, TokenFile};

/// Tokens of those who come in over HTTP
#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token, print it once, and keep its hash
    New(NewCommand),
    /// List tokens: names, scopes and ends
    List(ListCommand),
    /// Revoke a token; a running server refuses it at once
    Revoke(RevokeCommand),
}

impl TokenCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        match self {
            Self::New(command) => command.run(),
            Self::List(command) => command.run(),
            Self::Revoke(command) => command.run(),
        }
    }
}

/// Which file of tokens.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct PlaceArgs {
    /// The file of tokens
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// The database whose tokens they are: the file DIR.tokens beside it
    #[arg(long, value_name = "DIR")]
    db: Option<PathBuf>,
}

/// The file of the tokens of a database: beside it, so that no copy of the database has it.
pub(super) fn beside(database: &Path) -> Result<PathBuf> {
    let found = crate::beside::beside(database, "tokens");
    found.with_context(|| format!("cannot find {}", database.display()))
}

impl PlaceArgs {
    fn open(&self) -> Result<TokenFile> {
        let place = match (&self.file, &self.db) {
            (Some(file), _) => file.clone(),
            (None, Some(database)) => beside(database)?,
            (None, None) => bail!(Usage("give --file or --db".to_owned())),
        };
        Ok(TokenFile::open(&place)?)
    }
}

/// Make a token, print it once, and keep its hash.
#[derive(Debug, Args)]
pub(super) struct NewCommand {
    /// What it is called
    name: String,

    #[command(flatten)]
    place: PlaceArgs,

    /// What it is good for: read, write or admin (everything); may be given more than once
    #[arg(long = "scope", value_name = "SCOPE", required = true)]
    scopes: Vec<Scope>,

    /// How long it is good: 12h, 90d; for ever where this is not said
    #[arg(long, value_name = "LENGTH", value_parser = duration)]
    expires: Option<std::time::Duration>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl NewCommand {
    fn run(&self) -> Result<Outcome> {
        let mut file = self.place.open()?;
        let expires = self.expires.map(|length| -> Result<Timestamp> {
            let length = SignedDuration::try_from(length)?;
            Ok(Timestamp::now().checked_add(length)?)
        });
        let expires = expires.transpose()?;
        let text = file.add(&self.name, &self.scopes, expires)?;
        if self.json {
            let expires = expires.map(|time| time.to_string());
            print_json(&json!({"token": text, "name": self.name, "expires": expires}))?;
        } else {
            say!("{text}");
            eprintln!("keep it well: it is not kept here, and not shown again");
        }
        Ok(Outcome::Done)
    }
}

/// List tokens: names, scopes and ends.
#[derive(Debug, Args)]
pub(super) struct ListCommand {
    #[command(flatten)]
    place: PlaceArgs,

    /// How to print them
    #[arg(long, value_enum, default_value = "table")]
    format: RowFormat,
}

impl ListCommand {
    fn run(&self) -> Result<Outcome> {
        let file = self.place.open()?;
        let mut rows = Rows::new(self.format, &["name", "scopes", "created", "expires", "state"])?;
        for Token { name, scopes, created, expires, .. } in file.tokens() {
            let scopes: Vec<String> = scopes.iter().map(ToString::to_string).collect();
            let has_ended = expires.is_some_and(|end| end <= Timestamp::now());
            rows.push(&[
                name.as_str().into(),
                scopes.join(" ").into(),
                created.to_string().into(),
                expires.map_or_else(|| "never".to_owned(), |end| end.to_string()).into(),
                if has_ended { "expired" } else { "good" }.into(),
            ])?;
        }
        rows.finish()?;
        Ok(Outcome::Done)
    }
}

/// Revoke a token; a running server refuses it at once.
#[derive(Debug, Args)]
pub(super) struct RevokeCommand {
    /// What it is called
    name: String,

    #[command(flatten)]
    place: PlaceArgs,
}

impl RevokeCommand {
    fn run(&self) -> Result<Outcome> {
        self.place.open()?.revoke(&self.name)?;
        say!("{} is revoked", self.name);
        Ok(Outcome::Done)
    }
}
