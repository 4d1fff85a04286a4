//! Making an answer with what proves it: from a database, and the ledger that it is anchored on.

mod chunks;
mod devices;
mod error;

use std::collections::{BTreeMap, BTreeSet};

use chronolith_chain::address::Address;
use chronolith_chain::encoding::{Bytes, List, encode};
use chronolith_chain::hash::Hash;
use chronolith_chain::keys::Signature;
use chronolith_chain::ledger::{AnchorKey, Anchored, EraKey};
use chronolith_chain::state::Key as _;
use chronolith_engine::chunk::ChunkKey;
use chronolith_engine::{Db, Metric};
use chronolith_query::{Limits, Read, Sql};

use super::bundle::{
    AnswerBundle, BatchPath, ChunkPart, DeviceProof, Identity, MetricProof, Question, Word,
};
use super::facts::{self, device_keys};
use super::ledger::Ledger;
use super::replay::{Replay, scope};
use super::scope_of;
use crate::chain::prove::Since;
use crate::wallet::AccountKey;

use chunks::{Taken, take};
use devices::{Found, find};
pub use error::MakeError;

/// The times of anchoring are proved of so many batches, unless more are asked for.
const BATCHES_AT_EASE: usize = 32;
/// The ledger may go on while a proof is made: it is made so often anew.
const ATTEMPTS: usize = 4;

/// Whether it is proved when each chunk was anchored, and not only that it was by the proof's height.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AnchorTimes {
    /// Where the chunks are of few batches.
    #[default]
    Few,
    /// Of all, or there is no proof.
    All,
    /// Not at all.
    None,
}

/// What a proof shall have.
pub struct MakeSettings<'a> {
    /// The header that the verifier trusts already.
    pub since: Since,
    /// What who asked has chosen.
    pub nonce: Option<Vec<u8>>,
    /// Whether the bodies of the chunks are in it.
    pub bodies: bool,
    /// Whether it proves which metrics the devices have at all, so that none can be left out.
    pub all_metrics: bool,
    /// Whether it proves when chunks were anchored.
    pub anchor_times: AnchorTimes,
    /// The devices on the ledger, by their names; those of other names are found by their catalogues.
    pub devices: BTreeMap<String, Address>,
    /// Who gives his word for it.
    pub signer: Option<&'a AccountKey>,
    /// Bounds on the query.
    pub limits: Limits,
}

impl Default for MakeSettings<'_> {
    fn default() -> Self {
        Self {
            since: Since::default(),
            nonce: None,
            bodies: true,
            all_metrics: true,
            anchor_times: AnchorTimes::default(),
            devices: BTreeMap::new(),
            signer: None,
            limits: Limits::default(),
        }
    }
}

/// What is not in an answer, or not proved of it, though it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Note {
    /// Records are not sealed yet.
    #[error(
        "{metric} has records in the range that are not sealed yet: they are not in the answer"
    )]
    Unsealed {
        /// The metric.
        metric: Metric,
    },
    /// Chunks are not anchored yet.
    #[error(
        "{metric} has {chunks} chunks in the range that are not anchored yet: they are not in the answer"
    )]
    Unanchored {
        /// The metric.
        metric: Metric,
        /// How many.
        chunks: usize,
    },
    /// It is not proved which metrics a device has.
    #[error(
        "it is not proved that {device} has no other metric that belongs to the answer: what one of them is \
         can only be told from chunks that are gone"
    )]
    OtherMetrics {
        /// The device.
        device: String,
    },
    /// It is not proved when chunks were anchored.
    #[error(
        "when each of the {batches} seal batches was anchored is not proved, only that it was by then; ask \
         for it if it matters"
    )]
    AnchorTimes {
        /// How many.
        batches: usize,
    },
}

/// An answer with what proves it.
pub struct Made {
    /// The bundle.
    pub bundle: AnswerBundle,
    /// What is not in it.
    pub notes: Vec<Note>,
    /// The database of just these chunks, which answered.
    pub replay: Replay,
}

