//! The chain that deals are made on.

use std::path::Path;
use std::time::Duration;

use chronolith_chain::hash::{ChainId, Hash, TransactionId};
use chronolith_chain::keys::SecretKey;
use chronolith_chain::ledger::Action;
use chronolith_chain::state::{Key, Overlay, StateError, View};
use chronolith_chain::transaction::Transaction;

use super::grant::sealed_in;
use crate::chain::{Chain, ChainError, Composer, Settled};
use crate::node::submit::{Done, SubmitError, Submitter, TRIES};
use crate::node::turn::Turn;
use crate::node::{Client, NodeError, NodeState};

/// Why a chain does not do what it is asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VenueError {
    /// The chain in a directory.
    #[error(transparent)]
    Chain(Box<ChainError>),
    /// The node.
    #[error(transparent)]
    Node(Box<NodeError>),
    /// What was handed in.
    #[error(transparent)]
    Submit(Box<SubmitError>),
    /// What was handed in, and may be in a block.
    #[error(transparent)]
    Unsettled(Box<Unsettled>),
    /// The state.
    #[error(transparent)]
    State(Box<StateError>),
}

boxed_errors! {
    VenueError: Chain(ChainError), Node(NodeError), Submit(SubmitError), Unsettled(Unsettled),
    State(StateError)
}

/// A transaction that was handed in, and of which it is not known what became of it. Whoever does the same again
/// may do it twice.
#[derive(Debug, thiserror::Error)]
#[error(
    "the transaction {transaction} was handed in, and may be in a block up to height {valid_until}: look whether it \
     is there before doing this again ({})", why(.reason)
)]
pub struct Unsettled {
    /// The transaction.
    pub transaction: TransactionId,
    /// The height before it was handed in.
    pub since: u64,
    /// The last height at which it can be in a block.
    pub valid_until: u64,
    /// Why nothing was heard of it.
    pub reason: SubmitError,
}

/// What waits for a block says that it be run again, which is no advice here.
fn why(reason: &SubmitError) -> String {
    match reason {
        SubmitError::Late { what, seconds } => format!("{what} did not come within {seconds} s"),
        other => other.to_string(),
    }
}

impl VenueError {
    /// Whether the ledger said no, so that it will again.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Submit(error) if matches!(**error, SubmitError::Refused { .. }))
    }

    /// Whether something else of the account was done in its place, so that it can be done again.
    fn is_overtaken(&self) -> bool {
        matches!(self, Self::Submit(error) if matches!(**error, SubmitError::Overtaken { .. }))
    }
}

/// A chain in a directory, whose validators are in this process; or that of a running node.
pub enum Venue {
    /// In a directory.
    Chain(Box<Chain>),
    /// Of a node.
    Node {
        /// Who asks it.
        client: Box<Client>,
        /// How long a block is waited for.
        deadline: Duration,
    },
}

impl Venue {
    /// The chain in a directory.
    ///
    /// # Errors
    /// Where there is none, or another process has it.
    pub fn open(directory: &Path) -> Result<Self, VenueError> {
        Ok(Self::Chain(Box::new(Chain::open(directory)?)))
    }

    /// Its id.
    ///
    /// # Errors
    /// Where the node does not answer.
    pub fn id(&self) -> Result<ChainId, VenueError> {
        match self {
            Self::Chain(chain) => Ok(chain.id()),
            Self::Node { client, .. } => Ok(client.status()?.chain),
        }
    }

    /// Looks at the state after the last block, with its height.
    ///
    /// # Errors
    /// What `look` says, or where the state cannot be read.
    pub fn look<T, E: From<VenueError>>(
        &self,
        look: impl FnOnce(&dyn View, u64) -> Result<T, E>,
    ) -> Result<T, E> {
        match self {
            Self::Chain(chain) => {
                let height = chain.height().map_err(VenueError::from)?;
                look(chain.state().map_err(VenueError::from)?, height)
            }
            Self::Node { client, .. } => {
                let state = NodeState::new(client);
                let height = state.height().map_err(VenueError::from)?;
                look(&state, height)
            }
        }
    }

