//! What can go wrong, by family of operations.
//!
//! A [`Fault`] is damage: bytes that are not what was written. A [`DiskError`] is the operating
//! system's refusal. Every error says where it arose and, where a person can act, what to do.

use std::io;

use chronolith_disk::Disk;

use crate::Kind;
use crate::key_trees::KeyError;
use crate::model::DefinitionError;
use crate::protect::ProtectError;
use crate::store::StoreError;

/// Bytes in a file that are not what the store wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file} at byte {offset}: {what}")]
pub struct Fault {
    /// The file, relative to the database directory.
    pub file: String,
    /// Where in the file the damaged structure begins: bytes.
    pub offset: u64,
    /// What is wrong there.
    pub what: String,
}

impl Fault {
    pub(crate) fn new(file: &str, offset: u64, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), offset, what: what.into() }
    }
}

/// An operation on a file that the operating system refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {file}: {source}")]
pub struct DiskError {
    /// What was tried.
    pub action: &'static str,
    /// The file, as a person finds it.
    pub file: String,
    /// The system's reason.
    pub source: io::Error,
}

/// Adds what was tried, and on what, to an error of the disk.
pub(crate) trait DiskContext<T> {
    fn at(self, disk: &dyn Disk, action: &'static str, file: &str) -> Result<T, DiskError>;
}

impl<T> DiskContext<T> for io::Result<T> {
    fn at(self, disk: &dyn Disk, action: &'static str, file: &str) -> Result<T, DiskError> {
        self.map_err(|source| DiskError { action, file: disk.describe(file), source })
    }
}

/// Why data could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The operating system refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Stored bytes are damaged; `verify` lists all such places and `repair` keeps the rest.
    #[error("damaged data: {0}; run verify for all damaged places, repair to keep the rest")]
    Fault(#[from] Fault),
    /// A metric number that this database never gave out.
    #[error("there is no metric number {0} in this database")]
    UnknownMetric(u32),
    /// A time range that ends before it begins.
    #[error("the time range from {from_ns} to {to_ns} ns ends before it begins")]
    Range {
        /// First nanosecond.
        from_ns: i64,
        /// First nanosecond that is not in the range any more.
        to_ns: i64,
    },
    /// A label selector that cannot be evaluated.
    #[error("the pattern {pattern:?} for label {label:?} is not a regular expression: {problem}")]
    Pattern {
        /// The label it was meant for.
        label: String,
        /// The pattern.
        pattern: String,
        /// What the regex crate says.
        problem: String,
    },
    /// An aggregate that a kind does not have.
    #[error("metric {metric} is of kind {kind}, which has no {function}")]
    Function {
        /// The metric.
        metric: String,
        /// Its kind.
        kind: Kind,
        /// The function asked for.
        function: &'static str,
    },
    /// Buckets that cannot be made.
    #[error("{0}")]
    Buckets(String),
    /// A blob that is not here.
    #[error("blob {0} is not in this database")]
    UnknownBlob(String),
    /// Chunks that were moved to a segment store, which could not give them.
    #[error(transparent)]
    Store(Box<StoreError>),
    /// A key that is not at hand.
    #[error(transparent)]
    Key(Box<KeyError>),
}

impl From<KeyError> for ReadError {
    fn from(error: KeyError) -> Self {
        Self::Key(Box::new(error))
    }
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self::Store(Box::new(error))
    }
}

