//! Sealed chunks by themselves: headers, bodies and the proofs that lead to a signed batch.

use std::collections::HashMap;
use std::ops::RangeBounds;
use std::sync::Arc;

use chronolith_keys::TreeId;
use chronolith_merkle::{DAG_CBOR, Digest, HashFunction, Proof, RAW, Tree, content_id, leaf_hash};
use cid::Cid;

use crate::catalogue::{Catalogue, CatalogueEntry};
use crate::chunk::body::BodyView;
use crate::chunk::stored::{Label, StoredBody};
use crate::chunk::{ChunkHeader, ChunkKey, Shown, Statistics};
use crate::db::{Db, Inner, first_and_last};
use crate::error::{Fault, ReadError};
use crate::keys::ProducerKey;
use crate::layers::body_fault;
use crate::model::{Definition, Kind, MetricId};
use crate::registry::codec::metric_bytes;
use crate::registry::{Registry, Selector};
use crate::segment::{Body, ChunkEntry, SealRecord};
use crate::view::LiveSegment;

/// A sealed chunk.
#[derive(Debug, Clone)]
pub struct ChunkInfo {
    /// Which chunk.
    pub key: ChunkKey,
    /// The content id of its header: its identity to the world.
    pub cid: Cid,
    /// The kind of its values.
    pub kind: Kind,
    /// The number of its seal batch.
    pub batch: u64,
    /// The segment that holds it, relative to the database directory.
    pub segment: String,
    /// The last generation whose records it replaces, where it does.
    pub supersedes: Option<u32>,
    /// What its body holds; `None` where the body was dropped.
    pub body: Option<ChunkBodyInfo>,
}

/// What a chunk's body holds.
#[derive(Debug, Clone, Copy)]
pub struct ChunkBodyInfo {
    /// How many records.
    pub count: u32,
    /// The first time, nanoseconds since the epoch.
    pub first_ns: i64,
    /// The last time, nanoseconds since the epoch.
    pub last_ns: i64,
    /// Its length in the segment: bytes.
    pub size_bytes: u32,
    /// Statistics of its values, where the kind has them.
    pub statistics: Option<Statistics>,
}

impl From<Body> for ChunkBodyInfo {
    fn from(body: Body) -> Self {
        Self {
            count: body.count,
            first_ns: body.first_ns,
            last_ns: body.last_ns,
            size_bytes: body.size,
            statistics: body.statistics,
        }
    }
}

/// A chunk that anyone can check: header, body and the way from the header's id to the signed
/// root of its seal batch.
#[derive(Debug, Clone)]
pub struct ProvableChunk {
    /// The canonical bytes of the header.
    pub header: Vec<u8>,
    /// The body.
    pub body: Vec<u8>,
    /// The chunk's place in its batch.
    pub index: u64,
    /// The number of the batch and how many chunks it has.
    pub batch: (u64, u64),
    /// The root over the batch's header ids.
    pub root: Digest,
    /// The hashes that lead from the header's id to the root.
    pub proof: Proof,
    /// The producer's public key.
    pub producer: [u8; 32],
    /// The producer's signature over the batch.
    pub signature: [u8; 64],
}

/// Rebuilds the header of a chunk byte for byte from its stored body.
pub(crate) fn rebuild_header(
    registry: &Registry,
    live: &LiveSegment,
    entry: &ChunkEntry,
    seal: &SealRecord,
    body: &Body,
    stored: &StoredBody<'_>,
) -> Result<ChunkHeader, ReadError> {
    let metric = entry.key.metric;
    let definition = registry.version(metric, entry.definition);
    let definition = definition.ok_or(ReadError::UnknownMetric(metric))?;
    let lock = stored.lock();
    let (shown, pseudonym) = match lock.map(|lock| lock.label) {
        Some(Label::Codec(codec)) => (Some(shown(definition, body, codec.to_owned())), None),
        Some(Label::Pseudonym(pseudonym)) => (None, Some(pseudonym)),
        None => shown_in_clear(live, definition, body, stored.block())?,
    };
    Ok(ChunkHeader {
        encryption: lock.map(|lock| lock.encryption),
        body: content_id(RAW, entry.function, stored.block()),
        body_bytes: stored.block().len() as u64,
        supersedes: entry.supersedes,
        producer: seal.producer,
        pseudonym,
        shown,
        ..ChunkHeader::of(definition, entry.key)
    })
}

