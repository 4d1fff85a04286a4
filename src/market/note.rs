//! Notes: what an owner tells a buyer beside the keys: which chunks there are, where they lie, and the ways
//! to their anchors.
//!
//! ```text
//! sealed by HPKE to the request's one-time key: version u8 = 1 · the canonical encoding of a Note
//! ```
//!
//! A note holds the secrets that packs are masked by, so that it is sealed; it is no fact of the ledger. Who
//! has none, or a wrong one, has keys that open nothing: what it says of chunks is checked against
//! their anchors.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::{DecodeError, List, TooLong, decode, encode};
use chronolith_chain::hash::{ChainId, RequestId};
use chronolith_chain::ledger::{AnchorKey, Era, EraKey, HiddenScope, OpenOffer, Right};
use chronolith_chain::state::{Overlay, StateError};
use chronolith_engine::chunk::ChunkKey;
use chronolith_engine::{Db, DeviceAccount, KeyRandom};
use chronolith_fragment::MaskSecret;
use chronolith_keys::{OneTimeSecret, SealError};
use zeroize::Zeroizing;

use super::grant::{Stock, context};
use super::scope::{Metrics, windows};
use super::{MarketError, Venue, VenueError};
use crate::chain::anchor;
use crate::chain::prove::ChunkPath;
use crate::packs::{list_packs, load_pack, load_secret, secret_beside};

const VERSION: u8 = 1;
/// The most chunks of a note: a year of hours of 32 metrics.
const CHUNKS_MOST: usize = 1 << 18;
/// The most packs of a note.
const PACKS_MOST: usize = 1 << 16;
/// The longest note: bytes.
pub const NOTE_BYTES_MAX: usize = 256 << 20;

/// Why a note is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// It does not open.
    #[error("the note does not open: it was sealed to another key or request, or is damaged")]
    Closed,
    /// It is of another version.
    #[error("the note is of version {found}, and this program reads {VERSION}")]
    Version {
        /// Which.
        found: u8,
    },
    /// It is not encoded as it should be.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It is longer than any note.
    #[error("{found} bytes are no note, which has at most {NOTE_BYTES_MAX}")]
    Length {
        /// How many: bytes.
        found: usize,
    },
    /// The right is of more than a note holds.
    #[error("the right is of more than a note holds: {0}")]
    TooLong(#[from] TooLong),
    /// It is of another request.
    #[error("the note is of the request {found}")]
    Other {
        /// Which.
        found: RequestId,
    },
}

/// What a buyer is told.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Note {
    /// Of which request.
    pub request: RequestId,
    /// The chunks of its range that are anchored, in the order of their batches.
    pub chunks: List<ToldChunk, CHUNKS_MOST>,
    /// The packs that they are in.
    pub packs: List<ToldPack, PACKS_MOST>,
}

/// A chunk.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ToldChunk {
    /// The way to its anchor.
    pub path: ChunkPath,
    /// The place of its pack in the list; none where it is in no pack.
    pub pack: Option<u32>,
}

/// A pack.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ToldPack {
    /// Which.
    pub pack: ContentId,
    /// The secret that it is masked by.
    pub mask: [u8; 32],
}

impl std::fmt::Debug for ToldPack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ToldPack").field("pack", &self.pack).finish_non_exhaustive()
    }
}

impl Note {
    /// Seals the note to the key of its request.
    ///
    /// # Errors
    /// Where nothing can be sealed to the key, or there is no randomness.
    pub fn seal(
        &self,
        chain: ChainId,
        to: &[u8; 32],
        random: &mut KeyRandom,
    ) -> Result<Vec<u8>, SealError> {
        let mut bytes = Zeroizing::new(vec![VERSION]);
        bytes.extend_from_slice(&Zeroizing::new(encode(self)));
        context(chain, self.request).seal_note(&bytes, to, random)
    }

    /// Opens a sealed note.
    ///
    /// # Errors
    /// Where it does not open, or is no note of this request.
    pub fn open(
        sealed: &[u8],
        chain: ChainId,
        request: RequestId,
        secret: &OneTimeSecret,
    ) -> Result<Self, NoteError> {
        if sealed.len() > NOTE_BYTES_MAX {
            return Err(NoteError::Length { found: sealed.len() });
        }
        let opened = context(chain, request).open_note(sealed, secret);
        let opened = opened.ok_or(NoteError::Closed)?;
        let Some((found, bytes)) = opened.split_first() else { return Err(NoteError::Closed) };
        if *found != VERSION {
            return Err(NoteError::Version { found: *found });
        }
        let note: Self = decode("a note", bytes, NOTE_BYTES_MAX)?;
        match note.request == request {
            true => Ok(note),
            false => Err(NoteError::Other { found: note.request }),
        }
    }
}

/// The chunks of a right that are sealed by now.
///
/// # Errors
/// Where the database cannot be read, or the metrics are not in it.
pub fn sealed_chunks(
    stock: Stock<'_>,
    of: (&Right, &OpenOffer),
    hidden: Option<&HiddenScope>,
) -> Result<BTreeSet<ContentId>, MarketError> {
    Ok(chunks_of(stock, of, hidden)?.into_keys().collect())
}

