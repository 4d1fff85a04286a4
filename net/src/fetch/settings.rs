//! What a fetch is told.

use std::time::Duration;

use libp2p::{Multiaddr, PeerId};

use crate::network::KnownPeer;

/// Somebody who may have a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Who.
    pub peer: PeerId,
    /// Where, as far as that is known; else it is looked up.
    pub addresses: Vec<Multiaddr>,
}

impl From<KnownPeer> for Source {
    fn from(KnownPeer { peer, address }: KnownPeer) -> Self {
        Self { peer, addresses: vec![address] }
    }
}

impl From<PeerId> for Source {
    fn from(peer: PeerId) -> Self {
        Self { peer, addresses: Vec::new() }
    }
}

/// How a fetch asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchSettings {
    /// The fetch ends after this, with what it has.
    pub deadline: Duration,
    /// Whether the DHT is asked who has the pack, and where peers are that cannot be reached.
    pub looks_up: bool,
    /// How many fragments more than are needed are fetched: one more shows a wrong encoding.
    pub extra: u8,
    /// The most fragments that are on their way at once.
    pub in_flight: usize,
    /// The most that are on their way from one peer.
    pub in_flight_per_peer: usize,
    /// The most fragments that are on their way beside those that are still missing, because others
    /// are late. They take memory: as many fragments as are missing and so many more are held.
    pub hedges: usize,
    /// An answer is late after so many times what the middle one of those before took.
    pub late_factor: u32,
    /// It is never late before this.
    pub late_at_least: Duration,
    /// It is late after this while there is none to compare with.
    pub late_at_first: Duration,
}

impl Default for FetchSettings {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(60),
            looks_up: true,
            extra: 0,
            in_flight: 48,
            in_flight_per_peer: 2,
            hedges: 8,
            late_factor: 2,
            late_at_least: Duration::from_millis(50),
            late_at_first: Duration::from_millis(500),
        }
    }
}
