//! `chronolith remote import`.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use chronolith_chain::light::Options;
use chronolith_query::search::remote::car::{CarReader, is_car};
use chronolith_query::search::remote::{Anchor, Change, Provenance, RemoteStore, Taken, Trust};
use cid::Cid;
use clap::Args;
use serde_json::json;

use super::lines::{LINE_BYTES_MAX, change};
use crate::chain::{Chain, export, offers, prove};
use crate::cli::Outcome;
use crate::cli::chain::{TrustArgs, print_fields};
use crate::cli::database::DatabaseArgs;
use crate::cli::output::printable;

/// So many changes are carried out together, or so many bytes of headers.
const BATCH: usize = 4_096;
const BATCH_BYTES: usize = 8 << 20;
/// The most refusals that are told one by one.
const TOLD_MAX: u64 = 20;

/// Take headers, offers and proofs from files, and offers from a chain.
#[derive(Debug, Args)]
pub(in crate::cli) struct ImportCommand {
    #[command(flatten)]
    database: DatabaseArgs,

    /// CAR files and JSON lines of headers and offers, and what chronolith chain writes: proofs of
    /// chunks and exports
    #[arg(value_name = "FILE", required_unless_present = "chain")]
    files: Vec<PathBuf>,

    /// Who told what is in the files [default: file and the name of each]
    #[arg(long, value_name = "NAME")]
    from: Option<String>,

    /// Take the offers of the chain in this directory
    #[arg(long, value_name = "DIR")]
    chain: Option<PathBuf>,

    #[command(flatten)]
    trust: TrustArgs,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A header is trusted however old it is.
fn for_ever() -> Options {
    Options { trusting_period_ns: None, ..Options::default() }
}

/// What came of an import.
#[derive(Default)]
struct Report {
    headers: Counts,
    offers: Counts,
    closed: u64,
    /// Headers of chunks that the database has itself.
    own: u64,
    refused: u64,
}

#[derive(Default)]
struct Counts {
    new: u64,
    known: u64,
    risen: u64,
}

/// What a change is about.
#[derive(Clone, Copy)]
enum Kind {
    Header,
    Offer,
    Close,
}

impl Kind {
    const fn of(change: &Change) -> Self {
        match change {
            Change::Offer { .. } => Self::Offer,
            Change::Close { .. } => Self::Close,
            _ => Self::Header,
        }
    }
}

/// What an import works on.
struct Importer<'a> {
    store: RemoteStore,
    own: HashSet<Cid>,
    trust: &'a TrustArgs,
    /// Changes with where they stand.
    batch: Vec<(String, Change)>,
    batch_bytes: usize,
    report: Report,
}

/// What a file is, by its beginning.
enum FileKind {
    Car,
    Proof,
    Export,
    Lines,
}

