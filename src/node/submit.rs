//! Handing in actions through a node, and waiting until they are in blocks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chronolith_chain::address::Address;
use chronolith_chain::encoding::encode;
use chronolith_chain::hash::{ChainId, TransactionId};
use chronolith_chain::keys::SecretKey;
use chronolith_chain::ledger::{AccountKey, Action, Receipt, Refusal};
use chronolith_chain::state::{Overlay, StateError};
use chronolith_chain::transaction::Transaction;
use chronolith_net::exchange::Submitted;

use super::turn::Turn;
use super::{Client, NodeError, NodeState};
use crate::chain::{ChainError, Composer};

/// How often the chain is asked for what is waited for.
const POLL: Duration = Duration::from_millis(100);

/// How often it is looked whether something else took the place of what is waited for.
const LOOK: Duration = Duration::from_secs(2);

/// How long the block with another transaction of the account is waited for.
const OTHERS_TURN: Duration = Duration::from_secs(20);

/// How often something is signed, where something else of the account takes its place each time.
pub(crate) const TRIES: u32 = 4;

/// How many bytes of transactions are handed in at once: one of the largest at least, and all fit into
/// one message.
const BYTES_AT_ONCE: usize = 512 << 10;

/// Why something handed in has no effect.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The node does not answer.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// A transaction cannot be made.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The node refuses a transaction.
    #[error("the node does not take the transaction: {0}")]
    NotTaken(String),
    /// The ledger refuses an action.
    #[error("the ledger refuses to {what}, and the fee is paid: {refusal}")]
    Refused {
        /// What was to be done.
        what: &'static str,
        /// Why.
        refusal: Refusal,
    },
    /// A transaction was in no block while it could be.
    #[error(
        "the transaction was in no block up to height {valid_until}, and can be in none any more: nothing was done"
    )]
    Expired {
        /// The last height at which it could be.
        valid_until: u64,
    },
    /// Something else of the account was done meanwhile, under the number that this has.
    #[error(
        "another transaction of {account} took the place of this one, number {nonce}: do it again"
    )]
    Overtaken {
        /// The account.
        account: Address,
        /// The number.
        nonce: u64,
    },
    /// Something did not happen in time.
    #[error("{what} did not come within {seconds} s; run it again to go on")]
    Late {
        /// What.
        what: &'static str,
        /// How long it was waited for.
        seconds: u64,
    },
    /// Whoever waits was told to stop.
    #[error("{what} was not waited for any longer; what is done stays, and is gone on with")]
    Stopped {
        /// What was waited for.
        what: &'static str,
    },
}

impl SubmitError {
    /// Whether something that was handed in may be in a block all the same, or come into one.
    #[must_use]
    pub const fn may_be_done(&self) -> bool {
        !matches!(
            self,
            Self::NotTaken(_)
                | Self::Refused { .. }
                | Self::Expired { .. }
                | Self::Overtaken { .. }
        )
    }
}

/// A transaction that is in a block.
#[derive(Debug, Clone)]
pub struct Done {
    /// The height of its block.
    pub height: u64,
    /// Its receipt.
    pub receipt: Receipt,
}

/// What a transaction goes by while its block is waited for.
#[derive(Clone, Copy)]
struct Named {
    account: Address,
    nonce: u64,
    valid_until: u64,
}

impl Named {
    const fn of(transaction: &Transaction) -> Self {
        let body = &transaction.body;
        Self { account: body.sender, nonce: body.nonce, valid_until: body.valid_until }
    }
}

/// Hands in actions of one account.
pub struct Submitter<'a> {
    client: &'a Client,
    key: SecretKey,
    chain: ChainId,
    deadline: Duration,
    stop: Option<Arc<AtomicBool>>,
}

impl<'a> Submitter<'a> {
    /// Hands in what `key` signs, through the node that a client asks, and waits for each thing until
    /// a deadline.
    ///
    /// # Errors
    /// Where the node does not answer.
    pub fn new(client: &'a Client, key: SecretKey, deadline: Duration) -> Result<Self, NodeError> {
        let chain = client.status()?.chain;
        Ok(Self { client, key, chain, deadline, stop: None })
    }

    /// The same, which waits for nothing any longer once this is set.
    #[must_use]
    pub fn stopped_by(self, stop: Arc<AtomicBool>) -> Self {
        Self { stop: Some(stop), ..self }
    }

    /// The account.
    #[must_use]
    pub fn address(&self) -> Address {
        self.key.public().into()
    }

    /// The key that signs.
    #[must_use]
    pub const fn key(&self) -> &SecretKey {
        &self.key
    }

    /// The chain.
    #[must_use]
    pub const fn chain(&self) -> ChainId {
        self.chain
    }

