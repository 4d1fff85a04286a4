//! The index on disk: opened, checked, replaced.
//!
//! ```text
//! FOLDER/LOCK       held by whoever changes anything here
//! FOLDER/index/     the index; changed only by whole commits
//! FOLDER/building/  a new index, renamed over `index` when it is complete
//! FOLDER/replaced/  the old one for a moment
//! ```
//!
//! Whatever is found wrong with `index` makes it count as missing: every file is compared with its
//! checksum before it is read, and the number of documents with the stored position.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tantivy::directory::MmapDirectory;
use tantivy::schema::IndexRecordOption;
use tantivy::{Index, IndexReader, ReloadPolicy, Searcher};

use super::error::SearchError;
use super::position::Position;
use super::schema::Fields;

/// How often a reader starts anew while a writer replaces files under it.
const ATTEMPTS: usize = 4;

/// An index of what a database has, and of what others told.
pub struct SearchIndex {
    pub(super) folder: PathBuf,
    pub(super) fields: Fields,
    pub(super) loaded: Option<Loaded>,
    /// Files of the index that were compared with their checksums; they never change.
    pub(super) checked: HashSet<PathBuf>,
    /// Which file listed the parts of the index that was read last.
    stamp: Option<Stamp>,
}

/// What tells a file from one that was put in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    length: u64,
    #[cfg(unix)]
    inode: u64,
}

/// An index that was found whole.
pub(super) struct Loaded {
    pub(super) index: Index,
    pub(super) reader: IndexReader,
    pub(super) position: Position,
}

/// Why an index counts as missing.
pub(super) type Damage = String;

impl SearchIndex {
    /// Opens the index in a folder for reading. Where there is none, or what is there is damaged,
    /// nothing is found until it [follows](SearchIndex::follow) its source.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, SearchError> {
        let folder = folder.into();
        let checked = HashSet::new();
        let mut index = Self { folder, fields: Fields::new(), loaded: None, checked, stamp: None };
        for _ in 0..ATTEMPTS {
            if index.load().is_ok() {
                break;
            }
        }
        Ok(index)
    }

    /// Up to where the index follows its source; `None` where there is no whole index.
    #[must_use]
    pub fn position(&self) -> Option<&Position> {
        self.loaded.as_ref().map(|loaded| &loaded.position)
    }

    /// Makes the index count as missing, so that the next following builds it anew.
    pub fn forget(&mut self) {
        self.loaded = None;
        if let Ok(Some(_lock)) = self.lock() {
            drop(fs::remove_dir_all(self.folder.join("index")));
        }
    }

    pub(super) fn searcher(&self) -> Result<Searcher, SearchError> {
        let missing = || SearchError::index(self.folder.display(), "there is none yet");
        Ok(self.loaded.as_ref().ok_or_else(missing)?.reader.searcher())
    }

    /// Reads the index on disk, unless it is the one that was read last: whoever changes an index puts
    /// another file that lists its parts in the place of the last one.
    pub(super) fn load_changed(&mut self) -> Result<(), Damage> {
        if self.loaded.is_some() && self.stamp.is_some() && self.stamp == self.stamp_now() {
            return Ok(());
        }
        self.load()
    }

    /// Reads the index on disk anew.
    pub(super) fn load(&mut self) -> Result<(), Damage> {
        self.loaded = None;
        let stamp = self.stamp_now();
        let loaded = self.checked_index(&self.folder.join("index"))?;
        self.loaded = Some(loaded);
        // One that was replaced meanwhile is read again.
        self.stamp = stamp.filter(|stamp| self.stamp_now().as_ref() == Some(stamp));
        Ok(())
    }

    fn stamp_now(&self) -> Option<Stamp> {
        let metadata = fs::metadata(self.folder.join("index/meta.json")).ok()?;
        Some(Stamp {
            modified: metadata.modified().ok()?,
            length: metadata.len(),
            #[cfg(unix)]
            inode: std::os::unix::fs::MetadataExt::ino(&metadata),
        })
    }

    fn checked_index(&mut self, path: &Path) -> Result<Loaded, Damage> {
        let damage = |error: &dyn std::fmt::Display| error.to_string();
        if !path.is_dir() {
            return Err("there is no index".to_owned());
        }
        let directory = MmapDirectory::open(path).map_err(|error| damage(&error))?;
        let index = Index::open(directory).map_err(|error| damage(&error))?;
        let metas = index.load_metas().map_err(|error| damage(&error))?;
        if index.schema() != self.fields.schema {
            return Err("it was made by another version".to_owned());
        }
        let position = metas.payload.as_deref().and_then(Position::from_text);
        let position = position.ok_or("its position cannot be read")?;
        let files = metas.list_segment_files();
        for file in &files {
            // Not every segment has every kind of file.
            if self.checked.contains(file) || !path.join(file).exists() {
                continue;
            }
            match index.directory().validate_checksum(file) {
                Ok(true) => {}
                Ok(false) => return Err(format!("{} is damaged", file.display())),
                Err(error) => return Err(damage(&error)),
            }
        }
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into();
        let reader: IndexReader = reader.map_err(|error: tantivy::TantivyError| damage(&error))?;
        let loaded = Loaded { index, reader, position };
        loaded.check_counts(&self.fields)?;
        self.checked = files;
        Ok(loaded)
    }

    /// Takes the lock of whoever changes the index; `None` where somebody else has it, or the
    /// folder cannot be written to.
    pub(super) fn lock(&self) -> Result<Option<File>, SearchError> {
        let opened = fs::create_dir_all(&self.folder).and_then(|()| {
            let path = self.folder.join("LOCK");
            File::options().create(true).truncate(false).write(true).open(path)
        });
        let Ok(file) = opened else { return Ok(None) };
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => {
                Err(SearchError::index(self.folder.display(), error))
            }
        }
    }

    /// An empty folder for a new index; what an interrupted building left is removed.
    pub(super) fn building(&self) -> Result<PathBuf, SearchError> {
        let path = self.folder.join("building");
        let made = remove(&path).and_then(|()| fs::create_dir_all(&path));
        made.map_err(|error| SearchError::index(self.folder.display(), error))?;
        Ok(path)
    }

    /// Puts a new index that is complete in the place of the old one.
    pub(super) fn replace(&mut self) -> Result<(), SearchError> {
        let [index, building, replaced] =
            ["index", "building", "replaced"].map(|name| self.folder.join(name));
        self.loaded = None;
        self.checked.clear();
        let swapped = remove(&replaced)
            .and_then(|()| if index.exists() { fs::rename(&index, &replaced) } else { Ok(()) })
            .and_then(|()| fs::rename(&building, &index))
            .and_then(|()| remove(&replaced));
        swapped.map_err(|error| SearchError::index(self.folder.display(), error))
    }
}

/// Removes a folder that need not be there.
fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl Loaded {
    /// Whether there are as many documents as the position says.
    pub(super) fn check_counts(&self, fields: &Fields) -> Result<(), Damage> {
        let searcher = self.reader.searcher();
        let (found, expected) = (searcher.num_docs(), self.position.documents());
        if found != expected {
            return Err(format!("it has {found} documents instead of {expected}"));
        }
        // Opens what is opened on demand otherwise.
        for reader in searcher.segment_readers() {
            let opened = reader.inverted_index(fields.number).and_then(|numbers| {
                let term = tantivy::Term::from_field_u64(fields.number, 0);
                Ok(numbers.read_postings(&term, IndexRecordOption::Basic)?)
            });
            opened.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}
