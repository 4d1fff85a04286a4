//! Moved segments: the footer in a file here, the bodies in a segment store.
//!
//! ```text
//! header, 16 bytes: "CLTAIL" · version u16 · start u64
//! the bytes of the segment from start on: pages, index and trailer, unchanged
//! ```

use std::sync::Arc;

use chronolith_disk::Disk;

use crate::error::{DiskContext, DiskError, Fault, ReadError};
use crate::new_file::NewFile;
use crate::record;
use crate::store::{ObjectPlace, StoreError, StoreProblem, StoreReader};

use super::HEADER_BYTES;

const MAGIC: [u8; 6] = *b"CLTAIL";
/// A tail has the version of its segment.
const VERSIONS: [(u16, bool); 2] = [(super::VERSION, false), (super::VERSION_LOCKED, true)];
/// A tail is written in parts of this size: bytes.
const PART_BYTES: usize = 1 << 20;

fn header(start: u64, may_be_locked: bool) -> [u8; HEADER_BYTES] {
    let mut header = super::header(may_be_locked);
    header[..6].copy_from_slice(&MAGIC);
    header[8..].copy_from_slice(&start.to_le_bytes());
    header
}

/// Writes the tail of a segment whose footer begins at `start`, and syncs it. Its name is durable
/// only after the folder is synced.
pub(super) fn write_tail(
    disk: &dyn Disk,
    name: String,
    (start, may_be_locked): (u64, bool),
    footer: &[u8],
) -> Result<(), DiskError> {
    let mut file = NewFile::create(disk, name, &header(start, may_be_locked))?;
    for part in footer.chunks(PART_BYTES) {
        file.buffer().extend_from_slice(part);
        file.relieve()?;
    }
    file.finish().map(drop)
}

/// Where in its segment the footer in a tail begins, and whether some of its chunks may be encrypted; or
/// what is wrong with the tail.
pub(super) fn read_start(tail: &[u8], size_bytes: u64) -> Result<(u64, bool), (u64, String)> {
    let Some(found) = tail.first_chunk::<HEADER_BYTES>() else {
        return Err((tail.len() as u64, "the tail of the segment is cut short".to_owned()));
    };
    if found[..6] != MAGIC {
        return Err((0, "the header of the segment's tail is damaged".to_owned()));
    }
    let version = u16::from_le_bytes([found[6], found[7]]);
    let known = VERSIONS.into_iter().find(|(known, _)| *known == version);
    let Some((_, may_be_locked)) = known else { return Err((6, super::unknown(version))) };
    let footer_bytes = (tail.len() - HEADER_BYTES) as u64;
    // The manifest has the segment's length, so that this is known without what the header says.
    match size_bytes.checked_sub(footer_bytes) {
        Some(start) if start >= HEADER_BYTES as u64 && header(start, may_be_locked) == *found => {
            Ok((start, may_be_locked))
        }
        _ => {
            let what = format!(
                "the tail has {} bytes, which is not the end of a segment of {size_bytes}",
                tail.len()
            );
            Err((8, what))
        }
    }
}

/// The bodies of a moved segment.
pub(crate) struct MovedBodies {
    /// `None` where the database was opened without a store.
    pub(crate) reader: Option<Arc<StoreReader>>,
    pub(crate) place: ObjectPlace,
    /// Where they were moved to, as the manifest noted it.
    pub(crate) moved_to: String,
}

impl MovedBodies {
    pub(crate) fn reader(&self) -> Result<&Arc<StoreReader>, StoreError> {
        self.reader.as_ref().ok_or_else(|| StoreError {
            action: "read",
            store: self.moved_to.clone(),
            object: self.place.object.clone(),
            problem: StoreProblem::NotConfigured,
        })
    }

    /// A whole record, whose checksum holds; `name` is the segment's, for messages.
    pub(super) fn record(&self, name: &str, offset: u64, size: u32) -> Result<Vec<u8>, ReadError> {
        let reader = self.reader()?;
        let size = size as usize;
        // A piece in the cache may be damaged: it is fetched once more.
        for _ in 0..2 {
            let record = reader.read(&self.place, offset, size)?;
            if record::checksum_holds(&record) {
                return Ok(record);
            }
            reader.forget(&self.place, offset, size);
        }
        let what = format!(
            "the checksum of the chunk's body does not match, in {} of the segment store {}",
            self.place.object,
            reader.options.store.describe()
        );
        Err(Fault::new(name, offset, what).into())
    }

    /// Copies the bodies from the store to a new file behind the header, and what is in the tail
    /// behind them.
    pub(super) fn copy_to(
        &self,
        disk: &dyn Disk,
        name: &str,
        header: &[u8],
        start: u64,
        footer: &[u8],
    ) -> Result<(), ReadError> {
        let reader = self.reader()?;
        let file = disk.open(name).at(disk, "create", name)?;
        file.set_len(0).at(disk, "empty", name)?;
        file.append(header).at(disk, "write", name)?;
        let mut at = header.len() as u64;
        while at < start {
            let len = (start - at).min(8 * PART_BYTES as u64);
            let part = reader.get_range(&self.place.object, at, len)?;
            file.append(&part).at(disk, "write", name)?;
            at += len;
        }
        file.append(footer).at(disk, "write", name)?;
        file.sync().at(disk, "sync", name)?;
        Ok(())
    }
}
