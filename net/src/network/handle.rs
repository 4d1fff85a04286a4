//! What the owner of a network holds: how it tells the network what to do, and what it hears.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use libp2p::{Multiaddr, PeerId, gossipsub};
use tokio::sync::{mpsc, oneshot};

use super::behaviour::REQUEST_BYTES;
use super::codec::Permit;
use super::driver;
use super::error::{NetworkError, RequestError};
use super::settings::{KnownPeer, NetworkSettings};

/// What gossip is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// Proposals, blocks and votes.
    Consensus,
    /// Transactions that wait for a block.
    Transactions,
    /// Answers of storage peers to audits.
    Audits,
}

impl Topic {
    /// All topics.
    pub const ALL: [Self; 3] = [Self::Consensus, Self::Transactions, Self::Audits];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Consensus => "consensus",
            Self::Transactions => "transactions",
            Self::Audits => "audits",
        }
    }
}

/// Names gossip that waits to be judged.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GossipId(pub(super) gossipsub::MessageId);

/// What is thought of gossip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is good, and others are to hear it.
    Good,
    /// It is of no use: late, or known. Nobody is to blame.
    Stale,
    /// No honest node says it. Who passed it on is to blame: honest nodes judge before they do.
    Lie,
}

/// Who is told what happens.
pub(super) type Listener = Box<dyn Fn(NetworkEvent) + Send>;

/// What happened.
#[derive(Debug)]
pub enum NetworkEvent {
    /// The node listens.
    Listening(Multiaddr),
    /// The first connection with a peer of the same chain is there.
    Connected(PeerId),
    /// The last connection with a peer ended, of whatever chain it was.
    Disconnected(PeerId),
    /// Gossip arrived. It goes on to others once [`NetworkHandle::judge`] calls it good.
    Gossip {
        /// What it is about.
        topic: Topic,
        /// Who passed it on.
        from: PeerId,
        /// Its name.
        id: GossipId,
        /// What it says.
        bytes: Vec<u8>,
        /// To be kept as long as the bytes are.
        room: Room,
    },
    /// A message to this node alone.
    Note {
        /// Who sent it.
        from: PeerId,
        /// What it says.
        bytes: Vec<u8>,
        /// To be kept as long as the bytes are.
        room: Room,
    },
}

/// The room that a message takes up of [`inbound_bytes`](super::NetworkLimits::inbound_bytes). It
/// is given back when this is dropped; what finds no room is not taken.
#[derive(Debug)]
pub struct Room {
    _permit: Permit,
}

impl Room {
    pub(super) fn of(permit: Permit) -> Self {
        Self { _permit: permit }
    }
}

/// A request that no honest node makes, because it decodes to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unanswerable;

/// Answers requests. It is called on threads that may wait for a disk, several at once.
pub trait Service: Send + Sync {
    /// The answer to a request, at most 1 MiB and 64 KiB.
    ///
    /// # Errors
    /// [`Unanswerable`] where no honest node asks this; the peer is blamed. What is only missing
    /// here has an answer that says so.
    fn answer(&self, from: PeerId, request: &[u8]) -> Result<Vec<u8>, Unanswerable>;
}

/// What is known of a neighbour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// Who it is.
    pub peer: PeerId,
    /// Where it is reached.
    pub addresses: Vec<Multiaddr>,
    /// What it runs, as it says.
    pub agent: Option<String>,
    /// How long the last ping took.
    pub round_trip: Option<Duration>,
    /// Points against it; at 100 it is sent away.
    pub points: u32,
}

/// What a lookup found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// Who announced it. These are hints: whoever is named is to be asked, and what it gives is to be
    /// checked.
    pub peers: Vec<PeerId>,
    /// How many requests the lookup made.
    pub requests: u32,
}

/// What a handle asks for.
pub(super) enum Command {
    Publish { topic: Topic, bytes: Vec<u8> },
    Judge { id: GossipId, from: PeerId, verdict: Verdict },
    Note { to: PeerId, bytes: Vec<u8> },
    Request { to: PeerId, addresses: Vec<Multiaddr>, bytes: Vec<u8>, answer: RequestAnswer },
    Announce(Vec<u8>),
    Retract(Vec<u8>),
    Find { key: Vec<u8>, answer: oneshot::Sender<Found> },
    Closest { key: Vec<u8>, answer: oneshot::Sender<Vec<KnownPeer>> },
    Keep(KnownPeer),
    Blame(PeerId),
    Neighbours(oneshot::Sender<Vec<Neighbour>>),
    Stop,
}

pub(super) type RequestAnswer = oneshot::Sender<Result<Vec<u8>, RequestError>>;

/// A running network; it stops when this is dropped.
#[derive(Debug)]
pub struct Network {
    handle: NetworkHandle,
    /// The thread it has for itself; none where it runs within a runtime of others.
    thread: Option<JoinHandle<()>>,
}

