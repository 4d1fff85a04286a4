//! Seal batches of a database onto the chain.
//!
//! The chain learns the root of each batch and what it does to the catalogues of the devices in it,
//! and nothing else. Each device is registered first, under a key that follows from the account's
//! secret and the device's name. All of it can be done again at any time: what is on the chain
//! already is left out.

use std::collections::{BTreeMap, BTreeSet};

use chronolith_chain::address::Address;
use chronolith_chain::coin::Amount;
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::{List, Rising, TooLong};
use chronolith_chain::hash::{Hash, TransactionId};
use chronolith_chain::ledger::{
    Action, Anchor, AnchorKey, DeviceCatalogue, DeviceKey, Refusal, RegisterDevice, empty_catalogue,
};
use chronolith_chain::light::ProveError;
use chronolith_chain::state::{Overlay, StateError};
use chronolith_engine::chunk::ChunkKey;
use chronolith_engine::{Db, ReadError};
use chronolith_merkle::{Tree, leaf_hash};

use super::compose::Composer;
use super::prove::ChunkPath;
use super::{Chain, ChainError, Settled};
use crate::wallet::AccountKey;

/// The most devices in an anchor.
const DEVICES_MOST: usize = 512;

/// Why batches cannot be anchored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnchorError {
    /// The database cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The chain does not work.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A segment is damaged, so that no batch can be relied on.
    #[error("{file} is damaged, and nothing was anchored: {reason}; run chronolith repair")]
    Damaged {
        /// The segment.
        file: String,
        /// Why.
        reason: Box<ReadError>,
    },
    /// Not all chunks of a batch are here.
    #[error("batch {batch} is not whole in this database, so that its root cannot be made anew")]
    NotWhole {
        /// The number of the batch.
        batch: u64,
    },
    /// An anchor cannot hold a batch.
    #[error(
        "batch {batch} has chunks of {devices} devices, and an anchor takes {DEVICES_MOST}: seal in smaller batches"
    )]
    Devices {
        /// The number of the batch.
        batch: u64,
        /// How many devices.
        devices: usize,
    },
    /// A content id is not of a kind that the chain knows.
    #[error("the content id {cid} is of a kind that the chain does not know")]
    ContentId {
        /// The content id.
        cid: String,
    },
    /// The ledger refuses.
    #[error("the ledger refuses {what}: {refusal}")]
    Refused {
        /// What was asked for.
        what: String,
        /// Why not.
        refusal: Refusal,
    },
    /// There is no such chunk.
    #[error("there is no sealed chunk {cid} in the database; chronolith chunks lists them")]
    NoChunk {
        /// The content id.
        cid: String,
    },
}

impl From<StateError> for AnchorError {
    fn from(error: StateError) -> Self {
        Self::Chain(error.into())
    }
}

impl From<TooLong> for AnchorError {
    fn from(error: TooLong) -> Self {
        Self::Chain(error.into())
    }
}

/// A batch that is anchored now.
#[derive(Debug, Clone)]
pub struct AnchoredBatch {
    /// Its number in the database.
    pub batch: u64,
    /// Its root.
    pub root: Hash,
    /// How many chunks it has.
    pub chunks: u32,
    /// How many devices have chunks in it.
    pub devices: usize,
    /// The transaction that anchored it.
    pub transaction: TransactionId,
    /// The height.
    pub height: u64,
    /// What it cost.
    pub fee: Amount,
}

/// What anchoring did.
#[derive(Debug, Clone, Default)]
pub struct AnchorReport {
    /// Devices that were registered, with their keys.
    pub registered: Vec<(String, Address)>,
    /// Batches that were anchored.
    pub anchored: Vec<AnchoredBatch>,
    /// How many batches were on the chain already.
    pub known: usize,
}

/// A seal batch, as a database has it.
#[derive(Debug, Default)]
struct Batch {
    chunks: Vec<(ChunkKey, ContentId)>,
    devices: BTreeSet<String>,
    /// A chunk whose body is there, to compare with.
    with_body: Option<ChunkKey>,
}

impl Batch {
    fn tree(&self) -> Tree {
        let leaves = self.chunks.iter().map(|(_, id)| leaf_hash(id.as_bytes()));
        Tree::from_leaf_hashes(&leaves.collect::<Vec<_>>())
    }
}

/// All batches of a database, by their numbers.
fn batches(db: &Db) -> Result<BTreeMap<u64, Batch>, AnchorError> {
    let mut batches: BTreeMap<u64, Batch> = BTreeMap::new();
    let mut unknown = None;
    let segments = db.for_each_sealed(&|_| true, &mut |chunk| {
        let bytes = <[u8; 36]>::try_from(chunk.cid.to_bytes()).ok();
        let Some(id) = bytes.and_then(|bytes| ContentId::from_bytes(bytes).ok()) else {
            unknown = Some(chunk.cid.to_string());
            return;
        };
        let batch = batches.entry(chunk.batch).or_default();
        batch.chunks.push((chunk.key, id));
        batch.devices.insert(chunk.definition.metric.device().to_owned());
        if chunk.body.is_some() {
            batch.with_body = Some(chunk.key);
        }
    });
    if let Some((file, reason)) = segments.damaged.into_iter().next() {
        return Err(AnchorError::Damaged { file, reason: Box::new(reason) });
    }
    if let Some(cid) = unknown {
        return Err(AnchorError::ContentId { cid });
    }
    for batch in batches.values_mut() {
        batch.chunks.sort_unstable();
    }
    Ok(batches)
}

