//! The driver: gives the validators time and each other's messages, and waits for their blocks.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::{Duration, Instant};

use chronolith_chain::consensus::message::{Decided, Message, PeerId};
use chronolith_chain::consensus::{BlockStore, Input, Output, Validator};
use chronolith_chain::genesis::Genesis;
use chronolith_chain::hash::{ChainId, TransactionId};
use chronolith_chain::ledger::{AccountKey, Receipt};
use chronolith_chain::light::Prover;
use chronolith_chain::mempool::Refused;
use chronolith_chain::state::{Overlay, State};
use chronolith_chain::transaction::Transaction;
use chronolith_disk::DiskLock;
use chronolith_net::validator::Clock;

use super::{ChainError, directory};

/// How long a block is waited for. Validators of one process need a moment; after a crash in the
/// middle of a height they may need a round or two.
const PATIENCE: Duration = Duration::from_secs(60);

/// A transaction that is in a block.
#[derive(Debug, Clone)]
pub struct Settled {
    /// The height of its block.
    pub height: u64,
    /// Its place in the block.
    pub index: u32,
    /// What became of it.
    pub receipt: Receipt,
}

/// A chain whose validators are all in this process.
pub struct Chain {
    genesis: Genesis,
    validators: Vec<Validator>,
    clock: Clock,
    /// Sender, receiver, message.
    in_flight: VecDeque<(usize, usize, Message)>,
    are_connected: bool,
    /// What the first validator committed since the chain was opened.
    settled: BTreeMap<TransactionId, Settled>,
    /// What was said of the transactions that were handed in, in their order.
    submitted: Vec<Result<TransactionId, Refused>>,
    /// The last thing that a validator did not take from another.
    last_refusal: Option<String>,
    _lock: Box<dyn DiskLock>,
}

impl Chain {
    /// Opens the chain in a directory. Until it is dropped, no other process can.
    pub fn open(directory: &Path) -> Result<Self, ChainError> {
        let directory::Opened { genesis, validators, lock } = directory::open(directory)?;
        Ok(Self {
            genesis,
            validators,
            clock: Clock::start(),
            in_flight: VecDeque::new(),
            are_connected: false,
            settled: BTreeMap::new(),
            submitted: Vec::new(),
            last_refusal: None,
            _lock: lock,
        })
    }

    /// What the chain began with.
    #[must_use]
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The chain's id.
    #[must_use]
    pub fn id(&self) -> ChainId {
        self.genesis.chain_id()
    }

    /// The validator that answers questions. There is always one: a genesis without is no chain.
    fn first(&self) -> Result<&Validator, ChainError> {
        self.validators.first().ok_or(ChainError::Validators { most: 0, found: 0 })
    }

    /// The state after the last block.
    pub fn state(&self) -> Result<&State, ChainError> {
        Ok(self.first()?.state())
    }

    /// The committed blocks.
    pub fn blocks(&self) -> Result<&BlockStore, ChainError> {
        Ok(self.first()?.blocks())
    }

