//! Making bundles, from the blocks and the state of a node.
//!
//! Nothing is executed: what blocks made of transactions, and who validated them, is kept beside
//! them. A proof reads the last block of each set of validators on its way, the block that its facts
//! are of, and a logarithm of hashes.

use chronolith_merkle::ProofError;

use super::{Ancestor, BUNDLE_VERSION, Bundle, Fact, Step};
use crate::consensus::message::Decided;
use crate::consensus::{BlockStore, StoreError};
use crate::encoding::{Bytes, List, TooLong};
use crate::history::{HistoryError, HistoryProof};
use crate::list::ListProof;
use crate::state::{State, StateError};

/// The most steps of a bundle.
const STEPS_MOST: usize = 1_024;

/// Why something cannot be proved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProveError {
    /// There is no block yet.
    #[error("the chain has no block yet; a transaction makes one")]
    NoBlock,
    /// A block is not kept, or not made yet.
    #[error("the block of height {height} is not kept; there are {oldest} to {newest}")]
    Missing {
        /// The height.
        height: u64,
        /// The lowest height that is kept.
        oldest: u64,
        /// The last block's.
        newest: u64,
    },
    /// A block has no such transaction.
    #[error("the block of height {height} has {count} transactions, so none at place {index}")]
    NoTransaction {
        /// The height.
        height: u64,
        /// The place, from 0.
        index: u32,
        /// How many there are.
        count: usize,
    },
    /// There are more sets of validators on the way than a bundle has steps.
    #[error(
        "more than {STEPS_MOST} sets of validators followed on the one at height {since}: begin at a \
         later header that is trusted"
    )]
    TooFar {
        /// The height that the proof begins at.
        since: u64,
    },
    /// There are more facts than a bundle holds, or larger ones.
    #[error("too much for one proof: {0}")]
    TooLong(#[from] TooLong),
    /// Blocks cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The way to a block's root cannot be made.
    #[error(transparent)]
    List(#[from] ProofError),
    /// The way to an old block cannot be made.
    #[error(transparent)]
    History(#[from] HistoryError<StoreError>),
}

/// Makes bundles that end at the last block.
#[derive(Clone, Copy)]
pub struct Prover<'a> {
    blocks: &'a BlockStore,
    state: &'a State,
}

impl<'a> Prover<'a> {
    /// For the blocks of a node and the state after the last of them.
    #[must_use]
    pub fn new(blocks: &'a BlockStore, state: &'a State) -> Self {
        Self { blocks, state }
    }

    fn missing(&self, height: u64) -> ProveError {
        let (oldest, newest) = (self.blocks.oldest(), self.blocks.tip().height);
        ProveError::Missing { height, oldest, newest }
    }

    fn block(&self, height: u64) -> Result<Decided, ProveError> {
        self.blocks.block(height)?.ok_or_else(|| self.missing(height))
    }

    /// A block's header with the set that committed it and its certificate.
    pub fn step(&self, height: u64) -> Result<Step, ProveError> {
        self.blocks.step(height)?.ok_or_else(|| self.missing(height))
    }

    /// The fewest steps to the last block from one that is trusted, or from the genesis where
    /// `since` is 0: the last block of each set of validators, which has signed the next set, and
    /// the last block itself.
    pub fn steps(&self, since: u64) -> Result<Vec<Step>, ProveError> {
        let last = self.blocks.tip().height;
        if last == 0 {
            return Err(ProveError::NoBlock);
        }
        let steps = self.steps_to(since, last, STEPS_MOST + 1)?;
        if steps.len() > STEPS_MOST {
            return Err(ProveError::TooFar { since });
        }
        Ok(steps)
    }

    /// The first `most` of the fewest steps from one block that is trusted to another that is kept.
    ///
    /// # Errors
    /// [`ProveError::Missing`] where the validators after `since`, or a block on the way, are not known.
    pub fn steps_to(&self, since: u64, until: u64, most: usize) -> Result<Vec<Step>, ProveError> {
        if since >= until {
            return Ok(Vec::new());
        }
        // The trusted header names the set of the height after it.
        let first = since.saturating_add(1);
        if until > self.blocks.tip().height {
            return Err(self.missing(until));
        }
        if first < self.blocks.first_validators()? {
            return Err(self.missing(first));
        }
        let changes = self.blocks.changes_of_validators(first, until, most)?;
        let ends = changes.into_iter().map(|height| height - 1).chain([until]);
        ends.take(most).map(|height| self.step(height)).collect()
    }

    /// What the state after the last block holds under keys, given as bytes, or that it holds
    /// nothing.
    pub fn entries(&self, keys: &[Vec<u8>]) -> Result<Vec<Fact>, ProveError> {
        let height = self.blocks.tip().height;
        let mut facts = Vec::with_capacity(keys.len());
        for key in keys {
            let (value, proof) = self.state.prove(height, key)?;
            let value = value.map(Bytes::new).transpose()?;
            facts.push(Fact::State { key: Bytes::new(key.clone())?, value, proof });
        }
        Ok(facts)
    }

    /// A transaction of a block, and what became of it.
    pub fn transaction(&self, height: u64, index: u32) -> Result<[Fact; 2], ProveError> {
        let Decided { block, .. } = self.block(height)?;
        let receipts = self.blocks.receipts(height)?.unwrap_or_default();
        let place = index as usize;
        let both = (block.transactions.get(place), receipts.get(place));
        let (Some(transaction), Some(receipt)) = both else {
            let count = block.transactions.len();
            return Err(ProveError::NoTransaction { height, index, count });
        };
        let ids = block.transactions.iter().map(|transaction| transaction.body.id());
        let proof = ListProof::new(ids, index)?;
        let said = Fact::Transaction { index, transaction: Box::new(transaction.clone()), proof };
        let proof = ListProof::new(receipts.iter(), index)?;
        Ok([said, Fact::Receipt { index, receipt: receipt.clone(), proof }])
    }

    /// A bundle for who trusts the header of height `since`, or the genesis where that is 0: facts
    /// of the block of a height, which is the last one unless another is named.
    pub fn bundle(
        &self,
        since: u64,
        of: Option<u64>,
        facts: Vec<Fact>,
    ) -> Result<Bundle, ProveError> {
        let last = self.blocks.tip();
        let ancestor = match of {
            Some(of) if of != last.height => {
                let header = self.block(of)?.block.header;
                let proof = HistoryProof::new(self.blocks, last.height, of)?;
                Some(Ancestor { header, proof })
            }
            _ => None,
        };
        Ok(Bundle {
            version: BUNDLE_VERSION,
            chain: last.chain,
            steps: List::new(self.steps(since)?)?,
            ancestor,
            facts: List::new(facts)?,
        })
    }
}
