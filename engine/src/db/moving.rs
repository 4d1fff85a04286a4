//! Moving old segments to a segment store, and removing objects that nothing needs any more.
//!
//! The order that must hold, so that a cut at any step loses nothing:
//! 1. The manifest names the home of this directory's objects.
//! 2. The object is stored, and read back and compared byte by byte.
//! 3. The tail is on stable storage under its name.
//! 4. The manifest says that the segment is moved; from here on views read from the store.
//! 5. The segment's file is removed, by this move or by the next opening.
//!
//! An object is removed only when the manifest that does not need it is on stable storage, no view
//! of this process shows it, and readers in other processes had time to go on to a newer manifest.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::db::compact::is_small;
use crate::db::{Db, Inner, Maintained};
use crate::error::{DiskContext, Fault, MaintenanceError, ReadError};
use crate::manifest::{MovedRecord, UnneededObject};
use crate::segment;
use crate::store::{StoreError, StoreProblem, StoreReader, StoreStatus};
use crate::view::LiveSegment;

/// What is read back at once of an object that was stored: bytes.
const COMPARE_BYTES: usize = 8 << 20;
/// Random bytes that name a home.
const HOME_BYTES: usize = 8;

/// What moving did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MoveReport {
    /// How many segments were moved.
    pub segments: u64,
    /// Their length together: bytes.
    pub bytes: u64,
    /// How many objects that nothing needs any more were removed from the store.
    pub removed: u64,
    /// What was damaged in segments that stay here for it.
    pub faults: Vec<Fault>,
}

impl Db {
    /// Moves the segments that are old enough to the segment store, and removes what is not needed
    /// there any more. Small segments are merged before.
    ///
    /// # Errors
    /// Where there is no store, or it fails: what was moved until then is moved, and the rest stays.
    pub fn move_segments(&self) -> Maintained<MoveReport> {
        let mut report = MoveReport::default();
        self.inner.move_due(&mut report)?;
        Ok(report)
    }

    /// What is in the segment store and what here.
    #[must_use]
    pub fn store_status(&self) -> StoreStatus {
        self.inner.store_status()
    }
}

