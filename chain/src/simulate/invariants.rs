//! What must hold in every run, checked at every step.
//!
//! | invariant | checked when |
//! |---|---|
//! | agreement: one block at a height | an honest node commits |
//! | validity: a block follows from the one before, and its certificate commits it | the same |
//! | durability: what is committed stays so | the same, and when a node starts again |
//! | supply: what was made less what was burnt is what is there | a height is committed first |
//! | nonces: the transactions of an account are numbered without gaps | the same |
//! | sign-once: one message for a height, round and step, whatever crashes | an honest node sends |
//! | liveness: a new height within 10 rounds | the network healed |
//! | health: an honest node neither stops nor stands aside, and is never blamed | always |

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::address::Address;
use crate::block::Tip;
use crate::certificate::Certificate;
use crate::consensus::message::{Decided, Message};
use crate::genesis::{Genesis, GenesisError};
use crate::hash::{BlockId, Hash};
use crate::keys::{PublicKey, verify};
use crate::ledger::audit;
use crate::state::{Options, State, StateError};
use crate::validator_set::{ValidatorSet, ValidatorSetError};
use crate::vote::{Message as _, Step};

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// No two blocks are committed at one height.
    Agreement,
    /// A committed block follows from the one before, and its certificate commits it.
    Validity,
    /// What a node committed it has after whatever happened.
    Durability,
    /// Of every coin, what was made less what was burnt is what is there.
    Supply,
    /// The transactions of an account are numbered without gaps.
    Nonces,
    /// An honest validator signs one thing for a height, round and step, for ever.
    SignOnce,
    /// After the network healed, there is a new height within ten rounds.
    Liveness,
    /// An honest node goes on, votes, and is blamed for nothing.
    Health,
}

impl Invariant {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agreement => "agreement",
            Self::Validity => "validity",
            Self::Durability => "durability",
            Self::Supply => "supply",
            Self::Nonces => "nonces",
            Self::SignOnce => "sign-once",
            Self::Liveness => "liveness",
            Self::Health => "health",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{invariant}: {what}")]
pub struct Broken {
    /// Which one.
    pub invariant: Invariant,
    /// What was seen, for people.
    pub what: String,
}

impl Broken {
    pub(super) fn new(invariant: Invariant, what: impl Into<String>) -> Self {
        Self { invariant, what: what.into() }
    }
}

/// Why nothing can be checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckerError {
    /// The genesis makes no chain.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// Its state cannot be made.
    #[error(transparent)]
    State(#[from] StateError),
}

/// The height, the round and the step (0 for a proposal) that something was signed for.
type Place = (PublicKey, u64, u32, u8);

struct Known {
    block: BlockId,
    set: ValidatorSet,
    certificate: Certificate,
}

/// Sees everything that honest nodes commit and send, and executes every block itself.
pub struct Checker {
    tip: Tip,
    state: State,
    /// What is committed at each height from 1 on.
    known: Vec<Known>,
    nonces: HashMap<Address, u64>,
    signed: HashMap<Place, Hash>,
    /// What each node committed last.
    nodes: BTreeMap<usize, u64>,
}

fn validity(height: u64, why: impl fmt::Display) -> Broken {
    Broken::new(Invariant::Validity, format!("height {height}: {why}"))
}

impl Checker {
    /// A checker of a chain at its genesis.
    pub fn new(genesis: &Genesis) -> Result<Self, CheckerError> {
        let options = Options { keep_versions: 1, cache_bytes: 1 << 20 };
        let state = State::in_memory(0, genesis.values()?, options)?;
        Ok(Self::with_state(Tip::genesis(genesis), state))
    }

    /// A checker that goes on from a state.
    #[must_use]
    pub fn with_state(tip: Tip, state: State) -> Self {
        Self {
            tip,
            state,
            known: Vec::new(),
            nonces: HashMap::new(),
            signed: HashMap::new(),
            nodes: BTreeMap::new(),
        }
    }

    /// The highest height that anybody honest committed.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.known.len() as u64
    }

    /// The state after that height.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Looks at a block that an honest node committed, and at the root of its state if it is known.
    pub fn committed(
        &mut self,
        node: usize,
        decided: &Decided,
        root: Option<Hash>,
    ) -> Result<(), Broken> {
        let header = &decided.block.header;
        let (height, block) = (header.height, header.id());
        let last = self.nodes.insert(node, height).unwrap_or(0);
        if height != last.saturating_add(1) {
            let what = format!("node {node} committed height {height} after {last}");
            return Err(Broken::new(Invariant::Durability, what));
        }
        if root.is_some_and(|root| root != header.state_root) {
            return Err(validity(height, format!("the state of node {node} has another root")));
        }
        let index = height.saturating_sub(1) as usize;
        let Some(known) = self.known.get(index) else { return self.extend(decided) };
        if known.block != block {
            let what = format!(
                "height {height}: node {node} committed {block}, and {} is committed",
                known.block
            );
            return Err(Broken::new(Invariant::Agreement, what));
        }
        if known.certificate != decided.certificate {
            check_certificate(decided, &known.set)?;
        }
        Ok(())
    }

