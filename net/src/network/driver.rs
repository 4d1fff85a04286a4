//! The loop that owns the connections.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use libp2p::core::transport::MemoryTransport;
use libp2p::core::upgrade::Version;
use libp2p::kad::store::RecordStore as _;
use libp2p::kad::{self, QueryId, RecordKey};
use libp2p::request_response::{
    self, InboundFailure, Message, OutboundFailure, OutboundRequestId, ResponseChannel,
};
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{
    Multiaddr, PeerId, Swarm, SwarmBuilder, Transport as _, gossipsub, identify, noise, ping, tcp,
    yamux,
};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::announce::{A_SECOND, Announcements};
use super::behaviour::{Behaviour, BehaviourEvent, ENVELOPE_BYTES, Names, RESPONSE_BYTES};
use super::codec::{Framed, InboundBytes};
use super::error::{NetworkError, RequestError};
use super::handle::{
    Command, Found, GossipId, Listener, Neighbour, NetworkEvent, RequestAnswer, Room, Service,
    Topic, Unanswerable, Verdict,
};
use super::outbox::{HasSize, Outbox};
use super::quota::Quotas;
use super::reachable::is_public;
use super::redial::Redial;
use super::settings::{KnownPeer, NetworkSettings};
use super::standing::{Offence, Standings};

/// Connections without a stream end after this.
const IDLE: Duration = Duration::from_secs(30);
/// How long a connection may take to be made. Short, so that a known peer that can be reached again is
/// tried again soon; four round trips must fit.
const CONNECTING: Duration = Duration::from_secs(5);
/// How many requests are answered at once.
const ANSWERING: usize = 64;
/// How often it is looked who may come back.
const READMITTING: Duration = Duration::from_secs(10);
/// Keys are multihashes of SHA-256: its number, its length, the hash.
const KEY_PREFIX: [u8; 2] = [0x12, 32];
const KEY_BYTES: usize = 34;

/// An answer of the service, on its way back.
struct Answered {
    peer: PeerId,
    channel: ResponseChannel<Framed>,
    answer: Result<Vec<u8>, Unanswerable>,
}

/// A neighbour, as far as it is known.
#[derive(Default)]
struct Known {
    addresses: HashMap<ConnectionId, Multiaddr>,
    agent: Option<String>,
    round_trip: Option<Duration>,
    /// Whether it said that it has this chain, so that the owner knows of it.
    is_told: bool,
}

/// A question that waits for its turn.
struct Question {
    addresses: Vec<Multiaddr>,
    bytes: Vec<u8>,
    answer: RequestAnswer,
}

impl HasSize for Question {
    fn size_bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// A lookup that goes on.
enum Lookup {
    Find { found: HashSet<PeerId>, answer: oneshot::Sender<Found> },
    Closest(oneshot::Sender<Vec<KnownPeer>>),
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
    allows_private: bool,

    service: Arc<dyn Service>,
    answering: Arc<Semaphore>,
    answered: mpsc::UnboundedSender<Answered>,
    answers: mpsc::UnboundedReceiver<Answered>,
    events: Listener,

