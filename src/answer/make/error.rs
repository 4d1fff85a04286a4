//! Why an answer cannot be proved.

use chronolith_chain::address::Address;
use chronolith_chain::encoding::{DecodeError, TooLong};
use chronolith_engine::chunk::{HeaderError, OpenChunkError};
use chronolith_engine::{CatalogueError, Metric, ReadError};
use chronolith_query::QueryError;

use crate::answer::replay::ReplayError;
use crate::chain::ChainError;

/// Why an answer cannot be proved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MakeError {
    /// The query has no answer, or none that comes again.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The database cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The ledger cannot be read.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The ledger holds something else than it should.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The answer depends on no metric.
    #[error("the answer depends on no metric, so that there is nothing to prove")]
    Nothing,
    /// A metric's privacy level hides what it is.
    #[error(
        "{metric} is of a privacy level that hides which metric it is: an answer from it cannot be proved \
         to others without showing that"
    )]
    Hidden {
        /// The metric.
        metric: Metric,
    },
    /// The ledger has no catalogue of the device that this database makes.
    #[error(
        "the ledger has no device whose catalogue is that of {device} in this database: anchor its chunks \
         first (chronolith chain anchor), or say which device it is with --device {device}=ADDRESS"
    )]
    NotAnchored {
        /// The device's name.
        device: String,
    },
    /// Several devices on the ledger have this catalogue.
    #[error(
        "several devices on the ledger have the catalogue of {device}: {}; say which one it is with --device \
         {device}=ADDRESS",
        addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    Ambiguous {
        /// The device's name.
        device: String,
        /// The devices on the ledger.
        addresses: Vec<Address>,
    },
    /// Records of the range were deleted since they were anchored.
    #[error(
        "records of {metric} in the range were deleted since they were sealed: what is anchored has them, so \
         that the answer without them cannot be proved. Ask for a range without them"
    )]
    Deleted {
        /// The metric.
        metric: Metric,
    },
    /// A chunk is not here any more.
    #[error(
        "the chunk of {metric} in window {window} is anchored, and its records are not here any more: they \
         were deleted or expired. Ask for a range without it, or anchor what replaces it"
    )]
    Gone {
        /// The metric.
        metric: Metric,
        /// The window.
        window: i64,
    },
    /// A chunk does not open.
    #[error("the chunk of {metric} in window {window}: {reason}")]
    Chunk {
        /// The metric.
        metric: Metric,
        /// The window.
        window: i64,
        /// Why not.
        reason: OpenChunkError,
    },
    /// A header is damaged.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// Values are in the blob store.
    #[error(
        "{metric} has values in the blob store, which are in no chunk: answers from it cannot be proved"
    )]
    Blobs {
        /// The metric.
        metric: Metric,
    },
    /// The question depends on something else once only anchored chunks are known.
    #[error(
        "from what is anchored alone, the question depends on other metrics or times than in this database; \
         name the device and the metric's tags in the question"
    )]
    OtherScope,
    /// A seal batch is not whole here, or not anchored.
    #[error(
        "seal batch {batch} is not whole in this database or not anchored, so that it cannot be proved when \
         its chunks were; ask for a proof without the times of anchoring"
    )]
    NotWhole {
        /// The number of the batch.
        batch: u64,
    },
    /// The proof needs more facts of the ledger than one holds.
    #[error(
        "the proof needs {found} facts of the ledger, and holds 256: ask for a shorter range or fewer devices \
         at once, or for a proof without the times of anchoring"
    )]
    TooManyFacts {
        /// How many it needs.
        found: usize,
    },
    /// The ledger went on while the proof was made.
    #[error("the ledger went on again and again while the proof was made; try again")]
    LedgerWentOn,
    /// The catalogue does not prove it.
    #[error("the catalogue of {device}: {reason}")]
    Catalogue {
        /// The device's name.
        device: String,
        /// Why not.
        reason: CatalogueError,
    },
    /// It is too large.
    #[error("too much for one proof: {0}; ask for less at once")]
    TooLong(#[from] TooLong),
    /// The chunks give no answer.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}
