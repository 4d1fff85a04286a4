//! The loop that owns the connections. What one peer is told and asked is in `driver/exchange.rs`,
//! what all are asked in `driver/lookup.rs`, how peers are connected with in `driver/call.rs`, how this node
//! is reached and relayed connections become direct in `driver/reach.rs`.

mod call;
mod exchange;
pub(super) mod lookup;
mod reach;

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use libp2p::kad::store::RecordStore as _;
use libp2p::kad::{QueryId, RecordKey};
use libp2p::request_response::OutboundRequestId;
use libp2p::swarm::{self, ConnectionId, SwarmEvent};
use libp2p::{PeerId, Swarm, gossipsub, identify, ping};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::MissedTickBehavior;

use super::announce::Announcements;
use super::behaviour::{Behaviour, BehaviourEvent, ENVELOPE_BYTES, Names};
use super::codec::InboundBytes;
use super::error::NetworkError;
use super::handle::{
    Command, GossipId, Listener, Neighbour, NetworkEvent, RequestAnswer, Room, Service, Topic,
    Verdict,
};
use super::outbox::Outbox;
use super::quota::Quotas;
use super::reachable::Reach;
use super::redial::Redial;
use super::relays::Relays;
use super::settings::{KnownPeer, NetworkSettings, Reachable};
use super::standing::{Offence, Standings};
use super::transport::{Named, ways};
use call::Call;
use exchange::{Answered, Question};
use lookup::Lookup;
use reach::{Connection, Punching};

/// Connections without a stream end after this.
const IDLE: Duration = Duration::from_secs(30);
/// How many requests are answered at once.
const ANSWERING: usize = 64;
/// How often it is looked who may come back.
const READMITTING: Duration = Duration::from_secs(10);
/// How often it is looked which connections through relays may be closed.
const MOMENT: Duration = Duration::from_millis(100);

/// A neighbour, as far as it is known.
#[derive(Default)]
struct Known {
    connections: HashMap<ConnectionId, Connection>,
    /// The attempts to make a direct connection that may take the place of one through a relay.
    punching: Option<Punching>,
    agent: Option<String>,
    round_trip: Option<Duration>,
    /// Whether it said that it has this chain, so that the owner knows of it.
    is_told: bool,
    /// Whether it said what gossip it listens to.
    is_subscribed: bool,
}

impl Known {
    fn is_direct(&self) -> bool {
        self.connections.values().any(|one| !one.is_relayed)
    }
}

/// Starts the threads; returns once the node listens.
pub(super) fn start(
    settings: &NetworkSettings,
    service: Arc<dyn Service>,
    events: Listener,
    commands: mpsc::UnboundedReceiver<Command>,
) -> Result<JoinHandle<()>, NetworkError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(ANSWERING)
        .thread_name("network")
        .enable_all()
        .build()
        .map_err(NetworkError::Threads)?;
    let driver = {
        // Sockets are made within the runtime that will watch them.
        let _inside = runtime.enter();
        Driver::new(settings, service, events)?
    };
    thread::Builder::new()
        .name("network".to_owned())
        .spawn(move || {
            runtime.block_on(driver.run(commands));
            // Answers that are still made are of no use any more.
            runtime.shutdown_background();
        })
        .map_err(NetworkError::Threads)
}

/// Starts a network as a task of a runtime.
pub(super) fn start_within(
    runtime: &Handle,
    settings: &NetworkSettings,
    service: Arc<dyn Service>,
    events: Listener,
    commands: mpsc::UnboundedReceiver<Command>,
) -> Result<(), NetworkError> {
    let _inside = runtime.enter();
    let driver = Driver::new(settings, service, events)?;
    runtime.spawn(driver.run(commands));
    Ok(())
}

struct Driver {
    swarm: Swarm<Behaviour>,
    names: Names,
    lookup_protocol: libp2p::StreamProtocol,
    topics: HashMap<gossipsub::TopicHash, Topic>,
    reach: Reach,
    named: Named,
    reachable: Reachable,
    serves_lookups: bool,
    began: Instant,
    /// Whether a peer could not dial this node.
    was_tried_in_vain: bool,

    service: Arc<dyn Service>,
    answering: Arc<Semaphore>,
    answered: mpsc::UnboundedSender<Answered>,
    answers: mpsc::UnboundedReceiver<Answered>,
    events: Listener,

