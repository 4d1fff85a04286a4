//! Why a continuous query cannot do what it was asked for.

use chronolith_engine::{ReadError, WriteError};

/// Why a continuous query cannot do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContinuousError {
    /// The statement cannot be understood.
    #[error("{0}")]
    Statement(String),
    /// There is a query of this name.
    #[error("there is a continuous query {0:?} already; drop it first, or choose another name")]
    Exists(String),
    /// There is no query of this name.
    #[error("there is no continuous query {name:?}; {known}")]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// Which there are, for a person.
        known: String,
    },
    /// The changes after a cursor are no longer kept.
    #[error(
        "the changes of {name} after cursor {cursor} are gone: the oldest kept is {oldest}, the \
         newest {newest}; begin with a snapshot"
    )]
    CursorTooOld {
        /// The query.
        name: String,
        /// The cursor that was asked for.
        cursor: u64,
        /// The first cursor that can be resumed after.
        oldest: u64,
        /// The cursor of the newest change.
        newest: u64,
    },
    /// The cursor is of no change that there was.
    #[error(
        "cursor {cursor} of {name} is of no change: the newest is {newest}; begin with a snapshot"
    )]
    CursorUnknown {
        /// The query.
        name: String,
        /// The cursor that was asked for.
        cursor: u64,
        /// The cursor of the newest change.
        newest: u64,
    },
    /// Somebody moves the queries of this database on already.
    #[error(
        "the continuous queries of this database are open already in this process; clone that handle, \
         or drop it first; to read answers beside it take Continuous::reading"
    )]
    AlreadyOpen,
    /// The subscription was ended by its check.
    #[error("the subscription to {name} was ended: {reason}")]
    Refused {
        /// The query.
        name: String,
        /// The reason of the check.
        reason: String,
    },
    /// The query was dropped.
    #[error("the continuous query {0:?} was dropped")]
    Dropped(String),
    /// What is kept of a query cannot be read.
    #[error(
        "the state of the continuous query {name:?} is damaged: {what}; drop it and create it again"
    )]
    State {
        /// The query.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// The operating system refused a thread.
    #[error("cannot start the thread of continuous queries: {0}")]
    Thread(std::io::Error),
    /// The database could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The database could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl ContinuousError {
    pub(super) fn statement(message: impl Into<String>) -> Self {
        Self::Statement(message.into())
    }
}
