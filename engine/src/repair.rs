//! Repairing a database: everything that is whole is kept, and what is lost is said.
//!
//! The log is cut at the damage and the whole frames behind it are written again. Damaged chunks
//! and sections are left out of rewritten files. The manifest and the definitions must be whole;
//! without them nothing can be named, and a backup is the way back.

use std::sync::Arc;

use chronolith_disk::Disk;

use crate::db::Db;
use crate::error::{DiskContext, Fault, MaintenanceError, OpenError, ReadError};
use crate::layers::decode_chunk;
use crate::manifest::{Manifest, SegmentRecord};
use crate::options::{Durability, Options};
use crate::protect::Purpose;
use crate::registry::{self, Registry};
use crate::run::{self, Run, RunWriter};
use crate::segment::{self, ChunkSource, PageBudget, Segment, SegmentWriter};
use crate::verify::verify;
use crate::view::LiveSegment;
use crate::wal;
use crate::wal::frame::{FrameView, Salt};
use crate::wal::payload::{Payload, decode};

/// What a repair did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepairReport {
    /// What was damaged.
    pub faults: Vec<Fault>,
    /// What is lost, a sentence each.
    pub lost: Vec<String>,
    /// How many frames behind a damaged place of the log were written again.
    pub salvaged_frames: u64,
    /// How many files were rewritten or dropped.
    pub changed_files: u64,
}

/// Repairs the database on a disk; it must not be open.
pub fn repair(disk: &Arc<dyn Disk>, options: &Options) -> Result<RepairReport, OpenError> {
    let lock = disk.lock("LOCK");
    let lock = match lock {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            return Err(OpenError::Locked(disk.describe("")));
        }
        lock => lock.at(&**disk, "lock", "LOCK")?,
    };
    let faults = verify(disk, options).faults;
    let mut report = RepairReport { faults, ..RepairReport::default() };
    if report.faults.is_empty() {
        return Ok(report);
    }
    let manifest = Manifest::load(&**disk, &*options.protect)?;
    let mut registry = Registry::default();
    registry::log::load(&**disk, &*options.protect, manifest.metrics_bytes, &mut registry)?;
    let mut repairer = Repairer { disk: Arc::clone(disk), options, registry, manifest, report };
    let salvaged = repairer.log()?;
    repairer.runs()?;
    repairer.segments()?;
    repairer.manifest.clean_end = None;
    repairer.manifest.store(&**disk, &*options.protect).map_err(ReadError::from)?;
    report = repairer.report;
    drop(lock);
    rewrite_salvaged(disk, options, salvaged, &mut report)?;
    Ok(report)
}

struct Repairer<'a> {
    disk: Arc<dyn Disk>,
    options: &'a Options,
    registry: Registry,
    manifest: Manifest,
    report: RepairReport,
}

