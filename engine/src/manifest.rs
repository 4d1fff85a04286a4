//! The manifest: which files make up the database.
//!
//! One document, replaced as a whole: written beside the old one, synced, renamed over it, and the
//! folder synced. A change of files takes effect with the rename and with nothing else, so that
//! there is no state in between and no tail that could be torn (`docs/adr/0002`).
//!
//! ```text
//! "CLMANI" · version u16 · length u32 · record { DAG-CBOR map }
//! ```

use chronolith_disk::{Disk, read_all};
use serde::{Deserialize, Serialize};

use crate::error::{DiskContext, DiskError, Fault, OpenError};
use crate::protect::{Protect, Purpose};
use crate::record;
use crate::segment;
use crate::wal::Sequence;
use crate::wal::payload::Deletion;
use crate::wal::recovery::LogEnd;

/// The name of the file.
pub(crate) const FILE: &str = "manifest";
const TEMPORARY: &str = "manifest.new";
const MAGIC: [u8; 6] = *b"CLMANI";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 12;
/// Files and seal batches are numbered one by one: none comes near this.
const NUMBER_MAX: u64 = 1 << 60;

/// A run that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunRecord {
    pub(crate) number: u64,
    pub(crate) size_bytes: u64,
    pub(crate) first_sequence: Sequence,
    pub(crate) last_sequence: Sequence,
    pub(crate) records: u64,
    pub(crate) first_ns: i64,
    pub(crate) last_ns: i64,
}

impl RunRecord {
    /// The sequences that its records came in, first and last.
    pub(crate) const fn sequences(&self) -> (Sequence, Sequence) {
        (self.first_sequence, self.last_sequence)
    }
}

/// A segment that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SegmentRecord {
    pub(crate) number: u64,
    /// The partition: a month, counted from January 1970.
    pub(crate) partition: i64,
    pub(crate) size_bytes: u64,
    pub(crate) chunks: u32,
    pub(crate) first_sequence: Sequence,
    pub(crate) last_sequence: Sequence,
    /// The start of the first window and the end of the last, nanoseconds since the epoch.
    pub(crate) first_ns: i64,
    pub(crate) last_ns: i64,
    pub(crate) first_metric: u32,
    pub(crate) last_metric: u32,
}

/// What of the database is in a segment store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MovedRecord {
    /// Random bytes that tell the objects of this directory from those of a copy of it.
    #[serde(with = "serde_bytes")]
    pub(crate) home: Vec<u8>,
    /// Where segments were moved to last, for messages.
    pub(crate) store: String,
    /// The numbers of the segments whose bodies are there alone, rising.
    pub(crate) segments: Vec<u64>,
    /// Objects that nothing here needs any more.
    pub(crate) unneeded: Vec<UnneededObject>,
}

/// An object of a segment that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnneededObject {
    pub(crate) partition: i64,
    pub(crate) number: u64,
    /// Since when, nanoseconds since the epoch.
    pub(crate) since_ns: i64,
}

/// A deletion that hides older records until they are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tombstone {
    pub(crate) deletion: Deletion,
    pub(crate) sequence: Sequence,
}

/// Everything that the manifest says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// Random bytes that name the database.
    #[serde(with = "serde_bytes")]
    pub(crate) database: Vec<u8>,
    /// The last number that a file (run, segment or state) was given.
    pub(crate) last_file: u64,
    /// The last number that a seal batch was given.
    pub(crate) last_batch: u64,
    /// The first file of the log that counts.
    pub(crate) first_log: u64,
    /// A later file of the log that was there when this was written: the one that is written to,
    /// where nothing else would say that it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_log: Option<u64>,
    /// All frames up to here are in runs or chunks.
    pub(crate) flushed: Sequence,
    /// Where the log ended at the last clean close.
    pub(crate) clean_end: Option<LogEnd>,
    /// The valid length of the definitions' file: bytes.
    pub(crate) metrics_bytes: u64,
    /// The file of the key-value state, where there is one.
    pub(crate) state: Option<u64>,
    /// Changes up to here may have been forgotten.
    pub(crate) changes_from: Sequence,
    pub(crate) runs: Vec<RunRecord>,
    pub(crate) segments: Vec<SegmentRecord>,
    pub(crate) tombstones: Vec<Tombstone>,
    /// How long the records of a selection of metrics are kept.
    pub(crate) retention: Vec<RetentionRule>,
    /// What is in a segment store; `None` where nothing ever was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) moved: Option<MovedRecord>,
}

/// How long records are kept: the last rule whose patterns fit a metric holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionRule {
    /// Regular expression for the whole device.
    pub device: String,
    /// Regular expression for the whole name.
    pub name: String,
    /// Records older than this are deleted; 0 keeps them for ever: nanoseconds.
    pub keep_ns: i64,
}

impl Manifest {
    /// The last sequence that a run has or that was flushed: the log was on stable storage up to there when
    /// this was written.
    pub(crate) fn last_in_files(&self) -> Sequence {
        let runs = self.runs.iter().map(|run| run.last_sequence);
        runs.fold(self.flushed, Sequence::max)
    }

