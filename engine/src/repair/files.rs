//! Rewriting damaged runs and segments.

use std::sync::Arc;

use chronolith_disk::{Disk, read_all};
use chronolith_merkle::{DAG_CBOR, Tree, leaf_hash};

use crate::db::chunks::rebuild_header;
use crate::db::seal_statement;
use crate::error::{DiskContext, DiskError, OpenError, ReadError};
use crate::keys::ProducerKey;
use crate::layers::decode_body;
use crate::manifest::{RunRecord, SegmentRecord, UnneededObject};
use crate::run::{self, Mark, Mended, Run, RunWriter};
use crate::segment::{self, ChunkSource, Leaf, PageBudget, SealRecord, Segment, SegmentWriter};
use crate::store::{StoreError, StoreProblem, StoreReader};
use crate::verify::{run_faults, segment_faults};
use crate::view::LiveSegment;

use super::Repairer;

/// What is fetched at once of a moved segment: bytes.
const FETCH_BYTES: u64 = 8 << 20;

/// What a file holds; `None` where there is none.
pub(super) fn read(disk: &dyn Disk, name: &str) -> Result<Option<Vec<u8>>, DiskError> {
    if disk.exists(name).at(disk, "look for", name)? {
        return Ok(Some(read_all(disk, name).at(disk, "read", name)?));
    }
    Ok(None)
}

/// Writes a new file and makes it durable with its name.
pub(super) fn write(disk: &dyn Disk, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
    let file = disk.open(name).at(disk, "create", name)?;
    file.set_len(0).at(disk, "empty", name)?;
    file.append(bytes).at(disk, "write", name)?;
    file.sync().at(disk, "sync", name)?;
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    disk.sync_dir(folder).at(disk, "sync", folder)
}

