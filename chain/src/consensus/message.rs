//! What nodes say to each other.
//!
//! Every message has bounds in its types and is decoded before it comes near consensus. A decoded
//! message is well formed and nothing more: whether it is signed, and by a validator, is checked
//! where it is handled.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::block::{Block, MAX_BLOCK_BYTES};
use crate::certificate::Certificate;
use crate::encoding::{DecodeError, List, decode, encode};
use crate::hash::{BlockId, ChainId};
use crate::keys::{PublicKey, SecretKey, Signature};
use crate::transaction::Transaction;
use crate::validator_set::MAX_VALIDATORS;
use crate::vote::{self, Proposal, Signed, Step, Vote};

/// The largest encoding of a message in bytes: a block with the certificate that commits it.
pub const MAX_MESSAGE_BYTES: usize = MAX_BLOCK_BYTES + (64 << 10);

/// The most transactions in one message.
pub const MAX_TRANSACTIONS: usize = 4_096;

/// The most blocks in one answer; it is cut earlier where it would be too large.
pub const MAX_BLOCKS: usize = 64;

/// Names a neighbour in the network, as the caller counts them; means nothing to anybody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u64);

/// Something that a validator signed, and the consensus key that should verify it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct FromValidator<T> {
    /// The validator's consensus key.
    pub key: PublicKey,
    /// What it signed.
    pub signed: Signed<T>,
}

impl<T: vote::Message> FromValidator<T> {
    /// Signs a message.
    #[must_use]
    pub fn new(message: T, key: &SecretKey) -> Self {
        Self { key: key.public(), signed: Signed::new(message, key) }
    }

    /// Whether the key signed it.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.signed.is_by(&self.key)
    }
}

/// A signature and who made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Endorsement {
    /// The validator's consensus key.
    pub key: PublicKey,
    /// Its signature.
    pub signature: Signature,
}

/// That more than two thirds prevoted for a block in one round, so that it may be proposed again.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Polka {
    /// The height.
    pub height: u64,
    /// The round.
    pub round: u32,
    /// The block.
    pub block: BlockId,
    /// The prevotes.
    pub prevotes: List<Endorsement, MAX_VALIDATORS>,
}

/// A vote of a [`RoundCertificate`], whose height and round are those of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RoundVote {
    /// Which vote.
    pub step: Step,
    /// What for.
    pub block: Option<BlockId>,
    /// By whom.
    pub vote: Endorsement,
}

/// Which votes justify entering a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum RoundCertificateKind {
    /// More than a third voted in this round already.
    Skip,
    /// More than two thirds precommitted in this round, so that the next one may begin.
    Precommit,
}

/// Why a round may be entered.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RoundCertificate {
    /// The height.
    pub height: u64,
    /// The round of the votes.
    pub round: u32,
    /// Which votes these are.
    pub kind: RoundCertificateKind,
    /// The votes, at most two of a validator.
    pub votes: List<RoundVote, { 2 * MAX_VALIDATORS }>,
}

/// A block and what commits it.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Decided {
    /// The block.
    pub block: Block,
    /// The precommits for it.
    pub certificate: Certificate,
}

/// What a node has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Status {
    /// The chain.
    pub chain: ChainId,
    /// The last committed height.
    pub height: u64,
    /// The lowest height whose block it can send.
    pub oldest: u64,
}

/// A message between two nodes.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Message {
    /// What the sender has; sent to a new neighbour, and to one that seems to be behind.
    Status(Status),
    /// A proposer's claim.
    Proposal(FromValidator<Proposal>),
    /// A proposed block.
    Block(Box<Block>),
    /// A vote.
    Vote(FromValidator<Vote>),
    /// Two thirds of prevotes.
    Polka(Polka),
    /// Votes that let a round begin.
    Round(RoundCertificate),
    /// Asks for a block that is voted on, with its proposal.
    GetProposal {
        /// The height that is voted on.
        height: u64,
        /// The block.
        block: BlockId,
    },
    /// Transactions that wait for a block.
    Transactions(List<Transaction, MAX_TRANSACTIONS>),
    /// Asks for committed blocks.
    GetBlocks {
        /// The first height.
        from: u64,
        /// How many, at most [`MAX_BLOCKS`].
        count: u16,
    },
    /// Committed blocks, of rising heights without gaps.
    Blocks(List<Decided, MAX_BLOCKS>),
}

impl Message {
    /// Decodes a message.
    ///
    /// # Errors
    /// Whatever is not exactly the encoding of one.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode("a message", bytes, MAX_MESSAGE_BYTES)
    }

    /// The encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }
}