/// Answers a question and proves the answer.
///
/// The answer is that of the chunks that are anchored: what is written, sealed or deleted since is not in
/// it, and [`Made::notes`] say so; records that were deleted since make it an error.
///
/// # Errors
/// Why there is no answer, or why it cannot be proved.
pub fn make(
    sql: &Sql,
    ledger: &dyn Ledger,
    question: &str,
    settings: &MakeSettings<'_>,
) -> Result<Made, MakeError> {
    let reads = sql.reads(question, &settings.limits)?;
    if reads.metrics.is_empty() {
        return Err(MakeError::Nothing);
    }
    let mut attempts = 0;
    loop {
        attempts += 1;
        let draft = Draft::new(sql, ledger, &reads.metrics, settings)?;
        match draft.finish(ledger, question, reads.is_ordered, settings) {
            Err(MakeError::LedgerWentOn) if attempts < ATTEMPTS => {}
            done => return done,
        }
    }
}

/// A metric with its chunks.
struct Part {
    metric: Metric,
    read: Read,
    /// The place of its device.
    device: usize,
    taken: Taken,
}

/// What of an answer is known before the ledger proves it.
struct Draft<'a> {
    db: &'a Db,
    devices: Vec<Found>,
    parts: Vec<Part>,
    proofs: Vec<DeviceProof>,
    notes: Vec<Note>,
}

impl<'a> Draft<'a> {
    fn new(
        sql: &'a Sql,
        ledger: &dyn Ledger,
        reads: &[Read],
        settings: &MakeSettings<'_>,
    ) -> Result<Self, MakeError> {
        let db = sql.db();
        let mut metrics = Vec::new();
        for read in reads {
            let definition = db.definition(read.metric).ok_or(MakeError::Nothing)?;
            if definition.level.hides_metric() {
                return Err(MakeError::Hidden { metric: definition.metric.clone() });
            }
            metrics.push((definition.metric.clone(), *read));
        }
        metrics.sort_by(|(a, _), (b, _)| a.cmp(b));
        let names: BTreeSet<&str> = metrics.iter().map(|(metric, _)| metric.device()).collect();
        let mut devices = find(db, ledger, &names, &settings.devices)?;
        devices.sort_by_key(|found| found.address);
        let mut draft =
            Self { db, devices, parts: Vec::new(), proofs: Vec::new(), notes: Vec::new() };
        for (metric, read) in metrics {
            let is_it = |found: &Found| found.name == metric.device();
            let device = draft.devices.iter().position(is_it).unwrap_or(usize::MAX);
            let found = draft.devices.get(device).ok_or(MakeError::Nothing)?;
            let taken = take(db, found, &metric, read, &mut draft.notes)?;
            draft.parts.push(Part { metric, read, device, taken });
        }
        for (place, found) in draft.devices.iter().enumerate() {
            let parts = draft.parts.iter().filter(|part| part.device == place);
            let spans = parts.clone().flat_map(|part| part.taken.spans.all()).collect();
            let read: BTreeSet<[u8; 32]> = parts.map(|part| part.metric.catalogue_name()).collect();
            let proof = found.prove(db, spans, &read, settings.all_metrics)?;
            if settings.all_metrics && proof.others.is_none() {
                draft.notes.push(Note::OtherMetrics { device: found.name.clone() });
            }
            draft.proofs.push(proof);
        }
        Ok(draft)
    }

