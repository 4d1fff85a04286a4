//! Why a query has no answer.

use std::time::Duration;

use chronolith_engine::ReadError;

use super::problem::Problem;

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The query cannot be understood, or not be carried out on this data.
    #[error(transparent)]
    Sql(#[from] Box<Problem>),
    /// The database could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// More rows than the limit allows.
    #[error("the answer has more than {0} rows; add LIMIT, or raise the limit on rows")]
    TooManyRows(u64),
    /// More time than the limit allows.
    #[error("the query took longer than {0:?}; ask for less, or raise the limit on time")]
    TooSlow(Duration),
    /// More memory than the limit allows.
    #[error(
        "the query needs more than {limit_bytes} bytes of memory; ask for less, or raise the limit on memory ({detail})"
    )]
    TooMuchMemory {
        /// The limit in bytes.
        limit_bytes: usize,
        /// Who wanted how much.
        detail: String,
    },
    /// Somebody cancelled it.
    #[error("the query was cancelled")]
    Cancelled,
    /// The answer would not come again from the same records.
    #[error("the answer depends on {what}: nobody could compute it again")]
    NotRepeatable {
        /// What it depends on.
        what: String,
    },
    /// The answer could not be written.
    #[error("cannot write the answer: {0}")]
    Output(String),
    /// The operating system refused a thread.
    #[error("cannot start the threads of queries: {0}")]
    Runtime(std::io::Error),
}