    inbound: Arc<InboundBytes>,
    quotas: Quotas,
    standings: Standings,
    redial: Redial,
    relays: Relays,
    /// The connections that are made for questions, and with known peers.
    calling: HashMap<PeerId, Call>,
    neighbours: HashMap<PeerId, Known>,
    /// Peers with a direct connection beside one through a relay, and since when.
    replaced: Vec<(PeerId, Instant)>,
    notes: Outbox<Vec<u8>>,
    questions: Outbox<Question>,
    asked: HashMap<OutboundRequestId, RequestAnswer>,
    announcements: Announcements,
    lookups: HashMap<QueryId, Lookup>,
    /// Numbers what this node says.
    said: u64,
}

impl Driver {
    fn new(
        settings: &NetworkSettings,
        service: Arc<dyn Service>,
        events: Listener,
    ) -> Result<Self, NetworkError> {
        let names = Names::new(settings);
        let inbound = InboundBytes::new(settings.limits.inbound_bytes);
        let (reach, named) = (Reach::new(settings.allows_private_addresses), Named::default());
        settings.known.iter().for_each(|known| named.know(&known.address));
        let keypair = settings.key.keypair();
        let (ways, relayed) = ways(keypair, reach, named.clone())?;
        let behaviour = Behaviour::new(settings, &names, &inbound, relayed)?;
        let setup = |error: &dyn std::fmt::Display| NetworkError::Setup(error.to_string());
        let config = swarm::Config::with_tokio_executor().with_idle_connection_timeout(IDLE);
        let mut swarm = Swarm::new(ways, behaviour, settings.key.peer(), config);
        let mut topics = HashMap::new();
        for topic in Topic::ALL {
            let named = names.topic(topic);
            topics.insert(named.hash(), topic);
            swarm.behaviour_mut().gossip.subscribe(&named).map_err(|error| setup(&error))?;
        }
        for address in &settings.listen {
            swarm.listen_on(address.clone()).map_err(|error| NetworkError::Listen {
                address: address.clone(),
                reason: error.to_string(),
            })?;
        }
        let (answered, answers) = mpsc::unbounded_channel();
        Ok(Self {
            lookup_protocol: names.lookups()?,
            swarm,
            names,
            topics,
            reach,
            named,
            reachable: settings.reachable,
            serves_lookups: settings.serves_lookups,
            began: Instant::now(),
            was_tried_in_vain: false,
            service,
            answering: Arc::new(Semaphore::new(ANSWERING)),
            answered,
            answers,
            events,
            inbound,
            quotas: Quotas::new(&settings.limits),
            standings: Standings::default(),
            redial: Redial::new(&settings.known, Instant::now()),
            relays: Relays::default(),
            calling: HashMap::new(),
            neighbours: HashMap::new(),
            replaced: Vec::new(),
            notes: Outbox::new(),
            questions: Outbox::new(),
            asked: HashMap::new(),
            announcements: Announcements::default(),
            lookups: HashMap::new(),
            said: random(),
        })
    }

