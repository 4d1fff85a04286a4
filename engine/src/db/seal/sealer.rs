//! Making chunks: what is known of a window becomes encoded bodies and their headers.

use std::sync::Arc;
use std::thread;

use chronolith_merkle::{RAW, content_id};

use crate::block::Block;
use crate::chunk::body::{self, BODY_BYTES_MAX, BodyView, encode_columns};
use crate::chunk::codec::Policy;
use crate::chunk::{ChunkHeader, ChunkKey, Shown, Statistics};
use crate::db::flush::Base;
use crate::db::{Inner, Maintained};
use crate::error::{Fault, MaintenanceError, ReadError};
use crate::keys::{self, ProducerKey};
use crate::layers::{self, MetricRef};
use crate::model::{Column, Definition, Window};
use crate::registry::codec::metric_bytes;
use crate::segment::{self, Body, ChunkEntry};

use super::Job;

/// A chunk that is encoded but not in a segment yet.
pub(in crate::db) struct NewChunk {
    pub(in crate::db) entry: ChunkEntry,
    pub(in crate::db) digest: [u8; 32],
    pub(in crate::db) body: Vec<u8>,
}

/// Everything that making a chunk takes.
pub(in crate::db) struct Sealer<'a> {
    pub(in crate::db) inner: &'a Inner,
    pub(in crate::db) key: &'a ProducerKey,
    pub(in crate::db) policy: Policy,
}

/// The chunks of a window, or why there are none.
pub(super) type Encoded = Result<Vec<NewChunk>, ReadError>;

impl<'a> Sealer<'a> {
    pub(in crate::db) fn new(inner: &'a Inner) -> Maintained<Self> {
        let key = inner.key.as_ref().ok_or_else(|| {
            MaintenanceError::Refused(format!("there is no signing key at {}", keys::FILE))
        })?;
        Ok(Self { inner, key, policy: inner.options.seal_policy })
    }

    /// The chunks of some windows, side by side on all processors.
    pub(super) fn encode_all(&self, base: &Base, jobs: &[(i64, Job)]) -> Vec<Encoded> {
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
            let mut new = self.window(job.metric, job.window, window.generation)?;
            let block = window.unsealed().decode(job.metric, tombstones)?;
            chunks.extend(new.of(&block)?);
        }
        Ok(chunks)
    }

    /// Begins the next generation of a window, behind the highest there is.
    pub(in crate::db) fn window(
        &self,
        metric: MetricRef,
        window: Window,
        highest: Option<u32>,
    ) -> Result<WindowChunks<'_>, ReadError> {
        let generation = match highest {
            Some(highest) => next_generation(metric.number, window, highest)?,
            None => 0,
        };
        let registry = self.inner.registry.read();
        let version = registry.newest_version(metric.number);
        let definition = registry.version(metric.number, version);
        let definition = Arc::clone(definition.ok_or(ReadError::UnknownMetric(metric.number))?);
        let next = ChunkKey { metric: metric.number, window, generation, part: 0 };
        let (sealer, supersedes) = (self, None);
        Ok(WindowChunks { sealer, metric, definition, version, supersedes, next })
    }

    fn pseudonym(&self, definition: &Definition) -> [u8; 32] {
        self.key.pseudonym(&metric_bytes(&definition.metric))
    }
}

/// The chunks of one generation of a window, part by part.
pub(in crate::db) struct WindowChunks<'a> {
    sealer: &'a Sealer<'a>,
    metric: MetricRef,
    definition: Arc<Definition>,
    version: u32,
    supersedes: Option<u32>,
    /// The key of the next part.
    next: ChunkKey,
}

impl WindowChunks<'_> {
    /// The chunks replace all records of the generations up to one.
    pub(in crate::db) fn replacing(self, highest: u32) -> Self {
        Self { supersedes: Some(highest), ..self }
    }

    /// The chunks that hold a block, which is later than those before: one, or as many parts as its
    /// size needs.
    pub(in crate::db) fn of(&mut self, block: &Block) -> Result<Vec<NewChunk>, ReadError> {
        let mut parts = Vec::new();
        split(block, self.sealer.policy, &mut parts);
        parts.into_iter().map(|(block, columns)| self.chunk(&block, &columns)).collect()
    }

    fn chunk(&mut self, block: &Block, columns: &[u8]) -> Result<NewChunk, ReadError> {
        let (key, definition, sealer) = (self.next, &*self.definition, self.sealer);
        self.next.part += 1;
        let fault = |problem: String| Fault::new("(a new chunk)", 0, problem);
        let codec = BodyView::parse_columns(columns, block.len())
            .and_then(|view| view.codec_names())
            .map_err(|error| fault(error.to_string()))?;
        let (first_ns, last_ns) = (block.first_time().unwrap_or(0), block.last_time().unwrap_or(0));
        let shown = Shown::new(definition, first_ns, last_ns, block.len() as u64, codec);
        let pseudonym = definition.level.hides_metric().then(|| sealer.pseudonym(definition));
        let inner = pseudonym.map_or(Vec::new(), |pseudonym| shown.to_inner(&pseudonym));
        let body = body::assemble(&inner, columns);
        let function = sealer.inner.options.hash_function;
        let header = ChunkHeader {
            body: content_id(RAW, function, &body),
            body_bytes: body.len() as u64,
            shown: pseudonym.is_none().then_some(shown),
            pseudonym,
            supersedes: self.supersedes,
            producer: sealer.key.public(),
            ..ChunkHeader::of(definition, key)
        };
        let entry = ChunkEntry {
            key,
            kind: self.metric.kind,
            supersedes: self.supersedes,
            definition: self.version,
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
        Ok(NewChunk { entry, digest, body })
    }
}

/// The generation behind the highest of a window.
fn next_generation(metric: u32, window: Window, highest: u32) -> Result<u32, ReadError> {
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
