//! A validator among its peers: consensus over the network.
//!
//! A [`ChainNode`] runs a [`Validator`] on a thread of its own, gives it time and what arrives, and
//! sends what it says: proposals, blocks and votes as gossip, transactions as gossip of another
//! topic, everything else as notes. Gossip goes on to others only after the validator took it, so
//! that a lie ends at the first honest node; who passed it on is blamed.

mod clock;
mod numbers;
mod wire;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use chronolith_chain::consensus::message::Message;
use chronolith_chain::consensus::{ConsensusError, Input, Output, Validator};
use chronolith_chain::hash::TransactionId;
use chronolith_chain::mempool::Refused;
use chronolith_chain::transaction::Transaction;
use libp2p::PeerId;

use crate::network::{
    GossipId, Network, NetworkError, NetworkEvent, NetworkHandle, NetworkSettings, Room, Service,
    Topic, Verdict,
};
pub use clock::Clock;
use numbers::Numbers;
use wire::Way;

/// What became of a transaction that was handed in.
type SubmitResult = Result<TransactionId, Refused>;

/// What reaches the validator's thread.
enum Inward {
    Network(NetworkEvent),
    Submit { transactions: Vec<Transaction>, answer: Sender<Vec<SubmitResult>> },
    Look(Box<dyn FnOnce(&Validator) + Send>),
    Stop,
}

/// What a node tells its owner.
#[derive(Debug)]
pub enum Told {
    /// The validator put something out that is not for the network: a committed block, evidence,
    /// that it stands aside.
    Output(Output),
    /// The node listens at an address.
    Listening(libp2p::Multiaddr),
    /// Somebody's answer to an audit arrived. It goes on to others once it is judged.
    Answer(Gossiped),
}

/// Gossip that is not about consensus: its owner judges it by [`NetworkHandle::judge`].
#[derive(Debug)]
pub struct Gossiped {
    /// Who passed it on.
    pub from: PeerId,
    /// Its name.
    pub id: GossipId,
    /// What it says.
    pub bytes: Vec<u8>,
    /// To be kept as long as the bytes are.
    pub room: Room,
}

/// Speaks with a validator's thread, from any other.
#[derive(Clone)]
pub struct ChainHandle {
    inbox: Sender<Inward>,
}

/// What a [`ChainHandle`] speaks into, until a validator is there to hear it.
pub struct ChainInbox {
    received: Receiver<Inward>,
    handle: ChainHandle,
}

impl Default for ChainInbox {
    fn default() -> Self {
        let (inbox, received) = channel();
        Self { received, handle: ChainHandle { inbox } }
    }
}

impl ChainInbox {
    /// What speaks into it; so a [`Service`] can be made before the validator that it asks.
    #[must_use]
    pub fn handle(&self) -> ChainHandle {
        self.handle.clone()
    }
}

impl ChainHandle {
    /// Hands in transactions; what becomes of each, in their order. None after the validator has
    /// stopped.
    #[must_use]
    pub fn submit(
        &self,
        transactions: Vec<Transaction>,
    ) -> Option<Vec<Result<TransactionId, Refused>>> {
        let (answer, answered) = channel();
        self.say(Inward::Submit { transactions, answer });
        answered.recv().ok()
    }

    /// Looks at the validator between two of its steps; none after it has stopped.
    #[must_use]
    pub fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Validator) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = channel();
        self.say(Inward::Look(Box::new(move |validator| {
            // An error says that who asked has gone.
            let _ = answer.send(look(validator));
        })));
        answered.recv().ok()
    }

    fn say(&self, inward: Inward) {
        // An error says that it has stopped.
        drop(self.inbox.send(inward));
    }
}

/// A validator that runs; it stops when this is dropped.
pub struct ChainNode {
    handle: ChainHandle,
    thread: Option<JoinHandle<Result<(), ConsensusError>>>,
    /// Behind the thread, so that the network ends after what speaks through it.
    network: Network,
}

impl ChainNode {
    /// Connects a validator to its peers and runs it. `told` hears what it puts out, on the
    /// validator's thread.
    ///
    /// # Errors
    /// Where the network cannot begin.
    pub fn start(
        inbox: ChainInbox,
        validator: Validator,
        settings: NetworkSettings,
        service: Arc<dyn Service>,
        told: impl FnMut(Told) + Send + 'static,
    ) -> Result<Self, NetworkError> {
        let ChainInbox { received, handle } = inbox;
        let network = {
            let handle = handle.clone();
            Network::start(settings, service, move |event| handle.say(Inward::Network(event)))?
        };
        let runner = Runner {
            validator,
            network: network.handle(),
            numbers: Numbers::default(),
            clock: Clock::start(),
            told: Box::new(told),
            submitted: Vec::new(),
        };
        let thread = thread::Builder::new()
            .name("validator".to_owned())
            .spawn(move || runner.run(&received))
            .map_err(NetworkError::Threads)?;
        Ok(Self { handle, thread: Some(thread), network })
    }

