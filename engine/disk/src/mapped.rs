//! Bytes of a file that nobody changes any more: mapped, or held in memory.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::sync::Arc;

/// The content of an immutable file. Cloning is cheap.
#[derive(Clone)]
pub struct Mapped(Content);

#[derive(Clone)]
enum Content {
    Map(Arc<memmap2::Mmap>),
    Memory(Arc<[u8]>),
}

impl Mapped {
    /// Maps a file that is immutable from now on.
    ///
    /// The contract of the engine's files: a segment, run or blob is written, synced and renamed
    /// into place before it is mapped, and from then on only ever removed, never written or cut.
    /// A removed file stays mapped until the last `Mapped` is dropped. A foreign process that
    /// cuts such a file can raise SIGBUS in any program that maps it; the lock file and the
    /// directory's permissions are what keeps others out.
    #[expect(unsafe_code, reason = "the one place where files are mapped")]
    pub(crate) fn map(file: &File) -> io::Result<Self> {
        if file.metadata()?.len() == 0 {
            return Ok(Self::from_vec(Vec::new()));
        }
        // SAFETY: the mapping is private to reads, and the contract above says that nobody writes
        // to or truncates the file while it is mapped.
        let map = unsafe { memmap2::Mmap::map(file)? };
        Ok(Self(Content::Map(Arc::new(map))))
    }

    /// Holds bytes in memory, as disks that cannot map do.
    #[must_use]
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Self(Content::Memory(bytes.into()))
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Content::Map(map) => map,
            Content::Memory(bytes) => bytes,
        }
    }
}

impl std::fmt::Debug for Mapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mapped({} bytes)", self.len())
    }
}
