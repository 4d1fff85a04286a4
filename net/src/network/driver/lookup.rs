//! What all peers together are asked: who has what, and who is near.

use std::collections::HashSet;
use std::time::Instant;

use libp2p::PeerId;
use libp2p::kad::store::RecordStore as _;
use libp2p::kad::{self, QueryId, RecordKey};
use tokio::sync::oneshot;

use super::Driver;
use crate::network::handle::Found;
use crate::network::settings::KnownPeer;
use crate::network::standing::Offence;

/// Keys are multihashes of SHA-256: its number, its length, the hash.
const KEY_PREFIX: [u8; 2] = [0x12, 32];
const KEY_BYTES: usize = 34;

/// What a lookup goes by: the multihash of a SHA-256. Whoever announces anything else is taken for a liar.
#[must_use]
pub fn lookup_key(digest: &[u8; 32]) -> Vec<u8> {
    [&KEY_PREFIX[..], digest].concat()
}

/// Whether a key is one that lookups go by.
pub(super) fn is_lookup_key(key: &[u8]) -> bool {
    key.len() == KEY_BYTES && key.starts_with(&KEY_PREFIX)
}

/// A lookup that goes on.
pub(super) enum Lookup {
    Find { found: HashSet<PeerId>, answer: oneshot::Sender<Found> },
    Closest(oneshot::Sender<Vec<KnownPeer>>),
}

impl Lookup {
    pub(super) fn find(answer: oneshot::Sender<Found>) -> Self {
        Self::Find { found: HashSet::new(), answer }
    }
}

impl Driver {
    pub(super) fn announce_what_is_due(&mut self) {
        while let Some(key) = self.announcements.take(Instant::now()) {
            // What is refused is that there are too many; they are found by being asked, then.
            drop(self.swarm.behaviour_mut().lookups.start_providing(RecordKey::from(key)));
        }
    }

    pub(super) fn lookup_event(&mut self, event: kad::Event) {
        match event {
            kad::Event::InboundRequest {
                request: kad::InboundRequest::AddProvider { record: Some(mut record) },
            } => {
                let key = record.key.as_ref();
                if !is_lookup_key(key) {
                    return self.offend(record.provider, Offence::Lie);
                }
                let reach = self.reach;
                record.addresses.retain(|address| reach.believes(address));
                // What finds no room is not kept; others keep it.
                drop(self.swarm.behaviour_mut().lookups.store_mut().add_provider(record));
            }
            kad::Event::RoutingUpdated { is_new_peer: true, .. } => {
                let lookups = &mut self.swarm.behaviour_mut().lookups;
                let peers: usize = lookups.kbuckets().map(|bucket| bucket.num_entries()).sum();
                if peers <= kad::K_VALUE.get() {
                    self.announcements.peers_were_found(Instant::now());
                }
            }
            kad::Event::OutboundQueryProgressed { id, result, step, stats } => {
                let requests = stats.num_requests();
                self.lookup_progress(id, result, step.last.then_some(requests));
            }
            _ => {}
        }
    }

    /// Takes in what a lookup found; with its last result, how many requests it made.
    fn lookup_progress(&mut self, id: QueryId, result: kad::QueryResult, ended: Option<u32>) {
        if let kad::QueryResult::GetProviders(Ok(kad::GetProvidersOk::FoundProviders {
            providers,
            ..
        })) = &result
            && let Some(Lookup::Find { found, .. }) = self.lookups.get_mut(&id)
        {
            found.extend(providers);
        }
        let Some(requests) = ended else { return };
        // Who asked may have given up.
        match self.lookups.remove(&id) {
            Some(Lookup::Find { found, answer }) => {
                drop(answer.send(Found { peers: found.into_iter().collect(), requests }));
            }
            Some(Lookup::Closest(answer)) => {
                let peers = match result {
                    kad::QueryResult::GetClosestPeers(Ok(found)) => found.peers,
                    kad::QueryResult::GetClosestPeers(Err(
                        kad::GetClosestPeersError::Timeout { peers, .. },
                    )) => peers,
                    _ => Vec::new(),
                };
                let known = peers.into_iter().filter_map(|info| {
                    let address = info.addrs.into_iter().next()?;
                    Some(KnownPeer { peer: info.peer_id, address })
                });
                drop(answer.send(known.collect()));
            }
            None => {}
        }
    }
}
