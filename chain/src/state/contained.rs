//! Tables of bytes in one file, by redb: the only place that knows of it.
//!
//! What is added to redb, so that a damaged file is an error and nothing worse (ADR 32):
//!
//! - Whatever redb does runs in [`Shared::run`]. It trusts its own pages, and asserts: a panic there
//!   becomes [`FileError::Broken`], nothing is printed, and the store is never used again.
//! - Each value is stored with a checksum over its table, its key and itself, and is checked whenever
//!   it is read: a flipped bit is [`FileError::Damaged`], never another value.
//! - A file of another version is [`FileError::OtherVersion`].
//!
//! What it cannot see is that an entry is not there any more: who keeps entries has to know which
//! there must be.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};

use chronolith_disk::DiskFile;
use redb::backends::InMemoryBackend;
use redb::{
    Builder, Database, DatabaseError, Durability, ReadOnlyTable, ReadTransaction,
    ReadableDatabase as _, TableDefinition, TableError, WriteTransaction,
};

use super::backend::FileBackend;

#[cfg(test)]
#[path = "contained_tests.rs"]
mod tests;

/// Bytes of the checksum behind each value.
const CHECKSUM_BYTES: usize = 4;

/// The format of the files, of both kinds, that this program writes.
pub(crate) const FORMAT: u16 = 2;

/// Why a store's file cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file is damaged so that nothing of it can be relied on.
    #[error(
        "{place} is damaged: {what}; put the folder aside and join by a snapshot, or put a backup of \
         the whole folder back"
    )]
    Broken {
        /// Which file.
        place: String,
        /// What was found.
        what: String,
    },
    /// One entry is not what was written.
    #[error(
        "{place} is damaged: an entry of its table {table} is not what was written; put the folder \
         aside and join by a snapshot, or put a backup of the whole folder back"
    )]
    Damaged {
        /// Which file.
        place: String,
        /// Which of its tables.
        table: &'static str,
    },
    /// The file was made by another version of the program.
    #[error(
        "{place} has format {found}, and this program knows {known}: use the version that made it, \
         or put the folder aside and join by a snapshot"
    )]
    OtherVersion {
        /// Which file.
        place: String,
        /// The format of the file.
        found: u16,
        /// The one that this program knows.
        known: u16,
    },
    /// The disk failed, or there is no more room.
    #[error("{place} could not be read or written: {source}; see to the disk, then open it again")]
    Failed {
        /// Which file.
        place: String,
        /// What was said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The name of a table.
#[derive(Clone, Copy)]
pub(crate) struct Table(pub(crate) &'static str);

type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;
type ReadRows = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// A key and its value.
pub(crate) type Entry = (Vec<u8>, Vec<u8>);

/// Looks at one entry after the other, as long as it says yes.
pub(crate) type Each<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> bool;

impl Table {
    const fn definition(self) -> Definition {
        TableDefinition::new(self.0)
    }

    fn checksum(self, key: &[u8], value: &[u8]) -> [u8; CHECKSUM_BYTES] {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(self.0.as_bytes());
        hasher.update(&(key.len() as u64).to_le_bytes());
        hasher.update(key);
        hasher.update(value);
        hasher.finalize().to_le_bytes()
    }

    fn sealed(self, key: &[u8], value: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(value.len() + CHECKSUM_BYTES);
        sealed.extend_from_slice(value);
        sealed.extend_from_slice(&self.checksum(key, value));
        sealed
    }
}

thread_local! {
    /// Whether this thread is in code whose panics are caught here.
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Panics that are caught here are told as errors: the process' own hook does not hear of them.
fn keep_quiet() {
    static INSTALLED: Once = Once::new();
    if std::thread::panicking() {
        return;
    }
    INSTALLED.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !CONTAINED.get() {
                others(panic);
            }
        }));
    });
}

