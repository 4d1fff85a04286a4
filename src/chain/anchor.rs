//! Seal batches of a database onto the chain.
//!
//! The chain learns the root of each batch and what it does to the catalogues of the devices in it,
//! and nothing else. Each device is registered first, under a key that follows from the account's
//! secret and the device's name, unless it was taken over from another owner. All of it can be done again at any time: what is on the chain
//! already is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use chronolith_chain::address::Address;
use chronolith_chain::coin::Amount;
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::{List, Rising, TooLong};
use chronolith_chain::hash::{ChainId, Hash, TransactionId};
use chronolith_chain::ledger::{
    Action, Anchor, AnchorKey, DeviceCatalogue, DeviceKey, Receipt, Refusal, RegisterDevice,
    empty_catalogue,
};
use chronolith_chain::light::ProveError;
use chronolith_chain::state::{Overlay, StateError, View};
use chronolith_chain::transaction::Transaction;
use chronolith_engine::chunk::ChunkKey;
use chronolith_engine::{Db, DeviceAccount, ReadError};
use chronolith_merkle::{Tree, leaf_hash};

use super::compose::Composer;
use super::prove::ChunkPath;
use super::{Chain, ChainError, Settled};
use crate::wallet::AccountKey;

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
    /// A content id is not of a kind that the chain knows.
    #[error("the content id {cid} is of a kind that the chain does not know")]
    ContentId {
        /// The content id.
        cid: String,
    },
    /// A device that was taken over is not on the chain.
    #[error(
        "the chunks of {name} are sealed as the device {device}, which was taken over and is not on this chain: \
         anchor for {account} on the chain that has the device"
    )]
    OtherDevice {
        /// The device's name in the database.
        name: String,
        /// The device.
        device: Address,
        /// The account that anchors.
        account: Address,
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
    /// The transactions that anchored it: one for each 512 devices.
    pub transactions: Vec<TransactionId>,
    /// The height of the last one.
    pub height: u64,
    /// What they cost.
    pub fee: Amount,
}

/// A device that is not anchored for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The device on the ledger.
    pub device: Address,
    /// Why.
    pub why: Unowned,
}

/// Why an account does not anchor for a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unowned {
    /// It is another's.
    #[error("its owner is {0}")]
    Other(Address),
    /// It produces no more.
    #[error("it was retired")]
    Retired,
    /// Its chunks are sealed under a key tree that is not the owner's.
    #[error(
        "its chunks are sealed here under the keys of its owner number {}, and the account is number {}: take it over \
         in a database of its own, with chronolith identity device take",
        here.saturating_add(1), ledger.saturating_add(1)
    )]
    Tree {
        /// The number of the key tree here.
        here: u32,
        /// The number of the key tree on the ledger.
        ledger: u32,
    },
}

/// What anchoring did.
#[derive(Debug, Clone, Default)]
pub struct AnchorReport {
    /// Devices that were registered, with their keys.
    pub registered: Vec<(String, Address)>,
    /// Devices that the account does not anchor for. Their chunks are left out.
    pub left_out: BTreeMap<String, LeftOut>,
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
    let ground = Ground { chain: chain.id(), height: chain.height()?, state: chain.state()? };
    let mut anchoring = Anchoring::plan(ground, db, account)?;
    let settled = chain.commit(anchoring.take_transactions())?;
    anchoring.finish(settled.into_iter().map(|Settled { height, receipt, .. }| (height, receipt)))
}

/// The chain that batches are anchored on, as far as making transactions goes.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// Which chain.
    pub chain: ChainId,
    /// Its last height.
    pub height: u64,
    /// The state after it.
    pub state: &'a dyn View,
}

/// The anchors of what is not anchored yet: to be committed by whatever carries transactions.
pub struct Anchoring {
    transactions: Vec<Transaction>,
    /// What each transaction does.
    names: Vec<String>,
    batches: Vec<(AnchoredBatch, Range<usize>)>,
    report: AnchorReport,
}

impl Anchoring {
    /// Plans the anchors of every seal batch of a database that the account has not anchored yet.
    ///
    /// # Errors
    /// A database that cannot be relied on, or a state that cannot be read.
    pub fn plan(ground: Ground<'_>, db: &Db, account: &AccountKey) -> Result<Self, AnchorError> {
        let mut plan = Plan::new(ground, db, account)?;
        for (number, batch) in &batches(db)? {
            plan.add(*number, batch)?;
        }
        let Plan { transactions, batches, report, .. } = plan;
        let names = transactions.iter().map(|one| what(&one.body.action)).collect();
        Ok(Self { transactions, names, batches, report })
    }

    /// The transactions, to be committed in their order.
    pub fn take_transactions(&mut self) -> Vec<Transaction> {
        std::mem::take(&mut self.transactions)
    }

