//! What others told, as an index follows it: the operations since it read the last time.

use std::path::Path;
use std::sync::Arc;

use chronolith_disk::{Disk, RealDisk};
use chronolith_engine::chunk::ChunkHeader;
use cid::Cid;

use super::codec::{HeaderEntry, Operation};
use super::entry::{Provenance, window_of};
use super::error::RemoteError;
use super::log::{BATCH_BYTES, Log, START};
use super::offer::Offer;
use super::store::operations;
use crate::search::document::{Chunk, ChunkId, Subject};
use crate::search::error::SearchError;
use crate::search::position::RemotePosition;

/// The headers and offers of others that a [`RemoteStore`](super::RemoteStore) keeps. It may be written
/// meanwhile.
pub struct RemoteSource {
    /// `None` where there is no directory, so that nothing is kept.
    disk: Option<Arc<dyn Disk>>,
}

/// Takes what is new of others, and forgets what is gone.
pub(in crate::search) trait RemoteUpdate {
    /// Everything of others is gone; what is handed over now begins anew.
    fn clear(&mut self) -> Result<(), SearchError>;

    /// A metric as it is described now.
    fn metric(&mut self, subject: &Subject) -> Result<(), SearchError>;

    /// A metric or an offer is gone.
    fn subject_gone(&mut self, number: u32) -> Result<(), SearchError>;

    /// A header that is new.
    fn header(
        &mut self,
        sequence: u64,
        chunk: &Chunk,
        provenance: &Provenance,
    ) -> Result<(), SearchError>;

    /// A header is gone.
    fn header_gone(&mut self, sequence: u64) -> Result<(), SearchError>;

    /// An offer as it is now.
    fn offer(
        &mut self,
        number: u32,
        offer: &Offer,
        provenance: &Provenance,
    ) -> Result<(), SearchError>;
}

impl RemoteSource {
    /// What the store of a directory keeps; nothing where there is none.
    pub fn new(directory: &Path) -> Result<Self, RemoteError> {
        match RealDisk::existing(directory) {
            Ok(disk) => Ok(Self { disk: Some(Arc::new(disk)) }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self { disk: None }),
            Err(error) => Err(RemoteError::disk(&directory.display().to_string(), error)),
        }
    }

    /// What the store of a disk keeps.
    #[must_use]
    pub fn on(disk: Arc<dyn Disk>) -> Self {
        Self { disk: Some(disk) }
    }

    /// Hands over everything that changed since a position, and returns the position it ends at; `None`
    /// where nothing is kept.
    pub(in crate::search) fn changes(
        &self,
        since: Option<&RemotePosition>,
        update: &mut dyn RemoteUpdate,
    ) -> Result<Option<RemotePosition>, SearchError> {
        let log = match &self.disk {
            Some(disk) => Log::open(&**disk, false)?,
            None => None,
        };
        let known = match (since, &log) {
            (Some(since), Some(log)) if goes_on(log, since)? => Some(*since),
            _ => None,
        };
        if since.is_some() && known.is_none() {
            update.clear()?;
        }
        let Some(log) = log else { return Ok(None) };
        let mut position =
            known.unwrap_or(RemotePosition { id: log.id, at: START, ..RemotePosition::default() });
        let mut problem = Ok(());
        let end = log.for_each(position.at, &mut |batch| {
            (position.last, position.crc) = (batch.at - BATCH_BYTES as u64, batch.crc);
            operations(&log.place, batch.at, &batch.content, &mut |operation, at, _| {
                if problem.is_ok() {
                    problem = hand_over(&log.place, at, operation, &mut position, update);
                }
                Ok(())
            })
        })?;
        problem?;
        position.at = end.at;
        Ok(Some(position))
    }
}

/// Whether a log is the one that was read up to a position. What was read before it was on stable storage
/// may be gone since, and something else be in its place.
fn goes_on(log: &Log, since: &RemotePosition) -> Result<bool, RemoteError> {
    let is_same = since.id == log.id;
    Ok(is_same && (since.at == START || log.has_batch(since.last, since.at, since.crc)?))
}

