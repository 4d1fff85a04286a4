//! How bytes get to a peer: by TCP or QUIC, within one process by memory, or through a relay.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{
    Boxed, DialOpts, ListenerId, MemoryTransport, OrTransport, TransportError, TransportEvent,
};
use libp2p::core::upgrade::Version;
use libp2p::{Multiaddr, PeerId, Transport, identity, noise, relay, tcp, yamux};

use super::error::NetworkError;
use super::reachable::{Reach, place};

/// How long a connection may take to be made. Short, so that a known peer that can be reached again is
/// tried again soon; four round trips must fit.
const CONNECTING: Duration = Duration::from_secs(5);
/// The same through a relay, which may have to be connected with first.
const CONNECTING_THROUGH_RELAY: Duration = Duration::from_secs(10);
/// What a peer may send by QUIC before it is read: of one connection, and of one of its streams. Enough
/// for its quota at a tenth of a second from end to end.
#[cfg(feature = "quic")]
const QUIC_WINDOW: (u32, u32) = (4 << 20, 2 << 20);
/// So many addresses that were asked for are remembered.
const MOST_ASKED: usize = 1_024;

/// A peer that was authenticated, and the streams with it.
type Link = (PeerId, StreamMuxerBox);

/// The ways to others, and the part of a node that asks relays for them.
pub(super) fn ways(
    key: &identity::Keypair,
    reach: Reach,
    named: Named,
) -> Result<(Boxed<Link>, relay::client::Behaviour), NetworkError> {
    let noise = noise::Config::new(key).map_err(|error| NetworkError::Setup(error.to_string()))?;
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(noise.clone())
        .multiplex(yamux::Config::default())
        .timeout(CONNECTING)
        .boxed();
    // For nodes of one process, as simulations have them.
    let memory = MemoryTransport::default()
        .upgrade(Version::V1Lazy)
        .authenticate(noise.clone())
        .multiplex(yamux::Config::default())
        .timeout(CONNECTING)
        .boxed();
    let direct = either(tcp, memory);
    #[cfg(feature = "quic")]
    let direct = either(direct, quic(key));
    let (relayed, client) = relay::client::new(key.public().to_peer_id());
    let relayed = relayed
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(yamux::Config::default())
        .timeout(CONNECTING_THROUGH_RELAY)
        .boxed();
    // First, because the others take such an address for that of the relay.
    let all = Believing { inner: either(relayed, direct), reach, named };
    Ok((all.boxed(), client))
}

#[cfg(feature = "quic")]
fn quic(key: &identity::Keypair) -> Boxed<Link> {
    let mut config = libp2p::quic::Config::new(key);
    config.handshake_timeout = CONNECTING;
    (config.max_connection_data, config.max_stream_data) = QUIC_WINDOW;
    libp2p::quic::tokio::Transport::new(config)
        .map(|(peer, streams), _| (peer, StreamMuxerBox::new(streams)))
        .boxed()
}

fn either(first: Boxed<Link>, second: Boxed<Link>) -> Boxed<Link> {
    OrTransport::new(first, second).map(|link, _| link.into_inner()).boxed()
}

/// The addresses that the owner of this node named, in its configuration or with a request. They are
/// dialled wherever they are.
#[derive(Debug, Clone, Default)]
pub(super) struct Named(Arc<RwLock<Places>>);

#[derive(Debug, Default)]
struct Places {
    known: HashSet<Multiaddr>,
    asked: VecDeque<Multiaddr>,
}

impl Named {
    /// Names the address of a known peer.
    pub(super) fn know(&self, address: &Multiaddr) {
        let mut places = self.0.write().unwrap_or_else(PoisonError::into_inner);
        places.known.insert(place(address));
    }

    /// Names the address of a request; the oldest is forgotten for it.
    pub(super) fn ask(&self, address: &Multiaddr) {
        if self.contains(address) {
            return;
        }
        let mut places = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if places.asked.len() >= MOST_ASKED {
            places.asked.pop_front();
        }
        places.asked.push_back(place(address));
    }

    fn contains(&self, address: &Multiaddr) -> bool {
        let places = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let place = place(address);
        places.known.contains(&place) || places.asked.contains(&place)
    }
}

/// Dials nothing inside the networks of this node that only others named: in an answer to a lookup, to
/// have a hole punched, or to be tried.
struct Believing {
    inner: Boxed<Link>,
    reach: Reach,
    named: Named,
}

impl Transport for Believing {
    type Output = Link;
    type Error = io::Error;
    type ListenerUpgrade = <Boxed<Link> as Transport>::ListenerUpgrade;
    type Dial = <Boxed<Link> as Transport>::Dial;

    fn listen_on(
        &mut self,
        listener: ListenerId,
        address: Multiaddr,
    ) -> Result<(), TransportError<io::Error>> {
        self.inner.listen_on(listener, address)
    }

    fn remove_listener(&mut self, listener: ListenerId) -> bool {
        self.inner.remove_listener(listener)
    }

    fn dial(
        &mut self,
        address: Multiaddr,
        options: DialOpts,
    ) -> Result<Self::Dial, TransportError<io::Error>> {
        if self.reach.believes(&address) || self.named.contains(&address) {
            return self.inner.dial(address, options);
        }
        let problem = "an address of a private network that only others named";
        Err(TransportError::Other(io::Error::new(io::ErrorKind::PermissionDenied, problem)))
    }

    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        Pin::new(&mut self.inner).poll(context)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use libp2p::core::Endpoint;
    use libp2p::core::transport::PortUse;

    use super::*;
    use crate::network::identity::NetworkKey;

    #[test]
    fn private_addresses_are_dialled_where_the_owner_named_them() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let (key, named) = (NetworkKey::from_seed([1; 32]), Named::default());
        let (mut ways, _client) = ways(key.keypair(), Reach::new(false), named.clone()).unwrap();
        let mut is_dialled = |text: &str| {
            let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
            ways.dial(text.parse().unwrap(), options).is_ok()
        };
        let (known, asked) = ("/ip4/127.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/1");
        let relayed = format!("{known}/p2p/{0}/p2p-circuit/p2p/{0}", PeerId::random());
        assert!(is_dialled("/ip4/8.8.8.8/tcp/1"));
        assert!(!is_dialled(known) && !is_dialled(asked) && !is_dialled(&relayed));
        named.know(&known.parse().unwrap());
        named.ask(&asked.parse().unwrap());
        assert!(is_dialled(known) && is_dialled(asked) && is_dialled(&relayed));
        for port in 2..=MOST_ASKED + 1 {
            named.ask(&format!("/ip4/10.0.0.1/tcp/{port}").parse().unwrap());
        }
        assert!(!is_dialled(asked), "the oldest is forgotten");
        assert!(is_dialled(known));
    }
}
