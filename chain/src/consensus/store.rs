//! Committed blocks on disk: one redb file.
//!
//! | table | key | value |
//! |---|---|---|
//! | `blocks` | height | the block and its certificate |
//! | `tips` | height | what the next block builds on |
//! | `history` | level and index | the complete subtrees of the history |
//!
//! A block is one transaction over all three. It is written before the state is: what a power cut
//! leaves between the two is executed again when both are opened.

use chronolith_disk::Disk;
use redb::{
    Builder, Database, Durability, ReadableDatabase as _, ReadableTable as _, TableDefinition,
};

use super::message::Decided;
use crate::block::Tip;
use crate::encoding::{DecodeError, decode, encode};
use crate::hash::Hash;
use crate::history::{Node, Nodes, Position};
use crate::state::FileBackend;

const BLOCKS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("blocks");
const TIPS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("tips");
const HISTORY: TableDefinition<'_, (u8, u64), [u8; 32]> = TableDefinition::new("history");

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
    pub(super) fn create(disk: &dyn Disk, path: &str, genesis: Tip) -> Result<Self, StoreError> {
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
        let first = Position { level: 0, index: 0 };
        let mut store = Self { database, tip: genesis.clone(), oldest: 1 };
        let leaf = Node { position: first, hash: genesis.history.root() };
        store.write(None, &genesis, &[leaf])?;
        drop(store);
        disk.rename(&unfinished, path).map_err(on_disk)?;
        disk.sync_dir(folder).map_err(on_disk)?;
        Self::open(disk, path)
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
        let oldest = match transaction.open_table(BLOCKS) {
            Ok(table) => table.first().map_err(failed)?.map(|(height, _)| height.value()),
            Err(redb::TableError::TableDoesNotExist(_)) => None,
            Err(error) => return Err(failed(error)),
        };
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
        let table = match transaction.open_table(BLOCKS) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let Some(bytes) = table.get(height).map_err(failed)? else { return Ok(None) };
        Ok(Some(decode("a committed block", bytes.value(), usize::MAX)?))
    }

    /// What the block after a height builds on; none where it is not kept.
    pub(super) fn tip_at(&self, height: u64) -> Result<Option<Tip>, StoreError> {
        let transaction = self.database.begin_read().map_err(failed)?;
        let table = transaction.open_table(TIPS).map_err(failed)?;
        let Some(bytes) = table.get(height).map_err(failed)? else { return Ok(None) };
        Ok(Some(decode("what a block builds on", bytes.value(), 64 << 10)?))
    }

    /// Appends a block that was checked against the tip, and returns when it is on stable storage.
    pub(super) fn append(&mut self, decided: &Decided) -> Result<(), StoreError> {
        let mut tip = self.tip.clone();
        let nodes = tip.advance(&decided.block.header);
        self.write(Some(decided), &tip, &nodes)?;
        self.tip = tip;
        Ok(())
    }

    /// Forgets the blocks below a height. Proofs of their ids stay possible.
    pub fn prune(&mut self, below: u64) -> Result<(), StoreError> {
        let below = below.min(self.tip.height);
        let transaction = self.database.begin_write().map_err(failed)?;
        {
            let mut blocks = transaction.open_table(BLOCKS).map_err(failed)?;
            blocks.retain_in(..below, |_, _| false).map_err(failed)?;
        }
        transaction.commit().map_err(failed)?;
        self.oldest = self.oldest.max(below);
        Ok(())
    }

    fn write(
        &mut self,
        decided: Option<&Decided>,
        tip: &Tip,
        nodes: &[Node],
    ) -> Result<(), StoreError> {
        let mut transaction = self.database.begin_write().map_err(failed)?;
        transaction.set_durability(Durability::Immediate).map_err(failed)?;
        {
            let mut blocks = transaction.open_table(BLOCKS).map_err(failed)?;
            if let Some(decided) = decided {
                blocks.insert(tip.height, &*encode(decided)).map_err(failed)?;
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
