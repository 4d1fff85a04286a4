//! Verifying a database: every byte that counts is read and checked, and every fault is named.
//!
//! Nothing is changed, and nothing but the manifest has to be whole for the rest to be checked. Moved
//! segments are read from their store; where that cannot be, they count as unchecked, not as damaged.

mod extra;

use std::collections::BTreeMap;
use std::sync::Arc;

use chronolith_disk::Disk;
use chronolith_merkle::{DAG_CBOR, Tree, leaf_hash};

use crate::blob::{self, BlobReader};
use crate::chunk::{ChunkKey, Statistics};
use crate::db::chunks::rebuild_header;
use crate::db::signature_holds;
use crate::error::{Fault, OpenError, ReadError};
use crate::keys::ProducerKey;
use crate::layers::decode_body;
use crate::manifest::{self, Manifest};
use crate::model::{BlobRef, Column, window_end, window_start};
use crate::options::Options;
use crate::registry::{self, Registry};
use crate::repair::lost;
use crate::run::{self, Mark, Run};
use crate::segment::{self, Body, ChunkEntry, PageBudget, SealRecord};
use crate::store::{StoreProblem, StoreReader};
use crate::view::LiveSegment;
use crate::wal::recovery::{self, LogStart, TornTail};

use extra::extra_files;

/// What verifying found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Everything that is damaged or missing.
    pub faults: Vec<Fault>,
    /// The end of the log that was never acknowledged as synced and cannot be read. The next
    /// opening cuts it off; it is no fault.
    pub torn: Option<TornTail>,
    /// How many files were read.
    pub files: u64,
    /// How many sealed chunks were decoded and compared with their headers.
    pub chunks: u64,
    /// How many of them are encrypted with keys that are not at hand: their checksums, headers and content
    /// ids were checked, their records not.
    pub locked_chunks: u64,
    /// How many seal batches were compared with their signed roots.
    pub batches: u64,
    /// How many segments were read from a segment store.
    pub moved_segments: u64,
    /// What could not be read from the segment store, and so was not checked, with the reason.
    pub unchecked: Vec<Fault>,
    /// How many frames of the log were read.
    pub frames: u64,
    /// How many blobs were read.
    pub blobs: u64,
    /// Files that belong to nothing, relative to the database directory, and folders with a `/`
    /// behind. What a crash left behind is removed by the next opening; anything else is left
    /// alone. They are no faults.
    pub extra: Vec<String>,
    /// What is damaged or missing and was already when the last repair ended, which said so.
    pub known: Vec<Fault>,
}

/// Verifies the database on a disk.
pub fn verify(disk: &Arc<dyn Disk>, options: &Options) -> VerifyReport {
    let mut verifier = Verifier::new(disk, options, Registry::default());
    verifier.run();
    let mut report = verifier.report;
    let known = lost::known(&**disk, &*options.protect);
    // Chunks move from file to file; their batch keeps its number.
    let is_known = |fault: &Fault| {
        known.iter().any(|known| {
            known.what == fault.what
                && (known.file == fault.file || known.file.starts_with(segment::DIR))
        })
    };
    (report.known, report.faults) = report.faults.into_iter().partition(is_known);
    report
}

/// What is damaged in a run.
pub(crate) fn run_faults(
    disk: &Arc<dyn Disk>,
    options: &Options,
    registry: &mut Registry,
    run: &Run,
    mark: Mark,
) -> Vec<Fault> {
    let mut verifier = Verifier::new(disk, options, std::mem::take(registry));
    let checked = verifier.check_run(run, mark);
    verifier.note(run.name(), checked);
    *registry = verifier.registry;
    verifier.report.faults
}

/// What is damaged in a segment, its seal batches apart.
pub(crate) fn segment_faults(
    disk: &Arc<dyn Disk>,
    options: &Options,
    registry: &mut Registry,
    live: &LiveSegment,
) -> Vec<Fault> {
    let mut verifier = Verifier::new(disk, options, std::mem::take(registry));
    let checked = verifier.check_segment(live);
    verifier.note(live.segment.name(), checked);
    *registry = verifier.registry;
    verifier.report.faults
}

/// A seal batch and the leaves of it that were found.
type Batch = (SealRecord, String, Vec<(ChunkKey, [u8; 32])>);

struct Verifier<'a> {
    disk: Arc<dyn Disk>,
    options: &'a Options,
    report: VerifyReport,
    registry: Registry,
    leaves: BTreeMap<u64, Batch>,
    /// The blobs that records refer to.
    blobs: Vec<BlobRef>,
    /// Where moved segments are read from.
    store: Option<Arc<StoreReader>>,
    /// How the store failed: it is not asked again for each segment.
    store_failure: Option<String>,
}

/// Whether an error of the store says that something is lost; else it may be there all the same.
const fn is_loss(problem: &StoreProblem) -> bool {
    matches!(problem, StoreProblem::Missing | StoreProblem::Damaged(_))
}

/// An error as a fault: of the file it names, or of the one that was being read.
fn as_fault(file: &str, error: ReadError) -> Fault {
    match error {
        ReadError::Fault(fault) => fault,
        other => Fault::new(file, 0, other.to_string()),
    }
}

