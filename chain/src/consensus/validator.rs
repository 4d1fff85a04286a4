//! The loop that drives consensus.
//!
//! [`Validator::handle`] takes what happened and returns what to do, in order. Inside it, nothing is
//! sent before what it promises is on stable storage: outputs are collected, the log of the height
//! is synced, then the guard is, then the outputs are returned.

mod begin;
mod catch_up;
mod commit;
mod config;
mod future;
mod locks;
mod open;
mod propose;
mod receive;
mod refusal;
mod rounds;

#[cfg(test)]
#[path = "validator/a_panic_of_the_core_tests.rs"]
mod a_panic_of_the_core;

pub use config::{Config, Timeouts};
pub(super) use open::{BLOCKS, STATE};
pub use open::{ConsensusError, Files, Identity};
pub use refusal::Refusal;

use std::collections::BTreeMap;

use self::catch_up::Neighbours;
use self::future::Future;
use self::locks::Lock;
use self::propose::Candidates;
use super::core::Core;
use super::event::{Event, Timer};
use super::guard::SignGuard;
use super::log::{Entry, HeightLog};
use super::message::{Decided, FromValidator, Message, PeerId};
use super::signatures::VerifiedSignatures;
use super::snapshot::SnapshotSource;
use super::store::BlockStore;
use crate::block::Tip;
use crate::certificate::Certificate;
use crate::hash::{BlockId, ChainId, TransactionId};
use crate::keys::PublicKey;
use crate::ledger::{Evidence, Receipt};
use crate::mempool::{Mempool, Refused};
use crate::state::State;
use crate::transaction::Transaction;
use crate::validator_set::ValidatorSet;
use crate::vote::Proposal;

/// The time of a call, by two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Nanoseconds by a clock that never goes back, from any beginning; timers go by it.
    pub elapsed_ns: u64,
    /// Nanoseconds since the epoch by the wall clock, which blocks are dated by.
    pub time_ns: u64,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// Nothing but that time went by: the time that [`Validator::wake_at`] gave is there.
    Tick,
    /// A neighbour can be reached.
    Connected(PeerId),
    /// A neighbour cannot be reached any more.
    Disconnected(PeerId),
    /// A message arrived.
    Message {
        /// From whom.
        from: PeerId,
        /// What it says.
        message: Message,
    },
    /// Transactions are handed in at this node.
    Submit(Vec<Transaction>),
}

/// Something to do, or to know.
#[derive(Debug)]
pub enum Output {
    /// Send to every neighbour.
    Broadcast(Message),
    /// Send to one neighbour.
    Send {
        /// To whom.
        to: PeerId,
        /// What.
        message: Message,
    },
    /// A block is committed, and the state is that after it.
    Committed {
        /// The block and what commits it.
        decided: Box<Decided>,
        /// What became of its transactions.
        receipts: Vec<Receipt>,
    },
    /// A validator signed twice; it will be reported in a block.
    Evidence(Box<Evidence>),
    /// What became of a transaction that was handed in here, in the order of the input.
    Submitted(Result<TransactionId, Refused>),
    /// Something a neighbour sent is not taken. [`Refusal::is_fault`] says whether an honest one
    /// may have sent it.
    Refused {
        /// Who sent it.
        from: PeerId,
        /// Why.
        reason: Refusal,
    },
    /// This validator signs nothing up to a height, because what it signed before cannot be
    /// reconciled with its log; see [`SignGuard`].
    StandsAside {
        /// The last height at which it does not sign.
        until: u64,
    },
}

/// Where consensus is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The height that is worked on: one above the last committed.
    pub height: u64,
    /// The round, once the height has begun.
    pub round: Option<u32>,
    /// Whether this node votes at this height.
    pub is_voting: bool,
}

/// What the height is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It has not begun: there is nothing to decide yet.
    Waiting,
    /// The core is working on it.
    Running,
}

/// A node of the chain: it votes where its key is in the set, and follows where it is not.
pub struct Validator {
    chain: ChainId,
    config: Config,
    identity: Option<Identity>,
    /// The consensus key; all zeros where there is none, which is no member of any set.
    key: PublicKey,
    state: State,
    store: BlockStore,
    log: HeightLog,
    guard: Option<SignGuard>,
    /// What the log held of the present height when it was opened.
    unreplayed: Vec<Entry>,

    core: Core,
    set: ValidatorSet,
    tip: Tip,
    last_certificate: Option<Certificate>,
    phase: Phase,
    /// When the last block was committed here, or the node was started.
    since_ns: Option<u64>,
    timers: BTreeMap<Timer, u64>,
    /// The round for which the core waits for a block of ours.
    wanted_round: Option<u32>,
    /// The round's proposal of ours, to say again.
    own_proposal: Option<FromValidator<Proposal>>,
    lock: Option<Lock>,
    candidates: Candidates,
    future: Future,
    signatures: VerifiedSignatures,

    mempool: Mempool,
    evidence: Vec<Evidence>,
    neighbours: Neighbours,
    stands_aside_until: u64,
    /// What the log holds of the height, while it is replayed.
    recorded: Vec<Event>,

    now: Now,
    outputs: Vec<Output>,
    /// Whether an output depends on what is not synced yet.
    must_sync: bool,
    stopped: bool,
}

