//! `chronolith market queue`, `grant`, `decline`, `decide` and `deliver`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use chronolith_chain::content::ContentId;
use chronolith_chain::hash::RequestId;
use chronolith_chain::ledger::{HiddenScope, OpenOffer, Right};
use chronolith_engine::{ChunkBlocks, ChunkKeys, Db, KeyRandom, Selector};
use chronolith_net::car::CarWriter;
use clap::Args;
use serde_json::json;

use super::offering::policy;
use super::subscribing::bought;
use super::{ActingArgs, PartyArgs, RequestArgs, VenueArgs, print_done};
use crate::chain::shown::milliseconds;
use crate::cli::Outcome;
use crate::cli::chain::{coins, print_fields};
use crate::cli::database::DatabaseArgs;
use crate::cli::listing::ListingArgs;
use crate::cli::usage::Usage;
use crate::cli::{output::say, whole};
use crate::market::answering::{self, hand_in, make};
use crate::market::book::{self, Book, Now};
use crate::market::grant::{Stock, decline, grant, waits};
use crate::market::policy::Verdict;
use crate::market::question::Questions;
use crate::market::queue::{Entry, Side, right, rights};
use crate::market::{Venue, note};

/// List the requests that wait for an owner.
#[derive(Debug, Args)]
pub(in crate::cli) struct QueueCommand {
    #[command(flatten)]
    venue: VenueArgs,
    #[command(flatten)]
    party: PartyArgs,
    #[command(flatten)]
    listing: ListingArgs,
}

impl QueueCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let venue = self.venue.open()?;
        let columns = ["request", "offer", "buyer", "from", "until", "price", "deadline"];
        let mut rows = self.listing.rows(&columns)?;
        for entry in rights(&venue, self.party.key()?.address, Side::Sold, waits)? {
            let Right { offer, buyer, from_ms, until_ms, price, deadline, .. } = entry.right;
            rows.push(&[
                entry.request.to_string().into(),
                offer.to_string().into(),
                buyer.to_string().into(),
                milliseconds(from_ms).into(),
                milliseconds(until_ms).into(),
                coins(price).into(),
                deadline.into(),
            ])?;
        }
        rows.finish()?;
        Ok(Outcome::Done)
    }
}

/// A request of the owner, with all that is needed to answer it.
pub(super) struct Asked {
    pub(super) right: Right,
    pub(super) open: OpenOffer,
    pub(super) hidden: Option<HiddenScope>,
    height: u64,
}

pub(super) fn asked(venue: &Venue, party: &PartyArgs, request: RequestId) -> Result<Asked> {
    let (right, open, height) = right(venue, request)?;
    let hidden = party.purse()?.offer(right.offer)?;
    Ok(Asked { right, open, hidden, height })
}

pub(super) fn keys_of(db: &Db) -> Result<&ChunkKeys> {
    db.keys().context("the database has no keys: chronolith keys init makes some")
}

/// Grant a request: the keys of its range, sealed to its buyer, go on the ledger.
#[derive(Debug, Args)]
pub(in crate::cli) struct GrantCommand {
    #[command(flatten)]
    request: RequestArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

impl GrantCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let RequestArgs { request: shown, acting: ActingArgs { venue, party, json } } =
            &self.request;
        let (request, owner) = (self.request.id()?, party.key()?);
        let mut venue = venue.open()?;
        let Asked { right, open, hidden, .. } = asked(&venue, party, request)?;
        let db = self.database.change_or_read()?;
        let stock = Stock { db: &db, keys: keys_of(&db)? };
        let done = grant(&mut venue, stock, &owner, request, (&right, &open), hidden.as_ref())?;
        db.close()?;
        print_done(*json, json!({"request": shown, "price": coins(right.price)}), &done)
    }
}

/// Decline a request; the payment goes back.
#[derive(Debug, Args)]
pub(in crate::cli) struct DeclineCommand {
    #[command(flatten)]
    request: RequestArgs,
}

impl DeclineCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let ActingArgs { venue, party, .. } = &self.request.acting;
        let (request, mut venue) = (self.request.id()?, venue.open()?);
        let (right, _, _) = right(&venue, request)?;
        let done = decline(&mut venue, &party.key()?, request, &right)?;
        self.request.print_done(&done)
    }
}