impl<'a> Verifier<'a> {
    fn new(disk: &Arc<dyn Disk>, options: &'a Options, registry: Registry) -> Self {
        let store = options.segment_store.clone();
        Self {
            disk: Arc::clone(disk),
            options,
            report: VerifyReport::default(),
            registry,
            leaves: BTreeMap::new(),
            blobs: Vec::new(),
            store: store.map(|store| Arc::new(StoreReader::new(disk, store, false))),
            store_failure: None,
        }
    }

    fn note(&mut self, file: &str, result: Result<(), ReadError>) {
        self.report.files += 1;
        if let Err(error) = result {
            self.report.faults.push(as_fault(file, error));
        }
    }

    fn run(&mut self) {
        let (disk, protect) = (Arc::clone(&self.disk), Arc::clone(&self.options.protect));
        self.report.files += 1;
        let manifest = match Manifest::load(&*disk, &*protect) {
            Ok(manifest) => manifest,
            Err(OpenError::Read(error)) => {
                self.report.faults.push(as_fault(manifest::FILE, error));
                return;
            }
            Err(error) => {
                self.report.faults.push(Fault::new(manifest::FILE, 0, error.to_string()));
                return;
            }
        };
        let mut registry = Registry::default();
        let len = manifest.metrics_bytes;
        let loaded = registry::log::load(&*disk, &*protect, len, &mut registry);
        self.registry = registry;
        self.note(registry::log::FILE, loaded);
        if let Some(number) = manifest.state {
            let loaded = crate::db::check_state(&*disk, &*protect, number);
            self.note(&crate::db::state_file_name(number), loaded);
        }
        let loaded = ProducerKey::load(&*disk).map(drop);
        self.note(crate::keys::FILE, loaded);
        self.log(&manifest);
        for record in &manifest.runs {
            let name = run::file_name(record.number);
            let size_bytes = record.size_bytes;
            let run = Run::new(Arc::clone(&disk), Arc::clone(&protect), name.clone(), size_bytes);
            let checked = self.check_run(&run, Mark::new(&manifest.database, record.number));
            self.note(&name, checked);
        }
        let budget = Arc::new(PageBudget::new(0));
        for record in &manifest.segments {
            let (disk, budget) = (Arc::clone(&disk), Arc::clone(&budget));
            let (options, store) = (self.options, self.store.clone());
            let live = LiveSegment::of(&manifest, record.clone(), disk, options, budget, store);
            let checked = self.check_segment(&live);
            self.note(live.segment.footer_file(), checked);
        }
        self.check_batches();
        self.check_blobs();
        match extra_files(&*disk, &manifest) {
            Ok(extra) => self.report.extra = extra,
            Err(error) => self.report.faults.push(Fault::new("", 0, error.to_string())),
        }
    }

    fn log(&mut self, manifest: &Manifest) {
        let (disk, protect) = (Arc::clone(&self.disk), Arc::clone(&self.options.protect));
        let mut frames = 0;
        let mut definitions = Vec::new();
        let mut blobs = Vec::new();
        let replayed =
            recovery::replay(&*disk, &*protect, LogStart::of(manifest), &mut |_, payload| {
                frames += 1;
                definitions.extend(payload.definitions);
                blobs.extend(payload.batch.blobs().into_iter().map(|(_, blob)| blob));
                Ok(())
            });
        definitions.into_iter().for_each(|defined| self.registry.define(defined, 0));
        self.blobs.extend(blobs);
        self.report.frames = frames;
        match replayed {
            Ok(recovered) => {
                self.report.files += recovered.files.len() as u64;
                self.report.torn = recovered.torn;
            }
            Err(error) => self.report.faults.push(as_fault(crate::wal::DIR, error)),
        }
    }

    fn check_run(&mut self, run: &Run, mark: Mark) -> Result<(), ReadError> {
        let name = run.name();
        let sections: Vec<run::Section> = run.sections()?.collect();
        for section in sections {
            let Some(definition) = self.registry.get(section.metric).cloned() else {
                let what = format!("a section of metric {}, which is not defined", section.metric);
                self.report.faults.push(Fault::new(name, 0, what));
                continue;
            };
            let decoded = run.check_mark(&section, mark);
            match decoded.and_then(|()| run.decode(&section, definition.kind)) {
                Err(error) => self.report.faults.push(as_fault(name, error)),
                Ok(block) => {
                    let ends = (block.first_time(), block.last_time());
                    if ends != (Some(section.first_ns), Some(section.last_ns)) {
                        let what = "a section's times are not those of the table";
                        self.report.faults.push(Fault::new(name, 0, what));
                    }
                    self.note_blobs(block.values());
                }
            }
        }
        Ok(())
    }

    fn note_blobs(&mut self, values: &Column) {
        if let Column::Bytes(values) = values {
            self.blobs.extend(values.blobs().iter().map(|(_, blob)| *blob));
        }
    }

