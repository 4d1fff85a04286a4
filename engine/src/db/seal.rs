//! Sealing: everything that is known of a closed window becomes immutable chunks.
//!
//! The order that must hold: the segment is on stable storage, then the manifest names it, then
//! the log may be cut and the runs may go.

use std::collections::HashSet;
use std::sync::Arc;
use std::thread;

use chronolith_merkle::{RAW, Tree, content_id, leaf_hash};

use crate::block::Block;
use crate::chunk::body::{self, BODY_BYTES_MAX, BodyView, encode_columns};
use crate::chunk::codec::Policy;
use crate::chunk::{ChunkHeader, ChunkKey, Shown, Statistics};
use crate::db::flush::Base;
use crate::db::run_output::RunOutput;
use crate::db::{Db, Inner, Maintained};
use crate::error::{DiskContext, Fault, MaintenanceError, ReadError};
use crate::keys::{self, ProducerKey};
use crate::layers::{self, MetricRef};
use crate::manifest::{RunRecord, SegmentRecord};
use crate::model::{Column, Definition, Window, window_end, window_start};
use crate::registry::codec::metric_bytes;
use crate::run::{self, Section};
use crate::segment::{
    self, Body, ChunkEntry, ChunkSource, SealRecord, SegmentWriter, partition_of,
};
use crate::view::View;
use crate::wal::Sequence;

/// Windows are encoded in groups of this many, side by side on all processors.
const GROUP_LEN: usize = 512;
/// A segment is finished when it has this many chunks.
pub(super) const SEGMENT_CHUNKS_MAX: usize = 1 << 17;

/// Which windows are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealScope {
    /// Every window that holds unsealed records, also one that is not over.
    All,
    /// The windows whose end, and the lateness allowance after it, are past at this time:
    /// nanoseconds since the epoch.
    ClosedAt(i64),
}

/// Chunks that were sealed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedBatch {
    /// The batch's number in this database.
    pub number: u64,
    /// The Merkle root over the header ids in the order of metric, window, generation and part.
    pub root: [u8; 32],
    /// How many chunks there are.
    pub chunks: u64,
    /// The producer's public key.
    pub producer: [u8; 32],
    /// The producer's signature over number, count and root.
    pub signature: [u8; 64],
}

/// What sealing did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SealReport {
    /// The batches: one for each partition that was touched, more where it has very many chunks.
    pub batches: Vec<SealedBatch>,
    /// How many chunks were sealed.
    pub chunks: u64,
    /// How many records they hold.
    pub records: u64,
    /// What was damaged in windows that stay unsealed for it.
    pub faults: Vec<Fault>,
}

impl SealReport {
    pub(super) fn note(&mut self, finished: Finished, segments: &mut Vec<SegmentRecord>) {
        let (record, batch) = finished;
        segments.extend(record);
        self.chunks += batch.as_ref().map_or(0, |batch| batch.chunks);
        self.batches.extend(batch);
    }
}

/// The bytes that a producer signs for a seal batch.
pub(crate) fn statement(number: u64, count: u64, root: &[u8; 32]) -> Vec<u8> {
    let mut statement = b"chronolith seal batch v1\0".to_vec();
    statement.extend_from_slice(&number.to_le_bytes());
    statement.extend_from_slice(&count.to_le_bytes());
    statement.extend_from_slice(root);
    statement
}

/// Whether the producer signed a batch.
pub(crate) fn signature_holds(seal: &SealRecord) -> bool {
    let statement = statement(seal.number, seal.count, &seal.root);
    keys::verify(&seal.producer, &statement, &seal.signature)
}

/// One window of one metric that is to be sealed.
#[derive(Debug, Clone, Copy)]
struct Job {
    metric: MetricRef,
    window: Window,
}

/// A chunk that is encoded but not in a segment yet.
pub(super) struct NewChunk {
    pub(super) entry: ChunkEntry,
    pub(super) digest: [u8; 32],
    pub(super) body: Vec<u8>,
}

/// Everything that making a chunk takes.
pub(super) struct Sealer<'a> {
    pub(super) inner: &'a Inner,
    pub(super) key: &'a ProducerKey,
    pub(super) policy: Policy,
}

impl Db {
    /// Seals windows. What arrives for a sealed window later becomes a late chunk that amends it.
    /// Writers go on meanwhile.
    pub fn seal(&self, scope: SealScope) -> Maintained<SealReport> {
        self.inner.seal(scope)
    }
}

