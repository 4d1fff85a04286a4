//! Committed blocks on disk: one redb file.
//!
//! | table | key | value |
//! |---|---|---|
//! | `blocks` | height | the block and its certificate |
//! | `refusals` | height | of each transaction, why its action was refused, or that it was not |
//! | `sets` | height | the validators from this height on, where others are before |
//! | `steps` | height | of the last block of each set of validators: header, set and certificate |
//! | `tips` | height | what the next block builds on |
//! | `history` | level and index | the complete subtrees of the history |
//!
//! A block is one transaction over all of them. It is written before the state is: what a power cut
//! leaves between the two is executed again when both are opened.
//!
//! A store that began at a snapshot has no block of that height or below, and of older heights only
//! the steps that the snapshot was trusted by.

use chronolith_disk::Disk;
use redb::{
    Builder, Database, Durability, ReadableDatabase as _, ReadableTable as _, TableDefinition,
};

use super::message::Decided;
use super::snapshot::Approved;
use crate::block::{MAX_TRANSACTIONS, Tip};
use crate::encoding::{DecodeError, List, decode, encode};
use crate::hash::Hash;
use crate::history::{Node, Nodes, Position};
use crate::ledger::{Executed, Receipt, Refusal};
use crate::light::Step;
use crate::list::ListRoot;
use crate::state::FileBackend;
use crate::validator_set::ValidatorSet;

const BLOCKS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("blocks");
const REFUSALS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("refusals");
const SETS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("sets");
const STEPS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("steps");
const TIPS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("tips");
const HISTORY: TableDefinition<'_, (u8, u64), [u8; 32]> = TableDefinition::new("history");

/// Why actions of a block were refused, in the order of its transactions.
type Refusals = List<Option<Refusal>, MAX_TRANSACTIONS>;

/// How many tips are kept: a state that was put back may be this much older than the blocks.
const KEEP_TIPS: u64 = 10_000;

/// Why blocks cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file could not be created, opened or named.
    #[error("{place}: {source}")]
    Disk {
        /// Which file.
        place: String,
        /// What the disk said.
        source: std::io::Error,
    },
    /// There are no blocks.
    #[error("{place} holds no blocks; create a chain from its genesis")]
    Missing {
        /// Which file.
        place: String,
    },
    /// There are blocks already.
    #[error("{place} holds blocks already")]
    Exists {
        /// Which file.
        place: String,
    },
    /// The store failed.
    #[error("the store of blocks failed: {0}; open it again, and catch up anew if that fails")]
    Store(#[source] Box<redb::Error>),
    /// The store is of an earlier version, which kept less of each block.
    #[error(
        "{place} was made by an earlier version, which kept no receipts: catch up anew, or make \
         the chain anew"
    )]
    Earlier {
        /// Which file.
        place: String,
    },
    /// What is kept of a block's receipts leads to another root than its header has.
    #[error("the stored receipts of height {height} are not those of its block; catch up anew")]
    Receipts {
        /// The height.
        height: u64,
    },
    /// Stored bytes are not what they should be.
    #[error("stored blocks are damaged: {0}; catch up anew")]
    Damaged(#[from] DecodeError),
}

fn failed(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Store(Box::new(error.into()))
}

/// The committed blocks.
pub struct BlockStore {
    database: Database,
    tip: Tip,
    oldest: u64,
}

impl BlockStore {
    /// Makes a store of a chain without blocks, in a file that does not exist yet.
    pub(super) fn create(
        disk: &dyn Disk,
        path: &str,
        genesis: Tip,
        validators: &ValidatorSet,
    ) -> Result<Self, StoreError> {
        Self::make(disk, path, &genesis, |store| {
            let first = Position { level: 0, index: 0 };
            let leaf = Node { position: first, hash: genesis.history.root() };
            store.write(None, &genesis, &[leaf], &[(1, validators)])
        })?;
        Self::open(disk, path)
    }