/// What requests are decided by.
#[derive(Debug, Args)]
struct BookArgs {
    /// The file of the policy, for offers that name no contract
    #[arg(long, value_name = "FILE", required_unless_present = "contract")]
    policy: Option<PathBuf>,

    /// A data contract, whose rules decide for the offers that name it; may be given several times
    #[arg(long, value_name = "FILE")]
    contract: Vec<PathBuf>,

    /// A list that rules ask: NAME=FILE, with a line for each element
    #[arg(long, value_name = "NAME=FILE")]
    list: Vec<String>,

    /// What an account asks for, as you know it, for rules that ask the purpose: ACCOUNT=WORD; may be given several times
    #[arg(long, value_name = "ACCOUNT=WORD")]
    purpose: Vec<String>,

    /// A question that is answered where a request for it is granted; may be given several times
    #[arg(long, value_name = "FILE")]
    question: Vec<PathBuf>,
}

impl BookArgs {
    fn book(&self, party: &PartyArgs) -> Result<(Book, Questions)> {
        let mut lists = BTreeMap::new();
        for one in &self.list {
            let problem = || Usage(format!("{one:?} is no list; write NAME=FILE"));
            let (name, file) = one.split_once('=').ok_or_else(problem)?;
            let text = std::fs::read_to_string(file);
            let text = text.with_context(|| format!("cannot read {file}"))?;
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            lists.insert(name.to_owned(), lines.map(str::to_owned).collect());
        }
        let contracts = self.contract.iter().map(|file| book::read(file));
        let contracts = contracts.collect::<Result<Vec<_>, _>>()?;
        let policy = self.policy.as_deref().map(policy).transpose()?.unwrap_or_default();
        let purposes = self.purpose.iter().map(|one| {
            let problem = || Usage(format!("{one:?} is no purpose; write ACCOUNT=WORD"));
            let (account, word) = one.split_once('=').ok_or_else(problem)?;
            Ok((party.wallet.address(account)?, word.to_owned()))
        });
        let purposes = purposes.collect::<Result<_>>()?;
        let questions = Questions::read(&self.question)?;
        let book = Book::new(contracts, lists, policy)?.answering(&questions).knowing(purposes);
        Ok((book, questions))
    }
}

/// Grant, answer and decline what a policy or a contract decides, and list what waits for the owner's word.
#[derive(Debug, Args)]
pub(in crate::cli) struct DecideCommand {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    venue: VenueArgs,
    #[command(flatten)]
    party: PartyArgs,

    #[command(flatten)]
    book: BookArgs,

    #[command(flatten)]
    listing: ListingArgs,
}

impl DecideCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let ((book, questions), owner, purse) =
            (self.book.book(&self.party)?, self.party.key()?, self.party.purse()?);
        let mut venue = self.venue.open()?;
        let db = self.database.change_or_read()?;
        let stock = Stock { db: &db, keys: keys_of(&db)? };
        let mut rows = self.listing.rows(&["request", "buyer", "became", "why"])?;
        let mut outcome = Outcome::Done;
        for Entry { request, .. } in rights(&venue, owner.address, Side::Sold, waits)? {
            let Asked { right, open, hidden, height } = asked(&venue, &self.party, request)?;
            let (parts, hidden) = ((&right, &open), hidden.as_ref());
            let decided = book.decide((&venue, &purse), parts, Now::at(height))?;
            purse.keep_decision(request, &decided)?;
            let done = match decided.verdict {
                Verdict::Ask(why) => Ok(("waits", why.to_owned())),
                Verdict::Decline => decline(&mut venue, &owner, request, &right)
                    .map(|_| ("declined", String::new())),
                Verdict::Grant => grant(&mut venue, stock, &owner, request, parts, hidden)
                    .map(|_| ("granted", decided.by.unwrap_or_default())),
                Verdict::Answer => {
                    let made = answering::asked(&venue, request, &right)
                        .and_then(|asked| questions.get(asked))
                        .and_then(|question| {
                            let from = (stock, &purse);
                            make(&venue, from, &owner, request, parts, hidden, question)
                        });
                    made.and_then(|made| hand_in(&mut venue, &purse, &owner, &made))
                        .map(|_| ("answered", decided.by.unwrap_or_default()))
                }
            };
            let (became, why) = done.unwrap_or_else(|error| ("failed", error.to_string()));
            if became == "failed" {
                outcome = Outcome::Rejected;
            }
            let (request, buyer) = (request.to_string(), right.buyer.to_string());
            rows.push(&[request.into(), buyer.into(), became.into(), why.into()])?;
        }
        rows.finish()?;
        db.close()?;
        Ok(outcome)
    }
}