impl Network {
    /// Starts a network. What happens is given to `events`, which must not wait: nothing is received
    /// meanwhile. `service` answers the requests of others.
    ///
    /// # Errors
    /// Where it cannot listen, or the settings contradict each other.
    pub fn start(
        settings: NetworkSettings,
        service: Arc<dyn Service>,
        events: impl Fn(NetworkEvent) + Send + 'static,
    ) -> Result<Self, NetworkError> {
        let (commands, received) = mpsc::unbounded_channel();
        let peer = settings.key.peer();
        let thread = driver::start(&settings, service, Box::new(events), received)?;
        Ok(Self { handle: NetworkHandle { peer, commands }, thread: Some(thread) })
    }

    /// Starts a network within a runtime that is there already; many can share one.
    ///
    /// # Errors
    /// As [`Network::start`].
    pub fn start_within(
        runtime: &tokio::runtime::Handle,
        settings: &NetworkSettings,
        service: Arc<dyn Service>,
        events: impl Fn(NetworkEvent) + Send + 'static,
    ) -> Result<Self, NetworkError> {
        let (commands, received) = mpsc::unbounded_channel();
        let peer = settings.key.peer();
        driver::start_within(runtime, settings, service, Box::new(events), received)?;
        Ok(Self { handle: NetworkHandle { peer, commands }, thread: None })
    }

    /// How it is told what to do.
    #[must_use]
    pub fn handle(&self) -> NetworkHandle {
        self.handle.clone()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.handle.tell(Command::Stop);
        if let Some(thread) = self.thread.take() {
            // It ends in any case; a panic in it was printed.
            drop(thread.join());
        }
    }
}

/// Tells a network what to do, from any thread; nothing here waits. After the network was stopped
/// it is told in vain.
#[derive(Debug, Clone)]
pub struct NetworkHandle {
    peer: PeerId,
    commands: mpsc::UnboundedSender<Command>,
}

impl NetworkHandle {
    /// Who this node is.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    fn tell(&self, command: Command) {
        // An error says that the network was stopped.
        drop(self.commands.send(command));
    }

    /// Says something to everybody who follows a topic.
    pub fn publish(&self, topic: Topic, bytes: Vec<u8>) {
        self.tell(Command::Publish { topic, bytes });
    }

    /// Says what is thought of gossip.
    pub fn judge(&self, id: GossipId, from: PeerId, verdict: Verdict) {
        self.tell(Command::Judge { id, from, verdict });
    }

    /// Says something to one neighbour. It may be lost, as everything may.
    pub fn note(&self, to: PeerId, bytes: Vec<u8>) {
        self.tell(Command::Note { to, bytes });
    }

    /// Asks a peer, connecting to it at one of the addresses where there is no connection.
    ///
    /// # Errors
    /// Why there is no answer. Whatever an answer says is to be checked.
    pub async fn request(
        &self,
        to: PeerId,
        addresses: Vec<Multiaddr>,
        bytes: Vec<u8>,
    ) -> Result<Vec<u8>, RequestError> {
        if bytes.len() > REQUEST_BYTES {
            return Err(RequestError::TooLarge { bytes: bytes.len(), most: REQUEST_BYTES });
        }
        let (answer, answered) = oneshot::channel();
        self.tell(Command::Request { to, addresses, bytes, answer });
        answered.await.unwrap_or(Err(RequestError::Stopped))
    }

    /// Announces to those closest to a key that this node has what it names, now and again until
    /// it is retracted. Keys are those of [`lookup_key`](super::lookup_key).
    pub fn announce(&self, key: Vec<u8>) {
        self.tell(Command::Announce(key));
    }

    /// Stops announcing.
    pub fn retract(&self, key: Vec<u8>) {
        self.tell(Command::Retract(key));
    }

    /// Who announced that it has what a key names.
    pub async fn find(&self, key: Vec<u8>) -> Found {
        let (answer, answered) = oneshot::channel();
        self.tell(Command::Find { key, answer });
        answered.await.unwrap_or_default()
    }

    /// The peers closest to a key.
    pub async fn closest(&self, key: Vec<u8>) -> Vec<KnownPeer> {
        let (answer, answered) = oneshot::channel();
        self.tell(Command::Closest { key, answer });
        answered.await.unwrap_or_default()
    }

    /// Keeps a connection with a peer from now on.
    pub fn keep(&self, peer: KnownPeer) {
        self.tell(Command::Keep(peer));
    }

    /// Says that a peer sent what no honest one sends.
    pub fn blame(&self, peer: PeerId) {
        self.tell(Command::Blame(peer));
    }

    /// Who this node is connected with.
    pub async fn neighbours(&self) -> Vec<Neighbour> {
        let (answer, answered) = oneshot::channel();
        self.tell(Command::Neighbours(answer));
        answered.await.unwrap_or_default()
    }
}
