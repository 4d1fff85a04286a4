//! How this node is reached, and how it reaches others that cannot be dialled.
//!
//! A connection through a relay is for the first words: both sides try at once to make a direct one, and
//! close it soon after that is there. Questions wait for this; where it fails, small ones go through the relay.

use std::time::{Duration, Instant};

use libp2p::core::ConnectedPoint;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::ConnectionId;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId, StreamProtocol, identify, kad, relay};

use super::Driver;
use crate::network::handle::NetworkEvent;
use crate::network::probe::candidates;
use crate::network::reachable::is_relayed;
use crate::network::settings::Reachable;

/// How long a direct connection may take to take the place of one through a relay. Later it still does.
const PUNCHING: Duration = Duration::from_secs(8);
/// How long a connection through a relay stays beside a direct one.
const GRACE: Duration = Duration::from_millis(500);
/// The same as long as nothing was heard of what the peer listens to.
const LONGEST_GRACE: Duration = Duration::from_secs(5);
/// So many attempts that fail are enough to know before that time.
const ATTEMPTS: u32 = 3;
/// So many addresses of a peer are dialled that came through a relay.
const DIALLED_BACK: usize = 4;
/// How long is waited for others to try whether this node can be dialled before relays are asked.
const PROBING: Duration = Duration::from_secs(20);

/// A connection with a neighbour.
pub(super) struct Connection {
    /// Where the neighbour is.
    pub(super) address: Multiaddr,
    pub(super) is_relayed: bool,
    /// Whether this node dialled it.
    is_own: bool,
}

/// Attempts to make a direct connection.
pub(super) struct Punching {
    until: Instant,
    /// How many dials failed.
    failed: u32,
    /// Whether no hole will be punched.
    is_over: bool,
    back: DialBack,
}

impl Punching {
    /// Whether nothing is to be waited for any more.
    fn is_hopeless(&self) -> bool {
        (self.is_over || self.failed >= ATTEMPTS) && self.back == DialBack::No
    }
}

/// Whether who was reached through a relay dials whom it was reached by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DialBack {
    /// The peer may; it says nothing of that.
    ByPeer,
    /// This node will, once the peer has said where it is.
    Soon,
    /// This node does.
    Now(ConnectionId),
    /// It failed, or there is no address for it.
    No,
}

/// How a peer is reached at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Not at all.
    None,
    /// Through a relay, and that may change.
    Undecided,
    /// Through a relay.
    Relayed,
    /// Directly.
    Direct,
}

impl Driver {
    /// Which way what is sent to a peer goes. Any of its connections may be taken for it, so that a direct
    /// one counts only once those through relays are closed.
    pub(super) fn way_to(&self, peer: &PeerId) -> Way {
        let Some(known) = self.neighbours.get(peer) else { return Way::None };
        let is_relayed = known.connections.values().any(|one| one.is_relayed);
        match (known.is_direct(), is_relayed, &known.punching) {
            (false, false, _) => Way::None,
            (true, false, _) => Way::Direct,
            (true, true, _) | (false, true, Some(_)) => Way::Undecided,
            (false, true, None) => Way::Relayed,
        }
    }

    pub(super) fn is_through_relay(&self, peer: &PeerId, connection: &ConnectionId) -> bool {
        let known = self.neighbours.get(peer);
        known.and_then(|known| known.connections.get(connection)).is_some_and(|one| one.is_relayed)
    }

    pub(super) fn connected(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        endpoint: &ConnectedPoint,
    ) {
        self.redial.connected(&peer);
        self.calling.remove(&peer);
        let listens = self.swarm.listeners().any(|address| !is_relayed(address));
        let known = self.neighbours.entry(peer).or_default();
        let is_first = known.connections.is_empty();
        let (address, is_own) = (endpoint.get_remote_address().clone(), endpoint.is_dialer());
        let is_relayed = endpoint.is_relayed();
        known.connections.insert(connection, Connection { address, is_relayed, is_own });
        if is_relayed && is_first {
            let back = match (is_own, listens) {
                (false, _) => DialBack::Soon,
                (true, true) => DialBack::ByPeer,
                (true, false) => DialBack::No,
            };
            let until = Instant::now() + PUNCHING;
            known.punching = Some(Punching { until, failed: 0, is_over: false, back });
        }
        if known.is_direct() {
            known.punching = None;
            if known.connections.values().any(|one| one.is_relayed)
                && !self.replaced.iter().any(|(replaced, _)| *replaced == peer)
            {
                self.replaced.push((peer, Instant::now()));
            }
        }
        self.relay_is_settled(&peer);
        self.send_questions(&peer);
    }