    /// The client.
    #[must_use]
    pub const fn client(&self) -> &'a Client {
        self.client
    }

    /// Hands in actions, in their order, and waits until all are in blocks.
    ///
    /// # Errors
    /// The first that is not taken or refused; those before it are done.
    pub fn commit(
        &self,
        what: &'static str,
        actions: Vec<Action>,
    ) -> Result<Vec<Done>, SubmitError> {
        let done = self.settle(actions)?;
        for Done { receipt, .. } in &done {
            if let Some(refusal) = receipt.refusal.clone() {
                return Err(SubmitError::Refused { what, refusal });
            }
        }
        Ok(done)
    }

    /// Hands in actions, in their order, and waits until all are in blocks; whether they are refused is
    /// for the caller to see.
    ///
    /// # Errors
    /// The first that is not taken; those before it are done.
    pub fn settle(&self, actions: Vec<Action>) -> Result<Vec<Done>, SubmitError> {
        if actions.is_empty() {
            return Ok(Vec::new());
        }
        let _turn = Turn::of(self.address());
        // Of several the later ones may be taken where the first is not: they would be done twice.
        let most = if actions.len() == 1 { TRIES } else { 1 };
        let mut tries = 1;
        loop {
            let state = NodeState::new(self.client);
            let height = state.height()?;
            let mut composer = Composer::new(self.chain, &state, height, self.address())?;
            let signed = actions.iter().map(|action| composer.sign(action.clone(), &self.key));
            match self.hand_in(signed.collect(), height) {
                Err(SubmitError::Overtaken { .. }) if tries < most => tries += 1,
                done => return done,
            }
        }
    }

    /// Hands in transactions that were made by the state after the block of `height`, and waits until
    /// all are in blocks; whether their actions are refused is for the caller to see.
    ///
    /// # Errors
    /// The first that is not taken; those before it are done.
    pub fn hand_in(
        &self,
        transactions: Vec<Transaction>,
        height: u64,
    ) -> Result<Vec<Done>, SubmitError> {
        let mut done = Vec::new();
        let mut transactions = transactions.into_iter().peekable();
        while transactions.peek().is_some() {
            let mut bytes = 0;
            let some = std::iter::from_fn(|| {
                bytes += encode(transactions.peek()?).len();
                transactions.next_if(|_| bytes <= BYTES_AT_ONCE)
            });
            let some: Vec<Transaction> = some.collect();
            let bodies: Vec<Named> = some.iter().map(Named::of).collect();
            for (became, named) in self.client.submit(some)?.into_iter().zip(bodies) {
                let id = match became {
                    Submitted::Waits(id) => id,
                    Submitted::Refused(reason) => {
                        return Err(SubmitError::NotTaken(reason.to_string()));
                    }
                    Submitted::NonceTaken(reason) => {
                        return Err(self.overtaken(named, reason.to_string()));
                    }
                };
                done.push(self.receipt(id, named, height)?);
            }
        }
        Ok(done)
    }

    /// Waits until the ledger has the transaction that a nonce is of, so that what was not taken can be signed with
    /// the next one; what to say of it.
    fn overtaken(&self, Named { account, nonce, .. }: Named, reason: String) -> SubmitError {
        let end = Instant::now() + self.deadline.min(OTHERS_TURN);
        while Instant::now() < end {
            match self.next_nonce(account) {
                Ok(next) if next.is_some_and(|next| next > nonce) => {
                    return SubmitError::Overtaken { account, nonce };
                }
                Ok(_) if !self.is_stopped() => std::thread::sleep(POLL),
                // What was not taken is not done, whatever fails now.
                _ => break,
            }
        }
        SubmitError::NotTaken(reason)
    }

    fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Acquire))
    }

    /// The nonce of an account's next transaction, where the ledger knows the account.
    fn next_nonce(&self, account: Address) -> Result<Option<u64>, SubmitError> {
        let state = NodeState::new(self.client);
        let known = Overlay::new(&state).get(&AccountKey { address: account })?;
        Ok(known.map(|known| known.nonce))
    }

    /// Waits for the block of a transaction, which is above a height. Another process may act for the account at the same
    /// time: of two transactions with one number one is never in a block.
    fn receipt(
        &self,
        id: TransactionId,
        Named { account, nonce, valid_until }: Named,
        height: u64,
    ) -> Result<Done, SubmitError> {
        let (mut since, mut looked, mut used_at) = (height, Instant::now(), None);
        let (height, receipt) = self.until("a block with the transaction", || {
            let (found, next) = self.client.receipt(id, since)?;
            since = next;
            // All blocks were looked at that it could be in.
            if found.is_none() && next > valid_until {
                return Err(SubmitError::Expired { valid_until });
            }
            if found.is_none() && used_at.is_some_and(|used_at| since > used_at) {
                return Err(SubmitError::Overtaken { account, nonce });
            }
            if found.is_none() && used_at.is_none() && looked.elapsed() > LOOK {
                looked = Instant::now();
                if self.next_nonce(account)?.is_some_and(|next| next > nonce) {
                    // It is in a block up to here, or never will be in one.
                    used_at = Some(NodeState::new(self.client).height()?);
                }
            }
            Ok(found)
        })?;
        Ok(Done { height, receipt })
    }

    /// Looks again and again until there is something.
    ///
    /// # Errors
    /// What `look` says, [`SubmitError::Late`] or [`SubmitError::Stopped`].
    pub fn until<T, E: From<SubmitError>>(
        &self,
        what: &'static str,
        mut look: impl FnMut() -> Result<Option<T>, E>,
    ) -> Result<T, E> {
        let begin = Instant::now();
        loop {
            if let Some(found) = look()? {
                return Ok(found);
            }
            if self.is_stopped() {
                return Err(SubmitError::Stopped { what }.into());
            }
            if begin.elapsed() > self.deadline {
                let seconds = self.deadline.as_secs();
                return Err(SubmitError::Late { what, seconds }.into());
            }
            std::thread::sleep(POLL);
        }
    }
}
