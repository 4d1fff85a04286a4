//! Connections between nodes, and what is said over them.
//!
//! A [`Network`] runs beside its owner, on threads of its own or in a runtime. The owner tells it what to do by a [`NetworkHandle`],
//! which never waits, and hears of what happened by a channel. Four things are said:
//!
//! - **gossip**: messages for everybody who follows a [`Topic`]. They are forwarded only after the
//!   owner said by [`NetworkHandle::judge`] that they are good;
//! - **notes**: messages to one neighbour, without an answer;
//! - **requests**: questions to one peer, answered by its [`Service`];
//! - **lookups**: who announced that it has something, by Kademlia.
//!
//! A node that cannot be dialled is reached through a relay at first and directly where a hole can be
//! punched ([`Reachable`], [`RelayLimits`]).
//!
//! What comes in is bounded three times: by the size of one message before it is read, by the bytes
//! of all peers that are not yet handled ([`NetworkLimits::inbound_bytes`]), and by the rate of each
//! peer. Who sends what no honest node sends is sent away for a while.

mod announce;
mod behaviour;
mod codec;
mod driver;
mod error;
mod gate;
mod handle;
mod identity;
#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]
mod lookup_costs;
mod outbox;
mod probe;
mod providers;
mod quota;
mod reachable;
mod redial;
mod relays;
mod settings;
mod standing;
mod transport;

pub use behaviour::{RELAYED_BYTES, REQUEST_BYTES, RESPONSE_BYTES};
pub use driver::lookup::lookup_key;
pub use error::{AddressError, NetworkError, RequestError};
pub use handle::{
    Found, GossipId, Neighbour, Network, NetworkEvent, NetworkHandle, Room, Service, Topic,
    Unanswerable, Verdict,
};
pub use identity::NetworkKey;
pub use libp2p::{Multiaddr, PeerId};
pub use settings::{KnownPeer, NetworkLimits, NetworkSettings, Reachable, RelayLimits};