    pub(crate) fn store(&self, disk: &dyn Disk, protect: &dyn Protect) -> Result<(), DiskError> {
        let encoded = serde_ipld_dagcbor::to_vec(self).map_err(std::io::Error::other);
        let content = encoded.at(disk, "encode", FILE)?;
        let mut body = Vec::new();
        record::put(&mut body, protect, Purpose::Manifest, &content);
        let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&body);
        let file = disk.open(TEMPORARY).at(disk, "create", TEMPORARY)?;
        file.set_len(0).at(disk, "empty", TEMPORARY)?;
        file.append(&bytes).at(disk, "write", TEMPORARY)?;
        file.sync().at(disk, "sync", TEMPORARY)?;
        disk.rename(TEMPORARY, FILE).at(disk, "rename", TEMPORARY)?;
        disk.sync_dir("").at(disk, "sync", "")
    }

    pub(crate) fn load(disk: &dyn Disk, protect: &dyn Protect) -> Result<Self, OpenError> {
        let bytes = read_all(disk, FILE).at(disk, "read", FILE)?;
        let fault = |offset: usize, what: &str| Fault::new(FILE, offset as u64, what);
        let header: &[u8; HEADER_BYTES] =
            bytes.first_chunk().ok_or_else(|| fault(bytes.len(), "the manifest is cut short"))?;
        if header[..6] != MAGIC {
            return Err(fault(0, "this is not a manifest").into());
        }
        let found = u64::from(u16::from_le_bytes([header[6], header[7]]));
        if found != u64::from(VERSION) {
            let (file, newest) = (disk.describe(FILE), VERSION.into());
            return Err(OpenError::Version { file, found, newest });
        }
        let length = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
        let body = &bytes[HEADER_BYTES..];
        if body.len() != length as usize {
            return Err(fault(8, "the manifest has another length than it says").into());
        }
        let offset = HEADER_BYTES as u64;
        let (protection, content) = record::protected(body, FILE, offset)?;
        let opened = protect.open(Purpose::Manifest, protection, content);
        let content = opened
            .map_err(|problem| OpenError::Protected { file: disk.describe(FILE), problem })?;
        let manifest: Result<Self, _> = serde_ipld_dagcbor::from_slice(&content);
        let manifest = manifest.map_err(|error| Fault::new(FILE, offset, error.to_string()))?;
        let numbers = [manifest.last_file, manifest.last_batch, manifest.last_known_log()];
        if numbers.iter().any(|number| *number > NUMBER_MAX) {
            return Err(Fault::new(FILE, offset, "a number of a file is far too large").into());
        }
        let is_in_order = |moved: &MovedRecord| moved.segments.is_sorted_by(|a, b| a < b);
        if !manifest.moved.as_ref().is_none_or(is_in_order) {
            return Err(Fault::new(FILE, offset, "moved segments that are not in order").into());
        }
        Ok(manifest)
    }

    /// The bytes of a manifest whose header is damaged, or one byte of its record.
    pub(crate) fn mend(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        let length = u32::try_from(bytes.len().checked_sub(HEADER_BYTES)?).ok()?;
        bytes[..6].copy_from_slice(&MAGIC);
        bytes[8..HEADER_BYTES].copy_from_slice(&length.to_le_bytes());
        record::mend(&mut bytes[HEADER_BYTES..]).then_some(bytes)
    }

    /// Whether the bodies of a segment are in a store alone.
    pub(crate) fn is_moved(&self, number: u64) -> bool {
        self.moved.as_ref().is_some_and(|moved| moved.segments.binary_search(&number).is_ok())
    }

    /// The file of a segment: all of it, or the footer of one that was moved.
    pub(crate) fn segment_file(&self, record: &SegmentRecord) -> String {
        match self.is_moved(record.number) {
            true => segment::tail_name(record.partition, record.number),
            false => segment::file_name(record.partition, record.number),
        }
    }

    /// The object of a segment, as the store has it.
    pub(crate) fn object(&self, partition: i64, number: u64) -> String {
        format!("{}{}", self.objects_folder(), segment::file_name(partition, number))
    }

    /// The folder of all objects of this directory; it ends in `/`.
    pub(crate) fn objects_folder(&self) -> String {
        let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
        let home = self.moved.as_ref().map_or(&[][..], |moved| &moved.home);
        format!("{}-{}/", hex(&self.database), hex(home))
    }

    /// Drops segments; the objects of those that were moved are needed no more from `now_ns` on.
    pub(crate) fn drop_segments(&mut self, gone: &[u64], now_ns: i64) {
        if let Some(moved) = &mut self.moved {
            let is_moved = |number: &u64| moved.segments.binary_search(number).is_ok();
            let dropped = self.segments.iter().filter(|record| gone.contains(&record.number));
            let dropped = dropped.filter(|record| is_moved(&record.number));
            moved.unneeded.extend(dropped.map(|record| UnneededObject {
                partition: record.partition,
                number: record.number,
                since_ns: now_ns,
            }));
            moved.segments.retain(|number| !gone.contains(number));
        }
        self.segments.retain(|record| !gone.contains(&record.number));
    }

    /// The last file of the log that must be there.
    pub(crate) fn last_known_log(&self) -> u64 {
        let closed = self.clean_end.map(|end| end.file);
        self.first_log.max(self.last_log.max(closed).unwrap_or(0))
    }

    /// Takes the next file number.
    pub(crate) fn take_number(&mut self) -> u64 {
        self.last_file += 1;
        self.last_file
    }
}
