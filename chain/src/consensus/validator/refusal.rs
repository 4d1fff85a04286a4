//! Why what a neighbour sent is not taken.

use crate::block::InvalidBlock;
use crate::certificate::CertificateError;
use crate::hash::{BlockId, ChainId};
use crate::keys::PublicKey;
use crate::mempool::Refused;

/// Why what a neighbour sent is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is of a height that is committed already.
    #[error("it is of height {found}, and {committed} is committed already")]
    Stale {
        /// Its height.
        found: u64,
        /// The last committed height.
        committed: u64,
    },
    /// It is of a height too far ahead, or there is no room for it until its height begins.
    #[error("it is of height {found}, and height {present} is not decided yet")]
    Early {
        /// Its height.
        found: u64,
        /// The height that is worked on.
        present: u64,
    },
    /// Its round is too far ahead.
    #[error("it is of round {found}, more than {most} after round {present}")]
    Round {
        /// Its round.
        found: u32,
        /// The present round.
        present: u32,
        /// How far ahead is allowed.
        most: u32,
    },
    /// It is of another chain.
    #[error("it is of the chain {found}")]
    Chain {
        /// The other chain.
        found: ChainId,
    },
    /// It is not from a validator of the height.
    #[error("{key:?} is no validator of the height")]
    NotValidator {
        /// The key it names.
        key: PublicKey,
    },
    /// A proposal is not from the one whose turn it is.
    #[error("{key:?} is not the proposer of round {round}")]
    NotProposer {
        /// The key it names.
        key: PublicKey,
        /// The round.
        round: u32,
    },
    /// It is not signed by the key it names.
    #[error("the signature of {key:?} does not hold")]
    Signature {
        /// The key.
        key: PublicKey,
    },
    /// A proposal refers to a round that is not before its own.
    #[error("the proposal of round {round} refers to round {valid_round}, which is not before it")]
    ValidRound {
        /// The proposal's round.
        round: u32,
        /// The round it refers to.
        valid_round: u32,
    },
    /// The votes of a certificate are too few, or two of a kind are by one validator.
    #[error(
        "the votes have a power of {found}, which is not enough of {total}, or one is twice there"
    )]
    Power {
        /// The power of the votes.
        found: u64,
        /// The power of all validators.
        total: u64,
    },
    /// A vote of a certificate is of a kind that does not belong there.
    #[error("a certificate of precommits holds another vote")]
    Kind,
    /// Nobody proposed the block, and there is no room to keep it.
    #[error("the block {block} is not proposed")]
    NotProposed {
        /// The block.
        block: BlockId,
    },
    /// A block cannot follow.
    #[error("the block {block}: {reason}")]
    Block {
        /// The block.
        block: BlockId,
        /// Why.
        reason: Box<InvalidBlock>,
    },
    /// A block's certificate does not commit it.
    #[error("the block {block} is not committed by its certificate: {reason}")]
    Certificate {
        /// The block.
        block: BlockId,
        /// Why.
        reason: CertificateError,
    },
    /// A certificate is of another block or height than the one it came with.
    #[error("the certificate of {found} came with the block {block}")]
    OtherCertificate {
        /// The block.
        block: BlockId,
        /// The block of the certificate.
        found: BlockId,
    },
    /// Nobody asked for it.
    #[error("nobody asked for these blocks")]
    Unasked,
    /// Blocks do not follow each other.
    #[error("the block of height {found} came where that of {expected} should be")]
    Gap {
        /// The height that should be there.
        expected: u64,
        /// The height that is.
        found: u64,
    },
    /// A question is for nothing, or too much.
    #[error("a question for {count} blocks from {from} on")]
    Question {
        /// The first height.
        from: u64,
        /// How many.
        count: u16,
    },
    /// A transaction is not taken.
    #[error(transparent)]
    Transaction(#[from] Refused),
}

impl Refusal {
    /// Whether no honest node with the same genesis would have sent it, however late or out of
    /// order it came.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        match self {
            Self::Stale { .. }
            | Self::Early { .. }
            | Self::Round { .. }
            | Self::NotProposed { .. }
            | Self::Unasked => false,
            Self::Transaction(refused) => matches!(refused, Refused::Signature(_)),
            Self::Block { reason, .. } => !reason.is_local(),
            _ => true,
        }
    }
}