impl Inner {
    pub(super) fn seal(&self, scope: SealScope) -> Maintained<SealReport> {
        let _rebuilding = self.rebuilding.lock();
        let base = self.flush_with(&mut *self.upkeep()?)?;
        let jobs = self.jobs(&base, scope)?;
        let sealer = Sealer::new(self)?;
        let (mut report, mut segments, mut sealed) =
            (SealReport::default(), Vec::new(), HashSet::new());
        for jobs in jobs.chunk_by(|a, b| a.0 == b.0) {
            let partition = jobs[0].0;
            let mut output = SegmentOutput::new(self, partition, &sealer)?;
            for group in jobs.chunks(GROUP_LEN) {
                if output.is_full() {
                    report.note(output.finish(&base)?, &mut segments);
                    output = SegmentOutput::new(self, partition, &sealer)?;
                }
                for ((_, job), chunks) in group.iter().zip(sealer.encode_all(&base, group)) {
                    match chunks {
                        Ok(chunks) => {
                            for chunk in chunks {
                                report.records += chunk.entry.body.map_or(0, |b| b.count.into());
                                output.push_new(chunk)?;
                            }
                            sealed.insert((job.metric.number, job.window));
                        }
                        // What is damaged stays where it is; all else is sealed.
                        Err(ReadError::Fault(fault)) => report.faults.push(fault),
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            report.note(output.finish(&base)?, &mut segments);
        }
        if sealed.is_empty() {
            return Ok(report);
        }
        let runs = self.without(&base, &sealed)?;
        let rests = || runs.iter().filter_map(|(_, rest)| rest.clone());
        self.publish_rebuilt(
            |manifest| {
                manifest.runs.retain(|record| !runs.iter().any(|(gone, _)| *gone == record.number));
                manifest.runs.extend(rests());
                manifest.segments.extend(segments.iter().cloned());
            },
            |view, _| {
                view.runs.retain(|live| !runs.iter().any(|(gone, _)| *gone == live.record.number));
                view.runs.extend(rests().map(|record| self.run(record)));
                view.segments.extend(segments.iter().cloned().map(|record| self.segment(record)));
            },
        )?;
        self.remove_runs(runs.iter().map(|(gone, _)| *gone));
        Ok(report)
    }

    /// Whether some window has closed and holds unsealed records.
    pub(super) fn has_due(&self, now_ns: i64) -> Result<bool, ReadError> {
        let view = self.view();
        let is_due = |metric: u32, window: Window| {
            Ok::<bool, ReadError>(self.is_closed(self.metric_ref(metric)?, window, now_ns))
        };
        for live in &view.runs {
            for section in live.run.sections()? {
                if is_due(section.metric, section.window)? {
                    return Ok(true);
                }
            }
        }
        for table in view.memtables() {
            for metric in table.metrics() {
                for (window, _) in table.windows(metric) {
                    if is_due(metric, window)? {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    fn is_closed(&self, metric: MetricRef, window: Window, now_ns: i64) -> bool {
        let lateness_ns = i64::try_from(self.options.lateness.as_nanos()).unwrap_or(i64::MAX);
        window_end(window, metric.window_ns).saturating_add(lateness_ns) < now_ns
    }

    /// The windows to seal with their partitions, in the order of partition, metric and window.
    fn jobs(&self, base: &Base, scope: SealScope) -> Result<Vec<(i64, Job)>, ReadError> {
        let mut jobs = Vec::new();
        for (metric, window) in unsealed(&base.view)? {
            let metric = self.metric_ref(metric)?;
            let is_due = match scope {
                SealScope::All => true,
                SealScope::ClosedAt(now_ns) => self.is_closed(metric, window, now_ns),
            };
            if is_due {
                let partition = partition_of(window_start(window, metric.window_ns));
                jobs.push((partition, Job { metric, window }));
            }
        }
        jobs.sort_by_key(|(partition, _)| *partition);
        Ok(jobs)
    }

    /// Writes anew the runs that hold sealed windows, without those: the numbers of the old ones,
    /// each with what is left of it.
    fn without(
        &self,
        base: &Base,
        sealed: &HashSet<(u32, Window)>,
    ) -> Maintained<Vec<(u64, Option<RunRecord>)>> {
        let mut rewritten = Vec::new();
        for live in &base.view.runs {
            let is_sealed = |s: &Section| sealed.contains(&(s.metric, s.window));
            if !live.run.sections()?.any(|section| is_sealed(&section)) {
                continue;
            }
            let mut output = RunOutput::new(self, self.take_number()?, live.record.sequences())?;
            for section in live.run.sections()?.filter(|section| !is_sealed(section)) {
                output.copy(&live.run, &section)?;
            }
            rewritten.push((live.record.number, output.finish()?));
        }
        Ok(rewritten)
    }

    /// Removes files that the manifest does not name any more. What fails here is removed by the
    /// next opening.
    pub(super) fn remove_runs(&self, numbers: impl Iterator<Item = u64>) {
        for number in numbers {
            let _ = self.disk.remove(&run::file_name(number));
        }
    }
}

/// The metrics and windows that hold unsealed records in files, in order.
pub(super) fn unsealed(view: &View) -> Result<Vec<(u32, Window)>, ReadError> {
    let mut found: Vec<(u32, Window)> = Vec::new();
    for live in &view.runs {
        found.extend(live.run.sections()?.map(|section| (section.metric, section.window)));
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// The first sequence that any unsealed record may have come in.
fn first_sequence(base: &Base) -> Sequence {
    let runs = base.view.runs.iter().map(|live| live.record.first_sequence);
    runs.min().unwrap_or(base.last)
}

/// The chunks of a window, or why there are none.
type Encoded = Result<Vec<NewChunk>, ReadError>;

impl<'a> Sealer<'a> {
    pub(super) fn new(inner: &'a Inner) -> Maintained<Self> {
        let key = inner.key.as_ref().ok_or_else(|| {
            MaintenanceError::Refused(format!("there is no signing key at {}", keys::FILE))
        })?;
        Ok(Self { inner, key, policy: inner.options.seal_policy })
    }

    /// The chunks of some windows, side by side on all processors.
    fn encode_all(&self, base: &Base, jobs: &[(i64, Job)]) -> Vec<Encoded> {
        let encode = |jobs: &[(i64, Job)]| -> Vec<Encoded> {
            jobs.iter().map(|(_, job)| self.encode(base, *job)).collect()
        };
        let workers = thread::available_parallelism().map_or(1, usize::from).min(jobs.len());
        if workers <= 1 {
            return encode(jobs);
        }
        let share = jobs.len().div_ceil(workers);
        thread::scope(|scope| {
            let threads: Vec<_> =
                jobs.chunks(share).map(|jobs| scope.spawn(move || encode(jobs))).collect();
            let mut all = Vec::with_capacity(jobs.len());
            for thread in threads {
                match thread.join() {
                    Ok(chunks) => all.extend(chunks),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            all
        })
    }

    /// The chunks of what is unsealed of a window: none where all of it was deleted.
    fn encode(&self, base: &Base, job: Job) -> Encoded {
        let tombstones = base.view.tombstones.of(job.metric.number);
        let mut chunks = Vec::new();
        for window in layers::find(&base.view, job.metric, job.window, job.window)? {
            let block = window.decode_unsealed(job.metric, tombstones)?;
            let generation = match window.generation {
                Some(highest) => next_generation(job.metric.number, job.window, highest)?,
                None => 0,
            };
            chunks.extend(self.chunks(job.metric, job.window, generation, None, &block)?);
        }
        Ok(chunks)
    }

    /// The chunks that hold a block: one, or as many parts as its size needs.
    pub(super) fn chunks(
        &self,
        metric: MetricRef,
        window: Window,
        generation: u32,
        supersedes: Option<u32>,
        block: &Block,
    ) -> Result<Vec<NewChunk>, ReadError> {
        let registry = self.inner.registry.read();
        let version = registry.newest_version(metric.number);
        let definition = registry.version(metric.number, version);
        let definition = Arc::clone(definition.ok_or(ReadError::UnknownMetric(metric.number))?);
        drop(registry);
        let mut parts = Vec::new();
        split(block, self.policy, &mut parts);
        let mut chunks = Vec::with_capacity(parts.len());
        for (part, (block, columns)) in parts.into_iter().enumerate() {
            let key = ChunkKey { metric: metric.number, window, generation, part: part as u32 };
            let fault = |problem: String| Fault::new("(a new chunk)", 0, problem);
            let codec = BodyView::parse_columns(&columns, block.len())
                .and_then(|view| view.codec_names())
                .map_err(|error| fault(error.to_string()))?;
            let (first_ns, last_ns) =
                (block.first_time().unwrap_or(0), block.last_time().unwrap_or(0));
            let shown = Shown::new(&definition, first_ns, last_ns, block.len() as u64, codec);
            let pseudonym = definition.level.hides_metric().then(|| self.pseudonym(&definition));
            let inner = pseudonym.map_or(Vec::new(), |pseudonym| shown.to_inner(&pseudonym));
            let body = body::assemble(&inner, &columns);
            let function = self.inner.options.hash_function;
            let header = ChunkHeader {
                body: content_id(RAW, function, &body),
                body_bytes: body.len() as u64,
                shown: pseudonym.is_none().then_some(shown),
                pseudonym,
                supersedes,
                producer: self.key.public(),
                ..ChunkHeader::of(&definition, key)
            };
            let entry = ChunkEntry {
                key,
                kind: metric.kind,
                supersedes,
                definition: version,
                batch: 0,
                function,
                body: Some(Body {
                    offset: 0,
                    size: 0,
                    count: block.len() as u32,
                    first_ns,
                    last_ns,
                    has_blobs: matches!(block.values(), Column::Bytes(v) if !v.blobs().is_empty()),
                    statistics: Statistics::of(block.values()),
                }),
            };
            let digest = function.digest(&header.to_bytes());
            chunks.push(NewChunk { entry, digest, body });
        }
        Ok(chunks)
    }

    fn pseudonym(&self, definition: &Definition) -> [u8; 32] {
        self.key.pseudonym(&metric_bytes(&definition.metric))
    }
}

/// The generation behind the highest of a window.
pub(super) fn next_generation(metric: u32, window: Window, highest: u32) -> Result<u32, ReadError> {
    let what =
        || format!("window {window} of metric {metric} has the last generation there can be");
    Ok(highest.checked_add(1).ok_or_else(|| Fault::new(segment::DIR, 0, what()))?)
}

/// Encodes a block in as few parts as fit into bodies; none for no records.
fn split(block: &Block, policy: Policy, parts: &mut Vec<(Block, Vec<u8>)>) {
    if block.is_empty() {
        return;
    }
    if block.len() <= body::RECORDS_MAX {
        let columns = encode_columns(block, policy);
        if columns.len() <= BODY_BYTES_MAX || block.len() == 1 {
            parts.push((block.clone(), columns));
            return;
        }
    }
    let middle = block.len() / 2;
    split(&block.part(0..middle), policy, parts);
    split(&block.part(middle..block.len()), policy, parts);
}

/// A finished segment and the seal batch of its new chunks, where there are any.
type Finished = (Option<SegmentRecord>, Option<SealedBatch>);

/// A segment of one partition on its way, and the seal batch of the new chunks in it.
pub(super) struct SegmentOutput<'a> {
    inner: &'a Inner,
    sealer: &'a Sealer<'a>,
    partition: i64,
    number: u64,
    writer: SegmentWriter<'a>,
    /// The place of the new chunks' batch in the segment's list, from the first of them on.
    batch: Option<u32>,
    /// The new chunks: keys and leaf hashes of their header ids.
    leaves: Vec<(ChunkKey, [u8; 32])>,
    span: Span,
}

/// What the chunks of a segment span.
struct Span {
    first_ns: i64,
    last_ns: i64,
    first_metric: u32,
    last_metric: u32,
}

impl<'a> SegmentOutput<'a> {
    pub(super) fn new(
        inner: &'a Inner,
        partition: i64,
        sealer: &'a Sealer<'a>,
    ) -> Maintained<Self> {
        let number = inner.take_number()?;
        let folder = segment::folder(partition);
        let disk = &*inner.disk;
        disk.create_dir_all(&folder).at(disk, "create", &folder)?;
        disk.sync_dir(segment::DIR).at(disk, "sync", segment::DIR)?;
        let name = segment::file_name(partition, number);
        let writer = SegmentWriter::create(disk, &*inner.options.protect, name)?;
        let span =
            Span { first_ns: i64::MAX, last_ns: i64::MIN, first_metric: u32::MAX, last_metric: 0 };
        Ok(Self { inner, sealer, partition, number, writer, batch: None, leaves: Vec::new(), span })
    }

    pub(super) fn push_new(&mut self, chunk: NewChunk) -> Maintained<()> {
        let NewChunk { mut entry, digest, body } = chunk;
        // The batch is filled in when all of its chunks are known.
        entry.batch = *self.batch.get_or_insert_with(|| self.writer.seal(&SealRecord::UNSIGNED));
        let id = entry.function.content_id_of_digest(chronolith_merkle::DAG_CBOR, &digest);
        self.leaves.push((entry.key, leaf_hash(&id.to_bytes())));
        self.push(entry, digest, ChunkSource::Body(&body))
    }

    /// Copies a chunk of another segment.
    pub(super) fn copy(
        &mut self,
        mut entry: ChunkEntry,
        seal: &SealRecord,
        digest: [u8; 32],
        source: ChunkSource<'_>,
    ) -> Maintained<()> {
        entry.batch = self.writer.seal(seal);
        self.push(entry, digest, source)
    }

    fn push(
        &mut self,
        entry: ChunkEntry,
        digest: [u8; 32],
        source: ChunkSource<'_>,
    ) -> Maintained<()> {
        if self.writer.last_key().is_some_and(|before| before >= entry.key) {
            let ChunkKey { metric, window, generation, part } = entry.key;
            let what = format!("chunk {metric}/{window}/{generation}/{part} is there twice");
            let name = segment::file_name(self.partition, self.number);
            return Err(ReadError::from(Fault::new(&name, 0, what)).into());
        }
        let metric = self.inner.metric_ref(entry.key.metric)?;
        let (window, span) = (entry.key.window, &mut self.span);
        span.first_ns = span.first_ns.min(window_start(window, metric.window_ns));
        span.last_ns = span.last_ns.max(window_end(window, metric.window_ns));
        span.first_metric = span.first_metric.min(metric.number);
        span.last_metric = span.last_metric.max(metric.number);
        Ok(self.writer.push(entry, digest, source)?)
    }

    /// Whether the next window should go to another segment: what is known of each chunk is in
    /// memory until its segment is finished.
    pub(super) const fn is_full(&self) -> bool {
        self.writer.len() >= self.inner.options.segment_bytes
            || self.writer.chunks() >= SEGMENT_CHUNKS_MAX
    }

    /// Signs the batch of the new chunks and finishes the segment: nothing where there were no
    /// chunks at all.
    pub(super) fn finish(mut self, base: &Base) -> Maintained<Finished> {
        if self.writer.is_empty() {
            return Ok((None, None));
        }
        let disk = &*self.inner.disk;
        let batch = match self.batch {
            Some(place) => {
                let seal = self.sign(base)?;
                self.writer.fill_seal(place, &seal);
                let SealRecord { number, root, count: chunks, producer, signature, .. } = seal;
                Some(SealedBatch { number, root, chunks, producer, signature })
            }
            None => None,
        };
        let written = self.writer.finish()?;
        let folder = segment::folder(self.partition);
        disk.sync_dir(&folder).at(disk, "sync", &folder)?;
        let record = SegmentRecord {
            number: self.number,
            partition: self.partition,
            size_bytes: written.size_bytes,
            chunks: written.chunks,
            first_sequence: written.first_sequence,
            last_sequence: written.last_sequence,
            first_ns: self.span.first_ns,
            last_ns: self.span.last_ns,
            first_metric: self.span.first_metric,
            last_metric: self.span.last_metric,
        };
        Ok((Some(record), batch))
    }

    fn sign(&mut self, base: &Base) -> Maintained<SealRecord> {
        self.leaves.sort_unstable();
        let leaves: Vec<[u8; 32]> = self.leaves.iter().map(|(_, leaf)| *leaf).collect();
        let (root, count) = (Tree::from_leaf_hashes(&leaves).root(), leaves.len() as u64);
        let number = self.inner.take_batch_number()?;
        Ok(SealRecord {
            number,
            first_sequence: first_sequence(base),
            last_sequence: base.last,
            count,
            root,
            producer: self.sealer.key.public(),
            signature: self.sealer.key.sign(&statement(number, count, &root)),
            sealed_ns: self.inner.options.clock.now_ns(),
        })
    }
}
