//! Writing the whole frames of a damaged log again.
//!
//! They keep their sequences, which tombstones and readers of changes know: for what cannot be
//! read there is an empty frame. Metrics whose definitions are lost leave a gap in the numbers;
//! what is defined behind it gets another number, and its records follow it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chronolith_disk::{Disk, Mapped};

use crate::batch::Batch;
use crate::error::{DiskContext, Fault, OpenError, ReadError};
use crate::protect::{Protect, Purpose};
use crate::registry::{Defined, Registry};
use crate::wal::frame::{self, Frame, FrameView, Salt};
use crate::wal::payload::{Deletion, Payload, decode, encode};
use crate::wal::recovery::LogEnd;
use crate::wal::{self, Sequence};

use super::Repairer;

/// Frames are collected up to this size before they are handed to the disk.
const BUFFER_BYTES: usize = 1 << 20;

/// Which number a metric has now.
struct Numbers {
    /// The metrics of the definitions' file keep theirs.
    known: u32,
    moved: HashMap<u32, u32>,
}

impl Numbers {
    fn of(&self, metric: u32) -> Option<u32> {
        let moved = self.moved.get(&metric).copied();
        moved.or_else(|| (metric < self.known).then_some(metric))
    }

    /// Defines a metric, under its number where the definitions before it are all there.
    fn define(&mut self, defined: &Defined, registry: &mut Registry) -> Defined {
        let definition = &defined.definition;
        let found = registry.find(&definition.metric).map(|id| id.index());
        let metric = found.unwrap_or(registry.len() as u32);
        self.moved.insert(defined.metric, metric);
        let defined = Defined { metric, definition: definition.clone() };
        registry.define(defined.clone(), 0);
        defined
    }
}