impl ImportCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let (db, store) = super::open(&self.database)?;
        let mut own = HashSet::new();
        // What a damaged segment holds is not known to be the database's own; verify says so.
        db.for_each_sealed(&|_| true, &mut |chunk| {
            own.insert(chunk.cid);
        });
        let (trust, batch, report) = (&self.trust, Vec::new(), Report::default());
        let mut importer = Importer { store, own, trust, batch, batch_bytes: 0, report };
        // What fails in the middle does not undo what was taken, which the search shows then.
        let done = self.import(&mut importer).and_then(|()| importer.flush());
        let report = std::mem::take(&mut importer.report);
        drop(importer);
        crate::cli::search::follow(&self.database.db, &db);
        done?;
        let shown = json!({
            "headers_new": report.headers.new,
            "headers_known": report.headers.known,
            "headers_confirmed": report.headers.risen,
            "headers_own": report.own,
            "offers_new": report.offers.new,
            "offers_known": report.offers.known,
            "offers_changed": report.offers.risen,
            "offers_closed": report.closed,
            "refused": report.refused,
        });
        print_fields(self.json, &shown)?;
        Ok(if report.refused > 0 { Outcome::Rejected } else { Outcome::Done })
    }

    fn import(&self, importer: &mut Importer<'_>) -> Result<()> {
        for path in &self.files {
            let place = path.display().to_string();
            let file = File::open(path).with_context(|| format!("cannot open {place}"))?;
            let mut input = BufReader::with_capacity(1 << 16, file);
            let kind = kind(&mut input).with_context(|| format!("cannot read {place}"))?;
            let from = self.from.clone().unwrap_or_else(|| format!("file {}", name_of(path)));
            let read = match kind {
                FileKind::Car => importer.car(&mut input, &place, &from),
                FileKind::Lines => importer.lines(&mut input, &place, &from),
                FileKind::Proof => importer.proof(&mut input, &place),
                FileKind::Export => importer.export(&mut input),
            };
            read.with_context(|| place)?;
        }
        if let Some(directory) = &self.chain {
            let chain = Chain::open(directory)?;
            let time_ms = chain.blocks()?.tip().time_ns / 1_000_000;
            let id = chain.id().to_string();
            importer.offers(chain.state()?, time_ms, &id, Trust::Anchored)?;
        }
        Ok(())
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn kind(input: &mut BufReader<File>) -> std::io::Result<FileKind> {
    let beginning = input.fill_buf()?;
    Ok(match beginning {
        bytes if bytes.starts_with(export::MAGIC) => FileKind::Export,
        bytes if bytes.starts_with(prove::MAGIC) => FileKind::Proof,
        bytes if is_car(bytes) => FileKind::Car,
        _ => FileKind::Lines,
    })
}

impl Importer<'_> {
    fn put(&mut self, place: String, change: Change) -> Result<()> {
        if let Change::Header { cid, .. } = &change
            && self.own.contains(cid)
        {
            self.report.own += 1;
            return Ok(());
        }
        if let Change::Header { bytes, .. } = &change {
            self.batch_bytes += bytes.len();
        }
        self.batch.push((place, change));
        let is_full = self.batch.len() >= BATCH || self.batch_bytes >= BATCH_BYTES;
        if is_full { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.batch_bytes = 0;
        let (places, changes): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.batch).into_iter().unzip();
        let kinds: Vec<Kind> = changes.iter().map(Kind::of).collect();
        let results = self.store.apply(changes)?;
        for ((place, kind), result) in places.iter().zip(kinds).zip(results) {
            let report = &mut self.report;
            let counts = match kind {
                Kind::Header => &mut report.headers,
                Kind::Offer => &mut report.offers,
                Kind::Close => {
                    report.closed += u64::from(result == Ok(Taken::Gone));
                    &mut Counts::default()
                }
            };
            match result {
                Ok(Taken::New) => counts.new += 1,
                Ok(Taken::Known) => counts.known += 1,
                Ok(Taken::Risen) => counts.risen += 1,
                Ok(Taken::Gone | Taken::Absent) => {}
                Err(refused) => self.refuse(place, &refused.to_string()),
            }
        }
        Ok(())
    }

    fn refuse(&mut self, place: &str, why: &str) {
        self.report.refused += 1;
        if self.report.refused <= TOLD_MAX {
            eprintln!("refused {}: {}", printable(place), printable(why));
        } else if self.report.refused == TOLD_MAX + 1 {
            eprintln!("refused more, which are counted only");
        }
    }

    fn car(&mut self, input: &mut impl Read, place: &str, from: &str) -> Result<()> {
        let mut reader = CarReader::new(input)?;
        while let Some((cid, block)) = reader.next_block()? {
            let place = format!("{place}, {cid}");
            match block {
                Some(bytes) => {
                    let provenance = Provenance::told(from);
                    self.put(place, Change::Header { cid, bytes, provenance })?;
                }
                None => self.refuse(&place, "the block is too long to be a header"),
            }
        }
        Ok(())
    }

    fn lines(&mut self, input: &mut impl BufRead, place: &str, from: &str) -> Result<()> {
        let mut line = Vec::new();
        for number in 1_u64.. {
            line.clear();
            let limit = LINE_BYTES_MAX as u64 + 1;
            if input.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if line.len() > LINE_BYTES_MAX {
                bail!("line {number} has more than {LINE_BYTES_MAX} bytes; is it a file of lines?");
            }
            let place = format!("{place}, line {number}");
            let text = std::str::from_utf8(&line).map_err(|_| "this is no text".to_owned());
            match text.map(str::trim) {
                Ok("") => {}
                Ok(text) => match change(text, from) {
                    Ok(change) => self.put(place, change)?,
                    Err(why) => self.refuse(&place, &why),
                },
                Err(why) => self.refuse(&place, &why),
            }
        }
        Ok(())
    }

    /// Confirms a header that is kept by a proof that it is anchored.
    fn proof(&mut self, input: &mut impl Read, place: &str) -> Result<()> {
        // It may be about a header of this import.
        self.flush()?;
        let (proof, _) = prove::Proof::read(input)?;
        self.trust.verify(&proof, &for_ever())?;
        let Some(proved) = proof.chunk()? else {
            bail!("the proof is not about a chunk; chronolith chain anchor --chunk makes such")
        };
        let cid = Cid::try_from(proved.chunk.as_bytes().as_slice())?;
        if self.own.contains(&cid) {
            self.report.own += 1;
            return Ok(());
        }
        let Some(bytes) = self.store.header_bytes(&cid)? else {
            self.refuse(place, &format!("there is no header {cid}; import it first"));
            return Ok(());
        };
        let anchor = Anchor {
            account: proved.producer.to_string(),
            height: proved.anchored.height,
            time_ms: proved.anchored.time_ms,
        };
        let from = self.store.teller_of(&cid).unwrap_or_default().to_owned();
        let provenance = Provenance { from, trust: Trust::Proved, anchor: Some(anchor) };
        self.put(place.to_owned(), Change::Header { cid, bytes, provenance })
    }

    /// Takes the offers of an export, once every block of it is checked.
    fn export(&mut self, input: &mut impl Read) -> Result<()> {
        let replay = self.trust.replay(input, &for_ever())?;
        let (chain, time_ms) = (replay.tip().chain.to_string(), replay.tip().time_ns / 1_000_000);
        self.offers(replay.state(), time_ms, &chain, Trust::Proved)
    }

    fn offers(
        &mut self,
        state: &chronolith_chain::state::State,
        time_ms: u64,
        chain: &str,
        trust: Trust,
    ) -> Result<()> {
        let provenance =
            |account: String| offers::provenance(state, time_ms, chain, trust, account);
        offers::for_each(state, &provenance, &mut |change| {
            self.put(format!("an offer of the chain {chain}"), change)
        })
    }
}
