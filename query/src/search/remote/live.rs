//! Writing what is kept anew: without what is gone, or without what is damaged.

use std::collections::BTreeMap;
use std::sync::Arc;

use chronolith_disk::{Disk, RealDisk};

use super::codec::{self, HeaderEntry, Operation, Place, ShortCid};
use super::entry::Provenance;
use super::error::RemoteError;
use super::log::{BATCH_BYTES, Log, NewLog, START};
use super::offer::{Offer, OfferId};
use super::state::State;
use super::store::{BATCH_TARGET_BYTES, lock, operations, random_id};
use crate::bytes::Bytes;

/// What of a log is kept.
#[derive(Default)]
pub(super) struct Live {
    /// Where the operation of each header stands, and how long it is, by the header's number.
    pub(super) headers: BTreeMap<u64, (u64, u32)>,
    pub(super) offers: BTreeMap<OfferId, (Offer, Provenance)>,
    pub(super) closed: Vec<OfferId>,
}

/// A new log with what it holds so far.
struct Rewriter {
    new: NewLog,
    state: State,
    content: Vec<u8>,
}

impl Rewriter {
    fn put(&mut self, operation: &Operation<'_>) -> Result<(), RemoteError> {
        codec::put(&mut self.content, operation);
        let applied = self.state.apply(operation, 0, 0);
        applied.map_err(|problem| RemoteError::damaged(self.new.place(), 0, problem))?;
        if self.content.len() >= BATCH_TARGET_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), RemoteError> {
        if !self.content.is_empty() {
            self.new.write(&self.content)?;
            self.content.clear();
        }
        Ok(())
    }

    fn header(&mut self, entry: HeaderEntry<'_>) -> Result<(), RemoteError> {
        let place = Place { sequence: self.state.next_sequence, ..entry.place };
        let of = entry.of.map(|of| self.state.of(of.key, place, None));
        self.put(&Operation::Header(HeaderEntry { place, of, replaces: None, ..entry }))
    }
}

impl Live {
    /// Writes a new log, which takes the place of the old one.
    pub(super) fn rewrite(self, disk: &dyn Disk, log: &Log) -> Result<(), RemoteError> {
        let new = Log::begin(disk, random_id(&log.place)?)?;
        let mut writer = Rewriter { new, state: State::default(), content: Vec::new() };
        for (at, len) in self.headers.into_values() {
            let bytes = log.bytes(at, len as usize)?;
            match codec::get(&mut Bytes::new(&bytes)) {
                Ok(Operation::Header(entry)) => writer.header(entry)?,
                _ => return Err(RemoteError::damaged(&log.place, at, "it is no header any more")),
            }
        }
        for (offer, provenance) in self.offers.into_values() {
            let number = writer.state.next_number;
            writer.put(&Operation::Offer { number, is_new: true, provenance, offer })?;
        }
        for id in self.closed {
            writer.put(&Operation::Close { id, was: None })?;
        }
        writer.write()?;
        writer.new.finish(disk)
    }

    /// Takes an operation for true, whatever stood before it.
    fn take(
        &mut self,
        by_cid: &mut BTreeMap<ShortCid, u64>,
        operation: Operation<'_>,
        at: (u64, u32),
    ) {
        match operation {
            Operation::Header(entry) => {
                if let Some(before) = by_cid.insert(entry.cid, entry.place.sequence) {
                    self.headers.remove(&before);
                }
                self.headers.insert(entry.place.sequence, at);
            }
            Operation::Forget { sequence } => drop(self.headers.remove(&sequence)),
            Operation::Offer { provenance, offer, .. } => {
                self.closed.retain(|closed| *closed != offer.id);
                self.offers.insert(offer.id, (offer, provenance));
            }
            Operation::Close { id, .. } => {
                self.offers.remove(&id);
                self.closed.push(id);
            }
            Operation::Withdraw { id, .. } => drop(self.offers.remove(&id)),
            Operation::Describe { .. } | Operation::Undescribe { .. } => {}
        }
    }
}

/// Copies what the store of a directory keeps into another directory, which has none. It may be written
/// meanwhile. How many bytes that is; 0 where nothing is kept.
pub fn copy(from: &std::path::Path, to: &std::path::Path) -> Result<u64, RemoteError> {
    let of = |path: &std::path::Path| {
        let place = path.display().to_string();
        move |error| RemoteError::disk(&place, error)
    };
    let source = match RealDisk::existing(from) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        other => other.map_err(of(from))?,
    };
    let Some(log) = Log::open(&source, false)? else { return Ok(0) };
    let target = RealDisk::create(to).map_err(of(to))?;
    let _lock = lock(&target)?;
    let mut new = Log::begin(&target, log.id)?;
    let end = log.for_each(START, &mut |batch| new.write(&batch.content))?;
    new.finish(&target)?;
    Ok(end.at)
}

/// What a repair found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteRepair {
    /// How many bytes were not whole, and are lost.
    pub lost_bytes: u64,
    /// How many headers are kept.
    pub headers: u64,
    /// How many offers are kept. One that was closed in what is lost is open again until it is closed
    /// once more.
    pub offers: u64,
}

/// Keeps what is whole of a damaged store in a directory.
pub fn repair(directory: &std::path::Path) -> Result<RemoteRepair, RemoteError> {
    let place = directory.display().to_string();
    let disk = RealDisk::existing(directory).map_err(|error| RemoteError::disk(&place, error))?;
    repair_on(Arc::new(disk))
}

/// Keeps what is whole of a damaged store on a disk.
pub fn repair_on(disk: Arc<dyn Disk>) -> Result<RemoteRepair, RemoteError> {
    let _lock = lock(&*disk)?;
    let mut repair = RemoteRepair { lost_bytes: 0, headers: 0, offers: 0 };
    let log = match Log::open(&*disk, false) {
        Ok(Some(log)) => log,
        Ok(None) => return Ok(repair),
        // Every checksum hangs on the beginning.
        Err(RemoteError::Damaged { .. }) => {
            let place = disk.describe(super::log::FILE);
            let len = disk.len(super::log::FILE);
            repair.lost_bytes = len.map_err(|error| RemoteError::disk(&place, error))?;
            Log::begin(&*disk, random_id(&place)?)?.finish(&*disk)?;
            return Ok(repair);
        }
        Err(error) => return Err(error),
    };
    let (mut live, mut by_cid) = (Live::default(), BTreeMap::new());
    let (mut at, len) = (START, log.len()?);
    loop {
        if let Some(batch) = log.batch(at, len)? {
            // What has a checksum and cannot be read is passed over as well.
            let read =
                operations(&log.place, batch.at, &batch.content, &mut |operation, at, len| {
                    live.take(&mut by_cid, operation, (at, len));
                    Ok(())
                });
            if read.is_err() {
                repair.lost_bytes += (batch.content.len() + BATCH_BYTES) as u64;
            }
            at = batch.at + batch.content.len() as u64;
            continue;
        }
        let next = log.next(at + 1, len)?;
        repair.lost_bytes += next.unwrap_or(len).saturating_sub(at);
        let Some(next) = next else { break };
        at = next;
    }
    (repair.headers, repair.offers) = (live.headers.len() as u64, live.offers.len() as u64);
    live.rewrite(&*disk, &log)?;
    Ok(repair)
}