fn shown(definition: &Definition, body: &Body, codec: String) -> Shown {
    Shown::new(definition, body.first_ns, body.last_ns, body.count.into(), codec)
}

/// What a header shows of a body in the clear: the records, or a pseudonym.
fn shown_in_clear(
    live: &LiveSegment,
    definition: &Definition,
    body: &Body,
    bytes: &[u8],
) -> Result<(Option<Shown>, Option<[u8; 32]>), ReadError> {
    let view = BodyView::parse(bytes, body.count as usize);
    let view = view.map_err(|error| body_fault(live, body, error))?;
    if definition.level.hides_metric() {
        let inner = Shown::from_inner(view.inner());
        let (_, pseudonym) = inner.map_err(|error| body_fault(live, body, error))?;
        return Ok((None, Some(pseudonym)));
    }
    let codec = view.codec_names().map_err(|error| body_fault(live, body, error))?;
    Ok((Some(shown(definition, body, format!("{}/{}", codec.0, codec.1))), None))
}

/// A chunk as the index of a segment has it; `None` where it is not in there.
fn entry_of(
    live: &LiveSegment,
    key: ChunkKey,
) -> Result<Option<(ChunkEntry, SealRecord)>, ReadError> {
    let mut found = None;
    live.segment.for_each(key.metric, key.window, key.window, &mut |entry, seal| {
        if entry.key == key {
            found = Some((entry.clone(), *seal));
        }
    })?;
    Ok(found)
}

impl Inner {
    /// A chunk's header as it was sealed, and its body, encrypted where it is so, which is read before any lock is taken: it
    /// may be far away.
    fn header_and_body(
        &self,
        live: &LiveSegment,
        entry: &ChunkEntry,
        seal: &SealRecord,
        body: &Body,
    ) -> Result<(ChunkHeader, Vec<u8>), ReadError> {
        let stored = live.segment.stored(entry, body)?;
        let registry = self.registry.read();
        let header = rebuild_header(&registry, live, entry, seal, body, &stored)?;
        Ok((header, stored.block().to_vec()))
    }
}