    /// What speaks with it.
    #[must_use]
    pub fn handle(&self) -> ChainHandle {
        self.handle.clone()
    }

    /// The network that it speaks through.
    #[must_use]
    pub fn network(&self) -> NetworkHandle {
        self.network.handle()
    }

    /// Whether consensus ended by itself; [`ChainNode::stop`] says why.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Stops it.
    ///
    /// # Errors
    /// What had ended consensus before.
    pub fn stop(mut self) -> Result<(), ConsensusError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), ConsensusError> {
        self.handle.say(Inward::Stop);
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(ended)) => ended,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for ChainNode {
    fn drop(&mut self) {
        if !thread::panicking() {
            // Who wants to know why it ended calls `stop`.
            drop(self.end());
        }
    }
}

/// The validator's thread.
struct Runner {
    validator: Validator,
    network: NetworkHandle,
    numbers: Numbers,
    clock: Clock,
    told: Box<dyn FnMut(Told) + Send>,
    /// What became of the transactions that were handed in last.
    submitted: Vec<SubmitResult>,
}

impl Runner {
    fn run(mut self, inbox: &Receiver<Inward>) -> Result<(), ConsensusError> {
        loop {
            let inward = match self.validator.wake_at() {
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => {
                    let wait = at.saturating_sub(self.clock.now().elapsed_ns);
                    inbox.recv_timeout(Duration::from_nanos(wait))
                }
            };
            match inward {
                Err(RecvTimeoutError::Timeout) => drop(self.give(Input::Tick)?),
                Err(RecvTimeoutError::Disconnected) | Ok(Inward::Stop) => return Ok(()),
                Ok(Inward::Network(event)) => self.network_event(event)?,
                Ok(Inward::Submit { transactions, answer }) => {
                    self.give(Input::Submit(transactions))?;
                    // An error says that who handed them in has gone.
                    drop(answer.send(std::mem::take(&mut self.submitted)));
                }
                Ok(Inward::Look(look)) => look(&self.validator),
            }
        }
    }

    fn network_event(&mut self, event: NetworkEvent) -> Result<(), ConsensusError> {
        match event {
            NetworkEvent::Listening(address) => (self.told)(Told::Listening(address)),
            NetworkEvent::Connected(peer) => {
                let number = self.numbers.of(peer);
                self.give(Input::Connected(number))?;
            }
            NetworkEvent::Disconnected(peer) => {
                if let Some(number) = self.numbers.remove(&peer) {
                    self.give(Input::Disconnected(number))?;
                }
            }
            NetworkEvent::Gossip { topic: Topic::Audits, from, id, bytes, room } => {
                (self.told)(Told::Answer(Gossiped { from, id, bytes, room }));
            }
            NetworkEvent::Gossip { topic, from, id, bytes, room } => {
                let message = wire::from_gossip(topic, &bytes);
                drop((bytes, room));
                let verdict = self.receive(from, message)?;
                self.network.judge(id, from, verdict);
            }
            NetworkEvent::Note { from, bytes, room } => {
                let message = wire::from_note(&bytes);
                drop((bytes, room));
                if self.receive(from, message)? == Verdict::Lie {
                    self.network.blame(from);
                }
            }
        }
        Ok(())
    }

    /// Gives what arrived to the validator; what it thinks of it. What is no message is a lie.
    fn receive(
        &mut self,
        from: PeerId,
        message: Option<Message>,
    ) -> Result<Verdict, ConsensusError> {
        let Some(message) = message else { return Ok(Verdict::Lie) };
        let from = self.numbers.of(from);
        self.give(Input::Message { from, message })
    }

    /// Gives the validator something and does what it wants done.
    fn give(&mut self, input: Input) -> Result<Verdict, ConsensusError> {
        let (now, mut verdict) = (self.clock.now(), Verdict::Good);
        for output in self.validator.handle(now, input)? {
            match output {
                Output::Broadcast(message) => match wire::way(&message) {
                    Way::Gossip(topic) => self.network.publish(topic, message.encode()),
                    Way::Note => {
                        let bytes = message.encode();
                        for peer in self.numbers.peers() {
                            self.network.note(*peer, bytes.clone());
                        }
                    }
                },
                Output::Send { to, message } => {
                    if let Some(peer) = self.numbers.peer(to) {
                        self.network.note(peer, message.encode());
                    }
                }
                Output::Refused { reason, .. } => {
                    verdict = match reason.is_fault() {
                        true => Verdict::Lie,
                        false if verdict == Verdict::Lie => Verdict::Lie,
                        false => Verdict::Stale,
                    };
                }
                Output::Submitted(result) => self.submitted.push(result),
                output @ (Output::Committed { .. }
                | Output::Evidence(_)
                | Output::StandsAside { .. }) => (self.told)(Told::Output(output)),
            }
        }
        Ok(verdict)
    }
}