/// Runs what may panic; a panic is given as text.
fn contained<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    keep_quiet();
    let before = CONTAINED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    let was_contained = CONTAINED.replace(before);
    match result {
        Ok(result) => Ok(result),
        Err(panic) if was_contained => Err(text_of(panic.as_ref())),
        // Of those who were called from here: theirs to tell.
        Err(panic) => resume_unwind(panic),
    }
}

/// Calls those who called: their panics are their own.
fn theirs<T>(work: impl FnOnce() -> T) -> T {
    CONTAINED.set(false);
    let result = work();
    CONTAINED.set(true);
    result
}

/// Something of redb's that a panic leaves behind instead of dropping it: it may panic when it is
/// dropped as well, and a second panic while the first unwinds ends the process.
struct Kept<T>(Option<T>);

impl<T> Kept<T> {
    fn new(made: T) -> Self {
        Self(Some(made))
    }

    /// Always there.
    fn get(&self, shared: &Shared) -> Result<&T, FileError> {
        self.0.as_ref().ok_or_else(|| shared.closed())
    }

    fn get_mut(&mut self, shared: &Shared) -> Result<&mut T, FileError> {
        self.0.as_mut().ok_or_else(|| shared.closed())
    }
}

impl<T> Drop for Kept<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::mem::forget(self.0.take());
        }
    }
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no reason was given").to_owned()
}

/// Which file it is, and whether it was found to be broken.
struct Shared {
    place: String,
    is_broken: AtomicBool,
}

impl Shared {
    /// Runs what uses redb. After a panic there everything is refused.
    fn run<T, E: From<FileError>>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        if self.is_broken.load(Ordering::Acquire) {
            return Err(self.broken("it was found to be broken before").into());
        }
        contained(work).unwrap_or_else(|what| {
            self.is_broken.store(true, Ordering::Release);
            Err(self.broken(what).into())
        })
    }

    fn broken(&self, what: impl Into<String>) -> FileError {
        FileError::Broken { place: self.place.clone(), what: what.into() }
    }

    fn closed(&self) -> FileError {
        self.broken("it was closed")
    }

    fn other_version(&self, found: u16) -> FileError {
        FileError::OtherVersion { place: self.place.clone(), found, known: FORMAT }
    }

    fn failed(&self, error: impl Into<redb::Error>) -> FileError {
        match error.into() {
            redb::Error::Corrupted(what) => self.broken(what),
            redb::Error::Io(error) if is_of_content(&error) => self.broken(error.to_string()),
            // The first format had numbers for keys.
            redb::Error::TableTypeMismatch { .. } | redb::Error::TypeDefinitionChanged { .. } => {
                self.other_version(1)
            }
            other => FileError::Failed { place: self.place.clone(), source: Box::new(other) },
        }
    }

    fn checked<'a>(
        &self,
        table: Table,
        key: &[u8],
        sealed: &'a [u8],
    ) -> Result<&'a [u8], FileError> {
        match sealed.split_last_chunk::<CHECKSUM_BYTES>() {
            Some((value, checksum)) if *checksum == table.checksum(key, value) => Ok(value),
            _ => Err(FileError::Damaged { place: self.place.clone(), table: table.0 }),
        }
    }

    /// Gives up what redb made. That may panic as well, and is not tried where something is broken:
    /// then its memory stays taken.
    fn release<T>(&self, made: Option<T>) {
        if self.is_broken.load(Ordering::Acquire) {
            std::mem::forget(made);
        } else {
            // Costs nothing that was committed: redb repairs at the next opening.
            let _ = contained(|| drop(made));
        }
    }
}

/// The tables of one file.
pub(crate) struct Contained {
    /// Always there until it is dropped.
    database: Option<Database>,
    /// Whether redb's checksums were verified since it was opened. Over damaged pages it may panic twice
    /// while it writes, which nobody can catch; it is not let write before.
    is_verified: bool,
    shared: Arc<Shared>,
}