    /// What was done, by the heights and receipts of the transactions, in their order.
    ///
    /// # Errors
    /// The first refusal.
    pub fn finish(
        self,
        settled: impl IntoIterator<Item = (u64, Receipt)>,
    ) -> Result<AnchorReport, AnchorError> {
        let Self { names, batches, mut report, .. } = self;
        let settled: Vec<(u64, Receipt)> = settled.into_iter().collect();
        for ((_, receipt), what) in settled.iter().zip(names) {
            if let Some(refusal) = receipt.refusal.clone() {
                return Err(AnchorError::Refused { what, refusal });
            }
        }
        for (mut batch, places) in batches {
            for (height, receipt) in settled.get(places).unwrap_or_default() {
                batch.transactions.push(receipt.transaction);
                batch.height = *height;
                batch.fee = Amount(batch.fee.0.saturating_add(receipt.fee.0));
            }
            report.anchored.push(batch);
        }
        Ok(report)
    }
}

/// The transactions that anchor what is not anchored yet.
struct Plan<'a> {
    db: &'a Db,
    account: &'a AccountKey,
    chain: ChainId,
    state: &'a dyn View,
    composer: Composer,
    /// What the names of devices stand for; none of those that are left out.
    devices: BTreeMap<String, Option<Address>>,
    /// Where catalogues are, as if all of it were committed.
    catalogues: BTreeMap<String, Hash>,
    /// The last batch so far with chunks of a device.
    last_batches: BTreeMap<String, u64>,
    transactions: Vec<Transaction>,
    /// What is anchored, and the places of its transactions.
    batches: Vec<(AnchoredBatch, Range<usize>)>,
    report: AnchorReport,
}

impl<'a> Plan<'a> {
    fn new(ground: Ground<'a>, db: &'a Db, account: &'a AccountKey) -> Result<Self, AnchorError> {
        let Ground { chain, height, state } = ground;
        Ok(Self {
            db,
            account,
            chain,
            state,
            composer: Composer::new(chain, state, height, account.address)?,
            devices: BTreeMap::new(),
            catalogues: BTreeMap::new(),
            last_batches: BTreeMap::new(),
            transactions: Vec::new(),
            batches: Vec::new(),
            report: AnchorReport::default(),
        })
    }

    /// Plans what is missing of a batch; they are given in their order.
    fn add(&mut self, number: u64, batch: &Batch) -> Result<(), AnchorError> {
        self.add_missing(number, batch)?;
        self.last_batches.extend(batch.devices.iter().map(|name| (name.clone(), number)));
        Ok(())
    }

    fn add_missing(&mut self, number: u64, batch: &Batch) -> Result<(), AnchorError> {
        let mut ours = Vec::new();
        for name in &batch.devices {
            ours.extend(self.device(name)?.map(|device| (name.as_str(), device)));
        }
        if ours.is_empty() {
            return Ok(());
        }
        let root = root(self.db, number, batch)?;
        let key = AnchorKey { producer: self.account.address, root: root.0 };
        let is_known = Overlay::new(self.state).get(&key)?.is_some();
        // A batch that takes several anchors may have been stopped between them.
        if is_known && batch.devices.len() <= Anchor::DEVICES_MOST {
            self.report.known += 1;
            return Ok(());
        }
        let mut devices = Vec::new();
        for named in ours {
            devices.extend(self.catalogue(named, number, is_known)?);
        }
        if devices.is_empty() {
            self.report.known += 1;
            return Ok(());
        }
        devices.sort_by_key(|entry| entry.device);
        let chunks = u32::try_from(batch.chunks.len()).unwrap_or(u32::MAX);
        let (count, first) = (devices.len(), self.transactions.len());
        for some in devices.chunks(Anchor::DEVICES_MOST) {
            let anchor = Anchor { root, chunks, devices: Rising::new(some)? };
            self.transactions.push(self.composer.sign(anchor, &self.account.signer()));
        }
        let anchored = AnchoredBatch {
            batch: number,
            root,
            chunks,
            devices: count,
            transactions: Vec::new(),
            height: 0,
            fee: Amount::ZERO,
        };
        self.batches.push((anchored, first..self.transactions.len()));
        Ok(())
    }

    /// The device that a name stands for: the one that the keys are of where the ledger has it, which one that
    /// was taken over is, or else the account's own; none, and it is noted, where the account does not anchor for it.
    fn device(&mut self, name: &str) -> Result<Option<Address>, AnchorError> {
        if let Some(known) = self.devices.get(name) {
            return Ok(*known);
        }
        let state = Overlay::new(self.state);
        let (own, account) = (self.account.device(name).public().into(), self.account.address);
        let sealed = self.db.keys().map(|keys| keys.account(name)).filter(|one| one.key != [0; 32]);
        let mut found = (own, None, None);
        if let Some(DeviceAccount { key, era }) = sealed {
            let device = Address(key);
            let known = state.get(&DeviceKey { device })?;
            if known.is_some() {
                found = (device, known, Some(era));
            } else if era > 0 {
                let name = name.to_owned();
                return Err(AnchorError::OtherDevice { name, device, account });
            }
        }
        if found.1.is_none() {
            found.1 = state.get(&DeviceKey { device: own })?;
        }
        let (device, known, era) = found;
        let why = known.and_then(|known| {
            let ledger = known.tree;
            if !known.may_anchor(device, account) {
                Some(Unowned::Other(known.owner))
            } else if known.is_retired {
                Some(Unowned::Retired)
            } else {
                era.filter(|here| *here != ledger).map(|here| Unowned::Tree { here, ledger })
            }
        });
        let ours = why.is_none().then_some(device);
        let left_out = why.map(|why| (name.to_owned(), LeftOut { device, why }));
        self.report.left_out.extend(left_out);
        self.devices.insert(name.to_owned(), ours);
        Ok(ours)
    }

