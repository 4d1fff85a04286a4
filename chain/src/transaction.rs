//! Transactions: what an account asks of the ledger, and that it did.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::address::Address;
use crate::coin::Amount;
use crate::encoding::{DecodeError, decode, encode};
use crate::hash::{ChainId, Domain, Hash, TransactionId};
use crate::keys::{Batch, SecretKey, Signature, verify};
use crate::ledger::Action;

/// The largest encoding of a transaction in bytes.
pub const MAX_TRANSACTION_BYTES: usize = 64 << 10;

/// What is signed: the transaction without its signature.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Body {
    /// The version of the rules that the sender knows the action by; 1 for all of today.
    pub version: u16,
    /// The chain it is for.
    pub chain: ChainId,
    /// The account that pays the fee and acts.
    pub sender: Address,
    /// How many transactions of the sender came before.
    pub nonce: u64,
    /// The last height at which it may be in a block.
    pub valid_until: u64,
    /// What is paid for it, in motes, whatever becomes of the action.
    pub fee: Amount,
    /// What to do.
    pub action: Action,
}

impl Body {
    /// The transaction's id, which is what is signed. It does not depend on the signature, so
    /// another signature makes no other transaction.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        TransactionId(Domain::Transaction.hash_of(self).0)
    }

    /// Signs the body; the key must be the sender's.
    #[must_use]
    pub fn sign(self, key: &SecretKey) -> Transaction {
        let signature = key.sign(&Hash(self.id().0));
        Transaction { body: self, signature }
    }
}

/// A signed transaction, whose signature may be anything yet.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Transaction {
    /// What is signed.
    pub body: Body,
    /// The sender's signature of the body's id.
    pub signature: Signature,
}

/// Why a transaction's signature is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("transaction {index} is not signed by its sender")]
pub struct SignatureError {
    /// Its place among those that were verified together.
    pub index: usize,
}

impl Transaction {
    /// Decodes a transaction.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode("a transaction", bytes, MAX_TRANSACTION_BYTES)
    }

    /// Verifies the signature.
    pub fn verify(self) -> Result<Verified, SignatureError> {
        let id = self.body.id();
        if !verify(&self.body.sender.key(), &Hash(id.0), &self.signature) {
            return Err(SignatureError { index: 0 });
        }
        Ok(Verified::of(self, id))
    }

    /// Verifies many at once, for about half of what they cost one by one.
    ///
    /// # Errors
    /// The first one whose signature does not hold.
    pub fn verify_all(transactions: Vec<Self>) -> Result<Vec<Verified>, SignatureError> {
        let mut batch = Batch::new();
        let mut verified = Vec::with_capacity(transactions.len());
        for transaction in transactions {
            let id = transaction.body.id();
            batch.push(&transaction.body.sender.key(), &id.0, &transaction.signature);
            verified.push(Verified::of(transaction, id));
        }
        match batch.verify() {
            Ok(()) => Ok(verified),
            Err(failed) => {
                Err(SignatureError { index: failed.first().copied().unwrap_or_default() })
            }
        }
    }
}

/// A transaction whose signature holds. There is no other way to make one, and only these are
/// executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    transaction: Transaction,
    id: TransactionId,
    size: usize,
}

impl Verified {
    fn of(transaction: Transaction, id: TransactionId) -> Self {
        let size = encode(&transaction).len();
        Self { transaction, id, size }
    }

    /// What was signed.
    #[must_use]
    pub fn body(&self) -> &Body {
        &self.transaction.body
    }

    /// The transaction with its signature.
    #[must_use]
    pub fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// Gives the transaction away.
    #[must_use]
    pub fn into_transaction(self) -> Transaction {
        self.transaction
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        self.id
    }

    /// The length of its encoding in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }
}