impl Contained {
    /// Empty tables in a file that is empty. `cache_bytes` of it are kept in memory.
    pub(crate) fn create(
        file: Box<dyn DiskFile>,
        place: String,
        cache_bytes: usize,
    ) -> Result<Self, FileError> {
        Self::on(place, true, || {
            let mut builder = Builder::new();
            builder.set_cache_size(cache_bytes);
            builder.create_with_backend(FileBackend::new(file))
        })
    }

    /// The tables of a file. With `is_verified` all of it is read, and redb's own checksums are verified;
    /// without, that is done before the first change.
    ///
    /// # Errors
    /// [`FileError::Broken`] where it is none of redb, also where it is empty.
    pub(crate) fn open(
        file: Box<dyn DiskFile>,
        place: String,
        cache_bytes: usize,
        is_verified: bool,
    ) -> Result<Self, FileError> {
        match file.len() {
            Ok(0) => return Err(FileError::Broken { place, what: "it is empty".to_owned() }),
            Ok(_) => {}
            Err(source) => return Err(FileError::Failed { place, source: Box::new(source) }),
        }
        Self::on(place, is_verified, || {
            let mut builder = Builder::new();
            builder.set_cache_size(cache_bytes).set_check_integrity_on_open(is_verified);
            builder.create_with_backend(FileBackend::new(file))
        })
    }

    /// Empty tables in memory.
    pub(crate) fn in_memory() -> Result<Self, FileError> {
        Self::on("the memory".to_owned(), true, || {
            Builder::new().create_with_backend(InMemoryBackend::new())
        })
    }

    fn on(
        place: String,
        is_verified: bool,
        open: impl FnOnce() -> Result<Database, DatabaseError>,
    ) -> Result<Self, FileError> {
        let shared = Arc::new(Shared { place, is_broken: AtomicBool::new(false) });
        let opened = shared.run(|| {
            open().map_err(|error| match error {
                // Versions of redb's own format, all of them before our first.
                DatabaseError::UpgradeRequired(_) => shared.other_version(0),
                error => shared.failed(error),
            })
        });
        Ok(Self { database: Some(opened?), is_verified, shared })
    }

    /// An error of this file: what was found in it cannot be.
    pub(crate) fn broken(&self, what: impl Into<String>) -> FileError {
        self.shared.broken(what)
    }

    /// Compares the format that an entry names.
    pub(crate) fn check_format(&self, found: u16) -> Result<(), FileError> {
        if found == FORMAT { Ok(()) } else { Err(self.shared.other_version(found)) }
    }

    fn database(&self) -> Result<&Database, FileError> {
        self.database.as_ref().ok_or_else(|| self.shared.closed())
    }

