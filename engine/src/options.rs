//! How a database is opened.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chronolith_merkle::HashFunction;

use crate::chunk::codec::Policy;
use crate::model::{Definition, Limits};
use crate::protect::{Clear, Protect};

/// When a write returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// When the records are on stable storage. Writers that wait share one sync.
    #[default]
    Synced,
    /// At once; the records are on stable storage within this time.
    Within(Duration),
    /// At once; the operating system has the records within a second and writes them when it
    /// likes. A killed process loses less than a second, a power cut what was not synced since.
    Buffered,
}

/// Who flushes, seals and syncs in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Maintenance {
    /// A thread of the database: seals windows that have closed, flushes, compacts.
    #[default]
    Background,
    /// The program, by [`crate::Db::flush`], [`crate::Db::seal`] and [`crate::Db::compact`]. A
    /// full memtable is still flushed by the writer that fills it.
    Manual,
}

/// Where a database takes the time of day from.
pub trait Clock: Send + Sync {
    /// Nanoseconds since the epoch.
    fn now_ns(&self) -> i64;
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ns(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    }
}

/// How a database is opened; [`Options::default`] suits most programs.
#[derive(Clone)]
pub struct Options {
    /// Make the database where there is none.
    pub create: bool,
    /// Open for reading only: takes no lock and writes nothing.
    pub read_only: bool,
    /// Bounds on what writers may hand over.
    pub limits: Limits,
    /// The memtable is flushed to a run when it takes about this much memory, or 300 bytes for
    /// each metric where there are very many: bytes.
    pub memtable_bytes: usize,
    /// How much decoded footers of segments may take in memory: bytes.
    pub page_cache_bytes: usize,
    /// What sealing prefers: the smallest chunks or the fastest.
    pub seal_policy: Policy,
    /// The hash of content ids.
    pub hash_function: HashFunction,
    /// How long after its end a window still waits for records before it is sealed by itself.
    pub lateness: Duration,
    /// How often the background looks for windows to seal.
    pub seal_interval: Duration,
    /// Who does the maintenance.
    pub maintenance: Maintenance,
    /// The window of metrics that are made without saying one: nanoseconds.
    pub default_window_ns: i64,
    /// Segments of a partition are merged up to about this size: bytes.
    pub segment_bytes: u64,
    /// Where the time of day comes from.
    pub clock: Arc<dyn Clock>,
    /// How bytes on disk are protected.
    pub protect: Arc<dyn Protect>,
    /// The secret of the signing key of a new database; random where `None`.
    pub producer_secret: Option<[u8; 32]>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            create: true,
            read_only: false,
            limits: Limits::default(),
            memtable_bytes: 64 << 20,
            page_cache_bytes: 64 << 20,
            seal_policy: Policy::default(),
            hash_function: HashFunction::default(),
            lateness: Duration::from_secs(300),
            seal_interval: Duration::from_secs(60),
            maintenance: Maintenance::default(),
            default_window_ns: Definition::DEFAULT_WINDOW_NS,
            segment_bytes: 256 << 20,
            clock: Arc::new(SystemClock),
            protect: Arc::new(Clear),
            producer_secret: None,
        }
    }
}

impl Options {
    /// For an existing database, reading only.
    #[must_use]
    pub fn read_only() -> Self {
        Self { create: false, read_only: true, ..Self::default() }
    }
}