fn hand_over(
    place: &str,
    at: u64,
    operation: Operation<'_>,
    position: &mut RemotePosition,
    update: &mut dyn RemoteUpdate,
) -> Result<(), SearchError> {
    let read = |bytes: &[u8]| {
        let header = ChunkHeader::from_bytes(bytes);
        header.map_err(|error| RemoteError::damaged(place, at, error.to_string()))
    };
    match operation {
        Operation::Header(entry) => {
            let header = read(entry.bytes)?;
            match entry.replaces {
                Some(sequence) => update.header_gone(sequence)?,
                None => position.headers += 1,
            }
            if let Some(of) = entry.of {
                position.subjects += u64::from(of.is_first);
                if of.describes
                    && let Some(subject) = subject(of.metric, &header)
                {
                    update.metric(&subject)?;
                }
            }
            let chunk = chunk(&entry, &header);
            let chunk = chunk.ok_or_else(|| RemoteError::damaged(place, at, "no content id"))?;
            update.header(entry.place.sequence, &chunk, &entry.provenance)?;
        }
        Operation::Forget { sequence } => {
            position.headers = position.headers.saturating_sub(1);
            update.header_gone(sequence)?;
        }
        Operation::Describe { metric, bytes, .. } => {
            if let Some(subject) = subject(metric, &read(bytes)?) {
                update.metric(&subject)?;
            }
        }
        Operation::Undescribe { metric } => {
            position.subjects = position.subjects.saturating_sub(1);
            update.subject_gone(metric)?;
        }
        Operation::Offer { number, is_new, provenance, offer } => {
            position.subjects += u64::from(is_new);
            update.offer(number, &offer, &provenance)?;
        }
        Operation::Close { was: Some(number), .. } | Operation::Withdraw { was: number, .. } => {
            position.subjects = position.subjects.saturating_sub(1);
            update.subject_gone(number)?;
        }
        Operation::Close { was: None, .. } => {}
    }
    Ok(())
}

/// A metric as one of its headers describes it; `None` where that is hidden.
fn subject(number: u32, header: &ChunkHeader) -> Option<Subject> {
    let shown = header.shown.as_ref()?;
    let degrees = |centidegrees: i32| f64::from(centidegrees) / 100.0;
    Some(Subject {
        number,
        device: shown.device.clone(),
        metric: shown.name.clone(),
        tags: shown.tags.clone(),
        metadata: shown.metadata.clone(),
        unit: shown.unit.clone(),
        kind: header.kind,
        level: header.level,
        place: shown.place.map(|place| {
            (degrees(place.latitude_centidegrees), degrees(place.longitude_centidegrees))
        }),
        // Headers do not say between which values their records are.
        axis: None,
        producer: header.producer.iter().map(|byte| format!("{byte:02x}")).collect(),
    })
}

/// A chunk as its header shows it.
fn chunk(entry: &HeaderEntry<'_>, header: &ChunkHeader) -> Option<Chunk> {
    let window = window_of(header)?;
    let shown = header.shown.as_ref();
    let (first_ns, last_ns) = shown.map_or(window, |shown| (shown.first_ns, shown.last_ns));
    let metric = entry.of.map(|of| of.metric);
    Some(Chunk {
        id: ChunkId {
            metric: metric.unwrap_or_default(),
            window: header.window,
            generation: header.generation,
            part: header.part,
        },
        subject: metric,
        kind: header.kind,
        level: header.level,
        first_ns,
        last_ns,
        records: shown.map_or(0, |shown| u32::try_from(shown.count).unwrap_or(u32::MAX)),
        size_bytes: u32::try_from(header.body_bytes).unwrap_or(u32::MAX),
        cid: Cid::try_from(entry.cid.as_slice()).ok()?,
        bounds: None,
    })
}