    /// Makes a store that begins after the block of a snapshot, whose header is trusted.
    pub(super) fn create_after(
        disk: &dyn Disk,
        path: &str,
        approved: &Approved,
        next: &ValidatorSet,
    ) -> Result<(), StoreError> {
        let (tip, nodes) = approved.tip();
        let (mut sets, mut first) = (Vec::new(), approved.since().saturating_add(1));
        for step in approved.steps() {
            sets.push((first, &step.validators));
            first = step.header.height.saturating_add(1);
        }
        let header = &approved.head().step.header;
        if header.next_validators != header.validators {
            sets.push((first, next));
        }
        Self::make(disk, path, &tip, |store| {
            store.write(None, &tip, &nodes, &sets)?;
            let transaction = store.database.begin_write().map_err(failed)?;
            {
                let mut table = transaction.open_table(STEPS).map_err(failed)?;
                for step in approved.steps() {
                    table.insert(step.header.height, &*encode(step)).map_err(failed)?;
                }
            }
            transaction.commit().map_err(failed)
        })
    }

    fn make(
        disk: &dyn Disk,
        path: &str,
        tip: &Tip,
        fill: impl FnOnce(&mut Self) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let place = disk.describe(path);
        let on_disk = |source| StoreError::Disk { place: place.clone(), source };
        if disk.exists(path).map_err(on_disk)? {
            return Err(StoreError::Exists { place });
        }
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let unfinished = format!("{path}.new");
        if disk.exists(&unfinished).map_err(on_disk)? {
            disk.remove(&unfinished).map_err(on_disk)?;
        }
        let file = disk.open(&unfinished).map_err(on_disk)?;
        let database =
            Builder::new().create_with_backend(FileBackend::new(file)).map_err(failed)?;
        let oldest = tip.height.saturating_add(1);
        let mut store = Self { database, tip: tip.clone(), oldest };
        fill(&mut store)?;
        drop(store);
        disk.rename(&unfinished, path).map_err(on_disk)?;
        disk.sync_dir(folder).map_err(on_disk)
    }

    /// Opens a store.
    pub(super) fn open(disk: &dyn Disk, path: &str) -> Result<Self, StoreError> {
        let place = disk.describe(path);
        let on_disk = |source| StoreError::Disk { place: place.clone(), source };
        if !disk.exists(path).map_err(on_disk)? {
            return Err(StoreError::Missing { place });
        }
        let file = disk.open(path).map_err(on_disk)?;
        let database =
            Builder::new().create_with_backend(FileBackend::new(file)).map_err(failed)?;
        let transaction = database.begin_read().map_err(failed)?;
        let tips = transaction.open_table(TIPS).map_err(failed)?;
        let Some((_, bytes)) = tips.last().map_err(failed)? else {
            return Err(StoreError::Missing { place });
        };
        let tip: Tip = decode("the end of the chain", bytes.value(), 64 << 10)?;
        for later in [REFUSALS, SETS] {
            match transaction.open_table(later) {
                Ok(_) => {}
                Err(redb::TableError::TableDoesNotExist(_)) => {
                    return Err(StoreError::Earlier { place });
                }
                Err(error) => return Err(failed(error)),
            }
        }
        let blocks = transaction.open_table(BLOCKS).map_err(failed)?;
        let oldest = blocks.first().map_err(failed)?.map(|(height, _)| height.value());
        let oldest = oldest.unwrap_or(tip.height.saturating_add(1));
        Ok(Self { database, tip, oldest })
    }

    /// What the next block builds on.
    #[must_use]
    pub fn tip(&self) -> &Tip {
        &self.tip
    }

    /// The lowest height whose block is kept.
    #[must_use]
    pub fn oldest(&self) -> u64 {
        self.oldest
    }

    /// The block of a height with its certificate; none where it is not kept.
    pub fn block(&self, height: u64) -> Result<Option<Decided>, StoreError> {
        let transaction = self.database.begin_read().map_err(failed)?;
        let table = transaction.open_table(BLOCKS).map_err(failed)?;
        let Some(bytes) = table.get(height).map_err(failed)? else { return Ok(None) };
        Ok(Some(decode("a committed block", bytes.value(), usize::MAX)?))
    }

