//! Connecting with a peer, step by step.
//!
//! A peer is dialled where it was said to be; then through the relays that were named for it; then, where
//! questions wait, at the relays that this node knows. A relay is connected with first and for itself:
//! asked for a way while another attempt to dial it is under way, libp2p gives the way up.

use std::collections::HashSet;
use std::time::Instant;

use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError};
use libp2p::{Multiaddr, PeerId};

use super::{Driver, jitter};
use crate::network::error::RequestError;
use crate::network::reachable::{is_circuit, is_relayed, place};

/// A connection that is being made with a peer.
pub(super) struct Call {
    /// For questions a peer is sought at this node's own relays, too.
    is_for_questions: bool,
    was_sought: bool,
    /// Ways through relays that are not tried yet.
    circuits: Vec<Multiaddr>,
    step: Step,
}

/// What is waited for. Each ends when dialling does, for which the transports have a deadline.
enum Step {
    /// Dialling the peer.
    Dialled(ConnectionId),
    /// Connections with these relays, or the failure to make them.
    Relays(HashSet<PeerId>),
}

/// The relay of an address, where it leads through one.
fn relay_of(address: &Multiaddr) -> Option<PeerId> {
    address.iter().find_map(|part| match part {
        Protocol::P2p(relay) => Some(relay),
        _ => None,
    })
}

impl Driver {
    /// Connects with a peer that questions wait for.
    pub(super) fn call(&mut self, peer: &PeerId) {
        if let Some(first) = self.questions.first(peer) {
            let addresses = first.addresses.clone();
            self.call_at(peer, addresses, true);
        }
    }

    /// Connects with a known peer.
    pub(super) fn call_known(&mut self, peer: &PeerId, addresses: Vec<Multiaddr>) {
        self.call_at(peer, addresses, false);
    }

    fn call_at(&mut self, peer: &PeerId, addresses: Vec<Multiaddr>, is_for_questions: bool) {
        if self.calling.contains_key(peer) {
            return;
        }
        let (mut circuits, direct): (Vec<_>, Vec<_>) = addresses.into_iter().partition(is_relayed);
        circuits.retain(is_circuit);
        let is_hidden = direct.is_empty() && !circuits.is_empty();
        let step = Step::Relays(HashSet::new());
        let call = Call { is_for_questions, was_sought: false, circuits, step };
        match is_hidden {
            true => self.call_relays(peer, call),
            false => self.dial_for_call(peer, direct, call),
        }
    }

    fn dial_for_call(&mut self, peer: &PeerId, addresses: Vec<Multiaddr>, mut call: Call) {
        let dial = DialOpts::peer_id(*peer)
            .addresses(addresses)
            .extend_addresses_through_behaviour()
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .build();
        call.step = Step::Dialled(dial.connection_id());
        match self.swarm.dial(dial) {
            Ok(()) => drop(self.calling.insert(*peer, call)),
            // It is being dialled or is there; what comes of that is heard.
            Err(DialError::DialPeerConditionFalse(_)) => {}
            Err(_) => self.call_on(peer, call),
        }
    }

    /// Connects with the relays that a peer is said to be behind.
    fn call_relays(&mut self, peer: &PeerId, mut call: Call) {
        let mut waits_for = HashSet::new();
        for circuit in &call.circuits {
            if let Some(relay) = relay_of(circuit)
                && self.is_dialled(relay, place(circuit))
            {
                waits_for.insert(relay);
            }
        }
        let is_ready = waits_for.is_empty();
        call.step = Step::Relays(waits_for);
        match is_ready {
            true => self.call_through(peer, call),
            false => drop(self.calling.insert(*peer, call)),
        }
    }

    /// Dials a relay that is not connected; whether something will be heard of that.
    fn is_dialled(&mut self, relay: PeerId, address: Multiaddr) -> bool {
        if self.swarm.is_connected(&relay) {
            return false;
        }
        let condition = PeerCondition::DisconnectedAndNotDialing;
        let dial = DialOpts::peer_id(relay).addresses(vec![address]).condition(condition);
        matches!(self.swarm.dial(dial.build()), Ok(()) | Err(DialError::DialPeerConditionFalse(_)))
    }

    /// It is known of a peer whether it can be connected with: others are dialled through it who wait.
    pub(super) fn relay_is_settled(&mut self, relay: &PeerId) {
        let mut ready = Vec::new();
        for (peer, call) in &mut self.calling {
            if let Step::Relays(waits_for) = &mut call.step
                && waits_for.remove(relay)
                && waits_for.is_empty()
            {
                ready.push(*peer);
            }
        }
        for peer in ready {
            if let Some(call) = self.calling.remove(&peer) {
                self.call_through(&peer, call);
            }
        }
    }

    /// Dials a peer through those of its relays that are connected.
    fn call_through(&mut self, peer: &PeerId, mut call: Call) {
        let mut circuits = std::mem::take(&mut call.circuits);
        let is_there = |relay| self.swarm.is_connected(&relay);
        circuits.retain(|circuit| relay_of(circuit).is_some_and(is_there));
        match circuits.is_empty() {
            true => self.call_on(peer, call),
            false => self.dial_for_call(peer, circuits, call),
        }
    }

    /// A step of a call failed.
    fn call_on(&mut self, peer: &PeerId, mut call: Call) {
        if !call.circuits.is_empty() {
            return self.call_relays(peer, call);
        }
        if call.is_for_questions && !std::mem::replace(&mut call.was_sought, true) {
            let circuits = self.relays.circuits();
            if !circuits.is_empty() {
                return self.dial_for_call(peer, circuits, call);
            }
        }
        self.redial.lost(peer, jitter(), Instant::now());
        match call.is_for_questions {
            true => self.give_up(peer),
            // There may be some by now, and they may name other places.
            false => self.call(peer),
        }
    }

    /// Dialling a peer failed that is not connected.
    pub(super) fn not_reached(&mut self, peer: &PeerId, connection: ConnectionId) {
        match self.calling.get(peer).map(|call| &call.step) {
            Some(Step::Dialled(dialled)) if *dialled == connection => {
                if let Some(call) = self.calling.remove(peer) {
                    self.call_on(peer, call);
                }
            }
            // Others dialled it, at other addresses.
            Some(_) => {}
            None => {
                self.redial.lost(peer, jitter(), Instant::now());
                self.call(peer);
            }
        }
        self.relay_is_settled(peer);
    }

    fn give_up(&mut self, peer: &PeerId) {
        for question in self.questions.clear(peer) {
            drop(question.answer.send(Err(RequestError::Unreachable(*peer))));
        }
    }
}
