//! Making chunks: what is known of a window becomes encoded bodies and their headers.

use std::sync::Arc;
use std::thread;

use chronolith_keys::{ChunkSlot, Encryption, OVERHEAD_BYTES, TreeId, pad};
use chronolith_merkle::{RAW, content_id};

use crate::block::Block;
use crate::chunk::body::{self, BODY_BYTES_MAX, BodyView, encode_columns};
use crate::chunk::codec::Policy;
use crate::chunk::stored::{Label, Lock};
use crate::chunk::{ChunkHeader, ChunkKey, Shown, Statistics};
use crate::db::flush::Base;
use crate::db::{Inner, Maintained};
use crate::error::{Fault, MaintenanceError, ReadError};
use crate::key_trees::KeyError;
use crate::keys::{self, ProducerKey};
use crate::layers::{self, MetricRef};
use crate::model::{Column, Definition, Window};
use crate::registry::codec::metric_bytes;
use crate::segment::{self, Body, ChunkEntry};

use super::Job;

/// What the inner header and padding may add to the columns of a hidden body, and encryption: bytes.
const PADDED_ROOM_BYTES: usize = 64 << 10;

/// A chunk that is encoded but not in a segment yet.
pub(in crate::db) struct NewChunk {
    pub(in crate::db) entry: ChunkEntry,
    pub(in crate::db) digest: [u8; 32],
    /// What is stored of the body: of an encrypted one, also what stands before it.
    pub(in crate::db) body: Vec<u8>,
}

/// Everything that making a chunk takes.
pub(in crate::db) struct Sealer<'a> {
    pub(in crate::db) inner: &'a Inner,
    pub(in crate::db) key: &'a ProducerKey,
    pub(in crate::db) policy: Policy,
    /// Whether chunks that are sealed or copied may be encrypted.
    pub(in crate::db) may_be_locked: bool,
}

/// The chunks of a window, or why there are none.
pub(super) type Encoded = Result<Vec<NewChunk>, ReadError>;

impl<'a> Sealer<'a> {
    pub(in crate::db) fn new(inner: &'a Inner) -> Maintained<Self> {
        let key = inner.key.as_ref().ok_or_else(|| {
            MaintenanceError::Refused(format!("there is no signing key at {}", keys::FILE))
        })?;
        // Segments that cannot be read are not copied from either.
        let mut segments = inner.view().segments.clone().into_iter();
        let may_be_locked = inner.options.keys.is_some()
            || segments.any(|live| live.segment.may_be_locked().unwrap_or(false));
        Ok(Self { inner, key, policy: inner.options.seal_policy, may_be_locked })
    }

    /// Begins the key trees that some windows will be sealed under, all in one go.
    pub(super) fn begin_trees(&self, jobs: &[(i64, Job)]) -> Result<(), ReadError> {
        let Some(keys) = &self.inner.options.keys else { return Ok(()) };
        let mut windows = Vec::new();
        for (_, job) in jobs {
            let definition = self.definition(job.metric.number)?.1;
            if !definition.is_public {
                windows.push((definition, job.window));
            }
        }
        let windows: Vec<_> = windows.iter().map(|(d, window)| (&**d, *window)).collect();
        Ok(keys.begin(&windows)?)
    }

    /// The newest definition of a metric, and its version.
    fn definition(&self, metric: u32) -> Result<(u32, Arc<Definition>), ReadError> {
        let registry = self.inner.registry.read();
        let version = registry.newest_version(metric);
        let definition = registry.version(metric, version);
        Ok((version, Arc::clone(definition.ok_or(ReadError::UnknownMetric(metric))?)))
    }

    /// The key tree that a window is sealed under; `None` in the clear.
    fn tree(&self, definition: &Definition, window: Window) -> Result<Option<TreeId>, KeyError> {
        match &self.inner.options.keys {
            Some(_) if definition.is_public => Ok(None),
            Some(keys) => keys.tree(definition, window).map(Some),
            None if self.may_be_locked => Err(KeyError::WouldBeClear),
            None => Ok(None),
        }
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
        let (version, definition) = self.definition(metric.number)?;
        let tree = self.tree(&definition, window)?;
        let next = ChunkKey { metric: metric.number, window, generation, part: 0 };
        let (sealer, supersedes) = (self, None);
        Ok(WindowChunks { sealer, metric, definition, version, tree, supersedes, next })
    }

    fn pseudonym(&self, definition: &Definition, tree: Option<TreeId>) -> [u8; 32] {
        self.key.pseudonym(&metric_bytes(&definition.metric), tree)
    }

