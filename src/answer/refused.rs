//! Why an answer is not proved.

use std::fmt;

use chronolith_chain::address::Address;
use chronolith_chain::light::Refused;
use chronolith_engine::chunk::{HeaderError, OpenChunkError};
use chronolith_engine::{CatalogueError, Metric};
use chronolith_merkle::ProofError;
use chronolith_query::QueryError;

use super::bundle::FormatError;
use super::facts::FactsError;
use super::replay::ReplayError;
use crate::chain::prove::ProofRefused;
use crate::rows::rfc3339;

/// What is wrong with an answer, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// Something in it was changed.
    Tampered,
    /// Something that belongs to it was left out.
    Incomplete,
    /// Something in it is of another device or metric.
    Foreign,
    /// It is of an older state of the ledger than was asked for.
    Stale,
    /// It is the answer to another question.
    Replayed,
    /// It is of another chain, or does not begin at what is trusted.
    WrongChain,
    /// Who anchored or owns the data is not who should.
    Unowned,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tampered => "tampered",
            Self::Incomplete => "incomplete",
            Self::Foreign => "foreign",
            Self::Stale => "stale",
            Self::Replayed => "replayed",
            Self::WrongChain => "wrong chain",
            Self::Unowned => "unowned",
        })
    }
}

/// Why an answer is not proved; [`AnswerRefused::reason`] is the word for it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerRefused {
    /// The bytes are no bundle.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A part has not the form that it should have.
    #[error("{0}")]
    Form(&'static str),
    /// The chain's part does not hold.
    #[error("the ledger's part does not hold: {0}")]
    Chain(#[from] ProofRefused),
    /// The proof begins at a block, and the genesis is trusted.
    #[error(
        "the proof begins at a later block than the genesis, which is trusted: say which block is with --block"
    )]
    Start,
    /// The facts do not hold what they should.
    #[error(transparent)]
    Facts(#[from] FactsError),
    /// The ledger's height is lower than was asked for.
    #[error("the answer is of height {found}, and {wanted} or later was asked for")]
    Low {
        /// The height that was asked for.
        wanted: u64,
        /// The answer's.
        found: u64,
    },
    /// The ledger's time is earlier than was asked for.
    #[error(
        "the answer is of {}, and {} or later was asked for",
        rfc3339(*found_ns),
        rfc3339(*wanted_ns)
    )]
    Old {
        /// The earliest time that was asked for, nanoseconds since the epoch.
        wanted_ns: i64,
        /// The answer's.
        found_ns: i64,
    },
    /// It answers another question.
    #[error("this is the answer to another question: {found}")]
    Question {
        /// Which one.
        found: String,
    },
    /// It does not have the nonce that was chosen.
    #[error(
        "the answer has {} nonce than the one that was chosen",
        if *.has_one { "another" } else { "no other" }
    )]
    Nonce {
        /// Whether it has one.
        has_one: bool,
    },
    /// It has a nonce, and none was chosen.
    #[error("the answer was made for somebody who chose a nonce: say which one")]
    UnaskedNonce,
    /// A device is another than it should be.
    #[error("the answer is from {found}, and {name} is the device {wanted}")]
    Device {
        /// The device's name.
        name: String,
        /// The device that it should be.
        wanted: Address,
        /// The device that it is.
        found: Address,
    },
    /// A device's catalogue does not list what it should.
    #[error("the catalogue of the device {device}: {reason}")]
    Catalogue {
        /// The device.
        device: Address,
        /// Why not.
        reason: CatalogueError,
    },
    /// A header is none.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A chunk that the catalogue lists is left out.
    #[error("a chunk of {metric} in window {window} is left out")]
    LeftOut {
        /// The metric.
        metric: Metric,
        /// The window.
        window: i64,
    },
    /// A chunk is there that the catalogue does not list in the range.
    #[error("a chunk of {metric} in window {window} is not the one that the catalogue lists")]
    OtherChunk {
        /// The metric.
        metric: Metric,
        /// The window.
        window: i64,
    },
    /// A chunk is of another metric.
    #[error("a chunk that is given for {metric} is of {found}")]
    OtherMetric {
        /// The metric.
        metric: Metric,
        /// Which it is of.
        found: String,
    },
    /// A metric of the device was left out that the catalogue lists.
    #[error("the device {device} has a metric that is not named: it may belong to the answer")]
    MetricLeftOut {
        /// The device.
        device: Address,
    },
    /// The question depends on something that the proof does not cover.
    #[error("the question depends on {0}, which the proof does not cover")]
    Uncovered(String),
    /// The proof covers something that the question does not depend on.
    #[error("the proof covers {0}, which the question does not depend on")]
    Surplus(String),
    /// A seal batch does not hold the chunks that it should.
    #[error("the way to the anchored seal batch {root}: {reason}")]
    Batch {
        /// Its root.
        root: String,
        /// Why not.
        reason: ProofError,
    },
    /// Who anchored a batch was not entitled to it for a device then.
    #[error("{producer} could not anchor for the device {device} at the time of its anchor")]
    NotEntitled {
        /// Who anchored.
        producer: Address,
        /// The device.
        device: Address,
    },
    /// The data belong to somebody else.
    #[error("the device {device} was {found}'s in the range, not {wanted}'s")]
    Owner {
        /// The device.
        device: Address,
        /// Who should own it.
        wanted: Address,
        /// Who does.
        found: Address,
    },
    /// The word is not signed by the account that is named.
    #[error("the signature is not {account}'s word for this answer")]
    Word {
        /// The account.
        account: Address,
    },
    /// A body is not its chunk's.
    #[error("the chunk of {metric} in window {window}: {reason}")]
    Chunk {
        /// The metric.
        metric: Metric,
        /// The window.
        window: i64,
        /// Why not.
        reason: OpenChunkError,
    },
    /// Values are in the blob store.
    #[error("{metric} has values in the blob store, which are in no chunk")]
    Blobs {
        /// The metric.
        metric: Metric,
    },
    /// The question cannot be planned.
    #[error("the question has no answer from these metrics: {0}")]
    Query(#[from] QueryError),
    /// The question cannot be answered from the chunks.
    #[error("the question cannot be answered from these chunks: {0}")]
    Replay(#[from] ReplayError),
    /// The answer is another.
    #[error("from these chunks the answer is another: {0}")]
    Answer(String),
}

impl AnswerRefused {
    /// The word for it.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Format(_)
            | Self::Form(_)
            | Self::Header(_)
            | Self::Batch { .. }
            | Self::Word { .. }
            | Self::Chunk { .. }
            | Self::Blobs { .. }
            | Self::Query(_)
            | Self::Replay(_)
            | Self::Surplus(_)
            | Self::Answer(_) => Reason::Tampered,
            Self::Start => Reason::WrongChain,
            Self::Chain(reason) => of_chain(reason),
            Self::Facts(reason) => match reason {
                FactsError::NoDevice { .. } | FactsError::NoAnchor { .. } => Reason::Unowned,
                _ => Reason::Tampered,
            },
            Self::Low { .. } | Self::Old { .. } => Reason::Stale,
            Self::Question { .. } | Self::Nonce { .. } | Self::UnaskedNonce => Reason::Replayed,
            Self::Device { .. } | Self::OtherMetric { .. } | Self::OtherChunk { .. } => {
                Reason::Foreign
            }
            Self::Catalogue { reason, .. } => match reason {
                CatalogueError::Missing => Reason::Incomplete,
                CatalogueError::OtherRoot => Reason::Foreign,
                _ => Reason::Tampered,
            },
            Self::LeftOut { .. } | Self::MetricLeftOut { .. } | Self::Uncovered(_) => {
                Reason::Incomplete
            }
            Self::NotEntitled { .. } | Self::Owner { .. } => Reason::Unowned,
        }
    }
}

fn of_chain(reason: &ProofRefused) -> Reason {
    match reason {
        ProofRefused::OtherChain { .. }
        | ProofRefused::NoGenesis
        | ProofRefused::OtherStart { .. }
        | ProofRefused::Bundle(Refused::Chain { .. }) => Reason::WrongChain,
        _ => Reason::Tampered,
    }
}
