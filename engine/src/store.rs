//! Segment stores: where sealed segments go when they are old, and how they are read from there.
//!
//! A moved segment leaves its footer here, in a file `NUMBER.tail`; its bodies are read from the
//! store by range, through a cache of pieces. Nothing is downloaded before somebody reads it.

mod pieces;
mod reading;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use pieces::{CACHE_DIR, ObjectPlace};
pub(crate) use reading::StoreReader;

/// A place for sealed segments: objects that are written once, read by range and removed.
///
/// Every call blocks, may be made from several threads, and returns within a bounded time, with an
/// error where the store does not answer. Names of objects are relative: letters, digits, `-`, `.`
/// and `/`.
pub trait SegmentStore: Send + Sync {
    /// Where the store is, for messages and to tell stores apart; without secrets.
    fn describe(&self) -> String;

    /// Stores an object, in place of one of that name. It is there whole or not at all, and on
    /// stable storage, when this returns without an error. `go_on` is asked between parts: where
    /// it says no, the rest is given up with [`StoreProblem::Stopped`].
    ///
    /// # Errors
    /// Where the object is not known to be stored.
    fn put(&self, object: &str, bytes: &[u8], go_on: &dyn Fn() -> bool) -> Result<(), StoreError>;

    /// The `len` bytes of an object from `offset` on.
    ///
    /// # Errors
    /// Where the object is not there, is shorter, or cannot be read.
    fn get_range(&self, object: &str, offset: u64, len: u64) -> Result<Vec<u8>, StoreError>;

    /// The length of an object in bytes; `None` where there is none of that name.
    ///
    /// # Errors
    /// Where the store does not answer.
    fn size(&self, object: &str) -> Result<Option<u64>, StoreError>;

    /// Removes an object; done, too, where there is none of that name.
    ///
    /// # Errors
    /// Where the object may still be there.
    fn remove(&self, object: &str) -> Result<(), StoreError>;

    /// The names of all objects that begin with a folder, which ends in `/`.
    ///
    /// # Errors
    /// Where the store does not answer.
    fn list(&self, folder: &str) -> Result<Vec<String>, StoreError>;
}

/// What a segment store could not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {action} {object} in the segment store {store}: {problem}")]
pub struct StoreError {
    /// What was tried.
    pub action: &'static str,
    /// The store, as [`SegmentStore::describe`] names it.
    pub store: String,
    /// The object.
    pub object: String,
    /// Why not.
    pub problem: StoreProblem,
}

/// Why a segment store could not do something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreProblem {
    /// The database was opened without a store.
    #[error(
        "the database was opened without a segment store; name it by --store or in [store] of the \
         configuration"
    )]
    NotConfigured,
    /// No answer, or none in time.
    #[error("{0}; what is on this disk goes on, try again when the store can be reached")]
    Unreachable(String),
    /// The store does not let this process do it.
    #[error("{0}; check the keys and what they may do")]
    Refused(String),
    /// There is no such object.
    #[error(
        "it is not there; check that this is the store it was moved to, or restore it from a \
         version that the store keeps or from a backup"
    )]
    Missing,
    /// The store has something else than what was written.
    #[error("{0}")]
    Damaged(String),
    /// The database is being closed.
    #[error("it was stopped since the database is closed")]
    Stopped,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// A segment store and how it is used; [`SegmentStoreOptions::new`] suits most programs.
#[derive(Clone)]
pub struct SegmentStoreOptions {
    /// The store.
    pub store: Arc<dyn SegmentStore>,
    /// A segment is moved when its last window ended longer ago than this.
    pub after: Duration,
    /// How much of the store's content is kept on this disk: bytes.
    pub cache_bytes: u64,
    /// What is fetched and kept at once, at least: bytes.
    pub piece_bytes: u32,
    /// How often the background looks for segments to move.
    pub move_interval: Duration,
    /// How long an object that nothing here needs stays for readers in other processes.
    pub removal_grace: Duration,
}

impl SegmentStoreOptions {
    /// The store with a month before moving, a cache of 1 GiB in pieces of 1 MiB, and a quarter
    /// of an hour before objects are removed.
    #[must_use]
    pub fn new(store: Arc<dyn SegmentStore>) -> Self {
        Self {
            store,
            after: Duration::from_secs(30 * 86_400),
            cache_bytes: 1 << 30,
            piece_bytes: 1 << 20,
            move_interval: Duration::from_secs(60),
            removal_grace: Duration::from_secs(900),
        }
    }
}

/// What is where, and what the traffic with a segment store was since the database was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreStatus {
    /// The store; `None` where the database was opened without one.
    pub store: Option<String>,
    /// The store that segments were moved to last, as the database noted it.
    pub moved_to: Option<String>,
    /// Segments whose bodies are on this disk, and their length in bytes.
    pub local: (u64, u64),
    /// Segments whose bodies are in the store, and their length in bytes.
    pub moved: (u64, u64),
    /// Of the local ones those that are old enough to be moved, and their length in bytes.
    pub waiting: (u64, u64),
    /// Objects that nothing here needs and that are still to be removed.
    pub removals: u64,
    /// How much of the store's content is kept on this disk: bytes.
    pub cached_bytes: u64,
    /// How often the store was read from, and how many bytes that gave.
    pub fetched: (u64, u64),
    /// How often a piece was found in the cache.
    pub cache_hits: u64,
    /// What failed last and was not made good since.
    pub last_error: Option<String>,
}
