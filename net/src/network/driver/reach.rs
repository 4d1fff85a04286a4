//! How this node is reached, and how it reaches others that cannot be dialled.
//!
//! A connection through a relay is for the first words: both sides try at once to make a direct one, and
//! close it when that is there. Questions wait for this; where it fails, small ones go through the relay.

use std::time::{Duration, Instant};

use libp2p::core::ConnectedPoint;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError};
use libp2p::{Multiaddr, PeerId, StreamProtocol, identify, kad, relay};

use super::Driver;
use crate::network::error::RequestError;
use crate::network::handle::NetworkEvent;
use crate::network::probe::candidates;
use crate::network::reachable::is_relayed;
use crate::network::settings::Reachable;

/// How long a direct connection may take to take the place of one through a relay. Later it still does.
const PUNCHING: Duration = Duration::from_secs(8);
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
    is_relayed: bool,
    /// Whether this node dialled it.
    is_own: bool,
}

/// A connection that is made for questions.
pub(super) struct Call {
    connection: ConnectionId,
    is_through_relays: bool,
}

/// Attempts to make a direct connection.
pub(super) struct Punching {
    until: Instant,
    failed: u32,
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
    pub(super) fn way_to(&self, peer: &PeerId) -> Way {
        let Some(known) = self.neighbours.get(peer) else { return Way::None };
        let mut connections = known.connections.values();
        match (known.connections.is_empty(), &known.punching) {
            (true, _) => Way::None,
            (false, _) if connections.any(|one| !one.is_relayed) => Way::Direct,
            (false, Some(_)) => Way::Undecided,
            (false, None) => Way::Relayed,
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
        let known = self.neighbours.entry(peer).or_default();
        let is_first = known.connections.is_empty();
        let (address, is_own) = (endpoint.get_remote_address().clone(), endpoint.is_dialer());
        let is_relayed = endpoint.is_relayed();
        known.connections.insert(connection, Connection { address, is_relayed, is_own });
        match is_relayed {
            true if is_first => {
                known.punching = Some(Punching { until: Instant::now() + PUNCHING, failed: 0 });
            }
            true => {}
            false => {
                known.punching = None;
                let relayed = known.connections.iter().filter(|(_, one)| one.is_relayed);
                let relayed: Vec<_> = relayed.map(|(connection, _)| *connection).collect();
                for connection in relayed {
                    self.swarm.close_connection(connection);
                }
            }
        }
        self.send_questions(&peer);
    }

    /// Connects with a peer that questions wait for.
    pub(super) fn call(&mut self, peer: &PeerId) {
        if self.calling.contains_key(peer) {
            return;
        }
        if let Some(first) = self.questions.first(peer) {
            let addresses = first.addresses.clone();
            self.call_at(peer, addresses, false);
        }
    }

    fn call_at(&mut self, peer: &PeerId, addresses: Vec<Multiaddr>, is_through_relays: bool) {
        let dial = DialOpts::peer_id(*peer)
            .addresses(addresses)
            .extend_addresses_through_behaviour()
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .build();
        let connection = dial.connection_id();
        match self.swarm.dial(dial) {
            Ok(()) => drop(self.calling.insert(*peer, Call { connection, is_through_relays })),
            // It is being dialled; what comes of that is heard.
            Err(DialError::DialPeerConditionFalse(_)) => {}
            Err(_) if is_through_relays => self.give_up(peer),
            Err(_) => self.call_through_relays(peer),
        }
    }

    /// Seeks a peer at the relays that this node knows: one that cannot be dialled may be known there.
    fn call_through_relays(&mut self, peer: &PeerId) {
        match self.relays.circuits() {
            none if none.is_empty() => self.give_up(peer),
            circuits => self.call_at(peer, circuits, true),
        }
    }

    /// Dialling a peer failed that is not connected.
    pub(super) fn not_reached(&mut self, peer: &PeerId, connection: ConnectionId) {
        match self.calling.get(peer) {
            Some(call) if call.connection == connection => {
                let is_through_relays = call.is_through_relays;
                self.calling.remove(peer);
                match is_through_relays {
                    true => self.give_up(peer),
                    false => self.call_through_relays(peer),
                }
            }
            // Others dialled it at other addresses.
            Some(_) => {}
            None => self.call(peer),
        }
    }

    fn give_up(&mut self, peer: &PeerId) {
        for question in self.questions.clear(peer) {
            drop(question.answer.send(Err(RequestError::Unreachable(*peer))));
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
        if !one.is_relayed || one.is_own || self.way_to(peer) == Way::Direct {
            return;
        }
        let direct = info.listen_addrs.iter().filter(|address| !is_relayed(address));
        let believed = direct.filter(|address| self.reach.believes(address));
        let addresses: Vec<_> = believed.take(DIALLED_BACK).cloned().collect();
        if !addresses.is_empty() {
            let condition = PeerCondition::Always;
            let dial = DialOpts::peer_id(*peer).addresses(addresses).condition(condition);
            // Where it fails, a hole may still be punched.
            drop(self.swarm.dial(dial.build()));
        }
    }

    /// An attempt to connect with a neighbour failed.
    pub(super) fn no_direct_way(&mut self, peer: &PeerId) {
        let known = self.neighbours.get_mut(peer);
        if let Some(punching) = known.and_then(|known| known.punching.as_mut()) {
            punching.failed += 1;
            if punching.failed >= ATTEMPTS {
                self.no_hole(peer);
            }
        }
    }

    /// No direct connection with a peer could be made.
    pub(super) fn no_hole(&mut self, peer: &PeerId) {
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
        over.iter().for_each(|peer| self.no_hole(peer));
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
