//! `chronolith market receive`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::Bytes;
use chronolith_net::exchange::{Question, Reply};
use chronolith_net::network::{Multiaddr, PeerId};
use clap::Args;
use serde_json::json;

use super::RequestArgs;
use super::subscribing::bought;
use crate::buyer::check::names_anchored;
use crate::buyer::dispute::{Evidence, hand_in};
use crate::buyer::peers::{Peers, Way, note_of};
use crate::buyer::source::CarFile;
use crate::buyer::{BuyerError, Keys, LOOK_TIME_MOST, Received, keys, receive};
use crate::cli::Outcome;
use crate::cli::chain::print_fields;
use crate::cli::database::DatabaseArgs;
use crate::cli::fetch::Seeker;
use crate::cli::output::say;
use crate::market::note::{NOTE_BYTES_MAX, Note};
use crate::market::purse::{Purse, Requested};
use crate::market::{Venue, notes};
use crate::node::submit::Done;
use crate::node::{Client, NodeSettings};

/// Fetch what was bought, check it, open it and write it into a database.
///
/// Each chunk must be anchored by who spoke for the device then, lie in the range, and be sealed under a
/// key that was granted; what does not hold is named and not taken. Exit code 3 where there is such a
/// chunk.
#[derive(Debug, Args)]
pub(in crate::cli) struct ReceiveCommand {
    #[command(flatten)]
    request: RequestArgs,
    #[command(flatten)]
    database: DatabaseArgs,

    /// The period of a subscription, which is given in the place of the request
    #[arg(long, value_name = "NUMBER")]
    period: Option<u32>,

    /// The note of the owner; without it his node is asked
    #[arg(long, value_name = "FILE")]
    note: Option<PathBuf>,

    /// Take the chunks from this CAR file; else they are fetched from the peers that keep them
    #[arg(long, value_name = "FILE")]
    car: Option<PathBuf>,

    /// Where a key is wrong, show the ledger: the payment comes back, and everybody can open the keys. One that was
    /// seen before is shown without anything being fetched
    #[arg(long)]
    dispute: bool,
}

