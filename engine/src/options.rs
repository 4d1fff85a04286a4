//! How a database is opened.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chronolith_merkle::HashFunction;

use crate::at_rest::AtRest;
use crate::chunk::codec::Policy;
use crate::key_trees::{ChunkKeys, KeyError};
use crate::model::{Definition, Limits};
use crate::protect::{Clear, Protect};
use crate::store::SegmentStoreOptions;

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

/// What is said of a new metric beyond what its first writer says: its level, for example.
pub type Rules = Arc<dyn Fn(Definition) -> Definition + Send + Sync>;

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
    /// What becomes of the definition of a metric that is new; `None` leaves it as its writer says it.
    pub rules: Option<Rules>,
    /// Segments of a partition are merged up to about this size: bytes.
    pub segment_bytes: u64,
    /// Where the time of day comes from.
    pub clock: Arc<dyn Clock>,
    /// How bytes on disk are protected.
    pub protect: Arc<dyn Protect>,
    /// The keys that chunks are sealed under and opened with; `None` seals in the clear. See
    /// [`Options::with_keys`].
    pub keys: Option<ChunkKeys>,
    /// The secret of the signing key of a new database; random where `None`.
    pub producer_secret: Option<[u8; 32]>,
    /// Where old segments go; `None` keeps all of them in the directory. A database that has moved
    /// some can be opened without, but what they hold cannot be read then.
    pub segment_store: Option<SegmentStoreOptions>,
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
            rules: None,
            segment_bytes: 256 << 20,
            clock: Arc::new(SystemClock),
            protect: Arc::new(Clear),
            keys: None,
            producer_secret: None,
            segment_store: None,
        }
    }
}

impl Options {
    /// With keys: chunks are sealed under them, but those of metrics that are public by choice, and all
    /// other files are encrypted with the keystore's key at rest, which it gets where it has none. What a
    /// database has in the clear already stays so until it is written anew.
    ///
    /// # Errors
    /// Where the keystore has to be changed and cannot be, or its key at rest was destroyed.
    pub fn with_keys(self, keys: ChunkKeys) -> Result<Self, KeyError> {
        if keys.is_read_only() && !keys.has_begun_at_rest() {
            // Nothing was ever encrypted at rest by it.
            return Ok(Self { keys: Some(keys), ..self });
        }
        let protect = Arc::new(AtRest::new(&keys)?);
        Ok(Self { protect, keys: Some(keys), ..self })
    }

    /// For an existing database, reading only.
    #[must_use]
    pub fn read_only() -> Self {
        Self { create: false, read_only: true, ..Self::default() }
    }
}
