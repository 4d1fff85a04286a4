//! What a network is told at its beginning.

use std::path::PathBuf;
use std::time::Duration;

use chronolith_chain::hash::ChainId;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

use super::error::AddressError;
use super::identity::NetworkKey;
use super::reachable::{is_circuit, is_relayed};

/// A peer whose address is known beforehand. It is dialled until it answers, again whenever the
/// connection is lost, and it is never refused for want of room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPeer {
    /// Who it is.
    pub peer: PeerId,
    /// Where it is, without its identity.
    pub address: Multiaddr,
}

impl std::str::FromStr for KnownPeer {
    type Err = AddressError;

    /// Reads an address that ends with the peer's identity: `/ip4/192.0.2.1/tcp/4001/p2p/12D3…`, or
    /// through a relay `/ip4/192.0.2.1/tcp/4001/p2p/RELAY/p2p-circuit/p2p/12D3…`.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let mut address: Multiaddr = text
            .parse()
            .map_err(|reason| AddressError::Malformed { address: text.to_owned(), reason })?;
        match address.pop() {
            Some(Protocol::P2p(peer)) if !address.is_empty() => {
                if is_relayed(&address) && !is_circuit(&address) {
                    return Err(AddressError::WithoutRelay { address: text.to_owned() });
                }
                Ok(Self { peer, address })
            }
            _ => Err(AddressError::WithoutPeer { address: text.to_owned() }),
        }
    }
}

impl KnownPeer {
    /// Whether the address is that of every machine for itself (`0.0.0.0`, `::`), which nobody else can
    /// dial.
    #[must_use]
    pub fn is_unspecified(&self) -> bool {
        self.address.iter().any(|part| match part {
            Protocol::Ip4(address) => address.is_unspecified(),
            Protocol::Ip6(address) => address.is_unspecified(),
            _ => false,
        })
    }
}

impl std::fmt::Display for KnownPeer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/p2p/{}", self.address, self.peer)
    }
}

/// What a network begins with.
#[derive(Debug, Clone)]
pub struct NetworkSettings {
    /// Who this node is to its peers.
    pub key: NetworkKey,
    /// The chain that is spoken of: its id is part of every protocol's name, so that nodes of two
    /// chains never take each other's messages.
    pub chain: ChainId,
    /// Where to listen, by TCP or QUIC; nowhere for a node that only dials.
    pub listen: Vec<Multiaddr>,
    /// Peers to keep a connection with.
    pub known: Vec<KnownPeer>,
    /// Whether others may ask this node in lookups, as long as it can be dialled. Off for those who
    /// only pass by.
    pub serves_lookups: bool,
    /// Whether this node can be dialled.
    pub reachable: Reachable,
    /// How much this node carries between others of whom one cannot be dialled; nothing where there
    /// is none.
    pub relay: Option<RelayLimits>,
    /// Whether addresses of this machine and of private networks are believed; on where all peers
    /// are in one such network.
    pub allows_private_addresses: bool,
    /// Where announcements of others are kept between runs; in memory only where there is none.
    pub directory: Option<PathBuf>,
    /// How much is taken from whom.
    pub limits: NetworkLimits,
}

impl NetworkSettings {
    /// Settings of a node that neither listens nor knows anybody.
    #[must_use]
    pub fn new(key: NetworkKey, chain: ChainId) -> Self {
        Self {
            key,
            chain,
            listen: Vec::new(),
            known: Vec::new(),
            serves_lookups: true,
            reachable: Reachable::Yes,
            relay: None,
            allows_private_addresses: false,
            directory: None,
            limits: NetworkLimits::default(),
        }
    }
}

/// Whether a node can be dialled where it listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reachable {
    /// Who runs it says so.
    #[default]
    Yes,
    /// It cannot: it has known peers that are relays keep a way to it open.
    No,
    /// Nobody knows. Peers are asked to dial it; until one could, it is as one that cannot be dialled.
    Unknown,
}