    /// Makes proofs of what is on the chain.
    pub fn prover(&self) -> Result<Prover<'_>, ChainError> {
        let first = self.first()?;
        Ok(Prover::new(first.blocks(), first.state()))
    }

    /// The height of the last block.
    pub fn height(&self) -> Result<u64, ChainError> {
        Ok(self.blocks()?.tip().height)
    }

    /// The block of a height, with what commits it.
    pub fn block(&self, height: u64) -> Result<Decided, ChainError> {
        let blocks = self.blocks()?;
        let (oldest, newest) = (blocks.oldest(), blocks.tip().height);
        let none = match newest {
            0 => ChainError::NoBlocks,
            _ => ChainError::NoBlock { height, oldest, newest },
        };
        blocks.block(height)?.ok_or(none)
    }

    /// Commits transactions, in as many blocks as they need, and says what became of each.
    ///
    /// # Errors
    /// [`ChainError::Refused`] where one is not taken; those before it may be committed already.
    /// An action that is refused is no error: its receipt says so.
    pub fn commit(&mut self, transactions: Vec<Transaction>) -> Result<Vec<Settled>, ChainError> {
        let mut ids = Vec::with_capacity(transactions.len());
        // A mempool takes so many of one account at a time.
        for some in transactions.chunks(1_000) {
            self.connect()?;
            self.submitted.clear();
            self.give(0, Input::Submit(some.to_vec()))?;
            let wanted = self.submitted.drain(..).collect::<Result<Vec<_>, _>>()?;
            self.run_until_settled(&wanted)?;
            ids.extend(wanted);
        }
        let mut settled = Vec::with_capacity(ids.len());
        for id in ids {
            settled.push(self.settled.remove(&id).ok_or_else(|| self.stuck(0))?);
        }
        Ok(settled)
    }

    fn stuck(&self, seconds: u64) -> ChainError {
        let what = match &self.last_refusal {
            Some(reason) => format!("the last thing one refused of another: {reason}"),
            None => "none of them says why".to_owned(),
        };
        ChainError::Stuck { seconds, what }
    }

    fn run_until_settled(&mut self, wanted: &[TransactionId]) -> Result<(), ChainError> {
        let until = Instant::now() + PATIENCE;
        while let Some(open) = wanted.iter().find(|id| !self.settled.contains_key(id)) {
            self.ensure_ready(*open)?;
            if Instant::now() > until {
                return Err(self.stuck(PATIENCE.as_secs()));
            }
            self.step()?;
        }
        // The others take in the last block, too, so that all of them can be opened again.
        while let Some((from, to, message)) = self.in_flight.pop_front() {
            self.give(to, Input::Message { from: PeerId(from as u64), message })?;
        }
        Ok(())
    }

    /// A transaction that waits for one that nobody handed in would be waited for in vain.
    fn ensure_ready(&self, id: TransactionId) -> Result<(), ChainError> {
        let first = self.first()?;
        let (mempool, state) = (first.mempool(), first.state());
        let Some(waiting) = mempool.get(&id) else { return Ok(()) };
        if mempool.has_ready(state)? {
            return Ok(());
        }
        let (sender, found) = (waiting.body().sender, waiting.body().nonce);
        let account = Overlay::new(state).get(&AccountKey { address: sender })?;
        Err(ChainError::Waits { next: account.unwrap_or_default().nonce, found })
    }

    fn connect(&mut self) -> Result<(), ChainError> {
        if std::mem::replace(&mut self.are_connected, true) {
            return Ok(());
        }
        for node in 0..self.validators.len() {
            for other in (0..self.validators.len()).filter(|other| *other != node) {
                self.give(node, Input::Connected(PeerId(other as u64)))?;
            }
        }
        Ok(())
    }

    /// Delivers a message, or waits until a validator wants to be woken.
    fn step(&mut self) -> Result<(), ChainError> {
        if let Some((from, to, message)) = self.in_flight.pop_front() {
            return self.give(to, Input::Message { from: PeerId(from as u64), message });
        }
        let Some(at) = self.validators.iter().filter_map(Validator::wake_at).min() else {
            return Err(self.stuck(0));
        };
        let now = self.clock.now().elapsed_ns;
        if at > now {
            std::thread::sleep(Duration::from_nanos(at - now).min(PATIENCE));
        }
        for node in 0..self.validators.len() {
            let now = self.clock.now().elapsed_ns;
            let wake_at = self.validators.get(node).and_then(Validator::wake_at);
            if wake_at.is_some_and(|at| at <= now) {
                self.give(node, Input::Tick)?;
            }
        }
        Ok(())
    }

    /// Gives a validator an input, and takes its outputs.
    fn give(&mut self, node: usize, input: Input) -> Result<(), ChainError> {
        let now = self.clock.now();
        let count = self.validators.len();
        let Some(validator) = self.validators.get_mut(node) else { return Ok(()) };
        for output in validator.handle(now, input)? {
            match output {
                Output::Broadcast(message) => {
                    for to in (0..count).filter(|to| *to != node) {
                        self.in_flight.push_back((node, to, message.clone()));
                    }
                }
                Output::Send { to, message } => {
                    let to = usize::try_from(to.0).unwrap_or(usize::MAX);
                    self.in_flight.push_back((node, to, message));
                }
                Output::Committed { decided, receipts } if node == 0 => {
                    let height = decided.block.header.height;
                    for (index, receipt) in (0..).zip(receipts) {
                        let id = receipt.transaction;
                        self.settled.insert(id, Settled { height, index, receipt });
                    }
                }
                Output::Submitted(result) => self.submitted.push(result),
                Output::Refused { reason, .. } => self.last_refusal = Some(reason.to_string()),
                Output::Committed { .. } | Output::Evidence(_) => {}
                Output::StandsAside { until } => {
                    self.last_refusal = Some(format!(
                        "validator {node} signs nothing up to height {until}, because its guard \
                         and its log do not agree"
                    ));
                }
            }
        }
        Ok(())
    }
}