    fn finish(
        self,
        ledger: &dyn Ledger,
        question: &str,
        is_ordered: bool,
        settings: &MakeSettings<'_>,
    ) -> Result<Made, MakeError> {
        let (replay, rows) = self.answer(question, is_ordered, settings)?;
        let (batches, note) = self.batches(ledger, settings.anchor_times)?;
        let mut keys = Vec::new();
        for found in &self.devices {
            keys.extend(device_keys(found.address, found.device.tree));
        }
        let anchors: Vec<AnchorKey> = batches.iter().map(BatchPath::key).collect();
        keys.extend(anchors.iter().map(AnchorKey::to_bytes));
        if keys.len() > 256 {
            return Err(MakeError::TooManyFacts { found: keys.len() });
        }
        let proof = ledger.prove(settings.since, keys)?;
        let addresses: Vec<Address> = self.devices.iter().map(|found| found.address).collect();
        let proved = facts::read(&proof.bundle.facts, &addresses, &anchors);
        let is_same = |(known, _): &(Vec<facts::DeviceFacts>, Vec<Anchored>)| {
            known.iter().zip(&self.devices).all(|(known, found)| known.now == found.device)
        };
        if !proved.as_ref().is_ok_and(is_same) {
            return Err(MakeError::LedgerWentOn);
        }
        let nonce = settings.nonce.clone().map(Bytes::new).transpose()?;
        let Self { parts, proofs, mut notes, .. } = self;
        notes.extend(note);
        let metrics = parts.into_iter().map(|part| part.proof(settings.bodies));
        let mut bundle = AnswerBundle {
            question: Question { sql: Bytes::new(question.as_bytes())?, nonce },
            rows,
            metrics: List::new(metrics.collect::<Result<Vec<_>, MakeError>>()?)?,
            devices: List::new(proofs)?,
            batches: List::new(batches)?,
            proof,
            word: None,
        };
        if let Some(key) = settings.signer {
            let signature: Signature = key.signer().sign(&bundle.statement());
            bundle.word = Some(Word { account: key.address, signature });
        }
        Ok(Made { bundle, notes, replay })
    }

    /// The answer of just these chunks.
    fn answer(
        &self,
        question: &str,
        is_ordered: bool,
        settings: &MakeSettings<'_>,
    ) -> Result<(Replay, super::Rows), MakeError> {
        let limits = &settings.limits;
        let definitions = self.parts.iter().map(|part| part.taken.definition(&part.metric));
        let definitions: Vec<_> = definitions.collect();
        let others =
            self.proofs.iter().flat_map(|proof| proof.others.iter().flat_map(|o| o.iter()));
        let planned = scope_of(&definitions, others)?;
        let needed = scope(planned.sql(), question, limits)?;
        let known =
            self.parts.iter().map(|part| (part.metric.clone(), part.read.from_ns, part.read.to_ns));
        let mut known: Vec<_> = known.collect();
        known.sort();
        if needed.metrics != known {
            return Err(MakeError::OtherScope);
        }
        let mut replay = Replay::new(definitions)?;
        for (place, part) in self.parts.iter().enumerate() {
            for chunk in part.taken.chunks.iter().filter(|_| !part.taken.is_witness()) {
                let opened = self.db.open_chunk(&chunk.header, &chunk.body);
                let metric = || part.metric.clone();
                let window = chunk.header.window;
                let opened = opened.map_err(|reason| MakeError::Chunk {
                    metric: metric(),
                    window,
                    reason,
                })?;
                if opened.has_blobs() {
                    return Err(MakeError::Blobs { metric: metric() });
                }
                replay.add(place, &opened.records)?;
            }
        }
        let rows = replay.rows(question, is_ordered, limits)?;
        Ok((replay, rows))
    }

    /// The ways to the anchored seal batches.
    fn batches(
        &self,
        ledger: &dyn Ledger,
        times: AnchorTimes,
    ) -> Result<(Vec<BatchPath>, Option<Note>), MakeError> {
        let mut wanted: BTreeMap<u64, Vec<(ChunkKey, u32)>> = BTreeMap::new();
        let chunks = self.parts.iter().filter(|part| !part.taken.is_witness());
        for (place, chunk) in (0_u32..).zip(chunks.flat_map(|part| &part.taken.chunks)) {
            wanted.entry(chunk.batch).or_default().push((chunk.key, place));
        }
        let note = Note::AnchorTimes { batches: wanted.len() };
        let is_easy = wanted.len() <= BATCHES_AT_EASE;
        if times == AnchorTimes::None || (times == AnchorTimes::Few && !is_easy) {
            return Ok((Vec::new(), (!wanted.is_empty()).then_some(note)));
        }
        let producers = self.producers(ledger)?;
        let mut paths = Vec::new();
        for (batch, chunks) in &wanted {
            match path(self.db, ledger, &producers, *batch, chunks)? {
                Some(path) => paths.push(path),
                None if times == AnchorTimes::Few => return Ok((Vec::new(), Some(note))),
                None => return Err(MakeError::NotWhole { batch: *batch }),
            }
        }
        paths.sort_by_key(|path| (path.producer, path.root));
        Ok((paths, None))
    }