    /// Reads from the tables as the last commit left them.
    pub(crate) fn read<T, E: From<FileError>>(
        &self,
        work: impl FnOnce(&Reading<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.shared.run(|| {
            let transaction = self.database()?.begin_read();
            let transaction = transaction.map_err(|error| self.shared.failed(error))?;
            work(&Reading { transaction: Kept::new(transaction), shared: &self.shared })
        })
    }

    /// Verifies the checksums of all pages, unless that was done.
    fn verify(&mut self) -> Result<(), FileError> {
        if self.is_verified {
            return Ok(());
        }
        let (shared, database) = (&self.shared, self.database.as_mut());
        let is_whole = shared.run(|| {
            let database = database.ok_or_else(|| shared.closed())?;
            database.check_integrity().map_err(|error| shared.failed(error))
        })?;
        if !is_whole {
            // What was read before may be of a commit that is undone.
            self.shared.is_broken.store(true, Ordering::Release);
            return Err(self.broken("it did not verify, and was repaired as far as that goes"));
        }
        self.is_verified = true;
        Ok(())
    }

    /// Changes the tables, and returns when that is on stable storage; where `work` fails nothing is.
    /// Before the first change of a file that was opened all of it is read and verified.
    pub(crate) fn write<T, E: From<FileError>>(
        &mut self,
        work: impl FnOnce(&Writing<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.verify()?;
        let failed = |error: redb::Error| self.shared.failed(error);
        self.shared.run(|| {
            let transaction = self.database()?.begin_write();
            let transaction = transaction.map_err(|error| failed(error.into()))?;
            let mut writing = Writing { transaction: Kept::new(transaction), shared: &self.shared };
            let durable = writing.transaction.get_mut(&self.shared)?;
            let durable = durable.set_durability(Durability::Immediate);
            durable.map_err(|error| failed(error.into()))?;
            let result = work(&writing)?;
            if let Some(transaction) = writing.transaction.0.take() {
                transaction.commit().map_err(|error| failed(error.into()))?;
            }
            Ok(result)
        })
    }

    /// One table as it is now, and stays in this view.
    pub(crate) fn view(&self, table: Table) -> Result<TableView, FileError> {
        let rows = self.read(|reading| reading.rows(table))?.and_then(|mut rows| rows.0.take());
        Ok(TableView { table, rows, shared: Arc::clone(&self.shared) })
    }
}

/// Whether an error of reading is about what the file holds, not about the disk.
fn is_of_content(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    matches!(error.kind(), InvalidData | UnexpectedEof)
}

impl Drop for Contained {
    fn drop(&mut self) {
        self.shared.release(self.database.take());
    }
}

/// The tables as of one commit. An absent table is an empty one.
pub(crate) struct Reading<'a> {
    transaction: Kept<ReadTransaction>,
    shared: &'a Shared,
}

impl Reading<'_> {
    fn rows(&self, table: Table) -> Result<Option<Kept<ReadRows>>, FileError> {
        match self.transaction.get(self.shared)?.open_table(table.definition()) {
            Ok(rows) => Ok(Some(Kept::new(rows))),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(self.shared.failed(error)),
        }
    }

    /// What a key holds.
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, FileError> {
        let rows = self.rows(table)?;
        rows.map_or(Ok(None), |rows| get(rows.get(self.shared)?, table, key, self.shared))
    }

    /// The first entry from a key on.
    pub(crate) fn first_from(&self, table: Table, key: &[u8]) -> Result<Option<Entry>, FileError> {
        let Some(rows) = self.rows(table)? else { return Ok(None) };
        let range = rows.get(self.shared)?.range(key..);
        let mut range = Kept::new(range.map_err(|error| self.shared.failed(error))?);
        range.get_mut(self.shared)?.next().map(|entry| self.entry(table, entry)).transpose()
    }

    /// The last entry up to a key.
    pub(crate) fn last_to(&self, table: Table, key: &[u8]) -> Result<Option<Entry>, FileError> {
        let Some(rows) = self.rows(table)? else { return Ok(None) };
        let range = rows.get(self.shared)?.range(..=key);
        let mut range = Kept::new(range.map_err(|error| self.shared.failed(error))?);
        range.get_mut(self.shared)?.next_back().map(|entry| self.entry(table, entry)).transpose()
    }

    /// All entries from `from` on, below `until`, in order; stops where `each` says so.
    pub(crate) fn scan(
        &self,
        table: Table,
        from: &[u8],
        until: Option<&[u8]>,
        each: Each<'_>,
    ) -> Result<(), FileError> {
        let rows = self.rows(table)?;
        rows.map_or(Ok(()), |rows| {
            scan(rows.get(self.shared)?, table, (from, until), each, self.shared)
        })
    }

    fn entry(
        &self,
        table: Table,
        found: Result<Row<'_>, redb::StorageError>,
    ) -> Result<Entry, FileError> {
        let (key, value) = found.map_err(|error| self.shared.failed(error))?;
        let value = self.shared.checked(table, key.value(), value.value())?.to_vec();
        Ok((key.value().to_vec(), value))
    }
}

