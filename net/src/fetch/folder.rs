//! Fragments that arrived before, in a folder as `pack fragments` writes it: `CID.header` and
//! `CID.INDEX.fragment`.
//!
//! A file is there whole or not at all while the system runs. Nothing is synced before the end of a
//! fetch: what a crash takes is fetched again, since every file is checked before it is used.

use std::sync::Arc;

use chronolith_chain::content::ContentId;
use chronolith_disk::{Disk, read_all};

use crate::pack::{HEADER_BYTES_MAX, PackHeader};

/// The largest file of a fragment that is read: bytes. The longest body in one fragment, and its way.
const FILE_BYTES_MOST: u64 = (2 << 20) + 4_096;

/// A folder of fragments cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {place}: {source}")]
pub struct FolderError {
    /// What was to be done.
    pub what: &'static str,
    /// With which file.
    pub place: String,
    /// What the disk said.
    pub source: std::io::Error,
}

/// The name of the file of a pack's header.
#[must_use]
pub fn header_name(pack: &ContentId) -> String {
    format!("{pack}.header")
}

/// The name of the file of a fragment.
#[must_use]
pub fn fragment_name(pack: &ContentId, index: u8) -> String {
    format!("{pack}.{index}.fragment")
}

/// A folder of fragments.
#[derive(Clone)]
pub struct FragmentFolder {
    disk: Arc<dyn Disk>,
}

impl std::fmt::Debug for FragmentFolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("FragmentFolder").field(&self.disk.describe("")).finish()
    }
}

impl FragmentFolder {
    /// The folder that a disk is.
    #[must_use]
    pub const fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk }
    }

    fn failed(&self, what: &'static str, name: &str) -> impl FnOnce(std::io::Error) -> FolderError {
        let place = self.disk.describe(name);
        move |source| FolderError { what, place, source }
    }

    /// Writes a file as a whole, over one that is there.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        let unfinished = format!(".{name}.new");
        let written = self.disk.open(&unfinished).and_then(|file| {
            file.set_len(0)?;
            file.append(bytes)
        });
        let written = written.and_then(|_| self.disk.rename(&unfinished, name));
        written.map_err(self.failed("write", name))
    }

    /// Reads a file, if it is there and not larger than what it should be.
    fn read(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>, FolderError> {
        let bytes = match self.disk.exists(name) {
            Ok(true) => self.disk.len(name).and_then(|length| match length <= most {
                true => read_all(&*self.disk, name).map(Some),
                false => Ok(None),
            }),
            Ok(false) => Ok(None),
            Err(error) => Err(error),
        };
        bytes.map_err(self.failed("read", name))
    }

    /// The header of a pack, if it is there and is the one that the content id names.
    pub(super) fn header(&self, pack: &ContentId) -> Result<Option<PackHeader>, FolderError> {
        let bytes = self.read(&header_name(pack), HEADER_BYTES_MAX as u64)?;
        let bytes = bytes.filter(|bytes| pack.matches(bytes));
        Ok(bytes.and_then(|bytes| PackHeader::from_bytes(&bytes).ok()))
    }

    pub(super) fn keep_header(&self, header: &PackHeader) -> Result<(), FolderError> {
        self.write(&header_name(&header.content_id()), &header.to_bytes())
    }

    /// What lies here as a fragment; it is not checked.
    pub(super) fn fragment(
        &self,
        pack: &ContentId,
        index: u8,
    ) -> Result<Option<Vec<u8>>, FolderError> {
        self.read(&fragment_name(pack, index), FILE_BYTES_MOST)
    }

    pub(super) fn keep(
        &self,
        pack: &ContentId,
        index: u8,
        bytes: &[u8],
    ) -> Result<(), FolderError> {
        self.write(&fragment_name(pack, index), bytes)
    }

    /// Makes the header and these fragments durable.
    pub(super) fn sync(
        &self,
        pack: &ContentId,
        fragments: impl IntoIterator<Item = u8>,
    ) -> Result<(), FolderError> {
        let fragments = fragments.into_iter().map(|index| fragment_name(pack, index));
        for name in std::iter::once(header_name(pack)).chain(fragments) {
            let synced = self.disk.open(&name).and_then(|file| file.sync());
            synced.map_err(self.failed("sync", &name))?;
        }
        self.disk.sync_dir("").map_err(self.failed("sync", ""))
    }
}