impl Repairer<'_> {
    /// Writes the whole frames of a damaged log to a new file, which the manifest will name.
    pub(super) fn log(&mut self) -> Result<(), OpenError> {
        if !self.report.faults.iter().any(|fault| fault.file.starts_with(wal::DIR)) {
            return Ok(());
        }
        let disk = Arc::clone(&self.disk);
        let (disk, protect) = (&*disk, &*self.options.protect);
        let (maps, last_file) = self.files(disk)?;
        let frames = self.whole_frames(&maps);
        // Not a number that some file has or had: what the manifest names now stays damaged.
        let number = last_file + 1;
        let name = wal::file_name(number);
        let file = disk.open(&name).at(disk, "create", &name)?;
        file.set_len(0).at(disk, "empty", &name)?;
        let flushed = self.manifest.flushed;
        let salt = Salt::new(&self.manifest.database, number);
        let mut buffer = frame::file_header(salt, number, flushed).to_vec();
        let mut offset = 0;
        let mut numbers = Numbers { known: self.registry.len() as u32, moved: HashMap::new() };
        let deleted = self.manifest.tombstones.iter().map(|tombstone| tombstone.sequence).max();
        let last = frames.keys().next_back().copied().max(deleted).unwrap_or(flushed);
        // Each frame that cannot be read took room: a sequence beyond that is nobody's.
        let bytes: u64 = maps.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        let last = last.min(flushed.saturating_add(bytes / frame::HEADER_BYTES as u64 + 1));
        // But for those of runs that the manifest names.
        let last = last.max(self.manifest.last_in_files());
        let mut missing: Option<(Sequence, Sequence)> = None;
        for sequence in flushed + 1..=last {
            let payload = match frames.get(&sequence) {
                Some((map, at)) => self.payload(protect, &maps[*map], *at)?,
                None => None,
            };
            let payload = match payload {
                Some(payload) => {
                    self.note_missing(missing.take());
                    self.report.salvaged_frames += 1;
                    self.renumber(payload, &mut numbers, sequence)
                }
                None => {
                    let first = missing.map_or(sequence, |(first, _)| first);
                    missing = Some((first, sequence));
                    // The manifest may know of the deletion that stood there.
                    let known = self.manifest.tombstones.iter();
                    let known = known.filter(|tombstone| tombstone.sequence == sequence);
                    let deletions = known.map(|tombstone| tombstone.deletion).collect();
                    Payload { deletions, ..Payload::default() }
                }
            };
            let mut bytes = Frame::room(64 + payload.batch.len() * 20 + payload.batch.data.len());
            encode(&payload.definitions, &payload.deletions, &payload.batch, &mut bytes);
            let mut frame = Frame::new(bytes, |payload| protect.protect(Purpose::Wal, payload));
            buffer.extend_from_slice(frame.finish(salt, sequence, flushed));
            if buffer.len() >= BUFFER_BYTES {
                file.append(&buffer).at(disk, "write", &name)?;
                offset += buffer.len() as u64;
                buffer.clear();
            }
        }
        self.note_missing(missing);
        file.append(&buffer).at(disk, "write", &name)?;
        offset += buffer.len() as u64;
        file.sync().at(disk, "sync", &name)?;
        disk.sync_dir(wal::DIR).at(disk, "sync", wal::DIR)?;
        self.manifest.first_log = number;
        self.manifest.last_log = None;
        self.manifest.clean_end = Some(LogEnd { file: number, offset });
        self.report.changed_files += maps.len() as u64;
        self.originals.extend(maps.iter().map(|(number, _)| wal::file_name(*number)));
        Ok(())
    }

    /// The log's files, and the last number that one has or had.
    fn files(&mut self, disk: &dyn Disk) -> Result<(Vec<(u64, Mapped)>, u64), OpenError> {
        let names = disk.list(wal::DIR).at(disk, "list", wal::DIR)?;
        let mut numbers: Vec<u64> =
            names.iter().filter_map(|name| wal::file_number(name)).collect();
        numbers.retain(|number| *number >= self.manifest.first_log);
        numbers.sort_unstable();
        let last = numbers.last().copied().unwrap_or(0).max(self.manifest.last_known_log());
        let named = self.report.faults.iter().filter_map(|fault| {
            let number = wal::file_number(fault.file.strip_prefix(wal::DIR)?.strip_prefix('/')?);
            number.filter(|number| !numbers.contains(number))
        });
        let gone: BTreeSet<u64> = named.collect();
        let lines = gone.into_iter().map(wal::file_name);
        self.report.lost.extend(lines.map(|name| format!("{name}: this file of the log is gone")));
        let mut maps = Vec::new();
        for number in numbers {
            let name = wal::file_name(number);
            maps.push((number, disk.map(&name).at(disk, "read", &name)?));
        }
        Ok((maps, last))
    }

    /// Where the whole frames are, by sequence: in which file, and where in it. What stands twice
    /// was written by a repair that was cut off; the first is the original.
    fn whole_frames(&mut self, maps: &[(u64, Mapped)]) -> BTreeMap<Sequence, (usize, usize)> {
        let mut frames = BTreeMap::new();
        for (index, (number, bytes)) in maps.iter().enumerate() {
            let mut end = frame::FILE_HEADER_BYTES.min(bytes.len());
            let salt = Salt::new(&self.manifest.database, *number);
            while let Some((place, frame)) = FrameView::search(bytes, end, salt) {
                end = place + frame.len();
                frames.entry(frame.sequence).or_insert((index, place));
            }
            if end < bytes.len() {
                let (name, rest) = (wal::file_name(*number), bytes.len() - end);
                self.report.lost.push(format!("the last {rest} bytes of {name}"));
            }
            if bytes.len() < frame::FILE_HEADER_BYTES {
                let name = wal::file_name(*number);
                self.report.lost.push(format!("what was in {name}, which is cut short"));
            }
            let closed_at = self.manifest.clean_end.filter(|closed| closed.file == *number);
            let missing =
                closed_at.map_or(0, |closed| closed.offset.saturating_sub(bytes.len() as u64));
            if missing > 0 {
                let name = wal::file_name(*number);
                self.report
                    .lost
                    .push(format!("{missing} bytes at the end of {name}, which is cut short"));
            }
        }
        frames
    }

    /// What a whole frame says; `None`, and a line of what is lost, where that cannot be read. A
    /// frame that these keys do not open is no damage.
    fn payload(
        &mut self,
        protect: &dyn Protect,
        (number, bytes): &(u64, Mapped),
        at: usize,
    ) -> Result<Option<Payload>, ReadError> {
        let salt = Salt::new(&self.manifest.database, *number);
        let Some(frame) = FrameView::parse(&bytes[at..], salt) else { return Ok(None) };
        let name = wal::file_name(*number);
        let fault = |what: String| Fault::new(&name, at as u64, what);
        let opened = protect.open(Purpose::Wal, frame.protection, frame.payload);
        let opened = opened.map_err(|error| fault(error.to_string()))?;
        match decode(&opened) {
            Ok(payload) => Ok(Some(payload)),
            Err(error) => {
                self.report.lost.push(fault(error.to_string()).to_string());
                Ok(None)
            }
        }
    }

    fn note_missing(&mut self, missing: Option<(Sequence, Sequence)>) {
        let Some((first, last)) = missing else { return };
        self.report.lost.push(match last - first {
            0 => format!("what was written under sequence {first}"),
            _ => format!("what was written under the sequences from {first} to {last}"),
        });
    }

    /// The same under the numbers that metrics have now; what belongs to none is dropped.
    fn renumber(&mut self, payload: Payload, numbers: &mut Numbers, sequence: Sequence) -> Payload {
        let definitions = payload.definitions.iter();
        let definitions =
            definitions.map(|defined| numbers.define(defined, &mut self.registry)).collect();
        let mut deletions = Vec::new();
        for deletion in payload.deletions {
            match numbers.of(deletion.metric) {
                Some(metric) => deletions.push(Deletion { metric, ..deletion }),
                None => self.report.lost.push(format!(
                    "a deletion of metric number {}, whose definition is lost",
                    deletion.metric
                )),
            }
        }
        let mut batch = Batch::default();
        batch.data = payload.batch.data;
        batch.state = payload.batch.state;
        let mut dropped: BTreeMap<u32, u64> = BTreeMap::new();
        for (index, metric) in payload.batch.metrics.iter().enumerate() {
            match numbers.of(*metric) {
                Some(number) => {
                    batch.metrics.push(number);
                    batch.kinds.push(payload.batch.kinds[index]);
                    batch.times.push(payload.batch.times[index]);
                    batch.bits.push(payload.batch.bits[index]);
                }
                None => *dropped.entry(*metric).or_default() += 1,
            }
        }
        for (metric, count) in dropped {
            self.report.lost.push(format!(
                "{count} records of metric number {metric}, whose definition is lost, under \
                 sequence {sequence}"
            ));
        }
        Payload { definitions, deletions, batch }
    }
}
