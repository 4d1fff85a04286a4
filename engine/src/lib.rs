//! An embeddable time-series store whose sealed chunks are provable.
//!
//! A program opens a directory, writes batches of records, and reads them back by metric and
//! time. Nothing else is needed: no server, no runtime, no configuration.
//!
//! ```
//! use chronolith_engine::{Db, Durability, Kind, Metric, Options};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("fleet.db");
//! let db = Db::open(path, Options::default())?;
//! let speed = db.metric(Metric::new("car-17", "speed").tag("class", "fleet"), Kind::F64)?;
//! let mut batch = db.batch();
//! batch.push(speed, 1_767_225_600_000_000_000, 61.2)?;
//! batch.push(speed, 1_767_225_601_000_000_000, 60.9)?;
//! db.write(&batch, Durability::Synced)?; // returns when the records are on disk
//! for block in db.scan(speed, ..)? {
//!     assert_eq!(block?.len(), 2);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The way of a record: [`Batch`] → write-ahead log → memtable → run (when memory is full) →
//! sealed chunk (when its window closes) in a segment. `docs/architecture.md` draws it.
//!
//! With keys ([`Options::with_keys`]) chunks are encrypted as they are sealed, and so is everything else on
//! disk.

#![forbid(unsafe_code)]

mod aggregate;
mod at_rest;
mod background;
mod batch;
mod blob;
mod block;
mod catalogue;
pub mod chunk;
mod civil;
mod db;
mod encoding;
mod error;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod key_trees;
mod keys;
mod latest;
mod layers;
mod manifest;
mod memtable;
mod model;
mod new_file;
mod options;
mod protect;
mod record;
mod registry;
mod repair;
mod run;
mod scan;
mod segment;
mod store;
mod sum;
mod verify;
mod view;
mod wal;
mod windows;

pub use aggregate::{Aggregated, Aggregation, Bucket, Every, Function, Partial, combine};
pub use at_rest::AtRest;
pub use batch::Batch;
pub use blob::BlobReader;
pub use block::Block;
pub use catalogue::{
    Catalogue, CatalogueEntry, CatalogueError, CatalogueProof, CatalogueScope, CatalogueSpan,
    Listed,
};
pub use chronolith_keys::policy::Policies;
pub use db::{
    BatchProof, BulkLoad, Change, ChangeKind, Changes, ChunkBlocks, ChunkBodyInfo, ChunkInfo,
    CodecStatistics, CompactReport, CopyReport, Db, DbStatistics, DestroyReport, MetricStatistics,
    MoveReport, ProvableChunk, SealReport, SealScope, SealedBatch, SealedChunk, SealedSegments,
    SegmentInfo, Snapshot, Unproved, restore,
};
pub use error::{DiskError, Fault, MaintenanceError, OpenError, ReadError, WriteError};
pub use key_trees::{ChunkKeys, DeviceAccount, KeyError, KeyRandom};
pub use manifest::RetentionRule;
pub use model::*;
pub use options::{Clock, Durability, Maintenance, Options, Rules, SystemClock};
pub use protect::{Clear, Protect, ProtectError, Protection, Purpose};
pub use registry::{Match, Selector};
pub use repair::{RepairReport, repair};
pub use scan::Scan;
pub use store::{SegmentStore, SegmentStoreOptions, StoreError, StoreProblem, StoreStatus};
pub use verify::{VerifyReport, verify};
pub use wal::recovery::TornTail;
pub use wal::{Followed, Follower, Logged, Sequence, Ticket};
pub use windows::{ReadReport, WindowFacts, WindowRecords, Windows};