/// Write the note of a grant for its buyer: which chunks there are, their proofs, and how to read the packs
/// that they are in. It is sealed to him. With --car the chunks themselves are written, too, as
/// everybody may have them.
#[derive(Debug, Args)]
pub(in crate::cli) struct DeliverCommand {
    #[command(flatten)]
    request: RequestArgs,
    #[command(flatten)]
    database: DatabaseArgs,

    /// The folder of packs and their secrets
    #[arg(long, value_name = "DIR")]
    packs: Option<PathBuf>,

    /// The period of a subscription, which is given in the place of the request
    #[arg(long, value_name = "NUMBER")]
    period: Option<u32>,

    /// Where the note goes
    #[arg(long, value_name = "FILE")]
    note: PathBuf,

    /// Where the chunks go, as a CAR file
    #[arg(long, value_name = "FILE")]
    car: Option<PathBuf>,
}

impl DeliverCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let RequestArgs { request: shown, acting: ActingArgs { venue, party, json } } =
            &self.request;
        let owner = party.key()?;
        let venue = venue.open()?;
        let bought = bought(&self.request, self.period)?;
        let (request, (right, open, _)) = (bought.request(), bought.right(&venue)?);
        let hidden = party.purse()?.offer(right.offer)?;
        let db = self.database.change_or_read()?;
        let stock = Stock { db: &db, keys: keys_of(&db)? };
        let wanted = note::sealed_chunks(stock, (&right, &open), hidden.as_ref())?;
        let packs = self.packs.as_deref();
        let told = note::write(&venue, &db, owner.address, packs, request, &wanted)?;
        let sealed = told.seal(venue.id()?, &right.key, &mut KeyRandom::new()?)?;
        whole::replace(&self.note, &sealed)?;
        if let Some(car) = &self.car {
            let chunks: Vec<ContentId> = told.chunks.iter().map(|one| one.path.chunk).collect();
            write_car(&db, &chunks, car)?;
        }
        db.close()?;
        let in_packs = told.chunks.iter().filter(|one| one.pack.is_some()).count();
        let shown = json!({
            "request": shown,
            "chunks": told.chunks.len(),
            "chunks_in_packs": in_packs,
            "packs": told.packs.len(),
        });
        print_fields(*json, &shown)?;
        if !json && in_packs < told.chunks.len() && self.car.is_none() {
            say!("some chunks are in no pack: give --packs DIR, or write them with --car FILE");
        }
        Ok(Outcome::Done)
    }
}

/// Writes chunks as a CAR file of their blocks.
fn write_car(db: &Db, wanted: &[ContentId], place: &std::path::Path) -> Result<()> {
    let wanted_set: std::collections::BTreeSet<ContentId> = wanted.iter().copied().collect();
    whole::rewrite(place, |out| {
        let mut car = CarWriter::new(out, wanted)?;
        for id in db.select(&Selector::all())? {
            for chunk in db.chunks(id, ..)? {
                let cid = ContentId::try_from(&chunk.cid).ok();
                let Some(cid) = cid.filter(|cid| wanted_set.contains(cid)) else { continue };
                let Some(ChunkBlocks { header, body }) = db.chunk_blocks(chunk.key)? else {
                    continue;
                };
                car.block(cid, &header)?;
                if let Some(linked) = chronolith_net::pack::linked_body(&header) {
                    car.block(linked, &body)?;
                }
            }
        }
        car.finish()?;
        Ok(())
    })
}