impl Repairer<'_> {
    /// Cuts the log at its first damage; the whole frames behind it.
    fn log(&mut self) -> Result<Vec<Payload>, ReadError> {
        let (disk, protect) = (&*self.disk, &*self.options.protect);
        let mut last = self.manifest.flushed;
        let (mut salvaged, mut damage) = (Vec::new(), None);
        let numbers: Vec<u64> = {
            let names = disk.list(wal::DIR).at(disk, "list", wal::DIR)?;
            let mut numbers: Vec<u64> =
                names.iter().filter_map(|name| wal::file_number(name)).collect();
            numbers.retain(|number| *number >= self.manifest.first_log);
            numbers.sort_unstable();
            numbers
        };
        for (number, expected) in numbers.iter().zip(self.manifest.first_log..) {
            let name = wal::file_name(*number);
            let bytes = disk.map(&name).at(disk, "read", &name)?;
            let mut at = wal::frame::FILE_HEADER_BYTES;
            if damage.is_none() && *number != expected {
                damage = Some((*number, 0));
            }
            let salt = Salt::new(&self.manifest.database, *number);
            if wal::frame::read_file_header(&bytes, salt, *number).is_err() {
                damage.get_or_insert((*number, 0));
                at = 0;
            }
            while let Some((place, frame)) = FrameView::search(&bytes, at, salt) {
                if place > at || (damage.is_none() && frame.sequence > last + 1) {
                    damage.get_or_insert((*number, at));
                }
                at = place + frame.len();
                let payload = protect.open(Purpose::Wal, frame.protection, frame.payload);
                let payload = payload.ok().and_then(|payload| decode(&payload).ok());
                match payload {
                    None => drop(damage.get_or_insert((*number, place))),
                    Some(payload) if damage.is_some() && frame.sequence > last => {
                        salvaged.push(payload);
                    }
                    Some(payload) => {
                        payload.definitions.into_iter().for_each(|d| self.registry.define(d, 0));
                    }
                }
                last = last.max(frame.sequence);
            }
            if at < bytes.len() {
                damage.get_or_insert((*number, at));
            }
        }
        let Some((number, offset)) = damage else { return Ok(salvaged) };
        for other in numbers.iter().filter(|other| **other > number) {
            let name = wal::file_name(*other);
            disk.remove(&name).at(disk, "remove", &name)?;
            self.report.changed_files += 1;
        }
        let name = wal::file_name(number);
        if offset == 0 {
            disk.remove(&name).at(disk, "remove", &name)?;
        } else {
            let file = disk.open(&name).at(disk, "open", &name)?;
            file.set_len(offset as u64).at(disk, "cut", &name)?;
            file.sync().at(disk, "sync", &name)?;
        }
        self.report.changed_files += 1;
        self.report.lost.push(format!("what stood in {name} at byte {offset}"));
        disk.sync_dir(wal::DIR).at(disk, "sync", wal::DIR)?;
        Ok(salvaged)
    }

    /// Rewrites runs without their damaged sections.
    fn runs(&mut self) -> Result<(), ReadError> {
        let records = std::mem::take(&mut self.manifest.runs);
        for record in records {
            let (disk, protect) = (Arc::clone(&self.disk), Arc::clone(&self.options.protect));
            let name = run::file_name(record.number);
            if !self.is_damaged(&name) {
                self.manifest.runs.push(record);
                continue;
            }
            self.report.changed_files += 1;
            let live = Run::new(disk, protect, name.clone(), record.size_bytes);
            let sections: Vec<run::Section> = match live.sections() {
                Ok(sections) => sections.collect(),
                Err(_) => {
                    self.report.lost.push(format!("all {} records of {name}", record.records));
                    continue;
                }
            };
            let number = self.manifest.take_number();
            let disk = &*self.disk;
            let new = run::file_name(number);
            let mut writer = RunWriter::create(disk, &*self.options.protect, new)?;
            for section in sections {
                let kind = self.registry.get(section.metric).map(|definition| definition.kind);
                let block = kind.and_then(|kind| live.decode(&section, kind).ok());
                match block {
                    Some(block) => {
                        writer.push_block(section.metric, section.window, &block)?;
                    }
                    None => self.report.lost.push(format!(
                        "{} records of metric {} in window {}, in {name}",
                        section.count, section.metric, section.window
                    )),
                }
            }
            let size_bytes = writer.finish()?;
            disk.sync_dir(run::DIR).at(disk, "sync", run::DIR)?;
            self.manifest.runs.push(crate::manifest::RunRecord { number, size_bytes, ..record });
        }
        Ok(())
    }

    /// Rewrites segments without their damaged bodies.
    fn segments(&mut self) -> Result<(), ReadError> {
        let budget = Arc::new(PageBudget::new(0));
        let records = std::mem::take(&mut self.manifest.segments);
        for record in records {
            let name = segment::file_name(record.partition, record.number);
            if !self.is_damaged(&name) {
                self.manifest.segments.push(record);
                continue;
            }
            self.report.changed_files += 1;
            let (disk, protect) = (Arc::clone(&self.disk), Arc::clone(&self.options.protect));
            let segment =
                Segment::new(disk, protect, Arc::clone(&budget), name.clone(), record.size_bytes);
            let live = LiveSegment { record: record.clone(), segment };
            match self.rewrite(&live) {
                Ok(record) => self.manifest.segments.extend(record),
                Err(error) => {
                    self.report
                        .lost
                        .push(format!("all {} chunks of {name}: {error}", record.chunks));
                }
            }
        }
        Ok(())
    }

    fn rewrite(&mut self, live: &LiveSegment) -> Result<Option<SegmentRecord>, ReadError> {
        let (chunks, lost_pages) = live.segment.whole_pages()?;
        self.report.lost.extend(lost_pages);
        if chunks.is_empty() {
            return Ok(None);
        }
        let number = self.manifest.take_number();
        let disk = &*self.disk;
        let name = segment::file_name(live.record.partition, number);
        let mut writer = SegmentWriter::create(disk, &*self.options.protect, name)?;
        for (mut entry, seal, digest) in chunks {
            entry.batch = writer.seal(&seal);
            let body = entry.body.filter(|body| decode_chunk(live, &entry, body).is_ok());
            match body {
                Some(body) => {
                    let record = live.segment.body_record(&body)?;
                    writer.push(entry, digest, ChunkSource::Record(record))?;
                }
                None => {
                    if let Some(body) = entry.body {
                        let key = entry.key;
                        self.report.lost.push(format!(
                            "the {} records of metric {} in window {} (generation {}, part {})",
                            body.count, key.metric, key.window, key.generation, key.part
                        ));
                    }
                    writer.push(entry, digest, ChunkSource::Dropped)?;
                }
            }
        }
        let written = writer.finish()?;
        let folder = segment::folder(live.record.partition);
        disk.sync_dir(&folder).at(disk, "sync", &folder)?;
        let (size_bytes, chunks) = (written.size_bytes, written.chunks);
        Ok(Some(SegmentRecord { number, size_bytes, chunks, ..live.record.clone() }))
    }

    fn is_damaged(&self, name: &str) -> bool {
        self.report.faults.iter().any(|fault| fault.file == name)
    }
}

/// Opens the repaired database and writes the salvaged frames again.
fn rewrite_salvaged(
    disk: &Arc<dyn Disk>,
    options: &Options,
    salvaged: Vec<Payload>,
    report: &mut RepairReport,
) -> Result<(), OpenError> {
    let options = Options { create: false, read_only: false, ..options.clone() };
    let db = Db::open_on(Arc::clone(disk), options)?;
    for payload in salvaged {
        match write_again(&db, &payload) {
            Ok(()) => report.salvaged_frames += 1,
            Err(error) => report.lost.push(format!("a frame of the log: {error}")),
        }
    }
    db.sync().map_err(MaintenanceError::from)?;
    Ok(db.close()?)
}

fn write_again(db: &Db, payload: &Payload) -> Result<(), MaintenanceError> {
    for defined in &payload.definitions {
        db.define((*defined.definition).clone())?;
    }
    for deletion in &payload.deletions {
        if let Some(metric) = db.metric_by_number(deletion.metric) {
            db.delete(&[metric], deletion.from_ns..=deletion.to_ns)?;
        }
    }
    db.write(&payload.batch, Durability::Buffered)?;
    Ok(())
}
