//! What validators sign in consensus, and what two of it prove.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::hash::{BlockId, ChainId, Domain, Hash};
use crate::keys::{PublicKey, SecretKey, Signature, verify};

/// The two votes of a round.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub enum Step {
    /// The block is valid to the voter.
    Prevote,
    /// The voter saw two thirds of prevotes for it.
    Precommit,
}

/// A vote for a block, or for none.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    /// The chain.
    pub chain: ChainId,
    /// The height.
    pub height: u64,
    /// The round at that height.
    pub round: u32,
    /// Which of the round's votes.
    pub step: Step,
    /// The block, or none.
    pub block: Option<BlockId>,
}

/// A proposer's claim that a block is its proposal for a round.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// The chain.
    pub chain: ChainId,
    /// The height.
    pub height: u64,
    /// The round at that height.
    pub round: u32,
    /// An earlier round in which two thirds prevoted for the block.
    pub valid_round: Option<u32>,
    /// The block.
    pub block: BlockId,
}

/// Something a validator signed.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Signed<T> {
    /// What was signed.
    pub message: T,
    /// The signature by the validator's consensus key.
    pub signature: Signature,
}

/// What a validator signs, by the hash it is signed as.
pub trait Message {
    /// The hash.
    fn signing_hash(&self) -> Hash;
}

impl Message for Vote {
    fn signing_hash(&self) -> Hash {
        Domain::Vote.hash_of(self)
    }
}

impl Message for Proposal {
    fn signing_hash(&self) -> Hash {
        Domain::Proposal.hash_of(self)
    }
}

impl<T: Message> Signed<T> {
    /// Signs a message.
    #[must_use]
    pub fn new(message: T, key: &SecretKey) -> Self {
        let signature = key.sign(&message.signing_hash());
        Self { message, signature }
    }

    /// Whether a key signed it.
    #[must_use]
    pub fn is_by(&self, key: &PublicKey) -> bool {
        verify(key, &self.message.signing_hash(), &self.signature)
    }
}
