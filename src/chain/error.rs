//! Why a chain cannot be used.

use std::path::PathBuf;

use chronolith_chain::block::InvalidBlock;
use chronolith_chain::certificate::CertificateError;
use chronolith_chain::consensus::{ConsensusError, StoreError};
use chronolith_chain::encoding::{DecodeError, TooLong};
use chronolith_chain::genesis::GenesisError;
use chronolith_chain::light::ProveError;
use chronolith_chain::mempool::Refused;
use chronolith_chain::state::StateError;
use chronolith_chain::validator_set::ValidatorSetError;

use crate::wallet::WalletError;

/// Why a chain cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The disk failed.
    #[error("cannot {what} {}: {source}", place.display())]
    Disk {
        /// What was to be done.
        what: &'static str,
        /// With which file.
        place: PathBuf,
        /// What the disk said.
        source: std::io::Error,
    },
    /// There is no chain.
    #[error("there is no chain in {}; make one with: chronolith chain init --dir {}", place.display(), place.display())]
    Missing {
        /// The directory.
        place: PathBuf,
    },
    /// There is something already.
    #[error("{} is not empty; a chain begins in an empty directory", place.display())]
    Exists {
        /// The directory.
        place: PathBuf,
    },
    /// Another process uses the chain.
    #[error("the chain in {} is in use by another process; try again when it ended", place.display())]
    InUse {
        /// The directory.
        place: PathBuf,
    },
    /// A key file is damaged.
    #[error("{} is no key of a validator: {reason}", place.display())]
    Key {
        /// The file.
        place: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// No chain can begin like this.
    #[error("between 1 and {most} validators make a chain, not {found}")]
    Validators {
        /// The most.
        most: usize,
        /// What was asked for.
        found: usize,
    },
    /// A name that no chain has.
    #[error("{name:?} is no name for a chain: use at most {most} bytes, and no control characters")]
    Name {
        /// The name.
        name: String,
        /// The most bytes.
        most: usize,
    },
    /// A file is longer than any genesis.
    #[error("{} is longer than {most} bytes, which no genesis is", place.display())]
    LongGenesis {
        /// The file.
        place: PathBuf,
        /// The most.
        most: usize,
    },
    /// A file is no genesis.
    #[error("{} is no genesis: {reason}", place.display())]
    NoGenesis {
        /// The file.
        place: PathBuf,
        /// Why.
        reason: DecodeError,
    },
    /// The node that follows the chain has ended, or has not begun yet.
    #[error("the node is beginning or ending; try again in a moment")]
    NodeEnded,
    /// A transaction is not taken.
    #[error("the transaction is refused: {0}")]
    Refused(#[from] Refused),
    /// A transaction waits for others of its sender.
    #[error(
        "the transaction has nonce {found}, and the sender's next is {next}: submit those before it, too"
    )]
    Waits {
        /// The sender's next nonce.
        next: u64,
        /// The transaction's.
        found: u64,
    },
    /// No block came.
    #[error("the validators came to no block within {seconds} seconds; {what}")]
    Stuck {
        /// How long it was waited for.
        seconds: u64,
        /// What is known.
        what: String,
    },
    /// A block of a chain is not what follows.
    #[error("the block of height {height} does not follow: {reason}")]
    Block {
        /// Its height.
        height: u64,
        /// Why.
        reason: Box<InvalidBlock>,
    },
    /// A block is not committed by its certificate.
    #[error("the block of height {height} is not committed: {reason}")]
    Certificate {
        /// Its height.
        height: u64,
        /// Why.
        reason: CertificateError,
    },
    /// A certificate is of another block.
    #[error("the certificate beside the block of height {height} is of another block")]
    OtherCertificate {
        /// The block's height.
        height: u64,
    },
    /// There is no block yet.
    #[error("the chain has no block yet; a transaction makes one")]
    NoBlocks,
    /// A block is not kept.
    #[error("the block of height {height} is not kept; there are {oldest} to {newest}")]
    NoBlock {
        /// The height that was asked for.
        height: u64,
        /// The oldest that is there.
        oldest: u64,
        /// The newest.
        newest: u64,
    },
    /// Consensus ended.
    #[error(transparent)]
    Consensus(#[from] ConsensusError),
    /// Blocks cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The genesis makes no chain.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The validators are no set.
    #[error(transparent)]
    Set(#[from] ValidatorSetError),
    /// Bytes are not what they should be.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Something is too long.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// Keys cannot be made or read.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// A proof is too large to be read by anybody.
    #[error(
        "the proof would have {found} bytes, and {most} are the most: begin it at a later block that \
         is trusted, or prove less at a time"
    )]
    LongProof {
        /// How many bytes it has.
        found: usize,
        /// The most.
        most: usize,
    },
    /// A proof cannot be made.
    #[error("cannot prove that: {0}")]
    Prove(#[from] ProveError),
}