/// The same with their places in the database.
///
/// # Errors
/// As [`sealed_chunks`].
pub fn chunks_of(
    stock: Stock<'_>,
    (right, open): (&Right, &OpenOffer),
    hidden: Option<&HiddenScope>,
) -> Result<BTreeMap<ContentId, ChunkKey>, MarketError> {
    let metrics = Metrics::of_subject(stock.db, stock.keys, &open.offer.scope.subject, hidden)?;
    chunks_of_metrics(stock.db, &metrics, right)
}

/// The same where the metrics of the right are known.
///
/// # Errors
/// Where the database cannot be read.
pub fn chunks_of_metrics(
    db: &Db,
    metrics: &Metrics,
    right: &Right,
) -> Result<BTreeMap<ContentId, ChunkKey>, MarketError> {
    let mut wanted = BTreeMap::new();
    for (id, definition) in &metrics.metrics {
        let windows = windows(definition, right.from_ms, right.until_ms)?;
        let start = chronolith_engine::window_start(*windows.start(), definition.window_ns);
        let end = chronolith_engine::window_end(*windows.end(), definition.window_ns);
        for chunk in db.chunks(*id, start..=end)? {
            let cid = ContentId::try_from(&chunk.cid).ok();
            let cid = cid.filter(|_| chunk.body.is_some());
            wanted.extend(cid.map(|cid| (cid, chunk.key)));
        }
    }
    Ok(wanted)
}

/// What the buyer of a right is told: those of its chunks that are anchored by now.
///
/// # Errors
/// Where the database, the packs or the state cannot be read.
pub fn write(
    venue: &Venue,
    db: &Db,
    owner: Address,
    packs: Option<&Path>,
    request: RequestId,
    wanted: &BTreeSet<ContentId>,
) -> Result<Note, MarketError> {
    let paths = anchored_paths(venue, db, owner, wanted)?;
    let (places, told) = match packs {
        Some(folder) => packs_of(folder, wanted)?,
        None => Default::default(),
    };
    let chunks: Vec<ToldChunk> = paths
        .into_iter()
        .map(|path| ToldChunk { pack: places.get(&path.chunk).copied(), path })
        .collect();
    let (chunks, packs) = (List::new(chunks), List::new(told));
    Ok(Note {
        request,
        chunks: chunks.map_err(NoteError::from)?,
        packs: packs.map_err(NoteError::from)?,
    })
}

/// The ways from some chunks to the batches that are anchored, in the order of their batches; of those alone that
/// their owner could anchor then. Others' chunks may be in a batch of his: of a device that he handed over.
///
/// # Errors
/// Where the database or the state cannot be read.
pub fn anchored_paths(
    venue: &Venue,
    db: &Db,
    owner: Address,
    wanted: &BTreeSet<ContentId>,
) -> Result<Vec<ChunkPath>, MarketError> {
    let paths = anchor::paths(db, wanted, owner)?;
    Ok(venue.look(|state, _| {
        let state = Overlay::new(state);
        let (mut anchored, mut eras, mut found) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for (key, path) in paths {
            let root = path.root;
            if let Entry::Vacant(place) = anchored.entry(root) {
                place.insert(state.get(&AnchorKey { producer: owner, root: root.0 })?);
            }
            if let Entry::Vacant(place) = eras.entry(key.metric) {
                place.insert(era_of(&state, db, key.metric)?);
            }
            let (anchored, era) = (anchored.get(&root), eras.get(&key.metric));
            let Some(anchored) = anchored.copied().flatten() else { continue };
            let could = era.copied().flatten().is_none_or(|(device, era): (Address, Era)| {
                era.could_anchor(device, owner, anchored.time_ms)
            });
            found.extend(could.then_some(path));
        }
        Ok::<_, VenueError>(found)
    })?)
}

/// The device of a metric, and the time that its keys here are of; none where the ledger has none.
fn era_of(state: &Overlay<'_>, db: &Db, metric: u32) -> Result<Option<(Address, Era)>, StateError> {
    let definition = db.metric_by_number(metric).and_then(|id| db.definition(id));
    let Some((keys, definition)) = db.keys().zip(definition) else { return Ok(None) };
    let DeviceAccount { key, era: tree } = keys.account(definition.metric.device());
    let device = Address(key);
    Ok(state.get(&EraKey { device, tree })?.map(|era| (device, era)))
}

type Places = BTreeMap<ContentId, u32>;

/// The packs of a folder that some chunks are in.
fn packs_of(
    folder: &Path,
    wanted: &BTreeSet<ContentId>,
) -> Result<(Places, Vec<ToldPack>), MarketError> {
    let (mut places, mut told) = (BTreeMap::new(), Vec::new());
    for (id, place) in list_packs(folder)? {
        let pack = load_pack(&place)?;
        let entries = pack.body().entries().iter().map(|entry| entry.cid);
        let found: Vec<_> = entries.filter(|cid| wanted.contains(cid)).collect();
        if found.is_empty() {
            continue;
        }
        let secret: MaskSecret = load_secret(&secret_beside(&place, id))?;
        let number = u32::try_from(told.len()).unwrap_or(u32::MAX);
        places.extend(found.into_iter().map(|cid| (cid, number)));
        told.push(ToldPack { pack: id, mask: *secret.as_bytes() });
    }
    Ok((places, told))
}