    async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut readmitting = tokio::time::interval(READMITTING);
        let mut second = tokio::time::interval(Duration::from_secs(1));
        let mut moment = tokio::time::interval(MOMENT);
        moment.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // What was announced before a restart still is.
        let provided = self.swarm.behaviour_mut().lookups.store_mut().provided();
        let keys: Vec<_> = provided.map(|record| record.key.to_vec()).collect();
        keys.into_iter().for_each(|key| self.announcements.add(key, Instant::now()));
        loop {
            self.dial_who_is_due();
            let next = self.redial.next();
            let redial = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = self.swarm.select_next_some() => self.swarm_event(event),
                command = commands.recv() => match command {
                    Some(Command::Stop) | None => return,
                    Some(command) => self.command(command),
                },
                Some(answered) = self.answers.recv() => self.answer(answered),
                _ = readmitting.tick() => {
                    let (standings, now) = (&self.standings, Instant::now());
                    self.swarm.behaviour_mut().readmit(|peer| !standings.is_banished(peer, now));
                }
                _ = second.tick() => {
                    self.announcements.begin_second();
                    self.announce_what_is_due();
                    self.stop_waiting_for_holes();
                    self.ask_relays();
                }
                _ = moment.tick(), if !self.replaced.is_empty() => self.close_what_is_replaced(),
                () = redial => {}
            }
        }
    }

    fn tell(&self, event: NetworkEvent) {
        (self.events)(event);
    }

    fn dial_who_is_due(&mut self) {
        let now = Instant::now();
        for (peer, addresses) in self.redial.due(now) {
            self.call_known(&peer, addresses);
        }
    }

    fn command(&mut self, command: Command) {
        let behaviour = self.swarm.behaviour_mut();
        match command {
            Command::Publish { topic, bytes } => {
                self.said = self.said.wrapping_add(1);
                let mut message = self.said.to_le_bytes().to_vec();
                message.extend_from_slice(&bytes);
                // With no neighbours there is nobody to tell; the owner says again what matters.
                drop(behaviour.gossip.publish(self.names.topic(topic).hash(), message));
            }
            Command::Judge { id, from, verdict } => self.judge(&id, from, verdict),
            Command::Note { to, bytes } => self.note(to, bytes),
            Command::Request { to, addresses, bytes, answer } => {
                self.ask(to, Question { addresses, bytes, answer });
            }
            Command::Announce(key) => {
                // Everybody would take this node for a liar.
                debug_assert!(lookup::is_lookup_key(&key), "no lookup goes by {key:?}");
                self.announcements.add(key, Instant::now());
                self.announce_what_is_due();
            }
            Command::Retract(key) => {
                self.announcements.remove(&key);
                behaviour.lookups.stop_providing(&RecordKey::from(key));
            }
            Command::Find { key, answer } => {
                let id = behaviour.lookups.get_providers(RecordKey::from(key));
                self.lookups.insert(id, Lookup::find(answer));
            }
            Command::Closest { key, answer } => {
                let id = behaviour.lookups.get_closest_peers(key);
                self.lookups.insert(id, Lookup::Closest(answer));
            }
            Command::Keep(KnownPeer { peer, address }) => {
                behaviour.always_admit(&peer);
                self.named.know(&address);
                self.redial.add(peer, address, Instant::now());
                if self.swarm.is_connected(&peer) {
                    self.redial.connected(&peer);
                }
            }
            Command::Blame(peer) => self.offend(peer, Offence::Lie),
            Command::Neighbours(answer) => {
                // An error says that who asked has gone.
                drop(answer.send(self.list_neighbours()));
            }
            // It ends the loop.
            Command::Stop => {}
        }
    }

    fn judge(&mut self, id: &GossipId, from: PeerId, verdict: Verdict) {
        let acceptance = match verdict {
            Verdict::Good => gossipsub::MessageAcceptance::Accept,
            Verdict::Stale => gossipsub::MessageAcceptance::Ignore,
            Verdict::Lie => gossipsub::MessageAcceptance::Reject,
        };
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        gossip.report_message_validation_result(&id.0, &from, acceptance);
        if verdict == Verdict::Lie {
            self.offend(from, Offence::Lie);
        }
    }

    fn list_neighbours(&self) -> Vec<Neighbour> {
        let now = Instant::now();
        let told = self.neighbours.iter().filter(|(_, known)| known.is_told);
        let all = told.map(|(peer, known)| Neighbour {
            peer: *peer,
            addresses: known.connections.values().map(|one| one.address.clone()).collect(),
            agent: known.agent.clone(),
            round_trip: known.round_trip,
            points: self.standings.points(peer, now),
        });
        all.collect()
    }

    fn offend(&mut self, peer: PeerId, offence: Offence) {
        if self.standings.note(peer, offence, Instant::now()) {
            self.swarm.behaviour_mut().banish(peer);
        }
    }

    /// Whether a message is within its sender's quota.
    fn is_within_quota(&mut self, peer: PeerId, bytes: usize) -> bool {
        let takes = self.quotas.takes(peer, bytes, Instant::now());
        if !takes {
            self.offend(peer, Offence::Flood);
        }
        takes
    }

    fn swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.behaviour_event(event),
            SwarmEvent::NewListenAddr { address, .. } => self.listening(address),
            SwarmEvent::ListenerClosed { listener_id, .. } => {
                self.relays.ended(listener_id, Instant::now());
            }
            SwarmEvent::ExternalAddrConfirmed { address } => self.can_be_dialled(&address),
            SwarmEvent::ExternalAddrExpired { .. } => self.set_lookup_mode(),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.connected(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, num_established, .. } => {
                if let Some(known) = self.neighbours.get_mut(&peer_id) {
                    known.connections.remove(&connection_id);
                }
                match num_established {
                    0 => self.disconnected(peer_id),
                    // It may have been the last one through a relay.
                    _ => self.send_questions(&peer_id),
                }
            }
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), connection_id, .. } => {
                match self.swarm.is_connected(&peer) {
                    true => self.no_direct_way(&peer, connection_id),
                    false => self.not_reached(&peer, connection_id),
                }
            }
            _ => {}
        }
    }

    fn disconnected(&mut self, peer: PeerId) {
        self.quotas.forget(&peer);
        self.notes.clear(&peer);
        self.relays.withdraw(&peer);
        self.redial.lost(&peer, jitter(), Instant::now());
        self.neighbours.remove(&peer);
        if self.neighbours.is_empty() {
            self.forget_where_it_was();
        }
        self.tell(NetworkEvent::Disconnected(peer));
        // What waited for room on the lost connection is worth another.
        self.send_questions(&peer);
    }

    fn behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Identify(identify::Event::Received {
                peer_id,
                connection_id,
                info,
            }) => {
                self.seen_from(&peer_id, &connection_id, &info);
                self.dial_back(&peer_id, &connection_id, &info);
                self.identified(peer_id, info);
            }
            BehaviourEvent::Punch(event) if event.result.is_err() => {
                self.no_hole(&event.remote_peer_id);
            }
            BehaviourEvent::Probe(event) if event.result.is_err() => {
                self.was_tried_in_vain = true;
                self.ask_relays();
            }
            // Who does not say who it is cannot be told of; a known peer is dialled again.
            BehaviourEvent::Identify(identify::Event::Error { peer_id, connection_id, .. })
                if self.neighbours.get(&peer_id).is_some_and(|known| !known.is_told) =>
            {
                self.swarm.close_connection(connection_id);
            }
            BehaviourEvent::Ping(ping::Event { peer, result: Ok(round_trip), .. }) => {
                if let Some(known) = self.neighbours.get_mut(&peer) {
                    known.round_trip = Some(round_trip);
                }
            }
            BehaviourEvent::Gossip(gossipsub::Event::Message {
                propagation_source,
                message_id,
                message,
            }) => self.gossip(propagation_source, message_id, message),
            BehaviourEvent::Gossip(gossipsub::Event::Subscribed { peer_id, .. }) => {
                if let Some(known) = self.neighbours.get_mut(&peer_id) {
                    known.is_subscribed = true;
                }
            }
            BehaviourEvent::Notes(event) => self.note_event(event),
            BehaviourEvent::Requests(event) => self.request_event(event),
            BehaviourEvent::Lookups(event) => self.lookup_event(event),
            _ => {}
        }
    }

    fn identified(&mut self, peer: PeerId, info: identify::Info) {
        let Some(known) = self.neighbours.get_mut(&peer) else { return };
        known.agent = Some(info.agent_version.chars().take(64).collect());
        let is_of_chain = info.protocol_version == self.names.version();
        if is_of_chain && !known.is_told {
            known.is_told = true;
            self.tell(NetworkEvent::Connected(peer));
        }
        if is_of_chain {
            self.learn_of_relay(peer, &info.protocols);
        }
        if is_of_chain && info.protocols.contains(&self.lookup_protocol) {
            let reach = self.reach;
            let addresses = info.listen_addrs.into_iter().take(8);
            let lookups = &mut self.swarm.behaviour_mut().lookups;
            for address in addresses.filter(|address| reach.believes(address)) {
                lookups.add_address(&peer, address);
            }
        }
    }

    fn gossip(&mut self, from: PeerId, id: gossipsub::MessageId, message: gossipsub::Message) {
        let id = GossipId(id);
        let size = message.data.len();
        if !self.is_within_quota(from, size) {
            return self.judge(&id, from, Verdict::Stale);
        }
        let topic = self.topics.get(&message.topic).copied();
        let (Some(topic), Some(bytes)) = (topic, message.data.get(ENVELOPE_BYTES..)) else {
            return self.judge(&id, from, Verdict::Lie);
        };
        match self.inbound.take(size) {
            None => self.judge(&id, from, Verdict::Stale),
            Some(permit) => {
                let (bytes, room) = (bytes.to_vec(), Room::of(permit));
                self.tell(NetworkEvent::Gossip { topic, from, id, bytes, room });
            }
        }
    }
}

fn random() -> u64 {
    // Without the operating system's, the time will do: it only tells two runs of a node apart.
    getrandom::u64().unwrap_or_else(|_| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.unwrap_or_default().as_nanos() as u64
    })
}

fn jitter() -> u8 {
    random() as u8
}
