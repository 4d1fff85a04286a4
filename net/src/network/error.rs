//! What can go wrong on the way to others.

use std::io;

use libp2p::{Multiaddr, PeerId};

/// An address cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It is none.
    #[error(
        "{address:?} is no address: {reason}; write one like /ip4/192.0.2.1/tcp/4001/p2p/12D3Koo…"
    )]
    Malformed {
        /// What was given.
        address: String,
        /// Why not.
        reason: libp2p::multiaddr::Error,
    },
    /// It does not say who is there.
    #[error(
        "the address {address:?} does not end with the peer's identity, as \
         /ip4/192.0.2.1/tcp/4001/p2p/12D3Koo… does"
    )]
    WithoutPeer {
        /// What was given.
        address: String,
    },
    /// It leads through a relay, and does not say through which.
    #[error(
        "the address {address:?} leads through a relay that it does not name, as \
         /ip4/192.0.2.1/tcp/4001/p2p/RELAY/p2p-circuit/p2p/12D3Koo… does"
    )]
    WithoutRelay {
        /// What was given.
        address: String,
    },
}

/// A network cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// Its threads cannot be started.
    #[error("cannot start the threads of the network: {0}")]
    Threads(#[source] io::Error),
    /// It cannot listen.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// Where.
        address: Multiaddr,
        /// Why not.
        reason: String,
    },
    /// Its parts refuse the settings.
    #[error("cannot set up the network: {0}")]
    Setup(String),
    /// What was announced before cannot be read or kept.
    #[error("cannot keep announcements of others: {0}")]
    Announcements(#[source] io::Error),
}

/// A request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The peer cannot be reached.
    #[error("peer {0} cannot be reached")]
    Unreachable(PeerId),
    /// It did not answer in time.
    #[error("peer {0} did not answer in time")]
    TimedOut(PeerId),
    /// It does not speak this protocol: it has another chain or another role.
    #[error("peer {0} does not serve this: it may have another chain or another role")]
    Unsupported(PeerId),
    /// It ended the exchange, refused it, or broke the rules of the protocol.
    #[error("peer {peer} gave no answer: {reason}")]
    Broken {
        /// Who.
        peer: PeerId,
        /// What happened.
        reason: String,
    },
    /// The request is larger than any peer takes.
    #[error("a request of {bytes} bytes; at most {most} are sent")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        most: usize,
    },
    /// The peer is behind a relay, no direct connection with it could be made, and a relay carries
    /// too little for this.
    #[error(
        "peer {peer} is reached through a relay alone, for at most {most} bytes at once; no direct \
         connection with it could be made"
    )]
    Relayed {
        /// Who.
        peer: PeerId,
        /// The largest request and the largest answer through a relay.
        most: usize,
    },
    /// The network was stopped.
    #[error("the network was stopped")]
    Stopped,
}