    /// Executes a block of a new height.
    fn extend(&mut self, decided: &Decided) -> Result<(), Broken> {
        let Decided { block, certificate } = decided;
        let height = block.header.height;
        for transaction in block.transactions.iter() {
            let body = &transaction.body;
            let next = self.nonces.entry(body.sender).or_insert(0);
            if body.nonce != *next {
                let what = format!(
                    "height {height}: transaction {} of {} came where {next} was next",
                    body.nonce, body.sender
                );
                return Err(Broken::new(Invariant::Nonces, what));
            }
            *next = next.saturating_add(1);
        }
        let set = self.set().map_err(|why| validity(height, why))?;
        check_certificate(decided, &set)?;
        let executed = block.check(&self.tip, &self.state).map_err(|why| validity(height, why))?;
        self.state.commit(executed.prepared).map_err(|why| validity(height, why))?;
        self.tip.advance(&block.header);
        let (block, certificate) = (block.header.id(), certificate.clone());
        self.known.push(Known { block, set, certificate });
        audit(&self.state)
            .map_err(|why| Broken::new(Invariant::Supply, format!("height {height}: {why}")))?;
        Ok(())
    }

    fn set(&self) -> Result<ValidatorSet, SetError> {
        let validators = crate::ledger::Validators::of(&self.state)?;
        Ok(ValidatorSet::from_seats(&validators.next)?)
    }

    /// Looks at a message that an honest validator sends.
    pub fn sent(&mut self, key: &PublicKey, message: &Message) -> Result<(), Broken> {
        let (place, hash) = match message {
            Message::Vote(vote) if vote.key == *key => {
                let step = match vote.signed.message.step {
                    Step::Prevote => 1,
                    Step::Precommit => 2,
                };
                let vote = &vote.signed.message;
                ((*key, vote.height, vote.round, step), vote.signing_hash())
            }
            Message::Proposal(proposal) if proposal.key == *key => {
                let proposal = &proposal.signed.message;
                ((*key, proposal.height, proposal.round, 0), proposal.signing_hash())
            }
            _ => return Ok(()),
        };
        let first = *self.signed.entry(place).or_insert(hash);
        if first == hash {
            return Ok(());
        }
        let (_, height, round, step) = place;
        let what = format!("{key:?} signed twice for height {height}, round {round}, step {step}");
        Err(Broken::new(Invariant::SignOnce, what))
    }

    /// What a node committed last, as far as it was told.
    #[must_use]
    pub fn height_of(&self, node: usize) -> u64 {
        self.nodes.get(&node).copied().unwrap_or(0)
    }

    /// Looks at what a node has after it started again, and all it has was told.
    pub fn restarted(&mut self, node: usize, tip: &Tip) -> Result<(), Broken> {
        let committed = self.height_of(node);
        let lost = |what| Err(Broken::new(Invariant::Durability, what));
        if tip.height != committed {
            return lost(format!("node {node} is at {} and had committed {committed}", tip.height));
        }
        match self.known.get((tip.height as usize).wrapping_sub(1)) {
            Some(known) if known.block != tip.block => {
                let what = format!("height {}: node {node} restarted on another block", tip.height);
                Err(Broken::new(Invariant::Agreement, what))
            }
            _ => Ok(()),
        }
    }
}

/// Why there is no set of validators.
#[derive(Debug, thiserror::Error)]
enum SetError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Set(#[from] ValidatorSetError),
}

fn check_certificate(decided: &Decided, set: &ValidatorSet) -> Result<(), Broken> {
    let Decided { block, certificate } = decided;
    let (height, id) = (block.header.height, block.header.id());
    if (certificate.height(), certificate.block()) != (height, id) {
        return Err(validity(height, format!("the certificate commits {}", certificate.block())));
    }
    // By the definitions and not by what nodes check it with, so that a fault there is seen.
    let voters = certificate.voters(set);
    let power = |address| set.index_of(address).and_then(|at| set.get(at)).map_or(0, |s| s.power);
    let found: u128 = voters.iter().map(|voter| u128::from(power(*voter))).sum();
    if 3 * found <= 2 * u128::from(set.total_power()) {
        return Err(validity(height, format!("voters of power {found} committed it")));
    }
    let hash = certificate.vote(block.header.chain).signing_hash();
    if voters.len() != certificate.signatures().len() {
        return Err(validity(height, "votes and signatures are not as many"));
    }
    for (voter, signature) in voters.iter().zip(certificate.signatures()) {
        let seat = set.index_of(*voter).and_then(|at| set.get(at));
        if !seat.is_some_and(|seat| verify(&seat.consensus_key, &hash, signature)) {
            return Err(validity(height, format!("{voter} did not sign the certificate")));
        }
    }
    Ok(())
}