    /// All values of a kind, or those whose keys begin with something, in the order of their keys.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn all<K: Key>(&self, prefix: &[u8]) -> Result<Vec<(K, K::Value)>, VenueError> {
        self.look(|state, _| {
            let mut found = Vec::new();
            Overlay::new(state).each(prefix, |key: K, value| {
                found.push((key, value));
                Ok::<_, StateError>(())
            })?;
            Ok(found)
        })
    }

    /// Signs an action as the next transaction of an account, which is in no block above a height.
    fn sign(&self, key: &SecretKey, action: Action, until: u64) -> Result<Transaction, VenueError> {
        let chain = self.id()?;
        self.look(|state, height| {
            let mut composer = Composer::new(chain, state, height, key.public().into())?;
            composer.expire_at(until);
            Ok(composer.sign(action, key))
        })
    }

    /// Hands in a transaction that was signed by [`Venue::sign`], and waits for its block.
    ///
    /// # Errors
    /// Where it is not taken, or refused; [`Unsettled`] where it is not known what became of it.
    fn hand_in(
        &mut self,
        what: &'static str,
        transaction: Transaction,
    ) -> Result<Done, VenueError> {
        let (id, valid_until) = (transaction.body.id(), transaction.body.valid_until);
        let transactions = vec![transaction];
        let done: Vec<Done> = match self {
            Self::Chain(chain) => {
                let settled = chain.commit(transactions)?.into_iter();
                settled.map(|Settled { height, receipt, .. }| Done { height, receipt }).collect()
            }
            Self::Node { client, deadline } => {
                let height = NodeState::new(client).height()?;
                // Nothing is signed by it: the transactions are.
                let nobody = SecretKey::from_seed(&[0; 32]);
                let submitter = Submitter::new(client, nobody, *deadline)?;
                submitter.hand_in(transactions, height).map_err(|reason| {
                    if !reason.may_be_done() {
                        return VenueError::from(reason);
                    }
                    Unsettled { transaction: id, since: height, valid_until, reason }.into()
                })?
            }
        };
        // One was handed in.
        let done = done.into_iter().next();
        let reason = SubmitError::NotTaken("it is gone".to_owned());
        let done = done.ok_or(Unsettled { transaction: id, since: 0, valid_until, reason })?;
        match done.receipt.refusal.clone() {
            Some(refusal) => Err(SubmitError::Refused { what, refusal }.into()),
            None => Ok(done),
        }
    }

    /// Signs an action and hands it in, after `keep` had its transaction's id: what must not be lost is kept
    /// before the ledger has it. Where something else of the account took its place it is signed once more, and `keep`
    /// has the new id, too.
    ///
    /// # Errors
    /// What `keep` says, and as [`Venue::hand_in`].
    pub fn commit_kept<T, E: From<VenueError>>(
        &mut self,
        what: &'static str,
        key: &SecretKey,
        action: impl Into<Action>,
        keep: impl FnMut(TransactionId) -> Result<T, E>,
    ) -> Result<(T, Done), E> {
        self.commit_by(what, key, action.into(), u64::MAX, keep)
    }

    /// Signs an action and hands it in.
    ///
    /// # Errors
    /// As [`Venue::hand_in`].
    pub fn commit(
        &mut self,
        what: &'static str,
        key: &SecretKey,
        action: impl Into<Action>,
    ) -> Result<Done, VenueError> {
        self.commit_until(what, key, action, u64::MAX)
    }

    /// The same by a transaction that is in no block above a height: one that comes late is not there to be read.
    ///
    /// # Errors
    /// As [`Venue::hand_in`].
    pub fn commit_until(
        &mut self,
        what: &'static str,
        key: &SecretKey,
        action: impl Into<Action>,
        until: u64,
    ) -> Result<Done, VenueError> {
        let keep = |_| Ok::<_, VenueError>(());
        self.commit_by(what, key, action.into(), until, keep).map(|((), done)| done)
    }

    fn commit_by<T, E: From<VenueError>>(
        &mut self,
        what: &'static str,
        key: &SecretKey,
        action: Action,
        until: u64,
        mut keep: impl FnMut(TransactionId) -> Result<T, E>,
    ) -> Result<(T, Done), E> {
        let _turn = Turn::of(key.public().into());
        let mut tries = 1;
        loop {
            let transaction = self.sign(key, action.clone(), until)?;
            let kept = keep(transaction.body.id())?;
            match self.hand_in(what, transaction) {
                Err(error) if error.is_overtaken() && tries < TRIES => tries += 1,
                done => return Ok((kept, done?)),
            }
        }
    }

    /// What was sealed to a buyer, by the hash that the ledger keeps of it, from the blocks from one height to
    /// another, both included.
    ///
    /// # Errors
    /// Where blocks cannot be read.
    pub fn sealed_keys(
        &self,
        wrapped: Hash,
        since: u64,
        until: u64,
    ) -> Result<Option<Vec<u8>>, VenueError> {
        match self {
            Self::Chain(chain) => {
                let blocks = chain.blocks()?;
                let first = since.max(blocks.oldest()).max(1);
                for height in first..=until.min(blocks.tip().height) {
                    let block = chain.block(height)?.block;
                    if let Some(sealed) = sealed_in(&block, wrapped) {
                        return Ok(Some(sealed.to_vec()));
                    }
                }
                Ok(None)
            }
            Self::Node { client, .. } => {
                let mut next = since;
                loop {
                    let (found, looked) = client.sealed_keys(wrapped, next)?;
                    if let Some(sealed) = found {
                        return Ok(Some(sealed));
                    }
                    if looked <= next || looked > until {
                        return Ok(None);
                    }
                    next = looked;
                }
            }
        }
    }
}
