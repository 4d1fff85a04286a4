//! Notes that wait for their buyers: sealed, in a folder, a file for each request. Whoever asks for one gets
//! it; only the buyer can open it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chronolith_chain::hash::{Domain, RequestId};
use chronolith_disk::{Disk, RealDisk};
use chronolith_net::exchange::NOTE_PIECE_BYTES;
use chronolith_net::network::lookup_key;

/// A folder of notes.
#[derive(Clone)]
pub struct Notes {
    folder: PathBuf,
    disk: Arc<RealDisk>,
}

fn name(request: &RequestId) -> String {
    format!("{request}.note")
}

/// What a note is announced and looked up by.
#[must_use]
pub fn key(request: &RequestId) -> Vec<u8> {
    lookup_key(&Domain::Note.hash(&request.0).0)
}

impl Notes {
    /// The notes in a folder, which is made where there is none.
    ///
    /// # Errors
    /// What the disk says.
    pub fn within(folder: &Path) -> io::Result<Self> {
        let disk = Arc::new(RealDisk::create(folder)?);
        Ok(Self { folder: folder.to_owned(), disk })
    }

    /// Keeps a sealed note, whole or not at all.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep(&self, request: &RequestId, sealed: &[u8]) -> io::Result<()> {
        let (unfinished, path) = (format!(".{request}.new"), name(request));
        crate::wallet::write_private(&*self.disk, &unfinished, &path, sealed)
    }

    /// Whether there is a note.
    #[must_use]
    pub fn has(&self, request: &RequestId) -> bool {
        self.disk.exists(&name(request)).unwrap_or(false)
    }

    /// A piece of a note, and how many there are; none where there is no such note or piece.
    ///
    /// # Errors
    /// What the disk says.
    pub fn piece(&self, request: &RequestId, index: u32) -> io::Result<Option<(Vec<u8>, u32)>> {
        let path = name(request);
        if !self.disk.exists(&path)? {
            return Ok(None);
        }
        let (length, size) = (self.disk.len(&path)?, NOTE_PIECE_BYTES as u64);
        let pieces = u32::try_from(length.div_ceil(size)).unwrap_or(u32::MAX);
        let at = u64::from(index).saturating_mul(size);
        if index >= pieces {
            return Ok(None);
        }
        let mut piece = vec![0; usize::try_from(size.min(length - at)).unwrap_or(0)];
        self.disk.open_read(&path)?.read_at(at, &mut piece)?;
        Ok(Some((piece, pieces)))
    }

    /// The requests that there are notes of, in order.
    ///
    /// # Errors
    /// What the disk says.
    pub fn requests(&self) -> io::Result<Vec<RequestId>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let name = name.to_str().and_then(|name| name.strip_suffix(".note"));
            let id = name.and_then(|name| crate::wallet::secret_of(name).ok());
            found.extend(id.map(RequestId));
        }
        found.sort_unstable();
        Ok(found)
    }
}
