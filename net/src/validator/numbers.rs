//! Numbers for peers: the chain counts its neighbours and knows nothing of networks.

use std::collections::HashMap;

use chronolith_chain::consensus::message::PeerId as Number;
use libp2p::PeerId;

/// Which number each connected peer has. Numbers are not used again.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    numbers: HashMap<PeerId, Number>,
    peers: HashMap<Number, PeerId>,
    next: u64,
}

impl Numbers {
    /// The number of a peer, a new one if it has none.
    pub(super) fn of(&mut self, peer: PeerId) -> Number {
        if let Some(number) = self.numbers.get(&peer) {
            return *number;
        }
        let number = Number(self.next);
        self.next += 1;
        self.numbers.insert(peer, number);
        self.peers.insert(number, peer);
        number
    }

    pub(super) fn remove(&mut self, peer: &PeerId) -> Option<Number> {
        let number = self.numbers.remove(peer)?;
        self.peers.remove(&number);
        Some(number)
    }

    pub(super) fn peer(&self, number: Number) -> Option<PeerId> {
        self.peers.get(&number).copied()
    }

    pub(super) fn peers(&self) -> impl Iterator<Item = &PeerId> {
        self.numbers.keys()
    }
}
