//! A segment on its way to the disk, with the seal batch of its new chunks.

use chronolith_merkle::{Tree, leaf_hash};

use crate::chunk::ChunkKey;
use crate::db::flush::Base;
use crate::db::{Inner, Maintained};
use crate::error::{DiskContext, Fault, ReadError};
use crate::manifest::SegmentRecord;
use crate::model::{window_end, window_start};
use crate::segment::{self, ChunkEntry, ChunkSource, SealRecord, SegmentWriter};
use crate::wal::Sequence;

use super::sealer::{NewChunk, Sealer};
use super::{SealedBatch, statement};

/// A segment is finished when it has this many chunks.
pub(in crate::db) const SEGMENT_CHUNKS_MAX: usize = 1 << 17;

/// A finished segment and the seal batch of its new chunks, where there are any.
pub(super) type Finished = (Option<SegmentRecord>, Option<SealedBatch>);

/// A segment of one partition on its way, and the seal batch of the new chunks in it.
pub(in crate::db) struct SegmentOutput<'a> {
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
    pub(in crate::db) fn new(
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
        let protect = &*inner.options.protect;
        let writer = SegmentWriter::create(disk, protect, name, sealer.may_be_locked)?;
        let span =
            Span { first_ns: i64::MAX, last_ns: i64::MIN, first_metric: u32::MAX, last_metric: 0 };
        Ok(Self { inner, sealer, partition, number, writer, batch: None, leaves: Vec::new(), span })
    }

    pub(in crate::db) fn push_new(&mut self, chunk: NewChunk) -> Maintained<()> {
        let NewChunk { mut entry, digest, body } = chunk;
        // The batch is filled in when all of its chunks are known.
        entry.batch = *self.batch.get_or_insert_with(|| self.writer.seal(&SealRecord::UNSIGNED));
        let id = entry.function.content_id_of_digest(chronolith_merkle::DAG_CBOR, &digest);
        self.leaves.push((entry.key, leaf_hash(&id.to_bytes())));
        self.push(entry, digest, ChunkSource::Body(&body))
    }

    /// Copies a chunk of another segment.
    pub(in crate::db) fn copy(
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
    pub(in crate::db) const fn is_full(&self) -> bool {
        self.writer.len() >= self.inner.options.segment_bytes
            || self.writer.chunks() >= SEGMENT_CHUNKS_MAX
    }

    /// Signs the batch of the new chunks and finishes the segment: nothing where there were no
    /// chunks at all.
    pub(in crate::db) fn finish(mut self, base: &Base) -> Maintained<Finished> {
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

/// The first sequence that any unsealed record may have come in.
fn first_sequence(base: &Base) -> Sequence {
    let runs = base.view.runs.iter().map(|live| live.record.first_sequence);
    runs.min().unwrap_or(base.last)
}