    /// Closes connections through relays that direct ones took the place of. Not at once: gossipsub says
    /// only once to each peer what is listened to, on whichever connection was there, and it may be on its
    /// way.
    pub(super) fn close_what_is_replaced(&mut self) {
        let now = Instant::now();
        for (peer, since) in std::mem::take(&mut self.replaced) {
            let known = self.neighbours.get(&peer);
            let Some(known) = known.filter(|known| known.is_direct()) else { continue };
            let passed = now.saturating_duration_since(since);
            if passed < GRACE || (!known.is_subscribed && passed < LONGEST_GRACE) {
                self.replaced.push((peer, since));
                continue;
            }
            for (connection, _) in known.connections.iter().filter(|(_, one)| one.is_relayed) {
                self.swarm.close_connection(*connection);
            }
        }
    }

    /// A peer came through a relay: where it can be dialled, that is simpler than to punch holes.
    pub(super) fn dial_back(
        &mut self,
        peer: &PeerId,
        connection: &ConnectionId,
        info: &identify::Info,
    ) {
        let Some(known) = self.neighbours.get(peer) else { return };
        let Some(one) = known.connections.get(connection) else { return };
        if !one.is_relayed || one.is_own || known.is_direct() {
            return;
        }
        let direct = info.listen_addrs.iter().filter(|address| !is_relayed(address));
        let believed = direct.filter(|address| self.reach.believes(address));
        let addresses: Vec<_> = believed.take(DIALLED_BACK).cloned().collect();
        let condition = PeerCondition::Always;
        let dial = DialOpts::peer_id(*peer).addresses(addresses).condition(condition).build();
        let connection = dial.connection_id();
        // Where it fails, as it does without an address, a hole may still be punched.
        let back = match self.swarm.dial(dial) {
            Ok(()) => DialBack::Now(connection),
            Err(_) => DialBack::No,
        };
        self.punching(peer, |punching| punching.back = back);
    }

    /// Something happened to the attempts to make a direct connection; nothing is waited for any more where
    /// that was the last hope.
    fn punching(&mut self, peer: &PeerId, change: impl FnOnce(&mut Punching)) {
        let known = self.neighbours.get_mut(peer);
        let Some(punching) = known.and_then(|known| known.punching.as_mut()) else { return };
        change(punching);
        if punching.is_hopeless() {
            self.stays_relayed(peer);
        }
    }

    /// An attempt to connect with a neighbour failed.
    pub(super) fn no_direct_way(&mut self, peer: &PeerId, connection: ConnectionId) {
        self.punching(peer, |punching| match punching.back == DialBack::Now(connection) {
            true => punching.back = DialBack::No,
            false => punching.failed += 1,
        });
    }

    /// No hole is punched to a peer. It may still dial back, or be dialled.
    pub(super) fn no_hole(&mut self, peer: &PeerId) {
        self.punching(peer, |punching| punching.is_over = true);
    }

    /// No direct connection with a peer was made in time.
    fn stays_relayed(&mut self, peer: &PeerId) {
        if let Some(known) = self.neighbours.get_mut(peer)
            && known.punching.take().is_some()
        {
            self.send_questions(peer);
        }
    }

    pub(super) fn stop_waiting_for_holes(&mut self) {
        let now = Instant::now();
        let is_over = |punching: &Punching| punching.until <= now;
        let known = self.neighbours.iter();
        let over = known.filter(|(_, known)| known.punching.as_ref().is_some_and(is_over));
        let over: Vec<_> = over.map(|(peer, _)| *peer).collect();
        over.iter().for_each(|peer| self.stays_relayed(peer));
    }