    /// What a batch does to a device's catalogue, where that is not on the chain; a device that is
    /// not there yet is registered.
    fn catalogue(
        &mut self,
        (name, device): (&str, Address),
        number: u64,
        is_known: bool,
    ) -> Result<Option<DeviceCatalogue>, AnchorError> {
        let planned = self.catalogues.get(name).copied();
        let before = match planned {
            Some(hash) => hash,
            None => match Overlay::new(self.state).get(&DeviceKey { device })? {
                Some(known) => known.catalogue,
                None => {
                    self.register(name, device);
                    empty_catalogue()
                }
            },
        };
        // On the chain it is where the batch before left it, unless this one is there already.
        if is_known {
            let left = match self.last_batches.get(name) {
                Some(last) => self.root_until(name, *last)?,
                None => empty_catalogue(),
            };
            if before != left {
                return Ok(None);
            }
        }
        let after = self.root_until(name, number)?;
        self.catalogues.insert(name.to_owned(), after);
        Ok(Some(DeviceCatalogue { device, before, after }))
    }

    fn register(&mut self, name: &str, device: Address) {
        let message = RegisterDevice::consent(self.chain, device, self.account.address);
        let consent = self.account.device(name).sign(&message);
        let register = RegisterDevice { device, producer: self.account.address, consent };
        self.transactions.push(self.composer.sign(register, &self.account.signer()));
        self.report.registered.push((name.to_owned(), device));
    }

    /// The root of a device's catalogue as the batches up to one left it.
    fn root_until(&self, name: &str, batch: u64) -> Result<Hash, AnchorError> {
        let root = self.db.catalogue_until(name, batch)?.root;
        let digest = <[u8; 32]>::try_from(root.hash().digest());
        digest.map(Hash).map_err(|_| AnchorError::ContentId { cid: root.to_string() })
    }
}

fn what(action: &Action) -> String {
    match action {
        Action::RegisterDevice(register) => format!("the registration of {}", register.device),
        Action::Anchor(anchor) => format!("the anchor of the batch {}", anchor.root),
        other => other.kind().name.to_owned(),
    }
}

/// The ways from some chunks to the roots of their seal batches, anchored by `producer`.
///
/// # Errors
/// Where the database cannot be read, or a batch is not whole in it.
pub fn paths(
    db: &Db,
    wanted: &BTreeSet<ContentId>,
    producer: Address,
) -> Result<Vec<(ChunkKey, ChunkPath)>, AnchorError> {
    let mut paths = Vec::new();
    for (number, batch) in batches(db)? {
        let is_wanted = |(_, (_, id)): &(usize, &(ChunkKey, ContentId))| wanted.contains(id);
        let chosen: Vec<_> = batch.chunks.iter().enumerate().filter(is_wanted).collect();
        if chosen.is_empty() {
            continue;
        }
        let (root, tree) = (root(db, number, &batch)?, batch.tree());
        for (index, (key, chunk)) in chosen {
            paths.push((*key, chunk_path(&tree, root, index, *chunk, producer)?));
        }
    }
    Ok(paths)
}

fn chunk_path(
    tree: &Tree,
    root: Hash,
    index: usize,
    chunk: ContentId,
    producer: Address,
) -> Result<ChunkPath, AnchorError> {
    let proof = tree.prove(&[index]);
    let proof = proof.map_err(|error| ChainError::from(ProveError::from(error)))?;
    let hashes: Vec<Hash> = proof.hashes.into_iter().map(Hash).collect();
    let (index, path) = (u32::try_from(index).unwrap_or(u32::MAX), List::new(hashes)?);
    Ok(ChunkPath { chunk, index, path, producer, root })
}

/// The way from a chunk to the root of its seal batch, anchored by `producer`.
pub fn path(db: &Db, cid: &str, producer: Address) -> Result<ChunkPath, AnchorError> {
    for (number, batch) in batches(db)? {
        let is_it = |id: &ContentId| id.to_string() == cid;
        let Some(index) = batch.chunks.iter().position(|(_, id)| is_it(id)) else { continue };
        let Some((_, chunk)) = batch.chunks.get(index).copied() else { continue };
        let root = root(db, number, &batch)?;
        return chunk_path(&batch.tree(), root, index, chunk, producer);
    }
    Err(AnchorError::NoChunk { cid: cid.to_owned() })
}
