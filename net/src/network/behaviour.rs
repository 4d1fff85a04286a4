//! The parts of libp2p that a node runs, and how each is set up.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use chronolith_chain::consensus::message::MAX_MESSAGE_BYTES;
use chronolith_disk::RealDisk;
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{
    StreamProtocol, autonat, dcutr, gossipsub, identify, kad, memory_connection_limits, ping, relay,
};
use sha2::{Digest as _, Sha256};

use super::codec::{Frames, InboundBytes};
use super::error::NetworkError;
use super::gate::Gate;
use super::handle::Topic;
use super::probe::Probe;
use super::providers::ProviderStore;
use super::settings::{NetworkSettings, Reachable, RelayLimits};

/// The largest gossip: a message of consensus and its envelope.
pub(super) const GOSSIP_BYTES: usize = MAX_MESSAGE_BYTES + ENVELOPE_BYTES;
/// What stands before gossip, so that saying a thing again is not taken for an echo.
pub(super) const ENVELOPE_BYTES: usize = 8;
/// The largest request in bytes: a fragment to keep, or a question about one.
pub const REQUEST_BYTES: usize = (1 << 20) + (64 << 10);
/// The largest answer in bytes.
pub const RESPONSE_BYTES: usize = REQUEST_BYTES;
/// The largest request, and the largest answer, through a relay, which carries 128 KiB for a connection
/// by default.
pub const RELAYED_BYTES: usize = 32 << 10;
/// A note is acknowledged by this many bytes.
pub(super) const ACKNOWLEDGEMENT_BYTES: usize = 0;

/// Streams of one protocol that one connection may have at once.
const STREAMS: usize = 16;
/// How often a connection is tried, and how long an answer may take: one that died without a word,
/// as in a split network, is noticed in twice this time.
const PING: Duration = Duration::from_secs(5);
/// How long gossip is remembered, so that it is not taken twice.
const GOSSIP_REMEMBERED: Duration = Duration::from_secs(60);
/// Announcements end after this unless they are renewed; [`announce`](super::announce) does so.
const ANNOUNCED_FOR: Duration = Duration::from_secs(24 * 3_600);
/// How often a node looks for peers in all distances, beyond the lookups that it makes anyway.
const LOOKED_AROUND_EVERY: Duration = Duration::from_secs(1_800);

/// What a node runs.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    gate: Gate,
    limits: connection_limits::Behaviour,
    memory: memory_connection_limits::Behaviour,
    pub(super) identify: identify::Behaviour,
    pub(super) ping: ping::Behaviour,
    pub(super) gossip: gossipsub::Behaviour,
    pub(super) notes: request_response::Behaviour<Frames>,
    pub(super) requests: request_response::Behaviour<Frames>,
    pub(super) lookups: kad::Behaviour<ProviderStore>,
    /// Asks relays for ways to others and to this node.
    pub(super) relayed: relay::client::Behaviour,
    /// Makes connections through a relay direct ones.
    pub(super) punch: dcutr::Behaviour,
    /// Carries between others.
    pub(super) relay: Toggle<relay::Behaviour>,
    /// Has others try whether this node can be dialled.
    pub(super) probe: Toggle<Probe>,
    /// Tries it for others.
    pub(super) tries: Toggle<autonat::v2::server::Behaviour>,
}

/// The names of a chain's protocols.
pub(super) struct Names {
    prefix: String,
}

impl Names {
    pub(super) fn new(settings: &NetworkSettings) -> Self {
        let chain = settings.chain.0.iter().take(8);
        let chain: String = chain.map(|byte| format!("{byte:02x}")).collect();
        Self { prefix: format!("/chronolith/{chain}") }
    }

    fn protocol(&self, name: &str) -> Result<StreamProtocol, NetworkError> {
        StreamProtocol::try_from_owned(format!("{}/{name}/1", self.prefix))
            .map_err(|error| NetworkError::Setup(error.to_string()))
    }

    /// What nodes of this chain say of themselves.
    pub(super) fn version(&self) -> String {
        format!("{}/1", self.prefix)
    }

    pub(super) fn lookups(&self) -> Result<StreamProtocol, NetworkError> {
        self.protocol("lookup")
    }

    pub(super) fn topic(&self, topic: Topic) -> gossipsub::IdentTopic {
        gossipsub::IdentTopic::new(format!("{}/{}", self.prefix, topic.name()))
    }
}

impl Behaviour {
    pub(super) fn new(
        settings: &NetworkSettings,
        names: &Names,
        inbound: &Arc<InboundBytes>,
        relayed: relay::client::Behaviour,
    ) -> Result<Self, NetworkError> {
        let (limits, own) = (&settings.limits, settings.key.peer());
        let keypair = settings.key.keypair();
        let connections = ConnectionLimits::default()
            .with_max_pending_incoming(Some(limits.pending))
            .with_max_pending_outgoing(Some(limits.dialling))
            .with_max_established_incoming(Some(limits.connections))
            .with_max_established_per_peer(Some(limits.connections_per_peer));
        let mut connections = connection_limits::Behaviour::new(connections);
        for known in &settings.known {
            connections.bypass_peer_id(&known.peer);
        }
        let agent = concat!("chronolith/", env!("CARGO_PKG_VERSION")).to_owned();
        let identify = identify::Config::new(names.version(), keypair.public())
            .with_agent_version(agent)
            .with_push_listen_addr_updates(true)
            .with_cache_size(0);
        let exchange = |name, request_bytes, response_bytes| {
            let frames = Frames { request_bytes, response_bytes, inbound: Arc::clone(inbound) };
            let config = request_response::Config::default()
                .with_request_timeout(limits.request_timeout)
                .with_max_concurrent_streams(STREAMS);
            let protocols = [(names.protocol(name)?, ProtocolSupport::Full)];
            Ok::<_, NetworkError>(request_response::Behaviour::with_codec(
                frames, protocols, config,
            ))
        };
        Ok(Self {
            gate: Gate::new(limits.connections_per_source),
            limits: connections,
            memory: memory_connection_limits::Behaviour::with_max_bytes(limits.process_bytes),
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::new(ping::Config::new().with_interval(PING).with_timeout(PING)),
            gossip: gossip()?,
            notes: exchange("note", MAX_MESSAGE_BYTES, ACKNOWLEDGEMENT_BYTES)?,
            requests: exchange("request", REQUEST_BYTES, RESPONSE_BYTES)?,
            lookups: lookups(settings, names, own)?,
            relayed,
            punch: dcutr::Behaviour::new(own),
            relay: settings.relay.map(|limits| carry(own, limits)).into(),
            probe: (settings.reachable == Reachable::Unknown).then(Probe::default).into(),
            // Who cannot be dialled shares a network with few, and would call them reachable.
            tries: (settings.reachable != Reachable::No && settings.serves_lookups)
                .then(autonat::v2::server::Behaviour::default)
                .into(),
        })
    }