    /// This node listens at an address, or a relay does for it.
    pub(super) fn listening(&mut self, mut address: Multiaddr) {
        let own = Protocol::P2p(*self.swarm.local_peer_id());
        if address.iter().last() == Some(own) {
            address.pop();
        }
        let is_dialled = self.reachable == Reachable::Yes && self.reach.believes(&address);
        if is_dialled && !is_relayed(&address) {
            self.swarm.add_external_address(address.clone());
        }
        self.tell(NetworkEvent::Listening(address));
    }

    fn is_direct(&self) -> bool {
        self.swarm.external_addresses().any(|address| !is_relayed(address))
    }

    /// Others can dial this node at an address: one of them did, or a relay keeps a way open.
    pub(super) fn can_be_dialled(&mut self, address: &Multiaddr) {
        if !is_relayed(address) && !self.reach.believes(address) {
            // Who tried it is in the same private network.
            self.swarm.remove_external_address(address);
            return;
        }
        if let Some(probe) = self.swarm.behaviour_mut().probe.as_mut() {
            probe.succeeded(address);
        }
        self.set_lookup_mode();
        // Others are to know the new address.
        self.announcements.peers_were_found(Instant::now());
    }

    /// Only who can be dialled is asked in lookups.
    pub(super) fn set_lookup_mode(&mut self) {
        let can = self.reachable == Reachable::Yes
            || (self.reachable == Reachable::Unknown && self.is_direct());
        let mode = match self.serves_lookups && can {
            true => kad::Mode::Server,
            false => kad::Mode::Client,
        };
        let lookups = &mut self.swarm.behaviour_mut().lookups;
        if lookups.mode() != mode {
            lookups.set_mode(Some(mode));
        }
    }

    /// A peer said where it sees this node. Whom this node dialled is believed enough to try it.
    pub(super) fn seen_from(
        &mut self,
        peer: &PeerId,
        connection: &ConnectionId,
        info: &identify::Info,
    ) {
        let known = self.neighbours.get(peer);
        let one = known.and_then(|known| known.connections.get(connection));
        if self.reachable != Reachable::Unknown
            || !one.is_some_and(|one| one.is_own && !one.is_relayed)
        {
            return;
        }
        let mut found = candidates(&info.observed_addr, self.swarm.listeners());
        found.retain(|address| self.reach.believes(address));
        for address in found {
            let probe = self.swarm.behaviour_mut().probe.as_mut();
            if probe.is_some_and(|probe| probe.propose(&address)) {
                self.swarm.add_external_address(address);
            }
        }
        self.set_lookup_mode();
    }

    /// The last neighbour is gone: this node may be elsewhere when the next is there.
    pub(super) fn forget_where_it_was(&mut self) {
        if self.reachable != Reachable::Unknown {
            return;
        }
        let all = self.swarm.external_addresses().filter(|address| !is_relayed(address));
        let all: Vec<_> = all.cloned().collect();
        for address in all {
            self.swarm.remove_external_address(&address);
        }
        self.set_lookup_mode();
    }

    /// Notes whether a known peer carries for others.
    pub(super) fn learn_of_relay(&mut self, peer: PeerId, protocols: &[StreamProtocol]) {
        match self.redial.direct_address(&peer) {
            Some(address) if protocols.contains(&relay::HOP_PROTOCOL_NAME) => {
                self.relays.offer(peer, address.clone());
                self.ask_relays();
            }
            _ => self.relays.withdraw(&peer),
        }
    }

    /// Has relays keep a way to this node open, where it cannot be dialled. What a relay keeps is left
    /// there until the relay is lost, also when this node turns out to be reachable.
    pub(super) fn ask_relays(&mut self) {
        let needs = match self.reachable {
            Reachable::Yes => false,
            Reachable::No => true,
            Reachable::Unknown => {
                let is_time = self.was_tried_in_vain || self.began.elapsed() >= PROBING;
                is_time && !self.is_direct()
            }
        };
        let now = Instant::now();
        while let Some((relay, circuit)) = self.relays.wanted(now).filter(|_| needs) {
            match self.swarm.listen_on(circuit) {
                Ok(listener) => self.relays.asked(listener, relay),
                Err(_) => self.relays.refused(relay, now),
            }
        }
    }
}