    /// The header of a height with the set and the certificate that committed it: of every block that is
    /// kept, and of the last one of each set of validators since the store began. None elsewhere.
    pub fn step(&self, height: u64) -> Result<Option<Step>, StoreError> {
        let transaction = self.database.begin_read().map_err(failed)?;
        match transaction.open_table(STEPS) {
            Ok(table) => {
                if let Some(bytes) = table.get(height).map_err(failed)? {
                    return Ok(Some(decode("a kept header", bytes.value(), usize::MAX)?));
                }
            }
            Err(redb::TableError::TableDoesNotExist(_)) => {}
            Err(error) => return Err(failed(error)),
        }
        let Some(Decided { block, certificate }) = self.block(height)? else { return Ok(None) };
        let Some(validators) = self.validators(height)? else { return Ok(None) };
        Ok(Some(Step { header: block.header, validators, certificate }))
    }

    /// The lowest height whose validators are known: 1, or the one after the header that was trusted when
    /// the store began at a snapshot.
    pub fn first_validators(&self) -> Result<u64, StoreError> {
        let transaction = self.database.begin_read().map_err(failed)?;
        let table = transaction.open_table(SETS).map_err(failed)?;
        let first = table.first().map_err(failed)?;
        Ok(first.map_or(u64::MAX, |(height, _)| height.value()))
    }

    /// What became of the transactions of a block, in their order; none where the block is not
    /// kept. They are checked against the root in its header.
    ///
    /// # Errors
    /// [`StoreError::Receipts`] where they are others.
    pub fn receipts(&self, height: u64) -> Result<Option<Vec<Receipt>>, StoreError> {
        let Some(Decided { block, .. }) = self.block(height)? else { return Ok(None) };
        let transaction = self.database.begin_read().map_err(failed)?;
        let table = transaction.open_table(REFUSALS).map_err(failed)?;
        let bytes = table.get(height).map_err(failed)?.ok_or(StoreError::Receipts { height })?;
        let refusals: Refusals = decode("stored receipts", bytes.value(), usize::MAX)?;
        let both = block.transactions.iter().zip(refusals.iter());
        let receipt = |(transaction, refusal): (&crate::transaction::Transaction, &Option<_>)| {
            let body = &transaction.body;
            Receipt { transaction: body.id(), fee: body.fee, refusal: Option::clone(refusal) }
        };
        let receipts: Vec<Receipt> = both.map(receipt).collect();
        if refusals.len() != receipts.len() || ListRoot::of(&receipts) != block.header.receipts {
            return Err(StoreError::Receipts { height });
        }
        Ok(Some(receipts))
    }

    /// The validators of a height up to the one after the last block; none above it.
    pub fn validators(&self, height: u64) -> Result<Option<ValidatorSet>, StoreError> {
        if height > self.tip.height.saturating_add(1) {
            return Ok(None);
        }
        let transaction = self.database.begin_read().map_err(failed)?;
        let table = transaction.open_table(SETS).map_err(failed)?;
        let last = table.range(..=height).map_err(failed)?.next_back();
        let Some(found) = last else { return Ok(None) };
        let (_, bytes) = found.map_err(failed)?;
        Ok(Some(ValidatorSet::decode(bytes.value())?))
    }

    /// The heights above one and up to another whose validators are others than those of the height
    /// before, rising; at most `most` of them.
    pub fn changes_of_validators(
        &self,
        above: u64,
        until: u64,
        most: usize,
    ) -> Result<Vec<u64>, StoreError> {
        let transaction = self.database.begin_read().map_err(failed)?;
        let table = transaction.open_table(SETS).map_err(failed)?;
        let range = above.saturating_add(1)..=until;
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let found = table.range(range).map_err(failed)?.take(most);
        found.map(|entry| entry.map(|(height, _)| height.value()).map_err(failed)).collect()
    }

    /// What the block after a height builds on; none where it is not kept.
    pub(super) fn tip_at(&self, height: u64) -> Result<Option<Tip>, StoreError> {
        let transaction = self.database.begin_read().map_err(failed)?;
        let table = transaction.open_table(TIPS).map_err(failed)?;
        let Some(bytes) = table.get(height).map_err(failed)? else { return Ok(None) };
        Ok(Some(decode("what a block builds on", bytes.value(), 64 << 10)?))
    }

