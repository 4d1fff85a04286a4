//! Why a search failed.

use chronolith_engine::ReadError;

use super::remote::RemoteError;

/// Why a search, or keeping an index of it, failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// The text of a query cannot be read.
    #[error("cannot read the query at character {at}: {problem}")]
    Query {
        /// Which character, from 1.
        at: usize,
        /// What is wrong there, and what would be right.
        problem: String,
    },
    /// A request that asks for what cannot be.
    #[error("{0}")]
    Request(String),
    /// The index cannot be read or written.
    #[error("the search index {folder}: {problem}; it can be rebuilt at any time")]
    Index {
        /// Where it is.
        folder: String,
        /// What happened.
        problem: String,
    },
    /// The catalogue cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What others told cannot be read.
    #[error(transparent)]
    Remote(#[from] RemoteError),
}

impl SearchError {
    pub(super) fn index(folder: impl std::fmt::Display, problem: impl std::fmt::Display) -> Self {
        Self::Index { folder: folder.to_string(), problem: problem.to_string() }
    }
}

/// What goes wrong inside of tantivy while an open index is asked.
impl From<tantivy::TantivyError> for SearchError {
    fn from(error: tantivy::TantivyError) -> Self {
        Self::index("in memory", error)
    }
}