/// A chunk as the two blocks that content ids name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkBlocks {
    /// The canonical bytes of its header.
    pub header: Vec<u8>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Db {
    /// The canonical bytes of a chunk's header, which others may have; `None` where there is no chunk of
    /// that key, or its body was dropped.
    pub fn chunk_header(&self, key: ChunkKey) -> Result<Option<Vec<u8>>, ReadError> {
        let view = self.inner.view();
        for live in &view.segments {
            let Some((entry, seal)) = entry_of(live, key)? else { continue };
            let Some(body) = entry.body else { return Ok(None) };
            let (header, _) = self.inner.header_and_body(live, &entry, &seal, &body)?;
            return Ok(Some(header.to_bytes()));
        }
        Ok(None)
    }

    /// The sealed chunks of a metric that may hold records of a range of time, in order; also
    /// those whose bodies were dropped.
    pub fn chunks(
        &self,
        metric: MetricId,
        range: impl RangeBounds<i64>,
    ) -> Result<Vec<ChunkInfo>, ReadError> {
        let Some((from_ns, to_ns)) = first_and_last(&range)? else { return Ok(Vec::new()) };
        let reference = self.inner.metric_ref(metric.index())?;
        let (first, last) = reference.windows(from_ns, to_ns);
        let mut found = Vec::new();
        let view = self.inner.view();
        for live in &view.segments {
            let mut chunks = Vec::new();
            live.segment.for_each(metric.index(), first, last, &mut |entry, seal| {
                chunks.push((entry.clone(), *seal));
            })?;
            for (entry, seal) in chunks {
                let digest = live.segment.digest(entry.key)?.unwrap_or_default();
                let body = entry.body.map(ChunkBodyInfo::from);
                found.push(ChunkInfo {
                    key: entry.key,
                    cid: entry.function.content_id_of_digest(DAG_CBOR, &digest),
                    kind: entry.kind,
                    batch: seal.number,
                    segment: live.segment.name().to_owned(),
                    supersedes: entry.supersedes,
                    body,
                });
            }
        }
        found.sort_by_key(|chunk| chunk.key);
        Ok(found)
    }

    /// A chunk's header and body as they are; `None` where there is no chunk of that
    /// key, or its body was dropped.
    pub fn chunk_blocks(&self, key: ChunkKey) -> Result<Option<ChunkBlocks>, ReadError> {
        let view = self.inner.view();
        for live in &view.segments {
            let mut found = None;
            live.segment.for_each(key.metric, key.window, key.window, &mut |entry, seal| {
                if entry.key == key {
                    found = Some((entry.clone(), *seal));
                }
            })?;
            let Some((entry, seal)) = found else { continue };
            let Some(body) = entry.body else { return Ok(None) };
            let (header, body) = self.inner.header_and_body(live, &entry, &seal, &body)?;
            return Ok(Some(ChunkBlocks { header: header.to_bytes(), body }));
        }
        Ok(None)
    }

    /// A chunk with everything that proves it; `None` where there is none of that key, or its
    /// body was dropped.
    pub fn provable_chunk(&self, key: ChunkKey) -> Result<Option<ProvableChunk>, ReadError> {
        let inner = &self.inner;
        let view = inner.view();
        for live in &view.segments {
            let Some((entry, seal)) = entry_of(live, key)? else { continue };
            let Some(body_place) = entry.body else { return Ok(None) };
            let (header, body) = inner.header_and_body(live, &entry, &seal, &body_place)?;
            let leaves = inner.batch_leaves(seal.number)?;
            let fault = |what: &str| Fault::new(live.segment.name(), body_place.offset, what);
            let index = leaves.binary_search_by_key(&key, |(key, _)| *key);
            let index = index.map_err(|_| fault("the chunk is not in its seal batch"))?;
            let hashes: Vec<Digest> = leaves.iter().map(|(_, leaf)| *leaf).collect();
            let proof = Tree::from_leaf_hashes(&hashes).prove(&[index]);
            let proof = proof.map_err(|error| fault(&error.to_string()))?;
            return Ok(Some(ProvableChunk {
                header: header.to_bytes(),
                body,
                index: index as u64,
                batch: (seal.number, seal.count),
                root: seal.root,
                proof,
                producer: seal.producer,
                signature: seal.signature,
            }));
        }
        Ok(None)
    }
}

impl Db {
    /// The catalogue of a device: all its chunks as one Merkle DAG. The same set of chunks always
    /// gives the same root.
    pub fn catalogue(&self, device: &str) -> Result<Catalogue, ReadError> {
        self.catalogue_until(device, u64::MAX)
    }

    /// The catalogue of a device as it was after a seal batch, as far as the chunks up to it are
    /// still here.
    pub fn catalogue_until(&self, device: &str, batch: u64) -> Result<Catalogue, ReadError> {
        let inner = &self.inner;
        let metrics = self.select(&Selector::all().device(device))?;
        let view = inner.view();
        let key = inner.pseudonym_key();
        let mut entries = Vec::new();
        for id in metrics {
            let mut chunks = Vec::new();
            for live in &view.segments {
                let mut found = Vec::new();
                live.segment.for_each(id.index(), i64::MIN, i64::MAX, &mut |entry, seal| {
                    if seal.number <= batch {
                        found.push((entry.clone(), *seal));
                    }
                })?;
                for (entry, seal) in found {
                    let digest = live.segment.digest(entry.key)?.unwrap_or_default();
                    let header = entry.function.content_id_of_digest(DAG_CBOR, &digest);
                    chunks.push((Arc::clone(live), entry, seal, header));
                }
            }
            let mut names = inner.catalogue_names(id, key.as_ref())?;
            for chunk in &chunks {
                let name = names.of(chunk, &chunks)?;
                entries.push(CatalogueEntry::new(name, chunk.1.key, chunk.3));
            }
        }
        Ok(Catalogue::build(entries, inner.options.hash_function))
    }
}

