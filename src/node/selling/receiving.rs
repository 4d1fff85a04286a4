//! Receiving what the node's account bought into its database.

use std::time::{Duration, Instant};

use chronolith_chain::hash::RequestId;
use chronolith_chain::ledger::RightStatus;
use chronolith_engine::Durability;
use futures::executor::block_on;

use super::{Runner, SellingEvent};
use crate::buyer::peers::{Peers, Way, note_from};
use crate::buyer::{BuyerError, Received, keys, receive};
use crate::market::MarketError;
use crate::market::note::Note;
use crate::market::notes::key;
use crate::market::purse::Requested;
use crate::market::queue::{Entry, Side};

/// Where the database remembers what it received: the request, and how many chunks.
const NAMESPACE: &str = "market-received";

/// The longest time between two looks for more of a right.
const LOOK_LONGEST: Duration = Duration::from_secs(600);

/// When to look again for a right of which there was nothing new: each time after twice as long as the last
/// time, so that what comes soon is here soon, and what is all here costs the network little.
pub(super) struct Look {
    at: Instant,
    wait: Duration,
}

impl Look {
    fn first() -> Self {
        Self { at: Instant::now(), wait: Duration::from_millis(500) }
    }

    fn is_time(&self) -> bool {
        Instant::now() >= self.at
    }

    fn put_off(&mut self) {
        self.at = Instant::now() + self.wait;
        self.wait = (self.wait * 2).min(LOOK_LONGEST);
    }
}

impl Runner {
    /// Receives what was granted and is not here yet, or not all of it. One that fails keeps no other.
    pub(super) fn receive(&mut self) -> Result<(), BuyerError> {
        let mut first = Ok(());
        for Entry { request, right } in self.desk.rights(Side::Bought)? {
            let is_granted =
                matches!(right.status, RightStatus::Granted { .. } | RightStatus::Settled { .. });
            let is_time = self.looks.get(&request).is_none_or(Look::is_time);
            if !is_granted || !is_time || self.stop.is_told() {
                continue;
            }
            // What failed is tried again in the next round.
            match self.receive_one(request) {
                Ok(true) => drop(self.looks.remove(&request)),
                Ok(false) => self.looks.entry(request).or_insert_with(Look::first).put_off(),
                Err(error) => first = first.and(Err(error)),
            }
        }
        first
    }

    /// Whether there was anything new, and all of it was taken.
    fn receive_one(&self, request: RequestId) -> Result<bool, BuyerError> {
        let trade = self.desk.trade();
        let Ok(requested) = trade.purse.request(request) else {
            // It was asked for elsewhere, where the secret is.
            return Ok(false);
        };
        let Some(note) = self.note_of(&requested)? else { return Ok(false) };
        let chunks = note.chunks.iter().filter(|told| told.pack.is_some()).count();
        let before = trade.db.state(NAMESPACE, &request.0);
        let before = before.and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
        if chunks == 0 || before.is_some_and(|before| before >= chunks as u64) {
            return Ok(false);
        }
        let received = self.fetch(&requested, &note)?;
        let Received { chunks: had, records, refused, .. } = &received;
        if refused.is_empty() {
            let mut batch = trade.db.batch();
            batch.put_state(NAMESPACE, &request.0, &(*had as u64).to_le_bytes());
            trade.db.write(&batch, Durability::Synced)?;
            self.desk.status_mut().received += 1;
        }
        let (chunks, records, refused) = (*had, *records, refused.len());
        (self.tell)(SellingEvent::Received { request, chunks, records, refused });
        Ok(refused == 0)
    }

    /// The note, from its owner or whoever announced that he has it; none where nobody does yet.
    fn note_of(&self, requested: &Requested) -> Result<Option<Note>, BuyerError> {
        let request = requested.request;
        let Some(network) = self.link.network() else { return Ok(None) };
        let found = block_on(network.find(key(&request)));
        let mut sealed = found.peers.iter().map(|peer| note_from(&network, *peer, &[], request));
        let Some(sealed) = sealed.find_map(|note| note) else { return Ok(None) };
        let note = Note::open(&sealed, requested.chain, request, &requested.secret);
        Ok(Some(note.map_err(MarketError::from)?))
    }

    fn fetch(&self, requested: &Requested, note: &Note) -> Result<Received, BuyerError> {
        let db = &self.desk.trade().db;
        let network = self.link.network();
        let mut peers = Peers(|_| {
            let network = network.clone().ok_or("the node is beginning or ending")?;
            Ok(Way { network, holders: Vec::new(), kept: None })
        });
        self.desk.with_venue(|venue| {
            // Both errors are told, and neither is of the connection alone.
            let keys = match keys(venue, requested) {
                Ok(keys) => keys,
                Err(error) => return Ok(Err(error)),
            };
            Ok(receive(venue, requested, &keys, note, &mut peers, db))
        })?
    }
}