    /// Encrypts a body, and says so in its header: the body that the header names, and what is stored.
    fn lock(
        &self,
        header: &mut ChunkHeader,
        key: ChunkKey,
        tree: TreeId,
        mut body: Vec<u8>,
    ) -> Result<(Vec<u8>, Vec<u8>), ReadError> {
        let slot = ChunkSlot { window: key.window, generation: key.generation, part: key.part };
        let keys = self.inner.options.keys.as_ref();
        let place = || "(a new chunk)".to_owned();
        let missing = || KeyError::NotHeld { place: place(), tree, window: key.window };
        let body_key = keys.and_then(|keys| keys.sealing_key(&tree, slot)).ok_or_else(missing)?;
        let encryption = Encryption { tree, commitment: *body_key.commitment() };
        header.encryption = Some(encryption);
        if header.pseudonym.is_some() {
            pad(&mut body);
        }
        let binding = header.binding();
        let sealed = body_key.seal(&binding, &body);
        let sealed = sealed.map_err(|error| Fault::new(&place(), 0, error.to_string()))?;
        let label = match (&header.pseudonym, &header.shown) {
            (Some(pseudonym), _) => Label::Pseudonym(*pseudonym),
            (None, shown) => Label::Codec(shown.as_ref().map_or("", |shown| &shown.codec)),
        };
        let mut stored = Vec::with_capacity(sealed.len() + 128);
        Lock { encryption, binding, label }.put(&mut stored);
        stored.extend_from_slice(&sealed);
        Ok((sealed, stored))
    }
}

/// The chunks of one generation of a window, part by part.
pub(in crate::db) struct WindowChunks<'a> {
    sealer: &'a Sealer<'a>,
    metric: MetricRef,
    definition: Arc<Definition>,
    version: u32,
    /// What the bodies are encrypted under; `None` in the clear.
    tree: Option<TreeId>,
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
        split(block, self.sealer.policy, self.columns_bytes_max(), &mut parts);
        parts.into_iter().map(|(block, columns)| self.chunk(&block, &columns)).collect()
    }

    /// The longest columns of a body: bytes. What encryption and padding add must fit, too.
    fn columns_bytes_max(&self) -> usize {
        match self.tree {
            None => BODY_BYTES_MAX,
            Some(_) if self.definition.level.hides_metric() => BODY_BYTES_MAX - PADDED_ROOM_BYTES,
            Some(_) => BODY_BYTES_MAX - OVERHEAD_BYTES,
        }
    }

    fn chunk(&mut self, block: &Block, columns: &[u8]) -> Result<NewChunk, ReadError> {
        let (key, definition, sealer) = (self.next, &*self.definition, self.sealer);
        self.next.part += 1;
        let fault = |problem: String| Fault::new("(a new chunk)", 0, problem);
        let codec = BodyView::parse_columns(columns, block.len())
            .and_then(|view| view.codec_names())
            .map_err(|error| fault(error.to_string()))?;
        let (first_ns, last_ns) = (block.first_time().unwrap_or(0), block.last_time().unwrap_or(0));
        let codec = format!("{}/{}", codec.0, codec.1);
        let shown = Shown::new(definition, first_ns, last_ns, block.len() as u64, codec);
        let hides = definition.level.hides_metric();
        let pseudonym = hides.then(|| sealer.pseudonym(definition, self.tree));
        let inner = pseudonym.map_or(Vec::new(), |pseudonym| shown.to_inner(&pseudonym));
        let body = body::assemble(&inner, columns);
        let function = sealer.inner.options.hash_function;
        let mut header = ChunkHeader {
            shown: pseudonym.is_none().then_some(shown),
            pseudonym,
            supersedes: self.supersedes,
            producer: sealer.key.public(),
            ..ChunkHeader::of(definition, key)
        };
        let (named, stored) = match self.tree {
            Some(tree) => {
                let (sealed, stored) = sealer.lock(&mut header, key, tree, body)?;
                (sealed, Some(stored))
            }
            None => (body, None),
        };
        header.body = content_id(RAW, function, &named);
        header.body_bytes = named.len() as u64;
        let entry = ChunkEntry {
            key,
            kind: self.metric.kind,
            supersedes: self.supersedes,
            definition: self.version,
            batch: 0,
            function,
            tree: self.tree,
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
        Ok(NewChunk { entry, digest, body: stored.unwrap_or(named) })
    }
}

/// The generation behind the highest of a window.
fn next_generation(metric: u32, window: Window, highest: u32) -> Result<u32, ReadError> {
    let what =
        || format!("window {window} of metric {metric} has the last generation there can be");
    Ok(highest.checked_add(1).ok_or_else(|| Fault::new(segment::DIR, 0, what()))?)
}

/// Encodes a block in as few parts as fit into bodies; none for no records.
fn split(block: &Block, policy: Policy, bytes_max: usize, parts: &mut Vec<(Block, Vec<u8>)>) {
    if block.is_empty() {
        return;
    }
    if block.len() <= body::RECORDS_MAX {
        let columns = encode_columns(block, policy);
        if columns.len() <= bytes_max || block.len() == 1 {
            parts.push((block.clone(), columns));
            return;
        }
    }
    let middle = block.len() / 2;
    split(&block.part(0..middle), policy, bytes_max, parts);
    split(&block.part(middle..block.len()), policy, bytes_max, parts);
}