/// How much a node carries between others of whom one cannot be dialled. It is meant for the first
/// words between them, and for the little that those say who find no direct way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayLimits {
    /// The most peers that a way is kept open to.
    pub reservations: usize,
    /// How long a way is kept open until the peer asks again.
    pub reservation_time: Duration,
    /// The most connections that are carried at once.
    pub circuits: usize,
    /// The most of them that one peer begins; at least one.
    pub circuits_per_peer: usize,
    /// The most bytes of one connection, both directions together.
    pub circuit_bytes: u64,
    /// How long one connection may last.
    pub circuit_time: Duration,
}

impl Default for RelayLimits {
    fn default() -> Self {
        Self {
            reservations: 64,
            reservation_time: Duration::from_secs(3_600),
            circuits: 32,
            circuits_per_peer: 4,
            circuit_bytes: 128 << 10,
            circuit_time: Duration::from_secs(120),
        }
    }
}

/// How much is taken from whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkLimits {
    /// The most connections that others opened. Known peers do not count.
    pub connections: u32,
    /// The most connections with one peer: one may lead through a relay, a direct one is to take its
    /// place, and one may be dialled by the peer to try whether this node can be dialled.
    pub connections_per_peer: u32,
    /// The most connections, opened or being opened, from one IPv4 address or IPv6 /64 network.
    pub connections_per_source: u32,
    /// The most connections of others that are still shaking hands.
    pub pending: u32,
    /// The most connections that this node is opening at once, on its own or on others' behalf.
    /// Known peers do not count.
    pub dialling: u32,
    /// The most bytes of messages that have arrived, or were announced and are arriving, and are
    /// not handled yet.
    pub inbound_bytes: usize,
    /// How many bytes a second one peer may send in the long run; it may save up for ten seconds.
    pub peer_bytes_per_second: u64,
    /// How many messages and requests a second one peer may send in the long run; it may save up for
    /// ten seconds.
    pub peer_messages_per_second: u64,
    /// How long an answer is waited for, and how long a message may take to arrive.
    pub request_timeout: Duration,
    /// New connections are refused while the process holds more memory than this.
    pub process_bytes: usize,
}

impl Default for NetworkLimits {
    fn default() -> Self {
        Self {
            connections: 256,
            connections_per_peer: 4,
            connections_per_source: 32,
            pending: 64,
            dialling: 256,
            inbound_bytes: 128 << 20,
            peer_bytes_per_second: 32 << 20,
            peer_messages_per_second: 5_000,
            request_timeout: Duration::from_secs(10),
            process_bytes: 4 << 30,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    const PEER: &str = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

    #[test]
    fn peers_behind_a_relay_are_read_where_the_relay_is_named() {
        let text = format!("/ip4/192.0.2.1/tcp/4001/p2p/{PEER}/p2p-circuit/p2p/{PEER}");
        let known: KnownPeer = text.parse().unwrap();
        assert_eq!(known.to_string(), text);
        for text in [
            format!("/ip4/192.0.2.1/tcp/4001/p2p-circuit/p2p/{PEER}"),
            format!("/p2p/{PEER}/p2p-circuit/p2p/{PEER}"),
            format!("/ip4/192.0.2.1/tcp/4001/p2p/{PEER}/p2p-circuit/p2p-circuit/p2p/{PEER}"),
        ] {
            let error = text.parse::<KnownPeer>().unwrap_err().to_string();
            assert!(error.contains("relay"), "{error}");
        }
    }

    #[test]
    fn known_peers_are_read_and_what_is_missing_is_named() {
        let text = format!("/ip4/192.0.2.1/tcp/4001/p2p/{PEER}");
        let known: KnownPeer = text.parse().unwrap();
        assert_eq!(known.to_string(), text);
        for text in ["", "/ip4/192.0.2.1/tcp/4001", "192.0.2.1:4001", &format!("/p2p/{PEER}")] {
            let error = text.parse::<KnownPeer>().unwrap_err().to_string();
            assert!(error.contains("/ip4/"), "{error}");
        }
        assert!(!known.is_unspecified());
        let everywhere: KnownPeer = format!("/ip4/0.0.0.0/tcp/1/p2p/{PEER}").parse().unwrap();
        assert!(everywhere.is_unspecified());
    }
}