impl Repairer<'_> {
    /// Mends damaged runs, and rewrites them without the sections that stay damaged.
    pub(super) fn runs(&mut self) -> Result<(), OpenError> {
        for record in std::mem::take(&mut self.manifest.runs) {
            let name = run::file_name(record.number);
            if !self.is_damaged(&name) {
                self.manifest.runs.push(record);
                continue;
            }
            self.report.changed_files += 1;
            match self.run(&record, &name)? {
                Some(new) => self.manifest.runs.push(new),
                None => self.report.lost.push(format!("all {} records of {name}", record.records)),
            }
        }
        Ok(())
    }

    fn run(&mut self, record: &RunRecord, name: &str) -> Result<Option<RunRecord>, OpenError> {
        let disk = Arc::clone(&self.disk);
        let Some(mut bytes) = read(&*disk, name)? else { return Ok(None) };
        self.originals.push(name.to_owned());
        let protect = Arc::clone(&self.options.protect);
        let number = self.manifest.take_number();
        let mark = |number| Mark::new(&self.manifest.database, number);
        let marks = (mark(record.number), mark(number));
        let records = match run::mend(&mut bytes, record.size_bytes, marks, &*protect) {
            Mended::Table => record.records,
            Mended::Sections { records } => records,
            Mended::Nothing => return Ok(None),
        };
        if records < record.records {
            let lost = record.records - records;
            self.report.lost.push(format!("{lost} of {} records of {name}", record.records));
        }
        let mended = run::file_name(number);
        write(&*disk, &mended, &bytes)?;
        let size_bytes = bytes.len() as u64;
        drop(bytes);
        let new = RunRecord { number, size_bytes, records, ..record.clone() };
        let live = Run::new(Arc::clone(&disk), protect, mended.clone(), size_bytes);
        if run_faults(&disk, self.options, &mut self.registry, &live, marks.1).is_empty() {
            return Ok(Some(new));
        }
        let rewritten = self.without_damaged_sections(&new, name, &live);
        disk.remove(&mended).at(&*disk, "remove", &mended)?;
        match rewritten {
            Ok(record) => Ok(record),
            Err(ReadError::Fault(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn without_damaged_sections(
        &mut self,
        record: &RunRecord,
        name: &str,
        live: &Run,
    ) -> Result<Option<RunRecord>, ReadError> {
        let sections: Vec<run::Section> = live.sections()?.collect();
        let number = self.manifest.take_number();
        let (disk, protect) = (&*self.disk, &*self.options.protect);
        let mut writer = RunWriter::create(disk, protect, &self.manifest.database, number)?;
        let mut records = 0;
        for section in sections {
            let kind = self.registry.get(section.metric).map(|definition| definition.kind);
            let block = kind.and_then(|kind| live.decode(&section, kind).ok());
            match block {
                Some(block) => {
                    records += block.len() as u64;
                    writer.push_block(section.metric, section.window, &block)?;
                }
                None => self.report.lost.push(format!(
                    "{} records of metric {} in window {}, in {name}",
                    section.count, section.metric, section.window
                )),
            }
        }
        if records == 0 {
            return Ok(None);
        }
        let size_bytes = writer.finish()?;
        disk.sync_dir(run::DIR).at(disk, "sync", run::DIR)?;
        Ok(Some(RunRecord { number, size_bytes, records, ..record.clone() }))
    }

    /// Mends damaged segments, and rewrites them without the bodies that stay damaged.
    pub(super) fn segments(&mut self) -> Result<(), OpenError> {
        for record in std::mem::take(&mut self.manifest.segments) {
            let name = segment::file_name(record.partition, record.number);
            let file = self.manifest.segment_file(&record);
            if !self.is_damaged(&name) && !self.is_damaged(&file) {
                self.manifest.segments.push(record);
                continue;
            }
            if self.manifest.is_moved(record.number)
                && let Err(error) = self.fetch(&record, &name)?
            {
                self.report.unreached.push(error.to_string());
                self.unreached.extend([name, file]);
                self.manifest.segments.push(record);
                continue;
            }
            self.report.changed_files += 1;
            let repaired = self.segment(&record, &name)?;
            if file != name {
                self.is_back(&record, file, repaired.as_ref().and_then(Option::as_ref));
            }
            match repaired {
                Some(new) => self.manifest.segments.extend(new),
                None => self.report.lost.push(format!("all {} chunks of {name}", record.chunks)),
            }
        }
        Ok(())
    }

    /// Gets all of a moved segment back into a file, which nothing names yet.
    fn fetch(
        &self,
        record: &SegmentRecord,
        name: &str,
    ) -> Result<Result<(), StoreError>, OpenError> {
        let object = self.manifest.object(record.partition, record.number);
        let Some(store) = self.options.segment_store.clone() else {
            let moved_to = self.manifest.moved.as_ref().map(|moved| moved.store.clone());
            let (store, problem) = (moved_to.unwrap_or_default(), StoreProblem::NotConfigured);
            return Ok(Err(StoreError { action: "read", store, object, problem }));
        };
        let reader = StoreReader::new(&self.disk, store, false);
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < record.size_bytes {
            let at = bytes.len() as u64;
            let len = FETCH_BYTES.min(record.size_bytes - at);
            match reader.get_range(&object, at, len) {
                Ok(part) => bytes.extend_from_slice(&part),
                Err(error) => return Ok(Err(error)),
            }
        }
        write(&*self.disk, name, &bytes)?;
        Ok(Ok(()))
    }

    /// Notes that a moved segment is here again: `new` is what was kept of it.
    fn is_back(&mut self, record: &SegmentRecord, tail: String, new: Option<&SegmentRecord>) {
        self.originals.push(tail);
        let (partition, number) = (record.partition, record.number);
        let since_ns = self.options.clock.now_ns();
        let Some(moved) = &mut self.manifest.moved else { return };
        moved.segments.retain(|other| *other != number);
        // One that keeps its number keeps its object, too, until it is moved there again.
        if new.is_none_or(|new| new.number != number) {
            moved.unneeded.push(UnneededObject { partition, number, since_ns });
        }
    }

    fn segment(
        &mut self,
        record: &SegmentRecord,
        name: &str,
    ) -> Result<Option<Option<SegmentRecord>>, OpenError> {
        let (disk, protect) = (Arc::clone(&self.disk), Arc::clone(&self.options.protect));
        let Some(mut bytes) = read(&*disk, name)? else { return Ok(None) };
        let key = ProducerKey::load(&*disk)?;
        let mut signed = 0;
        let (last_batch, sealed_ns) = (self.manifest.last_batch, self.options.clock.now_ns());
        let mut sign = |leaves: Vec<Leaf>| {
            signed += 1;
            sign_again(&key, record, last_batch + signed, sealed_ns, leaves)
        };
        let has_index = segment::mend(&mut bytes, record.size_bytes, &*protect, &mut sign);
        // What the verifier said of it may be another file's fault: a batch with missing chunks.
        let is_same = read(&*disk, name)?.is_some_and(|original| original == bytes);
        if !is_same || !has_index {
            self.originals.push(name.to_owned());
        }
        if !has_index {
            return Ok(None);
        }
        if signed > 0 {
            self.manifest.last_batch += signed;
            let what = "sequences and signatures of the seal batches of";
            self.report.lost.push(format!("{what} {name}: they are signed again"));
        }
        let (number, mended) = if is_same {
            (record.number, name.to_owned())
        } else {
            let number = self.manifest.take_number();
            let mended = segment::file_name(record.partition, number);
            write(&*disk, &mended, &bytes)?;
            (number, mended)
        };
        let size_bytes = bytes.len() as u64;
        drop(bytes);
        let new = SegmentRecord { number, size_bytes, ..record.clone() };
        let budget = Arc::new(PageBudget::new(0));
        let segment = Segment::new(Arc::clone(&disk), protect, budget, mended.clone(), size_bytes);
        let segment = segment.with_keys(self.options.keys.clone());
        let live = LiveSegment { record: new.clone(), segment };
        if segment_faults(&disk, self.options, &mut self.registry, &live).is_empty() {
            return Ok(Some(Some(new)));
        }
        let rewritten = self.without_damaged_bodies(&live, name);
        if is_same {
            self.originals.push(mended);
        } else {
            disk.remove(&mended).at(&*disk, "remove", &mended)?;
        }
        match rewritten {
            Ok(record) => Ok(Some(record)),
            Err(ReadError::Fault(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn without_damaged_bodies(
        &mut self,
        live: &LiveSegment,
        name: &str,
    ) -> Result<Option<SegmentRecord>, ReadError> {
        let (chunks, lost_pages) = live.segment.whole_pages()?;
        let lost_pages = lost_pages.into_iter();
        self.report.lost.extend(lost_pages.map(|lost| lost.replace(live.segment.name(), name)));
        if chunks.is_empty() {
            return Ok(None);
        }
        let number = self.manifest.take_number();
        let disk = &*self.disk;
        let new = segment::file_name(live.record.partition, number);
        let may_be_locked = live.segment.may_be_locked()?;
        let mut writer = SegmentWriter::create(disk, &*self.options.protect, new, may_be_locked)?;
        for (mut entry, seal, digest) in chunks {
            // A body that can be decoded may still be another than was sealed.
            let is_whole = |body: &segment::Body| {
                let Ok(stored) = live.segment.stored(&entry, body) else { return false };
                let header = rebuild_header(&self.registry, live, &entry, &seal, body, &stored);
                let is_sealed =
                    header.is_ok_and(|header| entry.function.digest(&header.to_bytes()) == digest);
                is_sealed
                    && match live.segment.open(&entry, body, stored) {
                        Ok(bytes) => decode_body(live, &entry, body, &bytes).is_ok(),
                        // It is what was sealed, whoever has the key.
                        Err(ReadError::Key(error)) => error.is_of_chunk(),
                        Err(_) => false,
                    }
            };
            let body = entry.body.filter(is_whole);
            entry.batch = writer.seal(&seal);
            match body {
                Some(body) => {
                    let record = live.segment.body_record(&body)?;
                    writer.push(entry, digest, ChunkSource::Record(&record))?;
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
}

/// A seal batch of chunks whose batch is not known any more. Their records came in the sequences
/// of the segment.
fn sign_again(
    key: &ProducerKey,
    record: &SegmentRecord,
    number: u64,
    sealed_ns: i64,
    mut leaves: Vec<Leaf>,
) -> SealRecord {
    leaves.sort_unstable_by_key(|(key, ..)| *key);
    let hashes: Vec<[u8; 32]> = leaves
        .iter()
        .map(|(_, function, digest)| {
            leaf_hash(&function.content_id_of_digest(DAG_CBOR, digest).to_bytes())
        })
        .collect();
    let (root, count) = (Tree::from_leaf_hashes(&hashes).root(), hashes.len() as u64);
    SealRecord {
        number,
        first_sequence: record.first_sequence,
        last_sequence: record.last_sequence,
        count,
        root,
        producer: key.public(),
        signature: key.sign(&seal_statement(number, count, &root)),
        sealed_ns,
    }
}