    /// Who may have anchored for the devices.
    fn producers(&self, ledger: &dyn Ledger) -> Result<BTreeSet<Address>, MakeError> {
        let mut producers = BTreeSet::new();
        for found in &self.devices {
            let device = found.address;
            let keys: Vec<EraKey> =
                (0..=found.device.tree).map(|tree| EraKey { device, tree }).collect();
            producers.insert(device);
            for era in devices::values(ledger, &keys)?.into_iter().flatten() {
                producers.extend([era.owner, era.producer]);
            }
        }
        Ok(producers)
    }
}

/// The way from some chunks to their batch's root, where it is whole here and one of the accounts anchored it.
fn path(
    db: &Db,
    ledger: &dyn Ledger,
    producers: &BTreeSet<Address>,
    batch: u64,
    chunks: &[(ChunkKey, u32)],
) -> Result<Option<BatchPath>, MakeError> {
    // The places of a batch are in the order of its keys.
    let mut chunks = chunks.to_vec();
    chunks.sort_unstable();
    let keys: Vec<ChunkKey> = chunks.iter().map(|(key, _)| *key).collect();
    let Some(found) = db.batch_proof(batch, &keys)? else { return Ok(None) };
    let (root, producers) = (found.root, producers.iter().copied());
    let keys: Vec<AnchorKey> = producers.map(|producer| AnchorKey { producer, root }).collect();
    let anchors = devices::values(ledger, &keys)?;
    let anchor = keys.iter().zip(anchors).find_map(|(key, anchor)| Some((key.producer, anchor?)));
    let Some((producer, anchored)) = anchor else { return Ok(None) };
    if u64::from(anchored.chunks) != found.chunks {
        return Ok(None);
    }
    let places = found.indices.iter().map(|index| u32::try_from(*index).unwrap_or(u32::MAX));
    let places: Vec<(u32, u32)> = places.zip(chunks.iter().map(|(_, place)| *place)).collect();
    Ok(Some(BatchPath {
        producer,
        root: Hash(root),
        chunks: List::new(places)?,
        path: List::new(found.proof.hashes.into_iter().map(Hash).collect::<Vec<_>>())?,
    }))
}

impl Part {
    fn proof(self, bodies: bool) -> Result<MetricProof, MakeError> {
        let Self { metric, read, device, taken } = self;
        let with_body = bodies && !taken.is_witness();
        let witness = taken.witness;
        let chunks = taken.chunks.into_iter().map(|chunk| {
            let body = with_body.then(|| Bytes::new(chunk.body)).transpose()?;
            Ok(ChunkPart { header: Bytes::new(chunk.header.to_bytes())?, body })
        });
        Ok(MetricProof {
            identity: Identity::of(&metric)?,
            device: u32::try_from(device).unwrap_or(u32::MAX),
            from_ns: read.from_ns,
            to_ns: read.to_ns,
            witness,
            chunks: List::new(chunks.collect::<Result<Vec<_>, MakeError>>()?)?,
        })
    }
}

impl AnswerBundle {
    /// How large it is without headers and bodies of chunks: bytes.
    #[must_use]
    pub fn proof_bytes(&self) -> usize {
        encode(self).len().saturating_sub(self.chunk_bytes())
    }
}
