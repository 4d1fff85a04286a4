//! Facts of one block: what its state holds, what was done in it, and what became of that.

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_merkle::ProofError;

use crate::encoding::{Bytes, DecodeError, decode};
use crate::header::Header;
use crate::ledger::Receipt;
use crate::list::ListProof;
use crate::state::{Key, StateProof, StateProofError};
use crate::transaction::{SignatureError, Transaction};

/// The largest value of the state in bytes, for proofs.
const MAX_VALUE_BYTES: usize = 256 << 10;

/// A fact, with its proof.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Fact {
    /// What the state holds under a key after the block, or that it holds nothing.
    State {
        /// The key: the number of its kind and its parts.
        key: Bytes<128>,
        /// The value; none where the key is absent.
        value: Option<Bytes<MAX_VALUE_BYTES>>,
        /// Its proof.
        proof: StateProof,
    },
    /// A transaction of the block.
    Transaction {
        /// Its place.
        index: u32,
        /// The transaction.
        transaction: Box<Transaction>,
        /// Its proof.
        proof: ListProof,
    },
    /// What became of a transaction of the block.
    Receipt {
        /// Its place.
        index: u32,
        /// The receipt.
        receipt: Receipt,
        /// Its proof.
        proof: ListProof,
    },
}

/// Why a fact is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FactError {
    /// The state's proof does not hold.
    #[error("the state's proof does not hold: {0}")]
    State(#[from] StateProofError),
    /// The way to the root of transactions or receipts does not hold.
    #[error("the way to the block's root does not hold: {0}")]
    List(#[from] ProofError),
    /// The transaction's signature does not hold.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The fact is of another kind, or of another key, than was asked for.
    #[error("the fact is not about the key that was asked for")]
    Other,
    /// The value is none of its kind.
    #[error(transparent)]
    Value(#[from] DecodeError),
}

impl Fact {
    /// A fact of the state, as [`State::prove`](crate::state::State::prove) gives it; none where
    /// key or value are larger than any that the ledger makes.
    #[must_use]
    pub fn state<K: Key>(key: &K, value: Option<Vec<u8>>, proof: StateProof) -> Option<Self> {
        let value = match value {
            Some(value) => Some(Bytes::new(value).ok()?),
            None => None,
        };
        Some(Self::State { key: Bytes::new(key.to_bytes()).ok()?, value, proof })
    }

    /// Checks the fact against a header that is trusted.
    ///
    /// # Errors
    /// Why it does not follow from it.
    pub fn verify(&self, header: &Header) -> Result<(), FactError> {
        match self {
            Self::State { key, value, proof } => {
                proof.verify(&header.state_root, key, value.as_deref())?;
            }
            Self::Transaction { index, transaction, proof } => {
                let id = transaction.body.id();
                proof.verify(&header.transactions, *index, &id)?;
                Transaction::clone(transaction).verify()?;
            }
            Self::Receipt { index, receipt, proof } => {
                proof.verify(&header.receipts, *index, receipt)?;
            }
        }
        Ok(())
    }

    /// The value that a verified fact gives a key, or that there is none.
    ///
    /// # Errors
    /// [`FactError::Other`] where the fact is about something else.
    pub fn value<K: Key>(&self, of: &K) -> Result<Option<K::Value>, FactError> {
        match self {
            Self::State { key, value, .. } if **key == *of.to_bytes() => match value {
                Some(value) => Ok(Some(decode(K::NAME, value, MAX_VALUE_BYTES)?)),
                None => Ok(None),
            },
            _ => Err(FactError::Other),
        }
    }
}
