//! Finding out whether this node can be dialled: peers are asked to dial it, by AutoNAT version 2.
//!
//! The library tries every address that any neighbour says it sees. Trying costs this node up to
//! 100 kB and a peer a connection, so that strangers could have many made. Here only those addresses are
//! tried that peers tell whom this node dialled itself, and not many of them.

use std::collections::HashMap;
use std::task::{Context, Poll};

use libp2p::autonat::v2::client;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NewExternalAddrCandidate,
    THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};

/// So many are tried in the life of a node.
const MOST: usize = 32;

/// Has addresses of this node tried.
#[derive(Default)]
pub(super) struct Probe {
    client: client::Behaviour,
    /// What was tried or will be, and whether this node could be dialled there.
    tried: HashMap<Multiaddr, bool>,
}

impl Probe {
    /// Has an address tried, unless it was; whether this node could be dialled there before.
    pub(super) fn propose(&mut self, address: &Multiaddr) -> bool {
        if let Some(could) = self.tried.get(address) {
            return *could;
        }
        if self.tried.len() < MOST {
            self.tried.insert(address.clone(), false);
            let candidate = NewExternalAddrCandidate { addr: address };
            self.client.on_swarm_event(FromSwarm::NewExternalAddrCandidate(candidate));
        }
        false
    }

    /// This node was dialled at an address.
    pub(super) fn succeeded(&mut self, address: &Multiaddr) {
        if let Some(could) = self.tried.get_mut(address) {
            *could = true;
        }
    }
}

/// Where this node may be dialled: where it listens, at the IP address at which a peer sees it.
pub(super) fn candidates<'a>(
    observed: &Multiaddr,
    listening: impl Iterator<Item = &'a Multiaddr>,
) -> Vec<Multiaddr> {
    let Some(seen @ (Protocol::Ip4(_) | Protocol::Ip6(_))) = observed.iter().next() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for address in listening {
        let mut parts = address.iter();
        let is_same_family = matches!(
            (parts.next(), &seen),
            (Some(Protocol::Ip4(_)), Protocol::Ip4(_)) | (Some(Protocol::Ip6(_)), Protocol::Ip6(_))
        );
        let rest: Vec<_> = parts.collect();
        let is_direct = !rest.contains(&Protocol::P2pCircuit);
        let candidate: Multiaddr = std::iter::once(seen.clone()).chain(rest).collect();
        if is_same_family && is_direct && !found.contains(&candidate) {
            found.push(candidate);
        }
    }
    found
}

impl NetworkBehaviour for Probe {
    type ConnectionHandler = <client::Behaviour as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = client::Event;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.client.handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.client.handle_established_outbound_connection(connection, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        if !matches!(event, FromSwarm::NewExternalAddrCandidate(_)) {
            self.client.on_swarm_event(event);
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.client.on_connection_handler_event(peer, connection, event);
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<ToSwarm<client::Event, THandlerInEvent<Self>>> {
        self.client.poll(context)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    #[test]
    fn a_node_may_be_dialled_where_it_listens_at_the_address_that_others_see() {
        let peer = PeerId::random();
        let listening: Vec<Multiaddr> = [
            "/ip4/127.0.0.1/tcp/4100".to_owned(),
            "/ip4/192.168.1.7/tcp/4100".to_owned(),
            "/ip4/192.168.1.7/udp/4100/quic-v1".to_owned(),
            "/ip6/fd00::1/tcp/4100".to_owned(),
            format!("/ip4/8.8.8.8/tcp/1/p2p/{peer}/p2p-circuit"),
        ]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
        let of = |observed: &str| -> Vec<String> {
            let found = candidates(&observed.parse().unwrap(), listening.iter());
            found.iter().map(ToString::to_string).collect()
        };
        let expected = ["/ip4/9.9.9.9/tcp/4100", "/ip4/9.9.9.9/udp/4100/quic-v1"];
        assert_eq!(of("/ip4/9.9.9.9/tcp/51234"), expected);
        assert_eq!(of("/ip6/2606:4700::1/tcp/1"), ["/ip6/2606:4700::1/tcp/4100"]);
        assert_eq!(of(&format!("/p2p/{peer}")), [""; 0]);
    }

    #[test]
    fn so_many_addresses_are_tried_and_what_succeeded_is_remembered() {
        let mut probe = Probe::default();
        let address = |port: usize| format!("/ip4/9.9.9.9/tcp/{port}").parse().unwrap();
        for port in 1..=2 * MOST {
            assert!(!probe.propose(&address(port)));
        }
        assert_eq!(probe.tried.len(), MOST);
        probe.succeeded(&address(1));
        assert!(probe.propose(&address(1)) && !probe.propose(&address(2)));
        probe.succeeded(&address(2 * MOST));
        assert!(!probe.propose(&address(2 * MOST)), "it was never tried");
    }
}