/// Why a batch was not written. Nothing of a refused batch is in the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// A value of another kind than the metric's.
    #[error(
        "record {position} of the batch: metric {metric} is of kind {expected}, the value is {found}"
    )]
    Kind {
        /// Which record of the batch, from 0.
        position: usize,
        /// The metric.
        metric: String,
        /// The metric's kind, fixed by its first write.
        expected: Kind,
        /// The value's kind.
        found: Kind,
    },
    /// A metric that exists with another kind.
    #[error("metric {metric} is of kind {expected} and cannot become {found}")]
    Redefined {
        /// The metric.
        metric: String,
        /// The kind it has.
        expected: Kind,
        /// The kind that was asked for.
        found: Kind,
    },
    /// A definition that breaks a limit or contradicts the one that exists.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// A metric number that this database never gave out.
    #[error("record {position} of the batch: there is no metric number {metric} in this database")]
    UnknownMetric {
        /// Which record of the batch, from 0.
        position: usize,
        /// The number.
        metric: u32,
    },
    /// A blob that is not here: it was never written, or removed since nothing referred to it.
    #[error("record {position} of the batch: blob {blob} is not in this database; write it again")]
    UnknownBlob {
        /// Which record of the batch, from 0.
        position: usize,
        /// The blob's content id.
        blob: String,
    },
    /// A value longer than a chunk keeps.
    #[error(
        "record {position} of the batch: a value of {size} bytes is longer than {limit}; write it as a blob"
    )]
    ValueTooLong {
        /// Which record of the batch, from 0.
        position: usize,
        /// Its length in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Records of a bulk load between others that are in it.
    #[error(
        "record {position} of the load: records of {metric} from before and after it are in the load; finish it and \
         begin another"
    )]
    Overlap {
        /// Which record of the load, from 0.
        position: usize,
        /// The metric.
        metric: String,
    },
    /// A batch larger than the limit; split it.
    #[error("the batch has {size} bytes, more than {limit}; split it")]
    BatchTooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// As many metrics as the limits allow.
    #[error("the database has {0} metrics, its limit")]
    TooManyMetrics(usize),
    /// The database was closed by this or another handle.
    #[error("the database was closed; open it again to write")]
    Closed,
    /// The database is open for reading only.
    #[error("the database is open for reading only")]
    ReadOnly,
    /// A write failed earlier, so that the state of the log is unknown.
    #[error(
        "the database takes no more writes since an earlier failure ({0}); reopen it: all that was acknowledged is there"
    )]
    Poisoned(String),
    /// The operating system refused; the database takes no more writes until it is reopened.
    #[error("{0}; the database takes no more writes until it is reopened")]
    Disk(#[from] DiskError),
    /// A change that is not allowed.
    #[error("{0}")]
    Refused(String),
    /// Reading what is there, to make room, failed.
    #[error(transparent)]
    Maintenance(#[from] Box<MaintenanceError>),
}

/// Why flushing, sealing, compacting, deleting, backup or repair failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaintenanceError {
    /// Existing data could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A backup or restore onto something that is there.
    #[error("{0} exists and is not empty; choose another place")]
    Exists(String),
    /// Something that cannot be done in this state.
    #[error("{0}")]
    Refused(String),
}

impl From<DiskError> for MaintenanceError {
    fn from(error: DiskError) -> Self {
        Self::Read(ReadError::Disk(error))
    }
}

impl From<StoreError> for MaintenanceError {
    fn from(error: StoreError) -> Self {
        Self::Read(error.into())
    }
}

impl From<KeyError> for MaintenanceError {
    fn from(error: KeyError) -> Self {
        Self::Read(error.into())
    }
}

impl From<Fault> for MaintenanceError {
    fn from(fault: Fault) -> Self {
        Self::Read(ReadError::Fault(fault))
    }
}

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no database there.
    #[error(
        "there is no database at {0}; `chronolith init` makes one, and so does a program with Options::create"
    )]
    Missing(String),
    /// Another process has it open.
    #[error("{0} is locked: another process has this database open; stop it, or open read-only")]
    Locked(String),
    /// Its files are encrypted, and the key is not at hand.
    #[error("{file} is {problem}; open the database with its keystore")]
    Protected {
        /// The file.
        file: String,
        /// How it is protected, and why it does not open.
        problem: ProtectError,
    },
    /// A format that this version does not know.
    #[error("{file} has format version {found}; this program reads versions up to {newest}")]
    Version {
        /// The file.
        file: String,
        /// The version in the file.
        found: u64,
        /// The newest version this program knows.
        newest: u64,
    },
    /// Options that contradict the database.
    #[error("{0}")]
    Options(String),
    /// Reading failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Writing what recovery has to write failed.
    #[error(transparent)]
    Maintenance(#[from] MaintenanceError),
}

impl From<DiskError> for OpenError {
    fn from(error: DiskError) -> Self {
        Self::Read(ReadError::Disk(error))
    }
}

impl From<Fault> for OpenError {
    fn from(fault: Fault) -> Self {
        Self::Read(ReadError::Fault(fault))
    }
}
