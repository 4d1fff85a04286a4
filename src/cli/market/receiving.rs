//! `chronolith market receive`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::Bytes;
use chronolith_chain::hash::RequestId;
use chronolith_net::exchange::{Question, Reply};
use chronolith_net::network::{Multiaddr, PeerId};
use clap::Args;
use serde_json::{Value, json};

use super::RequestArgs;
use super::subscribing::bought;
use crate::buyer::peers::{Peers, Way, note_from};
use crate::buyer::source::CarFile;
use crate::buyer::{BuyerError, Keys, Received, dispute, keys, receive};
use crate::cli::Outcome;
use crate::cli::chain::print_fields;
use crate::cli::database::DatabaseArgs;
use crate::cli::fetch::Seeker;
use crate::cli::output::say;
use crate::market::note::{NOTE_BYTES_MAX, Note};
use crate::market::purse::Requested;
use crate::market::{Venue, notes};
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

    /// Where a key is wrong, show the ledger: the payment comes back
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
        let keys = keys(&venue, bought, &requested)?;
        let note = self.note(&requested)?;
        let db = self.database.write()?;
        let received = match &self.car {
            Some(car) => receive(&venue, &requested, &keys, &note, &mut CarFile(car), &db)?,
            None => {
                let config = self.request.acting.venue.config.as_deref();
                let config = config.context("give --car FILE, or a node with --config FILE")?;
                let mut peers =
                    Peers(|pack| way(config, pack).map_err(|error| format!("{error:#}")));
                receive(&venue, &requested, &keys, &note, &mut peers, &db)?
            }
        };
        db.close()?;
        let disputed = match self.dispute {
            true => self.dispute(&mut venue, &requested, &keys, &note, &received)?,
            false => None,
        };
        self.print(&keys, &received, disputed)
    }

    fn note(&self, requested: &Requested) -> Result<Note> {
        let sealed = match (&self.note, &self.request.acting.venue.config) {
            (Some(file), _) => {
                let read = || format!("cannot read {}", file.display());
                let length = fs::metadata(file).with_context(read)?.len();
                if length > NOTE_BYTES_MAX as u64 {
                    bail!("{} has {length} bytes, which no note has", file.display());
                }
                fs::read(file).with_context(read)?
            }
            (None, Some(config)) => note_from_peers(config, requested.request)?,
            (None, None) => {
                bail!("give the owner's note with --note FILE, or a node with --config")
            }
        };
        Ok(Note::open(&sealed, requested.chain, requested.request, &requested.secret)?)
    }

    fn dispute(
        &self,
        venue: &mut Venue,
        requested: &Requested,
        keys: &Keys,
        note: &Note,
        received: &Received,
    ) -> Result<Option<Value>> {
        let Some(dispute) = dispute::of(requested, keys, note, received) else { return Ok(None) };
        let buyer = self.request.acting.party.key()?;
        let bought = bought(&self.request, self.period)?;
        let done = dispute::hand_in(venue, &buyer, bought, &keys.right, dispute)?;
        Ok(Some(json!({"height": done.height})))
    }

    fn print(&self, keys: &Keys, received: &Received, disputed: Option<Value>) -> Result<Outcome> {
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
            shown["disputed"] = json!(disputed);
            let told = refused.iter();
            let told = told.map(|one| json!({"chunk": one.at, "why": one.fault.to_string()}));
            shown["refused"] = told.collect();
        }
        print_fields(self.request.acting.json, &shown)?;
        if !self.request.acting.json {
            if let Err(error) = &keys.grant {
                say!("{error}");
            }
            for one in refused {
                say!("chunk {} of the note: {}", one.at, one.fault);
            }
        }
        Ok(if refused.is_empty() { Outcome::Done } else { Outcome::Rejected })
    }
}

/// The way to those who keep a pack, by a node that is asked for them.
fn way(config: &Path, pack: ContentId) -> Result<Way> {
    let seeker = Seeker::new(Some(config), &[], None, pack)?;
    let (network, holders) = (seeker.network(), seeker.sources().to_vec());
    Ok(Way { network, holders, kept: Some(Box::new(seeker)) })
}

/// Asks whoever announced the note of a request for it.
fn note_from_peers(config: &Path, request: RequestId) -> Result<Vec<u8>> {
    let client = Client::new(&NodeSettings::read(config)?, None)?;
    let key = Bytes::new(notes::key(&request))?;
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
    let network = client.network();
    let mut notes = asked.iter().map(|(peer, at)| note_from(&network, *peer, at, request));
    Ok(notes.find_map(|note| note).ok_or(BuyerError::NoNote { request })?)
}
