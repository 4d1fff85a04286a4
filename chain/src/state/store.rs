//! The values on disk, and what recent blocks replaced: one file ([format](../../../docs/format/chain-store.md)).
//!
//! | table | key | value |
//! |---|---|---|
//! | `values` | key | value |
//! | `replaced` | version | the root before it, and what each key it changed held before |
//! | `head` | nothing | format, version and root |
//!
//! A block is one commit over all three, so a power cut leaves it whole or not at all.

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_disk::DiskFile;

use super::contained::{Contained, Each, FORMAT, FileError, Table, TableView};
use super::{Changes, Head, StateError};
use crate::encoding::{decode, encode};
use crate::hash::Hash;

const VALUES: Table = Table("values");
const REPLACED: Table = Table("replaced");
const HEAD: Table = Table("head");

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
    tables: Contained,
    values: Values,
}

/// The values as they were at a commit; of an empty store, none.
pub(super) struct Values(TableView);

impl Values {
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.0.get(key)?)
    }

    /// The entries from `from` on, below `until`, in order; stops where `each` says so.
    pub(super) fn scan(
        &self,
        from: &[u8],
        until: Option<&[u8]>,
        each: Each<'_>,
    ) -> Result<(), StateError> {
        Ok(self.0.scan(from, until, each)?)
    }
}

impl Store {
    /// An empty store in an empty file.
    pub(super) fn create(
        file: Box<dyn DiskFile>,
        place: String,
        cache_bytes: usize,
    ) -> Result<Self, StateError> {
        Self::on(Contained::create(file, place, cache_bytes)?)
    }

    /// The store in a file. All of it will be read, so it is verified first.
    pub(super) fn open(
        file: Box<dyn DiskFile>,
        place: String,
        cache_bytes: usize,
    ) -> Result<Self, StateError> {
        Self::on(Contained::open(file, place, cache_bytes, true)?)
    }

    /// An empty store in memory.
    pub(super) fn in_memory() -> Result<Self, StateError> {
        Self::on(Contained::in_memory()?)
    }

    fn on(tables: Contained) -> Result<Self, StateError> {
        let values = Values(tables.view(VALUES)?);
        Ok(Self { tables, values })
    }

    /// The values as they are now, and stay in this view.
    pub(super) fn view(&self) -> Result<Values, StateError> {
        Ok(Values(self.tables.view(VALUES)?))
    }

    /// What the last commit left.
    pub(super) fn head(&self) -> Result<Head, StateError> {
        let bytes = self.tables.read(|reading| reading.get(HEAD, &[]))?;
        // A file gets its name when its first version is in it.
        let bytes = bytes.ok_or_else(|| self.tables.broken("it has no head"))?;
        let stored: StoredHead = decode("the head of the state", &bytes, 1024)?;
        self.tables.check_format(stored.format)?;
        Ok(stored.head)
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.values.get(key)
    }

    /// As [`Values::scan`], of the values as of the last commit.
    pub(super) fn scan(
        &self,
        from: &[u8],
        until: Option<&[u8]>,
        each: Each<'_>,
    ) -> Result<(), StateError> {
        self.values.scan(from, until, each)
    }

    /// What the blocks replaced whose old values are still there, oldest first.
    pub(super) fn replaced(&self) -> Result<Vec<Replaced>, StateError> {
        let mut all = Vec::new();
        self.tables.read(|reading| {
            reading.scan(REPLACED, &[], None, &mut |_, bytes| {
                all.push(decode("what a block replaced", bytes, usize::MAX));
                true
            })
        })?;
        Ok(all.into_iter().collect::<Result<_, _>>()?)
    }

    /// Writes a block, and returns when it is on stable storage.
    pub(super) fn write(&mut self, write: &Write<'_>) -> Result<(), StateError> {
        self.tables.write(|writing| {
            let mut values = writing.table(VALUES)?;
            for (key, value) in write.changes {
                match value {
                    Some(value) => values.insert(key, value)?,
                    None => values.remove(key)?,
                }
            }
            let mut replaced = writing.table(REPLACED)?;
            if let Some(old) = write.replaced {
                replaced.insert(&write.head.version.to_be_bytes(), &encode(old))?;
            }
            replaced.remove_below(&write.forget_to.saturating_add(1).to_be_bytes())?;
            let stored = StoredHead { format: FORMAT, head: write.head };
            writing.table(HEAD)?.insert(&[], &encode(&stored))
        })?;
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
        let written: Result<(), Filled<E>> = self.tables.write(|writing| {
            let mut values = writing.table(VALUES)?;
            let filled = fill(&mut |key, value| Ok(values.insert(key, value)?));
            filled.map_err(Filled::Theirs)?;
            writing.table(REPLACED)?;
            let stored = StoredHead { format: FORMAT, head };
            Ok(writing.table(HEAD)?.insert(&[], &encode(&stored))?)
        });
        written.map_err(|error| match error {
            Filled::Ours(error) => StateError::from(error).into(),
            Filled::Theirs(error) => error,
        })?;
        self.values = self.view()?;
        Ok(())
    }
}

/// Why a first version was not written: the file, or who gave its entries.
enum Filled<E> {
    Ours(FileError),
    Theirs(E),
}

impl<E> From<FileError> for Filled<E> {
    fn from(error: FileError) -> Self {
        Self::Ours(error)
    }
}
