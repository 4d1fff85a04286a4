//! `chronolith market answer` and `read`: answers that are sold instead of data.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;

use super::deciding::{Asked, asked, keys_of};
use super::{ActingArgs, RequestArgs, print_done};
use crate::buyer::answer::{dispute, open};
use crate::chain::shown;
use crate::cli::Outcome;
use crate::cli::chain::coins;
use crate::cli::database::DatabaseArgs;
use crate::cli::output::{print_json, stdout};
use crate::market::answering::{hand_in, make};
use crate::market::grant::Stock;
use crate::market::question::Question;

/// Answer a request of an offer of answers: ask its question of the database, leave out what too little stands
/// behind, add the noise that it says, pay from the scope's budget, and seal the answer to the buyer.
#[derive(Debug, Args)]
pub(in crate::cli) struct AnswerCommand {
    #[command(flatten)]
    request: RequestArgs,
    #[command(flatten)]
    database: DatabaseArgs,

    /// The question that the offer names
    #[arg(long, value_name = "FILE")]
    question: PathBuf,
}

impl AnswerCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let RequestArgs { request: shown, acting: ActingArgs { venue, party, json } } =
            &self.request;
        let (request, owner) = (self.request.id()?, party.key()?);
        let question = Question::read(&self.question)?;
        let mut venue = venue.open()?;
        let Asked { right, open, hidden, .. } = asked(&venue, party, request)?;
        let db = self.database.change_or_read()?;
        let stock = Stock { db: &db, keys: keys_of(&db)? };
        let (purse, of) = (party.purse()?, (&right, &open));
        let hidden = hidden.as_ref();
        let made = make(&venue, (stock, &purse), &owner, request, of, hidden, &question)?;
        let made = hand_in(&mut venue, &purse, &owner, &made)?;
        db.close()?;
        let shown = json!({
            "request": shown,
            "answer": made.answer,
            "bytes": made.size_bytes,
            "batches": made.batches,
            "price": coins(right.price),
        });
        print_done(*json, shown, &made.done)
    }
}

/// Open an answer that was bought, and print it. Exit code 1 where it is not what its owner signed; with
/// --dispute the ledger is shown, and the payment comes back.
#[derive(Debug, Args)]
pub(in crate::cli) struct ReadCommand {
    #[command(flatten)]
    request: RequestArgs,

    /// Where it is not what its owner signed, show the ledger: the payment comes back
    #[arg(long)]
    dispute: bool,
}

impl ReadCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let ActingArgs { venue, party, json } = &self.request.acting;
        let requested = party.purse()?.request(self.request.id()?)?;
        let mut venue = venue.open()?;
        if venue.id()? != requested.chain {
            bail!("the request {} is of another chain: {}", requested.request, requested.chain);
        }
        let opened = open(&venue, &requested)?;
        if !opened.holds() {
            eprintln!("chronolith: what was sealed is not the answer {}", opened.id());
            if self.dispute {
                let done = dispute(&mut venue, &party.key()?, &requested, &opened)?;
                eprintln!("chronolith: the ledger was shown, at height {}", done.height);
            }
            return Ok(Outcome::Faults);
        }
        if *json {
            print_json(&shown::answer(&opened))?;
        } else {
            let mut out = stdout();
            out.write_all(&opened.bytes.unwrap_or_default())?;
            out.write_all(b"\n")?;
            out.flush()?;
        }
        Ok(Outcome::Done)
    }
}