    /// Closes the connections with a peer and takes none from it.
    pub(super) fn banish(&mut self, peer: libp2p::PeerId) {
        self.gate.banish(peer);
    }

    pub(super) fn readmit(&mut self, is_over: impl Fn(&libp2p::PeerId) -> bool) {
        self.gate.readmit(is_over);
    }

    /// Never refuses a peer for want of room from now on.
    pub(super) fn always_admit(&mut self, peer: &libp2p::PeerId) {
        self.limits.bypass_peer_id(peer);
    }
}

/// A relay. It offers itself once it has an address at which it can be dialled. How often one peer and
/// one address may ask is bounded by libp2p: 30 and 60 times an hour.
fn carry(own: libp2p::PeerId, limits: RelayLimits) -> relay::Behaviour {
    let config = relay::Config {
        max_reservations: limits.reservations,
        // Of both, libp2p lets one more through. A way that was lost without a word still counts when
        // the peer is back, so that there may be two.
        max_reservations_per_peer: 1,
        reservation_duration: limits.reservation_time,
        max_circuits: limits.circuits,
        max_circuits_per_peer: limits.circuits_per_peer.saturating_sub(1),
        max_circuit_duration: limits.circuit_time,
        max_circuit_bytes: limits.circuit_bytes,
        ..relay::Config::default()
    };
    relay::Behaviour::new(own, config)
}

fn gossip() -> Result<gossipsub::Behaviour, NetworkError> {
    // What is said is signed where that matters: by validators and accounts, not by who passes it
    // on. Its id is its hash, so that nobody can make two of one or one of two.
    let config = gossipsub::ConfigBuilder::default()
        .validation_mode(gossipsub::ValidationMode::Anonymous)
        .message_id_fn(|message| {
            let hash = Sha256::new()
                .chain_update(message.topic.as_str().as_bytes())
                .chain_update(&message.data)
                .finalize();
            gossipsub::MessageId::from(hash.to_vec())
        })
        .validate_messages()
        .duplicate_cache_time(GOSSIP_REMEMBERED)
        .max_transmit_size(GOSSIP_BYTES + 1_024)
        .heartbeat_interval(Duration::from_millis(500))
        // Consensus waits for what is said: it goes to all neighbours at once.
        .flood_publish(true)
        .build()
        .map_err(|error| NetworkError::Setup(error.to_string()))?;
    let mut gossip = gossipsub::Behaviour::new(gossipsub::MessageAuthenticity::Anonymous, config)
        .map_err(|error| NetworkError::Setup(error.to_owned()))?;
    let scoring = gossipsub::PeerScoreParams {
        // Sources are told apart by the gate; nodes of one house share an address.
        ip_colocation_factor_weight: 0.0,
        ..gossipsub::PeerScoreParams::default()
    };
    gossip
        .with_peer_score(scoring, gossipsub::PeerScoreThresholds::default())
        .map_err(NetworkError::Setup)?;
    Ok(gossip)
}

/// Lookups as a node makes and answers them.
pub(super) fn lookups(
    settings: &NetworkSettings,
    names: &Names,
    own: libp2p::PeerId,
) -> Result<kad::Behaviour<ProviderStore>, NetworkError> {
    let store = match &settings.directory {
        None => ProviderStore::in_memory(own),
        Some(directory) => {
            let disk = RealDisk::create(directory).map_err(NetworkError::Announcements)?;
            ProviderStore::open(own, Box::new(disk)).map_err(NetworkError::Announcements)?
        }
    };
    let mut config = kad::Config::new(names.lookups()?);
    config
        // A lookup takes ways that share no peer, so that one liar cannot lead all of it astray.
        .disjoint_query_paths(true)
        .set_parallelism(NonZeroUsize::MIN.saturating_add(3))
        .set_query_timeout(Duration::from_secs(30))
        // Only who was identified, speaks the protocol and can be dialled is asked.
        .set_kbucket_inserts(kad::BucketInserts::Manual)
        // A look around asks some hundred peers, most of them by a new connection.
        .set_periodic_bootstrap_interval(Some(LOOKED_AROUND_EVERY))
        .set_record_filtering(kad::StoreInserts::FilterBoth)
        .set_provider_record_ttl(Some(ANNOUNCED_FOR))
        .set_provider_publication_interval(None);
    let mut lookups = kad::Behaviour::with_config(own, store, config);
    let serves = settings.serves_lookups && settings.reachable == Reachable::Yes;
    lookups.set_mode(Some(if serves { kad::Mode::Server } else { kad::Mode::Client }));
    Ok(lookups)
}
