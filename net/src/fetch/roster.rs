//! Who may have what.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use libp2p::{Multiaddr, PeerId};

use super::settings::Source;

/// The most peers that one fetch asks.
pub(super) const SOURCES_MOST: usize = 256;
/// So many exchanges with one peer may break before it is given up: a peer that has too much to do
/// breaks one off.
const BROKEN_MOST: u8 = 3;

/// Somebody who may have fragments.
#[derive(Debug, Default)]
struct Peer {
    /// Its place in the order in which peers were named.
    number: usize,
    addresses: Vec<Multiaddr>,
    /// What it says that it keeps.
    held: Option<BTreeSet<u8>>,
    /// How long its last answer took.
    latency: Option<Duration>,
    in_flight: usize,
    broken: u8,
    /// It is not asked any more.
    is_out: bool,
}

/// All who may have fragments.
#[derive(Debug, Default)]
pub(super) struct Roster {
    peers: BTreeMap<PeerId, Peer>,
    per_peer: usize,
}

impl Roster {
    pub(super) fn new(per_peer: usize) -> Self {
        Self { peers: BTreeMap::new(), per_peer: per_peer.max(1) }
    }

    /// Adds a peer, or an address of one that is there; whether it is new.
    pub(super) fn add(&mut self, source: Source) -> bool {
        let number = self.peers.len();
        let is_new = !self.peers.contains_key(&source.peer);
        if is_new && number >= SOURCES_MOST {
            return false;
        }
        let fresh = || Peer { number, ..Peer::default() };
        let peer = self.peers.entry(source.peer).or_insert_with(fresh);
        for address in source.addresses {
            if !peer.addresses.contains(&address) {
                peer.addresses.push(address);
            }
        }
        is_new
    }

    pub(super) fn addresses(&self, peer: &PeerId) -> Vec<Multiaddr> {
        self.peers.get(peer).map(|known| known.addresses.clone()).unwrap_or_default()
    }

    /// Those that are asked, in the order in which they were named.
    pub(super) fn peers(&self) -> Vec<PeerId> {
        let mut all: Vec<_> = self.peers.iter().filter(|(_, peer)| !peer.is_out).collect();
        all.sort_by_key(|(_, peer)| peer.number);
        all.into_iter().map(|(id, _)| *id).collect()
    }

    pub(super) fn is_out(&self, peer: &PeerId) -> bool {
        self.peers.get(peer).is_none_or(|known| known.is_out)
    }

    pub(super) fn give_up(&mut self, peer: &PeerId) {
        if let Some(known) = self.peers.get_mut(peer) {
            known.is_out = true;
        }
    }

    /// An exchange broke; whether that is one too many.
    pub(super) fn broke(&mut self, peer: &PeerId) -> bool {
        let Some(known) = self.peers.get_mut(peer) else { return true };
        known.broken = known.broken.saturating_add(1);
        known.is_out |= known.broken >= BROKEN_MOST;
        known.is_out
    }

    pub(super) fn holds(&mut self, peer: &PeerId, held: BTreeSet<u8>) {
        if let Some(known) = self.peers.get_mut(peer) {
            known.held = Some(held);
        }
    }

    /// It is not known any more what a peer keeps.
    pub(super) fn forget(&mut self, peer: &PeerId) {
        if let Some(known) = self.peers.get_mut(peer) {
            known.held = None;
        }
    }

    /// A peer does not give a fragment that it said it keeps.
    pub(super) fn deny(&mut self, peer: &PeerId, fragment: u8) {
        if let Some(held) = self.peers.get_mut(peer).and_then(|known| known.held.as_mut()) {
            held.remove(&fragment);
        }
    }

    pub(super) fn sent(&mut self, peer: &PeerId) {
        if let Some(known) = self.peers.get_mut(peer) {
            known.in_flight += 1;
        }
    }

    pub(super) fn landed(&mut self, peer: &PeerId) {
        if let Some(known) = self.peers.get_mut(peer) {
            known.in_flight = known.in_flight.saturating_sub(1);
        }
    }

    pub(super) fn answered(&mut self, peer: &PeerId, took: Duration) {
        if let Some(known) = self.peers.get_mut(peer) {
            known.latency = Some(took);
        }
    }

    /// Who has a fragment, of those that are asked.
    pub(super) fn holders(&self, fragment: u8) -> impl Iterator<Item = PeerId> + '_ {
        let holds = move |known: &Peer| {
            !known.is_out && known.held.as_ref().is_some_and(|held| held.contains(&fragment))
        };
        self.peers.iter().filter(move |(_, known)| holds(known)).map(|(peer, _)| *peer)
    }

    /// Whether another fragment may be on its way from a peer.
    pub(super) fn has_room(&self, peer: &PeerId) -> bool {
        self.peers.get(peer).is_some_and(|known| known.in_flight < self.per_peer)
    }

    /// Who is asked first: who has least to do, then who was fastest, then who was named first.
    pub(super) fn rank(&self, peer: &PeerId) -> (usize, Duration, usize) {
        self.peers.get(peer).map_or((usize::MAX, Duration::MAX, usize::MAX), |known| {
            (known.in_flight, known.latency.unwrap_or(Duration::MAX), known.number)
        })
    }

    /// Whether a peer said that it keeps something.
    pub(super) fn has_some(&self, peer: &PeerId) -> bool {
        let held = self.peers.get(peer).and_then(|known| known.held.as_ref());
        held.is_some_and(|held| !held.is_empty())
    }
}
