//! Who may connect: not who is sent away, and not too many from one place.

use std::collections::{HashMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::net::IpAddr;
use std::task::{Context, Poll, Waker};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{
    CloseConnection, ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm, ListenFailure,
    NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

use super::reachable::is_relayed;

/// Why a connection is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Denied {
    #[error("peer {0} is sent away for a while")]
    Banished(PeerId),
    #[error("{0} connections from one place are enough")]
    Source(u32),
}

/// Where a connection comes from, as far as somebody pays for it: an IPv4 address, or the 64 bits
/// of an IPv6 address that one customer of a network gets. What comes through a relay may be from
/// anywhere, so that the relay counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    V4([u8; 4]),
    V6([u8; 8]),
    Relay(PeerId),
}

fn source(local: &Multiaddr, remote: &Multiaddr) -> Option<Source> {
    if is_relayed(local) {
        return local.iter().find_map(|part| match part {
            Protocol::P2p(relay) => Some(Source::Relay(relay)),
            _ => None,
        });
    }
    let of = |address: IpAddr| match address.to_canonical() {
        IpAddr::V4(address) => Source::V4(address.octets()),
        IpAddr::V6(address) => {
            let mut network = [0; 8];
            network.copy_from_slice(&address.octets()[..8]);
            Source::V6(network)
        }
    };
    remote.iter().find_map(|part| match part {
        Protocol::Ip4(address) => Some(of(address.into())),
        Protocol::Ip6(address) => Some(of(address.into())),
        _ => None,
    })
}

/// Lets connections in, or not.
#[derive(Debug)]
pub(super) struct Gate {
    per_source: u32,
    banished: HashSet<PeerId>,
    sources: HashMap<Source, u32>,
    /// Connections of others, with where they come from.
    inbound: HashMap<ConnectionId, Source>,
    closing: VecDeque<PeerId>,
    waker: Option<Waker>,
}

impl Gate {
    pub(super) fn new(per_source: u32) -> Self {
        Self {
            per_source,
            banished: HashSet::new(),
            sources: HashMap::new(),
            inbound: HashMap::new(),
            closing: VecDeque::new(),
            waker: None,
        }
    }

    /// Closes all connections with a peer, and refuses new ones until it is readmitted.
    pub(super) fn banish(&mut self, peer: PeerId) {
        self.banished.insert(peer);
        self.closing.push_back(peer);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Lets those in again that `is_over` is true of.
    pub(super) fn readmit(&mut self, is_over: impl Fn(&PeerId) -> bool) {
        self.banished.retain(|peer| !is_over(peer));
    }

    fn check(&self, peer: PeerId) -> Result<(), ConnectionDenied> {
        match self.banished.contains(&peer) {
            true => Err(ConnectionDenied::new(Denied::Banished(peer))),
            false => Ok(()),
        }
    }

    fn forget(&mut self, connection: &ConnectionId) {
        if let Some(source) = self.inbound.remove(connection)
            && let Some(count) = self.sources.get_mut(&source)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.sources.remove(&source);
            }
        }
    }
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let Some(source) = source(local, remote) else { return Ok(()) };
        let count = self.sources.entry(source).or_default();
        if *count >= self.per_source {
            return Err(ConnectionDenied::new(Denied::Source(self.per_source)));
        }
        *count += 1;
        self.inbound.insert(connection, source);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.check(peer).map(|()| dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        peer.map_or(Ok(()), |peer| self.check(peer)).map(|()| Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.check(peer).map(|()| dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ListenFailure(ListenFailure { connection_id, .. })
            | FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. }) => {
                self.forget(&connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        if let Some(peer_id) = self.closing.pop_front() {
            let connection = CloseConnection::All;
            return Poll::Ready(ToSwarm::CloseConnection { peer_id, connection });
        }
        self.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    fn knock(gate: &mut Gate, number: usize, address: &str) -> bool {
        let connection = ConnectionId::new_unchecked(number);
        let address: Multiaddr = address.parse().unwrap();
        let local = "/ip4/198.51.100.1/tcp/1".parse().unwrap();
        gate.handle_pending_inbound_connection(connection, &local, &address).is_ok()
    }

    #[test]
    fn quic_counts_as_tcp_does_and_relays_count_for_whom_they_carry() {
        let mut gate = Gate::new(2);
        assert!(knock(&mut gate, 1, "/ip4/192.0.2.1/tcp/1"));
        assert!(knock(&mut gate, 2, "/ip4/192.0.2.1/udp/2/quic-v1"));
        assert!(!knock(&mut gate, 3, "/ip4/192.0.2.1/udp/3/quic-v1"));
        let mut through = |number, relay: PeerId| {
            let connection = ConnectionId::new_unchecked(number);
            let local = format!("/ip4/192.0.2.1/tcp/1/p2p/{relay}/p2p-circuit").parse().unwrap();
            let remote = format!("/p2p/{}", PeerId::random()).parse().unwrap();
            gate.handle_pending_inbound_connection(connection, &local, &remote).is_ok()
        };
        let (first, second) = (PeerId::random(), PeerId::random());
        assert!(through(4, first) && through(5, first));
        assert!(!through(6, first));
        assert!(through(7, second));
    }

    #[test]
    fn one_place_gets_so_many_connections_and_ended_ones_make_room() {
        let mut gate = Gate::new(2);
        assert!(knock(&mut gate, 1, "/ip4/192.0.2.1/tcp/1"));
        assert!(knock(&mut gate, 2, "/ip6/::ffff:192.0.2.1/tcp/2"));
        assert!(!knock(&mut gate, 3, "/ip4/192.0.2.1/tcp/3"));
        assert!(knock(&mut gate, 4, "/ip4/192.0.2.2/tcp/3"));
        assert!(knock(&mut gate, 5, "/ip6/2001:db8::1/tcp/3"));
        assert!(knock(&mut gate, 6, "/ip6/2001:db8::1:1/tcp/3"));
        assert!(!knock(&mut gate, 7, "/ip6/2001:db8::2/tcp/3"));
        gate.forget(&ConnectionId::new_unchecked(3));
        assert!(!knock(&mut gate, 8, "/ip4/192.0.2.1/tcp/3"), "a refused one took no room");
        gate.forget(&ConnectionId::new_unchecked(1));
        assert!(knock(&mut gate, 9, "/ip4/192.0.2.1/tcp/3"));
    }
}