type ListedChunk = (Arc<LiveSegment>, ChunkEntry, SealRecord, Cid);

/// What names a metric's chunks in catalogues. A chunk of the metric's open days is named by a
/// digest of the metric's identity, one of its hidden days by the pseudonym in its header.
struct CatalogueNames<'a> {
    inner: &'a Inner,
    key: Option<&'a ProducerKey>,
    identity: Vec<u8>,
    /// By the producer, of whom there are several where a lost key was replaced, and the key tree.
    pseudonyms: HashMap<([u8; 32], Option<TreeId>), [u8; 32]>,
}

impl CatalogueNames<'_> {
    fn of(
        &mut self,
        (_, entry, seal, _): &ListedChunk,
        chunks: &[ListedChunk],
    ) -> Result<[u8; 32], ReadError> {
        let metric = entry.key.metric;
        let definition = self.inner.registry.read().version(metric, entry.definition).cloned();
        if !definition.ok_or(ReadError::UnknownMetric(metric))?.level.hides_metric() {
            return Ok(HashFunction::Sha256.digest(&self.identity));
        }
        let (producer, tree) = (seal.producer, entry.tree);
        if let Some(known) = self.pseudonyms.get(&(producer, tree)) {
            return Ok(*known);
        }
        let name = match self.key.filter(|key| key.public() == producer) {
            Some(key) => key.pseudonym(&self.identity, tree),
            None => self.told_by_bodies(producer, tree, chunks)?.unwrap_or_default(),
        };
        self.pseudonyms.insert((producer, tree), name);
        Ok(name)
    }

    /// The pseudonym that some body of the producer's holds, for want of the producer's key.
    fn told_by_bodies(
        &self,
        producer: [u8; 32],
        tree: Option<TreeId>,
        chunks: &[ListedChunk],
    ) -> Result<Option<[u8; 32]>, ReadError> {
        for (live, entry, seal, _) in chunks {
            let is_alike = seal.producer == producer && entry.tree == tree;
            if let Some(body) = entry.body.filter(|_| is_alike) {
                let (header, _) = self.inner.header_and_body(live, entry, seal, &body)?;
                if header.pseudonym.is_some() {
                    return Ok(header.pseudonym);
                }
            }
        }
        Ok(None)
    }
}

impl Inner {
    /// The key that pseudonyms are made with; from its file, since maintenance may hold the other
    /// copy for long and a reader has none.
    fn pseudonym_key(&self) -> Option<ProducerKey> {
        ProducerKey::load(&*self.disk).ok()
    }

    fn catalogue_names<'a>(
        &'a self,
        id: MetricId,
        key: Option<&'a ProducerKey>,
    ) -> Result<CatalogueNames<'a>, ReadError> {
        let registry = self.registry.read();
        let definition = registry.get(id.index()).ok_or(ReadError::UnknownMetric(id.index()))?;
        let identity = metric_bytes(&definition.metric);
        Ok(CatalogueNames { inner: self, key, identity, pseudonyms: HashMap::new() })
    }

    /// The keys and leaf hashes of a seal batch that are still here, in the order of keys.
    pub(super) fn batch_leaves(&self, number: u64) -> Result<Vec<(ChunkKey, Digest)>, ReadError> {
        let mut leaves = Vec::new();
        for live in &self.view().segments {
            live.segment.for_all(&mut |entry, seal, digest| {
                if seal.number == number {
                    let id = entry.function.content_id_of_digest(DAG_CBOR, digest);
                    leaves.push((entry.key, leaf_hash(&id.to_bytes())));
                }
                Ok(())
            })?;
        }
        leaves.sort_unstable();
        Ok(leaves)
    }
}