    inbound: Arc<InboundBytes>,
    quotas: Quotas,
    standings: Standings,
    redial: Redial,
    neighbours: HashMap<PeerId, Known>,
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
        let behaviour = Behaviour::new(settings, &names, &inbound)?;
        let setup = |error: &dyn std::fmt::Display| NetworkError::Setup(error.to_string());
        let tcp = tcp::Config::default().nodelay(true);
        let mut swarm = SwarmBuilder::with_existing_identity(settings.key.keypair().clone())
            .with_tokio()
            .with_tcp(tcp, noise::Config::new, yamux::Config::default)
            .map_err(|error| setup(&error))?
            // For nodes of one process, as simulations have them.
            .with_other_transport(|key| {
                Ok(MemoryTransport::default()
                    .upgrade(Version::V1Lazy)
                    .authenticate(noise::Config::new(key)?)
                    .multiplex(yamux::Config::default()))
            })
            .map_err(|error| setup(&error))?
            .with_behaviour(|_| behaviour)
            .map_err(|error| setup(&error))?
            .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE))
            .with_connection_timeout(CONNECTING)
            .build();
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
            allows_private: settings.allows_private_addresses,
            service,
            answering: Arc::new(Semaphore::new(ANSWERING)),
            answered,
            answers,
            events,
            inbound,
            quotas: Quotas::new(&settings.limits),
            standings: Standings::default(),
            redial: Redial::new(&settings.known, Instant::now()),
            neighbours: HashMap::new(),
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
                _ = second.tick() => self.announce_what_is_due(),
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
            let dial = DialOpts::peer_id(peer).addresses(addresses).build();
            if self.swarm.dial(dial).is_err() && !self.swarm.is_connected(&peer) {
                self.redial.lost(&peer, jitter(), now);
            }
        }
    }

    fn announce_what_is_due(&mut self) {
        for _ in 0..A_SECOND {
            let Some(key) = self.announcements.take(Instant::now()) else { return };
            // What is refused is that there are too many; they are found by being asked, then.
            drop(self.swarm.behaviour_mut().lookups.start_providing(RecordKey::from(key)));
        }
    }

    /// Sends the notes to a peer that can be on their way now.
    fn send_notes(&mut self, peer: &PeerId) {
        while let Some(bytes) = self.notes.pop(peer) {
            self.swarm.behaviour_mut().notes.send_request(peer, Framed::own(bytes));
        }
    }

    fn send_questions(&mut self, peer: &PeerId) {
        while let Some(Question { addresses, bytes, answer }) = self.questions.pop(peer) {
            let requests = &mut self.swarm.behaviour_mut().requests;
            let framed = Framed::own(bytes);
            let id = requests.send_request_with_addresses(peer, framed, addresses);
            self.asked.insert(id, answer);
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
            Command::Note { to, bytes } => {
                // What finds no room is lost, as everything may be.
                if self.swarm.is_connected(&to) && self.notes.push(to, bytes).is_ok() {
                    self.send_notes(&to);
                }
            }
            Command::Request { to, addresses, bytes, answer } => {
                let question = Question { addresses, bytes, answer };
                match self.questions.push(to, question) {
                    Ok(()) => self.send_questions(&to),
                    Err(question) => drop(question.answer.send(Err(RequestError::Broken {
                        peer: to,
                        reason: "too much waits for it already".to_owned(),
                    }))),
                }
            }
            Command::Announce(key) => {
                self.announcements.add(key, Instant::now());
                self.announce_what_is_due();
            }
            Command::Retract(key) => {
                self.announcements.remove(&key);
                behaviour.lookups.stop_providing(&RecordKey::from(key));
            }
            Command::Find { key, answer } => {
                let id = behaviour.lookups.get_providers(RecordKey::from(key));
                self.lookups.insert(id, Lookup::Find { found: HashSet::new(), answer });
            }
            Command::Closest { key, answer } => {
                let id = behaviour.lookups.get_closest_peers(key);
                self.lookups.insert(id, Lookup::Closest(answer));
            }
            Command::Keep(KnownPeer { peer, address }) => {
                behaviour.always_admit(&peer);
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
            addresses: known.addresses.values().cloned().collect(),
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
            SwarmEvent::NewListenAddr { address, .. } => {
                // In one network of private addresses, one that is listened on can be dialled.
                if self.allows_private || is_public(&address) {
                    self.swarm.add_external_address(address.clone());
                }
                self.tell(NetworkEvent::Listening(address));
            }
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.redial.connected(&peer_id);
                let known = self.neighbours.entry(peer_id).or_default();
                known.addresses.insert(connection_id, endpoint.get_remote_address().clone());
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, num_established, .. } => {
                if let Some(known) = self.neighbours.get_mut(&peer_id) {
                    known.addresses.remove(&connection_id);
                }
                if num_established == 0 {
                    self.quotas.forget(&peer_id);
                    self.notes.clear(&peer_id);
                    self.redial.lost(&peer_id, jitter(), Instant::now());
                    self.neighbours.remove(&peer_id);
                    self.tell(NetworkEvent::Disconnected(peer_id));
                }
            }
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), .. }
                if !self.swarm.is_connected(&peer) =>
            {
                self.redial.lost(&peer, jitter(), Instant::now());
            }
            _ => {}
        }
    }

    fn behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                self.identified(peer_id, info);
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
        if is_of_chain && info.protocols.contains(&self.lookup_protocol) {
            let allows_private = self.allows_private;
            let addresses = info.listen_addrs.into_iter().take(8);
            let lookups = &mut self.swarm.behaviour_mut().lookups;
            for address in addresses.filter(|address| allows_private || is_public(address)) {
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

    fn note_event(&mut self, event: request_response::Event<Framed, Framed>) {
        match event {
            request_response::Event::Message { peer, message, .. } => match message {
                Message::Request { request: Framed { bytes, permit }, channel, .. } => {
                    let empty = Framed::own(Vec::new());
                    // Who has gone needs no acknowledgement.
                    drop(self.swarm.behaviour_mut().notes.send_response(channel, empty));
                    if let Some(permit) = permit
                        && self.is_within_quota(peer, bytes.len())
                    {
                        self.tell(NetworkEvent::Note { from: peer, bytes, room: Room::of(permit) });
                    }
                }
                Message::Response { .. } => {
                    self.notes.done(&peer);
                    self.send_notes(&peer);
                }
            },
            request_response::Event::OutboundFailure { peer, .. } => {
                self.notes.done(&peer);
                self.send_notes(&peer);
            }
            request_response::Event::InboundFailure { peer, error, .. } => {
                self.inbound_failure(peer, &error);
            }
            request_response::Event::ResponseSent { .. } => {}
        }
    }

    fn request_event(&mut self, event: request_response::Event<Framed, Framed>) {
        match event {
            request_response::Event::Message { peer, message, .. } => match message {
                Message::Request { request, channel, .. } => self.serve(peer, request, channel),
                Message::Response { request_id, response } => {
                    if let Some(answer) = self.asked.remove(&request_id) {
                        // Who asked may have given up.
                        drop(answer.send(Ok(response.bytes)));
                    }
                    self.questions.done(&peer);
                    self.send_questions(&peer);
                }
            },
            request_response::Event::OutboundFailure { peer, request_id, error, .. } => {
                let (offence, error) = failure(peer, &error);
                if let Some(answer) = self.asked.remove(&request_id) {
                    drop(answer.send(Err(error)));
                }
                if let Some(offence) = offence {
                    self.offend(peer, offence);
                }
                self.questions.done(&peer);
                self.send_questions(&peer);
            }
            request_response::Event::InboundFailure { peer, error, .. } => {
                self.inbound_failure(peer, &error);
            }
            request_response::Event::ResponseSent { .. } => {}
        }
    }

    fn inbound_failure(&mut self, peer: PeerId, error: &InboundFailure) {
        let is_lie = |error: &std::io::Error| error.kind() == std::io::ErrorKind::InvalidData;
        match error {
            InboundFailure::Io(error) if is_lie(error) => self.offend(peer, Offence::Lie),
            InboundFailure::Timeout => self.offend(peer, Offence::Silence),
            _ => {}
        }
    }

    /// Has a request answered on another thread. Without room for it, it is dropped, and who asked
    /// hears of that at once.
    fn serve(&mut self, peer: PeerId, request: Framed, channel: ResponseChannel<Framed>) {
        if !self.is_within_quota(peer, request.bytes.len()) {
            return;
        }
        let Ok(place) = Arc::clone(&self.answering).try_acquire_owned() else { return };
        let (service, answered) = (Arc::clone(&self.service), self.answered.clone());
        tokio::task::spawn_blocking(move || {
            let answer = service.answer(peer, &request.bytes);
            drop((request, place));
            // An error says that the network was stopped.
            drop(answered.send(Answered { peer, channel, answer }));
        });
    }

    fn answer(&mut self, Answered { peer, channel, answer }: Answered) {
        match answer {
            Ok(bytes) if bytes.len() <= RESPONSE_BYTES => {
                let requests = &mut self.swarm.behaviour_mut().requests;
                drop(requests.send_response(channel, Framed::own(bytes)));
            }
            // Nothing that large could be read there.
            Ok(_) => {}
            Err(Unanswerable) => self.offend(peer, Offence::Lie),
        }
    }

    fn lookup_event(&mut self, event: kad::Event) {
        match event {
            kad::Event::InboundRequest {
                request: kad::InboundRequest::AddProvider { record: Some(mut record) },
            } => {
                let key = record.key.as_ref();
                if key.len() != KEY_BYTES || !key.starts_with(&KEY_PREFIX) {
                    return self.offend(record.provider, Offence::Lie);
                }
                let allows_private = self.allows_private;
                record.addresses.retain(|address| allows_private || is_public(address));
                // What finds no room is not kept; others keep it.
                drop(self.swarm.behaviour_mut().lookups.store_mut().add_provider(record));
            }
            kad::Event::RoutingUpdated { is_new_peer: true, .. } => {
                let lookups = &mut self.swarm.behaviour_mut().lookups;
                let peers: usize = lookups.kbuckets().map(|bucket| bucket.num_entries()).sum();
                if peers <= kad::K_VALUE.get() {
                    self.announcements.peers_were_found(Instant::now());
                }
            }
            kad::Event::OutboundQueryProgressed { id, result, step, stats } => {
                let requests = stats.num_requests();
                self.lookup_progress(id, result, step.last.then_some(requests));
            }
            _ => {}
        }
    }

    /// Takes in what a lookup found; with its last result, how many requests it made.
    fn lookup_progress(&mut self, id: QueryId, result: kad::QueryResult, ended: Option<u32>) {
        if let kad::QueryResult::GetProviders(Ok(kad::GetProvidersOk::FoundProviders {
            providers,
            ..
        })) = &result
            && let Some(Lookup::Find { found, .. }) = self.lookups.get_mut(&id)
        {
            found.extend(providers);
        }
        let Some(requests) = ended else { return };
        // Who asked may have given up.
        match self.lookups.remove(&id) {
            Some(Lookup::Find { found, answer }) => {
                drop(answer.send(Found { peers: found.into_iter().collect(), requests }));
            }
            Some(Lookup::Closest(answer)) => {
                let peers = match result {
                    kad::QueryResult::GetClosestPeers(Ok(found)) => found.peers,
                    kad::QueryResult::GetClosestPeers(Err(
                        kad::GetClosestPeersError::Timeout { peers, .. },
                    )) => peers,
                    _ => Vec::new(),
                };
                let known = peers.into_iter().filter_map(|info| {
                    let address = info.addrs.into_iter().next()?;
                    Some(KnownPeer { peer: info.peer_id, address })
                });
                drop(answer.send(known.collect()));
            }
            None => {}
        }
    }
}

/// What a failed request is to whom asked, and whether the peer is to blame.
fn failure(peer: PeerId, error: &OutboundFailure) -> (Option<Offence>, RequestError) {
    let broken = |reason: String| RequestError::Broken { peer, reason };
    match error {
        OutboundFailure::DialFailure => (None, RequestError::Unreachable(peer)),
        OutboundFailure::Timeout => (Some(Offence::Silence), RequestError::TimedOut(peer)),
        OutboundFailure::UnsupportedProtocols => (None, RequestError::Unsupported(peer)),
        OutboundFailure::ConnectionClosed => (None, broken("the connection ended".to_owned())),
        OutboundFailure::Io(error) => {
            let is_lie = error.kind() == std::io::ErrorKind::InvalidData;
            (is_lie.then_some(Offence::Lie), broken(error.to_string()))
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