type Row<'a> = (redb::AccessGuard<'a, &'static [u8]>, redb::AccessGuard<'a, &'static [u8]>);

fn get(
    rows: &ReadRows,
    table: Table,
    key: &[u8],
    shared: &Shared,
) -> Result<Option<Vec<u8>>, FileError> {
    let found = rows.get(key).map_err(|error| shared.failed(error))?;
    let value = found.map(|sealed| shared.checked(table, key, sealed.value()).map(<[u8]>::to_vec));
    value.transpose()
}

fn scan(
    rows: &ReadRows,
    table: Table,
    (from, until): (&[u8], Option<&[u8]>),
    each: Each<'_>,
    shared: &Shared,
) -> Result<(), FileError> {
    let range = match until {
        Some(until) if until <= from => return Ok(()),
        Some(until) => rows.range(from..until),
        None => rows.range(from..),
    };
    let mut range = Kept::new(range.map_err(|error| shared.failed(error))?);
    while let Some(entry) = range.get_mut(shared)?.next() {
        let (key, value) = entry.map_err(|error| shared.failed(error))?;
        let value = shared.checked(table, key.value(), value.value())?;
        if !theirs(|| each(key.value(), value)) {
            break;
        }
    }
    Ok(())
}

/// One table as it was at a commit, whatever is committed since; it may be read on another thread.
pub(crate) struct TableView {
    table: Table,
    /// None where there was no such table.
    rows: Option<ReadRows>,
    shared: Arc<Shared>,
}

impl TableView {
    /// What a key holds.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, FileError> {
        let Some(rows) = &self.rows else { return Ok(None) };
        self.shared.run(|| get(rows, self.table, key, &self.shared))
    }

    /// As [`Reading::scan`].
    pub(crate) fn scan(
        &self,
        from: &[u8],
        until: Option<&[u8]>,
        each: Each<'_>,
    ) -> Result<(), FileError> {
        let Some(rows) = &self.rows else { return Ok(()) };
        self.shared.run(|| scan(rows, self.table, (from, until), each, &self.shared))
    }
}

impl Drop for TableView {
    fn drop(&mut self) {
        self.shared.release(self.rows.take());
    }
}

/// Changes of the tables that become one commit.
pub(crate) struct Writing<'a> {
    transaction: Kept<WriteTransaction>,
    shared: &'a Shared,
}

impl Writing<'_> {
    /// A table to be changed; it is made where there is none.
    pub(crate) fn table(&self, table: Table) -> Result<Rows<'_>, FileError> {
        let rows = self.transaction.get(self.shared)?.open_table(table.definition());
        let rows = Kept::new(rows.map_err(|error| self.shared.failed(error))?);
        Ok(Rows { table, rows, shared: self.shared })
    }
}

/// A table that is changed.
pub(crate) struct Rows<'a> {
    table: Table,
    rows: Kept<redb::Table<'a, &'static [u8], &'static [u8]>>,
    shared: &'a Shared,
}

impl Rows<'_> {
    /// Sets what a key holds.
    pub(crate) fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<(), FileError> {
        let sealed = self.table.sealed(key, value);
        let done = self.rows.get_mut(self.shared)?.insert(key, sealed.as_slice());
        done.map(drop).map_err(|error| self.shared.failed(error))
    }

    /// Removes a key, if it is there.
    pub(crate) fn remove(&mut self, key: &[u8]) -> Result<(), FileError> {
        let done = self.rows.get_mut(self.shared)?.remove(key);
        done.map(drop).map_err(|error| self.shared.failed(error))
    }

    /// Removes all keys below one.
    pub(crate) fn remove_below(&mut self, key: &[u8]) -> Result<(), FileError> {
        let done = self.rows.get_mut(self.shared)?.retain_in(..key, |_, _| false);
        done.map_err(|error| self.shared.failed(error))
    }
}
