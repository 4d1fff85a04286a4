//! What can go wrong with a query.

use chronolith_engine::ReadError;
use thiserror::Error;

/// Why a query has no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PromqlError {
    /// The text is no query; nothing was read.
    #[error("line {line}, column {column}: {problem}")]
    Parse {
        /// The line in the query, from 1.
        line: usize,
        /// The character in the line, from 1.
        column: usize,
        /// The byte of the query, from 0.
        offset: usize,
        /// What is wrong there and what would be right.
        problem: String,
    },
    /// The query is well formed, but the data or the parameters do not allow an answer.
    #[error("{0}")]
    Execution(String),
    /// It uses something of Prometheus that this evaluator does not have.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// It would read more samples than allowed.
    #[error(
        "query processing would load too many samples into memory: more than {limit}; \
         select fewer series, a shorter range or a longer step"
    )]
    TooManySamples {
        /// The most samples a query may hold.
        limit: u64,
    },
    /// It asks for more points than allowed.
    #[error(
        "exceeded maximum resolution of {limit} points per series: this would be {steps}; \
         choose a longer step or a shorter range"
    )]
    TooManySteps {
        /// The most steps a range query may have.
        limit: u64,
        /// How many the query has.
        steps: u64,
    },
    /// It took longer than allowed.
    #[error("the query took longer than its time limit; narrow it or raise the limit")]
    Timeout,
    /// The step of a range query or its ends make no grid of times.
    #[error("{0}")]
    Range(&'static str),
    /// The database could not be read.
    #[error("cannot read the database: {0}")]
    Read(#[from] ReadError),
}

/// What an operation gives that may fail.
pub(crate) type Result<T> = std::result::Result<T, PromqlError>;

/// A failure that only the data show.
pub(crate) fn execution<T>(problem: impl Into<String>) -> Result<T> {
    Err(PromqlError::Execution(problem.into()))
}
