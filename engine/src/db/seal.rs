//! Sealing: everything that is known of a closed window becomes immutable chunks.
//!
//! The order that must hold: the segment is on stable storage, then the manifest names it, then
//! the log may be cut and the runs may go.

mod output;
mod sealer;

use std::collections::HashSet;

use crate::db::flush::Base;
use crate::db::run_output::RunOutput;
use crate::db::{Db, Inner, Maintained};
use crate::error::{Fault, ReadError};
use crate::keys;
use crate::layers::{self, MetricRef, PIECE_BYTES};
use crate::manifest::{RunRecord, SegmentRecord};
use crate::model::{Window, window_end, window_start};
use crate::run::{self, Section};
use crate::segment::{SealRecord, partition_of};
use crate::view::View;

use output::Finished;
pub(super) use output::{SEGMENT_CHUNKS_MAX, SegmentOutput};
use sealer::NewChunk;
pub(super) use sealer::{Sealer, WindowChunks};

/// Windows are encoded in groups of this many at most, side by side on all processors.
const GROUP_LEN: usize = 512;

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
    fn note(&mut self, finished: Finished, segments: &mut Vec<SegmentRecord>) {
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
    /// The most memory that its records take: bytes.
    bytes: usize,
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
        sealer.begin_trees(&jobs)?;
        let (mut report, mut segments, mut sealed) =
            (SealReport::default(), Vec::new(), HashSet::new());
        for jobs in jobs.chunk_by(|a, b| a.0 == b.0) {
            let mut output = Output {
                inner: self,
                sealer: &sealer,
                base: &base,
                segment: SegmentOutput::new(self, jobs[0].0, &sealer)?,
                segments: Vec::new(),
                report: &mut report,
            };
            for group in groups(jobs, self.options.memtable_bytes.max(PIECE_BYTES)) {
                output.make_room(jobs[0].0)?;
                match group {
                    [(partition, job)] if job.bytes > PIECE_BYTES => {
                        if output.put_large(*partition, *job)? {
                            sealed.insert((job.metric.number, job.window));
                        }
                    }
                    group => output.put_group(group, &mut sealed)?,
                }
            }
            segments.extend(output.finish()?);
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
        for Unsealed { metric, window, sections } in unsealed(&base.view)? {
            let metric = self.metric_ref(metric)?;
            let is_due = match scope {
                SealScope::All => true,
                SealScope::ClosedAt(now_ns) => self.is_closed(metric, window, now_ns),
            };
            if is_due {
                let partition = partition_of(window_start(window, metric.window_ns));
                let bytes = sections.iter().map(|s| s.decoded_bytes_max(metric.kind)).sum();
                jobs.push((partition, Job { metric, window, bytes }));
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

/// A window that has records in runs.
pub(super) struct Unsealed {
    pub(super) metric: u32,
    pub(super) window: Window,
    sections: Vec<Section>,
}

/// The windows that hold unsealed records in files, in the order of metric and window.
pub(super) fn unsealed(view: &View) -> Result<Vec<Unsealed>, ReadError> {
    let mut sections: Vec<Section> = Vec::new();
    for live in &view.runs {
        sections.extend(live.run.sections()?);
    }
    let key = |section: &Section| (section.metric, section.window);
    sections.sort_by_key(key);
    let windows = sections.chunk_by(|a, b| key(a) == key(b));
    Ok(windows
        .map(|sections| Unsealed {
            metric: sections[0].metric,
            window: sections[0].window,
            sections: sections.to_vec(),
        })
        .collect())
}

/// Cuts jobs into groups that are encoded together: as many as memory takes, or one.
fn groups(jobs: &[(i64, Job)], bytes_max: usize) -> impl Iterator<Item = &[(i64, Job)]> {
    let mut rest = jobs;
    std::iter::from_fn(move || {
        let (mut len, mut bytes) = (0, 0_usize);
        for (_, job) in rest.iter().take(GROUP_LEN) {
            bytes = bytes.saturating_add(job.bytes);
            if len > 0 && (bytes > bytes_max || job.bytes > PIECE_BYTES) {
                break;
            }
            len += 1;
            if job.bytes > PIECE_BYTES {
                break;
            }
        }
        let (group, behind) = rest.split_at(len);
        rest = behind;
        (!group.is_empty()).then_some(group)
    })
}

/// The segments of one partition on their way.
struct Output<'a> {
    inner: &'a Inner,
    sealer: &'a Sealer<'a>,
    base: &'a Base,
    segment: SegmentOutput<'a>,
    segments: Vec<SegmentRecord>,
    report: &'a mut SealReport,
}

impl Output<'_> {
    /// Goes on in another segment where this one is full.
    fn make_room(&mut self, partition: i64) -> Maintained<()> {
        if self.segment.is_full() {
            let next = SegmentOutput::new(self.inner, partition, self.sealer)?;
            let full = std::mem::replace(&mut self.segment, next);
            self.report.note(full.finish(self.base)?, &mut self.segments);
        }
        Ok(())
    }

    /// Seals windows that are encoded side by side; notes which.
    fn put_group(
        &mut self,
        group: &[(i64, Job)],
        sealed: &mut HashSet<(u32, Window)>,
    ) -> Maintained<()> {
        for ((_, job), chunks) in group.iter().zip(self.sealer.encode_all(self.base, group)) {
            match chunks {
                Ok(chunks) => {
                    chunks.into_iter().try_for_each(|chunk| self.put(chunk))?;
                    sealed.insert((job.metric.number, job.window));
                }
                // What is damaged stays where it is; all else is sealed.
                Err(ReadError::Fault(fault)) => self.report.faults.push(fault),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Seals a window slice by slice; whether it is sealed. It is not where any of it is damaged,
    /// which is found before its first chunk is written.
    fn put_large(&mut self, partition: i64, job: Job) -> Maintained<bool> {
        let view = &self.base.view;
        match layers::check_unsealed(view, job.metric, job.window) {
            Ok(()) => {}
            Err(ReadError::Fault(fault)) => {
                self.report.faults.push(fault);
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        }
        let tombstones = view.tombstones.of(job.metric.number);
        let mut chunks: Option<WindowChunks<'_>> = None;
        for piece in layers::find_pieces(view, job.metric, job.window, job.window)? {
            let chunks = match &mut chunks {
                Some(chunks) => chunks,
                none => {
                    let highest = piece.generation;
                    none.insert(self.sealer.window(job.metric, job.window, highest)?)
                }
            };
            let mut slices = piece.unsealed().slices(job.metric)?;
            while let Some(block) = slices.next(tombstones).transpose()? {
                self.make_room(partition)?;
                chunks.of(&block)?.into_iter().try_for_each(|chunk| self.put(chunk))?;
            }
        }
        Ok(true)
    }

    fn put(&mut self, chunk: NewChunk) -> Maintained<()> {
        self.report.records += chunk.entry.body.map_or(0, |body| body.count.into());
        self.segment.push_new(chunk)
    }

    fn finish(mut self) -> Maintained<Vec<SegmentRecord>> {
        self.report.note(self.segment.finish(self.base)?, &mut self.segments);
        Ok(self.segments)
    }
}