/// The most pieces of evidence that wait for a block.
const MOST_EVIDENCE: usize = 256;

impl Validator {
    /// Takes in what happened and gives what to do, in this order.
    ///
    /// # Errors
    /// What ends consensus on this node: the disk failed, or an assertion of the core did. The
    /// node's other parts can go on; consensus starts again by [`Validator::open`].
    pub fn handle(&mut self, now: Now, input: Input) -> Result<Vec<Output>, ConsensusError> {
        if self.stopped {
            return Err(ConsensusError::Stopped);
        }
        // Until everything below is done, nothing may be relied on.
        self.stopped = true;
        self.now = Now { elapsed_ns: self.now.elapsed_ns.max(now.elapsed_ns), ..now };
        self.replay()?;
        match input {
            Input::Tick => {}
            Input::Connected(peer) => self.connect(peer),
            Input::Disconnected(peer) => self.neighbours.remove(peer),
            Input::Message { from, message } => self.receive(from, message)?,
            Input::Submit(transactions) => self.submit(transactions)?,
        }
        self.run_timers()?;
        self.begin_if_due()?;
        self.propose_if_due()?;
        self.catch_up();
        self.flush()?;
        self.stopped = false;
        Ok(std::mem::take(&mut self.outputs))
    }

    /// When to call again with [`Input::Tick`], by [`Now::elapsed_ns`]; sooner does no harm.
    #[must_use]
    pub fn wake_at(&self) -> Option<u64> {
        if self.since_ns.is_none() {
            // It has not been called yet, and may have a log to replay.
            return Some(0);
        }
        let timers = self.timers.values().copied();
        timers.chain(self.begins_at()).chain(self.proposes_at()).chain(self.neighbours.due()).min()
    }

    /// The state after the last committed block.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The committed blocks.
    #[must_use]
    pub fn blocks(&self) -> &BlockStore {
        &self.store
    }

    /// What a snapshot of the state after the block of a height is made of, on whichever thread; none where
    /// that version of the state, or the block, is not kept.
    ///
    /// # Errors
    /// Where state or blocks cannot be read.
    pub fn snapshot_source(&self, height: u64) -> Result<Option<SnapshotSource>, ConsensusError> {
        if height == 0 || !self.state.versions().any(|kept| kept.version == height) {
            return Ok(None);
        }
        let (step, before) = (self.store.step(height)?, self.store.tip_at(height - 1)?);
        let Some((step, before)) = step.zip(before) else { return Ok(None) };
        let state = self.state.reader(height)?;
        Ok(Some(SnapshotSource { step, history: before.history, state }))
    }

    /// Forgets the blocks below a height, so that neighbours cannot catch up from here with them.
    pub fn prune(&mut self, below: u64) -> Result<(), ConsensusError> {
        Ok(self.store.prune(below)?)
    }

    /// The transactions that wait.
    #[must_use]
    pub fn mempool(&self) -> &Mempool {
        &self.mempool
    }

    /// The chain.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        self.chain
    }

    /// Who validates the height that is worked on.
    #[must_use]
    pub fn validators(&self) -> &ValidatorSet {
        &self.set
    }

    /// Where consensus is.
    #[must_use]
    pub fn position(&self) -> Position {
        let is_running = self.phase == Phase::Running;
        Position {
            height: self.height(),
            round: self.core.round().filter(|_| is_running),
            is_voting: self.is_voting(),
        }
    }

    fn is_voting(&self) -> bool {
        self.height() > self.stands_aside_until && self.set.index_of_key(&self.key).is_some()
    }

    /// The height that is worked on.
    fn height(&self) -> u64 {
        self.tip.height.saturating_add(1)
    }

    fn broadcast(&mut self, message: Message) {
        self.outputs.push(Output::Broadcast(message));
    }

    fn send(&mut self, to: PeerId, message: Message) {
        self.outputs.push(Output::Send { to, message });
    }

    fn refuse(&mut self, from: PeerId, reason: Refusal) {
        self.outputs.push(Output::Refused { from, reason });
    }

    /// Puts everything that outputs depend on onto stable storage: first the log, so that the guard
    /// never knows of a vote that the log does not.
    fn flush(&mut self) -> Result<(), ConsensusError> {
        if !self.must_sync {
            return Ok(());
        }
        self.log.sync()?;
        if let Some(guard) = &mut self.guard {
            guard.save()?;
        }
        self.must_sync = false;
        Ok(())
    }

    fn run_timers(&mut self) -> Result<(), ConsensusError> {
        loop {
            let now = self.now.elapsed_ns;
            // The earliest first; of two at once, in their fixed order.
            let due = self.timers.iter().map(|(timer, at)| (*at, *timer)).min();
            let Some((at, timer)) = due else { return Ok(()) };
            if at > now {
                return Ok(());
            }
            self.timers.remove(&timer);
            if timer.kind == super::event::TimerKind::Rebroadcast {
                self.repeat();
            }
            self.tell(Event::Timeout(timer))?;
        }
    }

    /// The block of an id that is voted on at this height, if it could follow.
    fn candidate_block(&self, id: &BlockId) -> Option<&crate::block::Block> {
        self.candidates.block(id)
    }
}
