//! Which relays keep a way open to this node.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

/// So many relays are enough.
const ENOUGH: usize = 2;
/// A relay that refused, or that ended it, is asked again after this: thirty times an hour are served.
const REST: Duration = Duration::from_secs(120);

/// So many relays are asked for a peer of which nothing else is known.
const MOST_SOUGHT: usize = 4;

fn circuit(relay: PeerId, address: &Multiaddr) -> Multiaddr {
    address.clone().with(Protocol::P2p(relay)).with(Protocol::P2pCircuit)
}

/// Known peers that are relays, and what they were asked for.
#[derive(Debug, Default)]
pub(super) struct Relays {
    offers: HashMap<PeerId, Multiaddr>,
    held: HashMap<ListenerId, PeerId>,
    resting: HashMap<PeerId, Instant>,
}

impl Relays {
    /// A known peer that this node is connected with is a relay, and is at an address.
    pub(super) fn offer(&mut self, relay: PeerId, address: Multiaddr) {
        if self.offers.insert(relay, address).is_none() {
            self.resting.remove(&relay);
        }
    }

    /// A peer is not connected any more, or no relay.
    pub(super) fn withdraw(&mut self, relay: &PeerId) {
        self.offers.remove(relay);
    }

    /// Where peers may be that are known to relays, without their identity.
    pub(super) fn circuits(&self) -> Vec<Multiaddr> {
        self.offers
            .iter()
            .take(MOST_SOUGHT)
            .map(|(relay, address)| circuit(*relay, address))
            .collect()
    }

    /// The next relay to ask, and the address to listen at, where there are not enough.
    pub(super) fn wanted(&self, now: Instant) -> Option<(PeerId, Multiaddr)> {
        if self.held.len() >= ENOUGH {
            return None;
        }
        let rests = |relay: &PeerId| self.resting.get(relay).is_some_and(|until| now < *until);
        let is_held = |relay: &PeerId| self.held.values().any(|held| held == relay);
        let mut offers = self.offers.iter();
        let found = offers.find(|(relay, _)| !is_held(relay) && !rests(relay))?;
        Some((*found.0, circuit(*found.0, found.1)))
    }

    /// A relay was asked.
    pub(super) fn asked(&mut self, listener: ListenerId, relay: PeerId) {
        self.held.insert(listener, relay);
    }

    /// A relay refused at once.
    pub(super) fn refused(&mut self, relay: PeerId, now: Instant) {
        self.resting.insert(relay, now + REST);
    }

    /// What a relay was asked for is over.
    pub(super) fn ended(&mut self, listener: ListenerId, now: Instant) {
        if let Some(relay) = self.held.remove(&listener) {
            self.refused(relay, now);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    #[test]
    fn two_relays_are_asked_and_another_where_one_ends() {
        let (mut relays, now) = (Relays::default(), Instant::now());
        let address: Multiaddr = "/ip4/192.0.2.1/tcp/1".parse().unwrap();
        assert_eq!(relays.wanted(now), None);
        for _ in 0..3 {
            relays.offer(PeerId::random(), address.clone());
        }
        let listeners = [ListenerId::next(), ListenerId::next()];
        for listener in listeners {
            let (relay, _) = relays.wanted(now).unwrap();
            relays.asked(listener, relay);
        }
        assert_eq!(relays.wanted(now), None);
        let ended = relays.held[&listeners[0]];
        relays.ended(listeners[0], now);
        let (third, _) = relays.wanted(now).unwrap();
        assert_ne!(third, ended);
        relays.asked(ListenerId::next(), third);
        assert_eq!(relays.wanted(now + REST), None);
    }

    #[test]
    fn who_refused_rests_unless_it_comes_back() {
        let (mut relays, now) = (Relays::default(), Instant::now());
        let (relay, address) = (PeerId::random(), "/ip4/192.0.2.1/tcp/1".parse::<Multiaddr>());
        let address = address.unwrap();
        relays.offer(relay, address.clone());
        relays.refused(relay, now);
        relays.offer(relay, address.clone());
        assert_eq!(relays.wanted(now), None);
        assert!(relays.wanted(now + REST).is_some());
        relays.withdraw(&relay);
        assert_eq!(relays.wanted(now + REST), None);
        relays.offer(relay, address);
        assert!(relays.wanted(now).is_some());
    }
}