fn as_nanoseconds(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

impl Inner {
    fn reader(&self) -> Maintained<&Arc<StoreReader>> {
        let refused = || {
            let what = "the database was opened without a segment store; name one to move segments";
            MaintenanceError::Refused(what.to_owned())
        };
        self.store.as_ref().ok_or_else(refused)
    }

    fn goes_on(&self) -> bool {
        !self.is_closing.load(Ordering::Relaxed)
    }

    /// Whether a segment is here and old enough to be moved.
    fn is_due(&self, reader: &StoreReader, live: &LiveSegment, now_ns: i64) -> bool {
        let after_ns = as_nanoseconds(reader.options.after);
        live.segment.moved().is_none() && live.record.last_ns.saturating_add(after_ns) < now_ns
    }

    fn due(&self, reader: &StoreReader) -> Vec<Arc<LiveSegment>> {
        let now_ns = self.options.clock.now_ns();
        let mut due = self.view().segments.clone();
        due.retain(|live| self.is_due(reader, live, now_ns));
        due.sort_by_key(|live| live.record.last_ns);
        due
    }

    /// Moves what is due, removes what is unneeded; notes what failed.
    pub(crate) fn move_due(&self, report: &mut MoveReport) -> Maintained<()> {
        let moved = self.try_move_due(report);
        *self.move_failure.lock() = moved.as_ref().err().map(ToString::to_string);
        moved
    }

    fn try_move_due(&self, report: &mut MoveReport) -> Maintained<()> {
        let reader = self.reader()?;
        let mut is_swept = self.moving.lock();
        if self.has_small(&self.due(reader)) {
            self.compact()?;
        }
        let due = self.due(reader);
        if !due.is_empty() {
            self.make_home(reader)?;
        }
        for live in due {
            if !self.goes_on() {
                return Ok(());
            }
            match self.move_one(reader, &live) {
                Ok(true) => {
                    report.segments += 1;
                    report.bytes += live.record.size_bytes;
                }
                Ok(false) => {}
                Err(MaintenanceError::Read(ReadError::Fault(fault))) => report.faults.push(fault),
                Err(error) => return Err(error),
            }
        }
        if self.upkeep.lock().manifest.moved.is_none() {
            return Ok(());
        }
        if !*is_swept {
            self.sweep(reader)?;
            *is_swept = true;
        }
        self.remove_unneeded(reader, report)
    }

    /// Whether some partition has several small segments, which are better moved as one.
    fn has_small(&self, due: &[Arc<LiveSegment>]) -> bool {
        let small = due.iter().filter(|live| is_small(&live.record, self.options.segment_bytes));
        let mut partitions: Vec<i64> = small.map(|live| live.record.partition).collect();
        partitions.sort_unstable();
        partitions.windows(2).any(|pair| pair[0] == pair[1])
    }

    /// Gives the objects of this directory a home, where they have none.
    fn make_home(&self, reader: &StoreReader) -> Maintained<()> {
        let mut upkeep = self.upkeep()?;
        let store = reader.options.store.describe();
        let mut manifest = upkeep.manifest.clone();
        match &mut manifest.moved {
            Some(moved) if moved.store == store => return Ok(()),
            Some(moved) => moved.store = store,
            none => {
                let mut home = vec![0; HOME_BYTES];
                let random = getrandom::fill(&mut home).map_err(std::io::Error::other);
                random.at(&*self.disk, "get random bytes for", "")?;
                *none = Some(MovedRecord { home, store, ..MovedRecord::default() });
            }
        }
        self.store(&manifest)?;
        upkeep.manifest = manifest;
        Ok(())
    }

    /// Moves one segment; whether it is moved. It is not where it was rewritten meanwhile.
    fn move_one(&self, reader: &Arc<StoreReader>, live: &Arc<LiveSegment>) -> Maintained<bool> {
        // What is damaged stays where a repair can reach it.
        check_bodies(live)?;
        let record = &live.record;
        let object = self.upkeep()?.manifest.object(record.partition, record.number);
        self.store_object(reader, &object, live.segment.bytes()?)?;
        let (disk, folder) = (&*self.disk, segment::folder(record.partition));
        let tail = segment::tail_name(record.partition, record.number);
        live.segment.write_tail(tail.clone())?;
        disk.sync_dir(&folder).at(disk, "sync", &folder)?;
        let mut upkeep = self.upkeep()?;
        let mut manifest = upkeep.manifest.clone();
        let is_there = manifest.segments.iter().any(|known| known.number == record.number);
        let now_ns = self.options.clock.now_ns();
        if let Some(moved) = &mut manifest.moved {
            if is_there {
                let place = moved.segments.partition_point(|number| *number < record.number);
                moved.segments.insert(place, record.number);
                moved.unneeded.retain(|unneeded| unneeded.number != record.number);
            } else {
                let (partition, number) = (record.partition, record.number);
                moved.unneeded.push(UnneededObject { partition, number, since_ns: now_ns });
            }
        }
        self.store(&manifest)?;
        upkeep.manifest = manifest;
        if !is_there {
            let _ = disk.remove(&tail);
            return Ok(false);
        }
        let moved = Arc::new(self.live_segment(&upkeep.manifest, record.clone()));
        self.change_view(|view| {
            for shown in view.segments.iter_mut().filter(|l| l.record.number == record.number) {
                *shown = Arc::clone(&moved);
            }
        });
        drop(upkeep);
        // Views of before have it open. What fails here is removed by the next opening.
        let _ = disk.remove(live.segment.name());
        Ok(true)
    }

    /// Stores an object, unless an earlier move has, and makes sure that it is there.
    fn store_object(
        &self,
        reader: &StoreReader,
        object: &str,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let store = &*reader.options.store;
        if store.size(object)? == Some(bytes.len() as u64)
            && self.compare(reader, object, bytes).is_ok()
        {
            return Ok(());
        }
        store.put(object, bytes, &|| self.goes_on())?;
        let size = store.size(object)?;
        if size != Some(bytes.len() as u64) {
            let what = match size {
                Some(size) => format!("it has {size} bytes instead of {}", bytes.len()),
                None => "it was stored and is not there".to_owned(),
            };
            return Err(reader.error("store", object, StoreProblem::Damaged(what)));
        }
        self.compare(reader, object, bytes)
    }

    /// Reads an object back and compares it.
    fn compare(&self, reader: &StoreReader, object: &str, bytes: &[u8]) -> Result<(), StoreError> {
        for (index, part) in bytes.chunks(COMPARE_BYTES).enumerate() {
            if !self.goes_on() {
                return Err(reader.error("compare", object, StoreProblem::Stopped));
            }
            let offset = (index * COMPARE_BYTES) as u64;
            if reader.get_range(object, offset, part.len() as u64)? != part {
                let what =
                    format!("what is read back from byte {offset} on is not what was stored");
                return Err(reader.error("compare", object, StoreProblem::Damaged(what)));
            }
        }
        Ok(())
    }

    /// Looks for objects that a move left behind which was cut off, and whose segments are gone.
    fn sweep(&self, reader: &StoreReader) -> Maintained<()> {
        let folder = self.upkeep()?.manifest.objects_folder();
        let listed = reader.options.store.list(&folder)?;
        let mut upkeep = self.upkeep()?;
        let manifest = &mut upkeep.manifest;
        let is_known = |partition: i64, number: u64| {
            let moved = manifest.moved.iter().flat_map(|moved| &moved.unneeded);
            manifest.segments.iter().any(|record| record.number == number)
                || moved
                    .map(|object| (object.partition, object.number))
                    .any(|o| o == (partition, number))
        };
        let mut found = Vec::new();
        for name in &listed {
            let place = name.strip_prefix(&folder).and_then(segment::place_of);
            let Some((partition, number)) = place else { continue };
            if number <= manifest.last_file && !is_known(partition, number) {
                let since_ns = self.options.clock.now_ns();
                found.push(UnneededObject { partition, number, since_ns });
            }
        }
        if let Some(moved) = &mut manifest.moved {
            moved.unneeded.extend(found);
        }
        Ok(())
    }

    /// Removes the objects whose time has come.
    fn remove_unneeded(&self, reader: &StoreReader, report: &mut MoveReport) -> Maintained<()> {
        let manifest = self.upkeep()?.manifest.clone();
        let Some(moved) = &manifest.moved else { return Ok(()) };
        let grace_ns = as_nanoseconds(reader.options.removal_grace);
        let now_ns = self.options.clock.now_ns();
        let mut removed = Vec::new();
        let mut failed = None;
        for unneeded in &moved.unneeded {
            let is_early = unneeded.since_ns.saturating_add(grace_ns) > now_ns;
            if is_early || self.is_shown(unneeded.number) || !self.goes_on() {
                continue;
            }
            let object = manifest.object(unneeded.partition, unneeded.number);
            match reader.options.store.remove(&object) {
                Ok(()) => removed.push(unneeded.number),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
            reader.forget_segment(unneeded.number);
        }
        if !removed.is_empty() {
            let mut upkeep = self.upkeep()?;
            let mut manifest = upkeep.manifest.clone();
            if let Some(moved) = &mut manifest.moved {
                moved.unneeded.retain(|unneeded| !removed.contains(&unneeded.number));
            }
            self.store(&manifest)?;
            upkeep.manifest = manifest;
            report.removed += removed.len() as u64;
        }
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Whether a view that somebody holds shows a segment that is gone.
    fn is_shown(&self, number: u64) -> bool {
        let mut gone = self.gone_segments.lock();
        gone.retain(|(_, shown)| shown.strong_count() > 0);
        gone.iter().any(|(other, _)| *other == number)
    }

    fn store_status(&self) -> StoreStatus {
        let view = self.view();
        let now_ns = self.options.clock.now_ns();
        let mut status = StoreStatus::default();
        let add = |(count, bytes): &mut (u64, u64), live: &LiveSegment| {
            *count += 1;
            *bytes += live.record.size_bytes;
        };
        for live in &view.segments {
            match live.segment.moved() {
                Some(_) => add(&mut status.moved, live),
                None => add(&mut status.local, live),
            }
            let reader = self.store.as_deref();
            if reader.is_some_and(|reader| self.is_due(reader, live, now_ns)) {
                add(&mut status.waiting, live);
            }
        }
        if let Some(moved) = &self.upkeep.lock().manifest.moved {
            status.moved_to = Some(moved.store.clone());
            status.removals = moved.unneeded.len() as u64;
        }
        if let Some(reader) = &self.store {
            status.store = Some(reader.options.store.describe());
            let (cached_bytes, fetched, cache_hits, failure) = reader.figures();
            (status.cached_bytes, status.fetched) = (cached_bytes, fetched);
            status.cache_hits = cache_hits;
            status.last_error = self.move_failure.lock().clone().or(failure);
        }
        status
    }
}

/// Checks the records of all bodies.
fn check_bodies(live: &LiveSegment) -> Result<(), ReadError> {
    live.segment.for_all(&mut |entry, _, _| match &entry.body {
        Some(body) => live.segment.body_record(body).map(drop),
        None => Ok(()),
    })
}