    fn check_segment(&mut self, live: &LiveSegment) -> Result<(), ReadError> {
        let mut faults = live.segment.gaps()?;
        let mut chunks = Vec::new();
        live.segment.for_all(&mut |entry, seal, digest| {
            chunks.push((entry.clone(), *seal, *digest));
            Ok(())
        })?;
        let mut skips = self.is_out_of_reach(live);
        for (entry, seal, digest) in chunks {
            let id = entry.function.content_id_of_digest(DAG_CBOR, &digest);
            let batch = self.leaves.entry(seal.number);
            let (_, _, leaves) =
                batch.or_insert_with(|| (seal, live.segment.name().to_owned(), Vec::new()));
            leaves.push((entry.key, leaf_hash(&id.to_bytes())));
            let Some(body) = entry.body.filter(|_| !skips) else { continue };
            match self.check_chunk(live, &entry, &seal, &body, &digest) {
                Err(ReadError::Store(error)) => {
                    // One is enough: the others would wait as long for the same.
                    skips = true;
                    let fault = Fault::new(live.segment.name(), body.offset, error.to_string());
                    if is_loss(&error.problem) {
                        faults.push(fault);
                    } else {
                        self.store_failure = Some(error.to_string());
                        self.report.unchecked.push(fault);
                    }
                    continue;
                }
                Err(ReadError::Key(error)) if error.is_of_chunk() => self.report.locked_chunks += 1,
                Err(error) => faults.push(as_fault(live.segment.name(), error)),
                Ok(values) => self.note_blobs(&values),
            }
            self.report.chunks += 1;
        }
        self.report.moved_segments += u64::from(live.segment.moved().is_some() && !skips);
        self.report.faults.extend(faults);
        Ok(())
    }

    /// Whether the bodies of a segment cannot be read, since its store failed before.
    fn is_out_of_reach(&mut self, live: &LiveSegment) -> bool {
        let failure = self.store_failure.as_ref().filter(|_| live.segment.moved().is_some());
        let fault = failure.map(|failure| Fault::new(live.segment.name(), 0, failure));
        let is_out = fault.is_some();
        self.report.unchecked.extend(fault);
        is_out
    }

    /// Checks a body against everything that is said of it.
    fn check_chunk(
        &self,
        live: &LiveSegment,
        entry: &ChunkEntry,
        seal: &SealRecord,
        body: &Body,
        digest: &[u8; 32],
    ) -> Result<Column, ReadError> {
        let fault = |what: &str| {
            let ChunkKey { metric, window, generation, part } = entry.key;
            let chunk = format!("chunk {metric}/{window}/{generation}/{part}");
            Err(Fault::new(live.segment.name(), body.offset, format!("{chunk}: {what}")).into())
        };
        let stored = live.segment.stored(entry, body)?;
        let header = rebuild_header(&self.registry, live, entry, seal, body, &stored)?;
        if entry.function.digest(&header.to_bytes()) != *digest {
            return fault("the header is not the one that was sealed");
        }
        if stored.lock().is_some_and(|lock| lock.binding != header.binding()) {
            return fault("what the body is bound to is not its header");
        }
        let bytes = live.segment.open(entry, body, stored)?;
        let block = decode_body(live, entry, body, &bytes)?;
        if block.first_time() != Some(body.first_ns) || block.last_time() != Some(body.last_ns) {
            return fault("the times are not those of the footer");
        }
        let window = entry.key.window;
        if body.first_ns < window_start(window, header.window_ns)
            || body.last_ns > window_end(window, header.window_ns)
        {
            return fault("a time is outside of the window");
        }
        if Statistics::of(block.values()) != body.statistics {
            return fault("the statistics are not those of the values");
        }
        let (_, values) = block.into_columns();
        Ok(values)
    }

    fn check_batches(&mut self) {
        for (number, (seal, segment, mut leaves)) in std::mem::take(&mut self.leaves) {
            self.report.batches += 1;
            leaves.sort_unstable();
            let hashes: Vec<[u8; 32]> = leaves.iter().map(|(_, leaf)| *leaf).collect();
            let problem = if !signature_holds(&seal) {
                "the signature does not hold".to_owned()
            } else if hashes.len() as u64 != seal.count {
                format!("{} of {} chunks are here", hashes.len(), seal.count)
            } else if Tree::from_leaf_hashes(&hashes).root() != seal.root {
                "the chunks are not those that were signed".to_owned()
            } else {
                continue;
            };
            let what = format!("seal batch {number}: {problem}");
            self.report.faults.push(Fault::new(&segment, 0, what));
        }
    }

    fn check_blobs(&mut self) {
        let mut blobs = std::mem::take(&mut self.blobs);
        blobs.sort_unstable_by_key(|blob| blob.cid);
        blobs.dedup_by_key(|blob| blob.cid);
        for blob in blobs {
            let name = blob::file_name(&blob.cid);
            self.report.blobs += 1;
            let reader = BlobReader::open(&*self.disk, Arc::clone(&self.options.protect), &blob);
            match reader {
                Ok(mut reader) => {
                    let faults = reader.faults();
                    self.report.files += 1;
                    self.report.faults.extend(faults);
                }
                Err(error) => self.note(&name, Err(error)),
            }
        }
    }
}