impl ReceiveCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let purse = self.request.acting.party.purse()?;
        let mut venue = self.request.acting.venue.open()?;
        let bought = bought(&self.request, self.period)?;
        let requested = bought.secret(&purse)?;
        if venue.id()? != requested.chain {
            bail!("{} is of another chain: {}", requested.request, requested.chain);
        }
        // What was seen before needs nothing more of its owner.
        if let Some(done) = self.dispute(&mut venue, &purse, &requested)? {
            return self.print(None, &Received::default(), Some(&done));
        }
        let keys = keys(&venue, bought, &requested)?;
        let note = self.note(&venue, &keys, &requested)?;
        let db = self.database.write()?;
        let received = match &self.car {
            Some(car) => receive(&venue, &purse, &requested, &keys, &note, &mut CarFile(car), &db)?,
            None => {
                let config = self.request.acting.venue.config.as_deref();
                let config = config.context("give --car FILE, or a node with --config FILE")?;
                let way = |pack| way(config, pack).map_err(|error| format!("{error:#}"));
                let mut peers = Peers { way, until: None };
                receive(&venue, &purse, &requested, &keys, &note, &mut peers, &db)?
            }
        };
        db.close()?;
        let disputed = self.dispute(&mut venue, &purse, &requested)?;
        self.print(Some(&keys), &received, disputed.as_ref())
    }

    fn note(&self, venue: &Venue, keys: &Keys, requested: &Requested) -> Result<Note> {
        let sealed = match (&self.note, &self.request.acting.venue.config) {
            (Some(file), _) => {
                let read = || format!("cannot read {}", file.display());
                let length = fs::metadata(file).with_context(read)?.len();
                if length > NOTE_BYTES_MAX as u64 {
                    bail!("{} has {length} bytes, which no note has", file.display());
                }
                fs::read(file).with_context(read)?
            }
            (None, Some(config)) => return note_from_peers(config, venue, keys, requested),
            (None, None) => {
                bail!("give the owner's note with --note FILE, or a node with --config")
            }
        };
        Ok(Note::open(&sealed, requested.chain, requested.request, &requested.secret)?)
    }

    /// Shows the ledger a wrong key that was seen, if that is wanted.
    fn dispute(
        &self,
        venue: &mut Venue,
        purse: &Purse,
        requested: &Requested,
    ) -> Result<Option<Done>> {
        if !self.dispute {
            return Ok(None);
        }
        let Some(evidence) = Evidence::kept(purse, requested.request)? else { return Ok(None) };
        let buyer = self.request.acting.party.key()?;
        Ok(Some(hand_in(venue, purse, &buyer, requested, evidence)?))
    }

    /// Prints what was received; without keys nothing was looked at, since a wrong one had been seen before.
    fn print(
        &self,
        keys: Option<&Keys>,
        received: &Received,
        disputed: Option<&Done>,
    ) -> Result<Outcome> {
        let Received { chunks, records, bytes, metrics, refused } = received;
        let mut shown = json!({
            "request": self.request.request,
            "chunks": chunks,
            "records": records,
            "bytes": bytes,
            "metrics": metrics.len(),
            "refused": refused.len(),
            "disputed": disputed.is_some(),
        });
        if self.request.acting.json {
            shown["metrics"] = json!(metrics);
            shown["disputed"] = json!(disputed.map(|done| json!({"height": done.height})));
            let told = refused.iter();
            let told = told.map(|one| json!({"chunk": one.at, "why": one.fault.to_string()}));
            shown["refused"] = told.collect();
        }
        print_fields(self.request.acting.json, &shown)?;
        if !self.request.acting.json {
            if let Some(Err(error)) = keys.map(|keys| &keys.grant) {
                say!("{error}");
            }
            for one in refused {
                say!("chunk {} of the note: {}", one.at, one.fault);
            }
        }
        let holds = refused.is_empty() && disputed.is_none();
        Ok(if holds { Outcome::Done } else { Outcome::Rejected })
    }
}

/// The way to those who keep a pack, by a node that is asked for them.
fn way(config: &Path, pack: ContentId) -> Result<Way> {
    let seeker = Seeker::new(Some(config), &[], None, pack)?;
    let (network, holders) = (seeker.network(), seeker.sources().to_vec());
    Ok(Way { network, holders, kept: Some(Box::new(seeker)) })
}

/// Asks whoever announced the note of a request for it.
fn note_from_peers(
    config: &Path,
    venue: &Venue,
    keys: &Keys,
    requested: &Requested,
) -> Result<Note> {
    let client = Client::new(&NodeSettings::read(config)?, None)?;
    let key = Bytes::new(notes::key(&requested.request))?;
    let found = client.ask(&Question::Find(key), |reply| match reply {
        Reply::Found(peers, _) => Some(peers),
        _ => None,
    })?;
    let neighbours = client.ask(&Question::Neighbours, |reply| match reply {
        Reply::Neighbours(told) => Some(told),
        _ => None,
    })?;
    // The node itself may have it, or know where he is who does.
    let mut asked: Vec<(PeerId, Vec<Multiaddr>)> =
        vec![(client.node().peer, vec![client.node().address.clone()])];
    for peer in found.iter().filter_map(|peer| peer.parse::<PeerId>().ok()) {
        let is_it = |told: PeerId| told == peer;
        let told = neighbours.iter().filter(|one| one.peer.parse().is_ok_and(is_it));
        asked.push((peer, told.filter_map(|one| one.address.parse().ok()).collect()));
    }
    let (subject, hidden) = (&keys.open.offer.scope.subject, requested.scope.as_ref());
    // What cannot be seen is not there.
    let is_there = |note: &Note| names_anchored(venue, subject, hidden, note).unwrap_or(false);
    let (network, until) = (client.network(), Instant::now() + LOOK_TIME_MOST);
    let note = note_of(&network, asked, requested, until, is_there);
    Ok(note.ok_or(BuyerError::NoNote { bought: keys.bought })?)
}