/// Computes a batch's root, and compares it with the one that was signed when it was sealed.
fn root(db: &Db, number: u64, batch: &Batch) -> Result<Hash, AnchorError> {
    let root = batch.tree().root();
    if let Some(key) = batch.with_body
        && let Some(signed) = db.provable_chunk(key)?
        && (signed.root, signed.batch) != (root, (number, batch.chunks.len() as u64))
    {
        return Err(AnchorError::NotWhole { batch: number });
    }
    Ok(Hash(root))
}

fn device_of(key: &AccountKey, name: &str) -> Address {
    key.device(name).public().into()
}

/// Anchors every seal batch of a database that the account has not anchored yet, in their order.
///
/// # Errors
/// The first thing that does not work; what was anchored before stays so, and calling it again
/// goes on.
pub fn anchor(
    chain: &mut Chain,
    db: &Db,
    account: &AccountKey,
) -> Result<AnchorReport, AnchorError> {
    let mut report = AnchorReport::default();
    let (id, height) = (chain.id(), chain.height()?);
    let state = Overlay::new(chain.state()?);
    let mut composer = Composer::new(id, chain.state()?, height, account.address)?;
    let signer = account.signer();
    let mut transactions = Vec::new();
    // Where catalogues are, as if all of it were committed.
    let mut catalogues: BTreeMap<String, Hash> = BTreeMap::new();
    let mut planned = Vec::new();
    for (number, batch) in &batches(db)? {
        let root = root(db, *number, batch)?;
        if state.get(&AnchorKey { producer: account.address, root: root.0 })?.is_some() {
            report.known += 1;
            continue;
        }
        if batch.devices.len() > DEVICES_MOST {
            let devices = batch.devices.len();
            return Err(AnchorError::Devices { batch: *number, devices });
        }
        let mut devices = Vec::new();
        for name in &batch.devices {
            let device = device_of(account, name);
            let before = match catalogues.get(name) {
                Some(hash) => *hash,
                None => match state.get(&DeviceKey { device })? {
                    Some(known) => known.catalogue,
                    None => {
                        let message = RegisterDevice::consent(id, device, account.address);
                        let consent = account.device(name).sign(&message);
                        let register =
                            RegisterDevice { device, producer: account.address, consent };
                        transactions.push(composer.sign(register, &signer));
                        report.registered.push((name.clone(), device));
                        empty_catalogue()
                    }
                },
            };
            let after = db.catalogue_until(name, *number)?.root;
            let digest = <[u8; 32]>::try_from(after.hash().digest());
            let after =
                digest.map(Hash).map_err(|_| AnchorError::ContentId { cid: after.to_string() })?;
            catalogues.insert(name.clone(), after);
            devices.push(DeviceCatalogue { device, before, after });
        }
        devices.sort_by_key(|entry| entry.device);
        let chunks = u32::try_from(batch.chunks.len()).unwrap_or(u32::MAX);
        let count = devices.len();
        let anchor = Anchor { root, chunks, devices: Rising::new(devices)? };
        transactions.push(composer.sign(anchor, &signer));
        planned.push((transactions.len() - 1, *number, root, chunks, count));
    }
    drop(state);
    let names: Vec<String> = transactions.iter().map(|one| what(&one.body.action)).collect();
    let settled = chain.commit(transactions)?;
    for (Settled { receipt, .. }, what) in settled.iter().zip(names) {
        if let Some(refusal) = receipt.refusal.clone() {
            return Err(AnchorError::Refused { what, refusal });
        }
    }
    for (place, batch, root, chunks, devices) in planned {
        let Some(Settled { height, receipt, .. }) = settled.get(place) else { continue };
        let (transaction, fee, height) = (receipt.transaction, receipt.fee, *height);
        report.anchored.push(AnchoredBatch {
            batch,
            root,
            chunks,
            devices,
            transaction,
            height,
            fee,
        });
    }
    Ok(report)
}

fn what(action: &Action) -> String {
    match action {
        Action::RegisterDevice(register) => format!("the registration of {}", register.device),
        Action::Anchor(anchor) => format!("the anchor of the batch {}", anchor.root),
        other => other.kind().name.to_owned(),
    }
}

/// The way from a chunk to the root of its seal batch, anchored by `producer`.
pub fn path(db: &Db, cid: &str, producer: Address) -> Result<ChunkPath, AnchorError> {
    for (number, batch) in batches(db)? {
        let is_it = |id: &ContentId| id.to_string() == cid;
        let Some(index) = batch.chunks.iter().position(|(_, id)| is_it(id)) else { continue };
        let Some((_, chunk)) = batch.chunks.get(index).copied() else { continue };
        let root = root(db, number, &batch)?;
        let proof = batch.tree().prove(&[index]);
        let proof = proof.map_err(|error| ChainError::from(ProveError::from(error)))?;
        let hashes: Vec<Hash> = proof.hashes.into_iter().map(Hash).collect();
        let (index, path) = (u32::try_from(index).unwrap_or(u32::MAX), List::new(hashes)?);
        return Ok(ChunkPath { chunk, index, path, producer, root });
    }
    Err(AnchorError::NoChunk { cid: cid.to_owned() })
}