    /// Appends a block that was checked against the tip, with what came of that and the validators
    /// of the next height, and returns when it is on stable storage.
    pub(super) fn append(
        &mut self,
        decided: &Decided,
        executed: &Executed,
        next: &ValidatorSet,
    ) -> Result<(), StoreError> {
        let mut tip = self.tip.clone();
        let header = &decided.block.header;
        let nodes = tip.advance(header);
        let refusals = executed.receipts.iter().map(|receipt| receipt.refusal.clone());
        // As many as the block has transactions.
        let refusals = List::new(refusals.collect::<Vec<_>>()).unwrap_or_default();
        let is_other = header.next_validators != header.validators;
        let next = is_other.then_some((header.height.saturating_add(1), next));
        self.write(Some((decided, refusals)), &tip, &nodes, next.as_slice())?;
        self.tip = tip;
        Ok(())
    }

    /// Forgets the blocks below a height, and their receipts. Proofs of their ids stay possible.
    pub fn prune(&mut self, below: u64) -> Result<(), StoreError> {
        let below = below.min(self.tip.height);
        let transaction = self.database.begin_write().map_err(failed)?;
        {
            for of_blocks in [BLOCKS, REFUSALS] {
                let mut table = transaction.open_table(of_blocks).map_err(failed)?;
                table.retain_in(..below, |_, _| false).map_err(failed)?;
            }
        }
        transaction.commit().map_err(failed)?;
        self.oldest = self.oldest.max(below);
        Ok(())
    }

    fn step_of(&self, decided: &Decided) -> Result<Option<Step>, StoreError> {
        let (header, certificate) = (decided.block.header.clone(), decided.certificate.clone());
        let validators = self.validators(header.height)?;
        Ok(validators.map(|validators| Step { header, validators, certificate }))
    }

    fn write(
        &mut self,
        decided: Option<(&Decided, Refusals)>,
        tip: &Tip,
        nodes: &[Node],
        sets: &[(u64, &ValidatorSet)],
    ) -> Result<(), StoreError> {
        let last_of_set = match decided.as_ref().filter(|_| !sets.is_empty()) {
            Some((decided, _)) => self.step_of(decided)?,
            None => None,
        };
        let mut transaction = self.database.begin_write().map_err(failed)?;
        transaction.set_durability(Durability::Immediate).map_err(failed)?;
        {
            let mut blocks = transaction.open_table(BLOCKS).map_err(failed)?;
            let mut kept = transaction.open_table(REFUSALS).map_err(failed)?;
            if let Some((decided, refusals)) = decided {
                blocks.insert(tip.height, &*encode(decided)).map_err(failed)?;
                kept.insert(tip.height, &*encode(&refusals)).map_err(failed)?;
            }
            let mut table = transaction.open_table(SETS).map_err(failed)?;
            for (height, set) in sets {
                table.insert(height, &*encode(*set)).map_err(failed)?;
            }
            let mut steps = transaction.open_table(STEPS).map_err(failed)?;
            if let Some(step) = last_of_set {
                steps.insert(tip.height, &*encode(&step)).map_err(failed)?;
            }
            let mut tips = transaction.open_table(TIPS).map_err(failed)?;
            tips.insert(tip.height, &*encode(tip)).map_err(failed)?;
            let forget = tip.height.saturating_sub(KEEP_TIPS);
            if forget > 0 {
                tips.remove(forget - 1).map_err(failed)?;
            }
            let mut history = transaction.open_table(HISTORY).map_err(failed)?;
            for Node { position, hash } in nodes {
                history.insert((position.level, position.index), hash.0).map_err(failed)?;
            }
        }
        transaction.commit().map_err(failed)
    }
}

impl Nodes for BlockStore {
    type Error = StoreError;

    fn node(&self, position: Position) -> Result<Option<Hash>, StoreError> {
        let transaction = self.database.begin_read().map_err(failed)?;
        let table = transaction.open_table(HISTORY).map_err(failed)?;
        let hash = table.get((position.level, position.index)).map_err(failed)?;
        Ok(hash.map(|hash| Hash(hash.value())))
    }
}
