//! The values on disk, and what recent blocks replaced: one redb file.
//!
//! | table | key | value |
//! |---|---|---|
//! | `values` | key | value |
//! | `replaced` | version | the root before it, and what each key it changed held before |
//! | `head` | nothing | format, version and root |
//!
//! A block is one transaction over all three, so a power cut leaves it whole or not at all.

use borsh::{BorshDeserialize, BorshSerialize};
use redb::backends::InMemoryBackend;
use redb::{
    Builder, Database, Durability, ReadOnlyTable, ReadableDatabase as _, ReadableTable as _,
    TableDefinition,
};

use super::backend::FileBackend;
use super::{Changes, Head, StateError};
use crate::encoding::{decode, encode};
use crate::hash::Hash;

const VALUES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("values");
const REPLACED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("replaced");
const HEAD: TableDefinition<'_, (), &[u8]> = TableDefinition::new("head");

/// The version of the tables above.
const FORMAT: u16 = 1;

/// What one block replaced.
#[derive(Debug, Clone, Default, BorshSerialize, BorshDeserialize)]
pub(super) struct Replaced {
    /// The root before the block.
    pub(super) root: Hash,
    /// The version before the block.
    pub(super) version: u64,
    /// What each key it changed held before.
    pub(super) values: Changes,
}

#[derive(BorshSerialize, BorshDeserialize)]
struct StoredHead {
    format: u16,
    head: Head,
}

/// What one commit writes.
pub(super) struct Write<'a> {
    pub(super) head: Head,
    pub(super) changes: &'a Changes,
    pub(super) replaced: Option<&'a Replaced>,
    /// Versions up to this one are no longer readable.
    pub(super) forget_to: u64,
}

/// The tables, and a view of the values as of the last commit.
pub(super) struct Store {
    database: Database,
    values: Values,
}

/// The values as they were at a commit; of an empty store, none.
pub(super) struct Values(Option<ReadOnlyTable<&'static [u8], &'static [u8]>>);

impl Values {
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let Some(table) = &self.0 else { return Ok(None) };
        let value = table.get(key).map_err(failed)?;
        Ok(value.map(|value| value.value().to_vec()))
    }

    /// The entries from `from` on, below `until`, in order; stops where `each` says so.
    pub(super) fn scan(
        &self,
        from: &[u8],
        until: Option<&[u8]>,
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StateError> {
        let Some(table) = &self.0 else { return Ok(()) };
        let range = match until {
            Some(until) if until <= from => return Ok(()),
            Some(until) => table.range(from..until),
            None => table.range(from..),
        };
        for entry in range.map_err(failed)? {
            let (key, value) = entry.map_err(failed)?;
            if !each(key.value(), value.value()) {
                break;
            }
        }
        Ok(())
    }
}

fn failed(error: impl Into<redb::Error>) -> StateError {
    StateError::Store(Box::new(error.into()))
}

impl Store {
    /// The tables in a file; an empty one becomes an empty store.
    pub(super) fn on_file(backend: FileBackend, cache_bytes: usize) -> Result<Self, StateError> {
        let mut builder = Builder::new();
        builder.set_cache_size(cache_bytes);
        Self::on(builder.create_with_backend(backend).map_err(failed)?)
    }

    /// An empty store in memory.
    pub(super) fn in_memory() -> Result<Self, StateError> {
        let database = Builder::new().create_with_backend(InMemoryBackend::new());
        Self::on(database.map_err(failed)?)
    }

    fn on(database: Database) -> Result<Self, StateError> {
        let mut store = Self { database, values: Values(None) };
        store.values = store.view()?;
        Ok(store)
    }

    /// The values as they are now, and stay in this view.
    pub(super) fn view(&self) -> Result<Values, StateError> {
        let transaction = self.database.begin_read().map_err(failed)?;
        match transaction.open_table(VALUES) {
            Ok(table) => Ok(Values(Some(table))),
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(Values(None)),
            Err(error) => Err(failed(error)),
        }
    }

    /// What the last commit left, if there was one.
    pub(super) fn head(&self) -> Result<Option<Head>, StateError> {
        let transaction = self.database.begin_read().map_err(failed)?;
        let table = match transaction.open_table(HEAD) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let Some(bytes) = table.get(()).map_err(failed)? else { return Ok(None) };
        let stored: StoredHead = decode("the head of the state", bytes.value(), 1024)?;
        if stored.format != FORMAT {
            return Err(StateError::Format { found: stored.format, known: FORMAT });
        }
        Ok(Some(stored.head))
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.values.get(key)
    }

    /// As [`Values::scan`], of the values as of the last commit.
    pub(super) fn scan(
        &self,
        from: &[u8],
        until: Option<&[u8]>,
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StateError> {
        self.values.scan(from, until, each)
    }

    /// What the blocks replaced whose old values are still there, oldest first.
    pub(super) fn replaced(&self) -> Result<Vec<(u64, Replaced)>, StateError> {
        let transaction = self.database.begin_read().map_err(failed)?;
        let table = match transaction.open_table(REPLACED) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut all = Vec::new();
        for entry in table.iter().map_err(failed)? {
            let (version, bytes) = entry.map_err(failed)?;
            let replaced = decode("what a block replaced", bytes.value(), usize::MAX)?;
            all.push((version.value(), replaced));
        }
        Ok(all)
    }

    /// Writes a block, and returns when it is on stable storage.
    pub(super) fn write(&mut self, write: &Write<'_>) -> Result<(), StateError> {
        let mut transaction = self.database.begin_write().map_err(failed)?;
        transaction.set_durability(Durability::Immediate).map_err(failed)?;
        {
            let mut values = transaction.open_table(VALUES).map_err(failed)?;
            for (key, value) in write.changes {
                match value {
                    Some(value) => values.insert(&**key, &**value).map_err(failed)?,
                    None => values.remove(&**key).map_err(failed)?,
                };
            }
            let mut replaced = transaction.open_table(REPLACED).map_err(failed)?;
            if let Some(old) = write.replaced {
                replaced.insert(write.head.version, &*encode(old)).map_err(failed)?;
            }
            replaced.retain_in(..=write.forget_to, |_, _| false).map_err(failed)?;
            let mut head = transaction.open_table(HEAD).map_err(failed)?;
            let stored = StoredHead { format: FORMAT, head: write.head };
            head.insert((), &*encode(&stored)).map_err(failed)?;
        }
        transaction.commit().map_err(failed)?;
        self.values = self.view()?;
        Ok(())
    }

    /// Writes the first version, entry by entry as `fill` gives them, and returns when it is on stable
    /// storage. Nothing is there where `fill` fails.
    pub(super) fn write_first<E: From<StateError>>(
        &mut self,
        head: Head,
        fill: impl FnOnce(&mut dyn FnMut(&[u8], &[u8]) -> Result<(), StateError>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut transaction = self.database.begin_write().map_err(failed)?;
        transaction.set_durability(Durability::Immediate).map_err(failed)?;
        {
            let mut values = transaction.open_table(VALUES).map_err(failed)?;
            fill(&mut |key, value| {
                values.insert(key, value).map_err(failed)?;
                Ok(())
            })?;
            transaction.open_table(REPLACED).map_err(failed)?;
            let mut heads = transaction.open_table(HEAD).map_err(failed)?;
            heads.insert((), &*encode(&StoredHead { format: FORMAT, head })).map_err(failed)?;
        }
        transaction.commit().map_err(failed)?;
        self.values = self.view()?;
        Ok(())
    }
}
