//! Which addresses of others are believed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

/// Which addresses that others tell are believed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    allows_private: bool,
}

impl Reach {
    pub(super) const fn new(allows_private: bool) -> Self {
        Self { allows_private }
    }

    pub(super) fn believes(self, address: &Multiaddr) -> bool {
        self.allows_private || is_public(address)
    }
}

/// Whether an address may be somebody's who is elsewhere: not of this machine, of a private network
/// or of no network at all. An address that a stranger names is dialled by others; a stranger who
/// could name any would have them knock at doors inside their own networks.
fn is_public(address: &Multiaddr) -> bool {
    let mut parts = address.iter();
    let is_public = match parts.next() {
        Some(Protocol::Ip4(address)) => is_public_ip(address.into()),
        Some(Protocol::Ip6(address)) => is_public_ip(address.into()),
        _ => false,
    };
    let has_port = matches!(parts.next(), Some(Protocol::Tcp(1..) | Protocol::Udp(1..)));
    is_public && has_port && (!is_relayed(address) || is_circuit(address))
}

/// Whether an address leads through a relay.
pub(super) fn is_relayed(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::P2pCircuit)
}

/// Whether an address leads through one relay that it names and says where to find: the place of the
/// relay, its identity, and the circuit, after which the peer's identity may follow.
pub(super) fn is_circuit(address: &Multiaddr) -> bool {
    let mut parts = address.iter().skip_while(|part| !matches!(part, Protocol::P2p(_)));
    !matches!(address.iter().next(), None | Some(Protocol::P2p(_)))
        && parts.next().is_some()
        && parts.next() == Some(Protocol::P2pCircuit)
        && matches!((parts.next(), parts.next()), (None | Some(Protocol::P2p(_)), None))
}

/// The place of an address: what comes before identities. Of one through a relay, that of the relay.
pub(super) fn place(address: &Multiaddr) -> Multiaddr {
    address.iter().take_while(|part| !matches!(part, Protocol::P2p(_))).collect()
}

fn is_public_ip(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    // RFC 6598: between a provider and its customers. 0/8 and 240/4 name nobody.
    let is_shared = first == 100 && second & 0xc0 == 64;
    !(address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || is_shared
        || first == 0
        || first >= 240)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // 2000::/3 is what is given out; within it 2001:db8::/32 is for books.
    let [first, second, ..] = address.segments();
    first & 0xe000 == 0x2000 && !(first == 0x2001 && second == 0xdb8)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    const PEER: &str = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

    #[test]
    fn an_address_through_a_relay_is_where_the_relay_is() {
        let is = |text: &str| is_public(&text.parse().unwrap());
        let relay = format!("/ip4/8.8.8.8/tcp/1/p2p/{PEER}");
        assert!(is(&format!("{relay}/p2p-circuit")));
        assert!(is(&format!("{relay}/p2p-circuit/p2p/{PEER}")));
        for text in [
            format!("/ip4/10.0.0.1/tcp/1/p2p/{PEER}/p2p-circuit/p2p/{PEER}"),
            format!("/ip4/8.8.8.8/tcp/1/p2p-circuit/p2p/{PEER}"),
            format!("/p2p/{PEER}/p2p-circuit/p2p/{PEER}"),
            format!("{relay}/p2p-circuit/ip4/10.0.0.1/tcp/1"),
            format!("{relay}/p2p-circuit/p2p/{PEER}/p2p-circuit"),
        ] {
            assert!(!is(&text), "{text}");
        }
        let place_of = |text: String| place(&text.parse().unwrap()).to_string();
        assert_eq!(place_of(format!("{relay}/p2p-circuit/p2p/{PEER}")), "/ip4/8.8.8.8/tcp/1");
    }

    #[test]
    fn addresses_inside_networks_are_told_from_those_outside() {
        let is = |text: &str| is_public(&text.parse().unwrap());
        for text in ["/ip4/8.8.8.8/tcp/1", "/ip6/2606:4700::1/udp/4001/quic-v1"] {
            assert!(is(text), "{text}");
        }
        for text in [
            "/ip4/127.0.0.1/tcp/1",
            "/ip4/10.1.2.3/tcp/1",
            "/ip4/172.16.0.1/tcp/1",
            "/ip4/192.168.1.1/tcp/1",
            "/ip4/169.254.169.254/tcp/80",
            "/ip4/100.64.0.1/tcp/1",
            "/ip4/0.0.0.0/tcp/1",
            "/ip4/224.0.0.1/tcp/1",
            "/ip4/255.255.255.255/tcp/1",
            "/ip6/::1/tcp/1",
            "/ip6/fe80::1/tcp/1",
            "/ip6/fd00::1/tcp/1",
            "/ip6/::ffff:10.0.0.1/tcp/1",
            "/ip4/8.8.8.8/tcp/0",
            "/ip4/8.8.8.8",
            "/dns4/example.org/tcp/1",
        ] {
            assert!(!is(text), "{text}");
        }
    }
}
