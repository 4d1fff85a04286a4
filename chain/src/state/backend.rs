//! redb's storage on a file of our [`Disk`](chronolith_disk::Disk), so that a test can cut it.

use std::fmt;
use std::io;

use chronolith_disk::DiskFile;
use redb::StorageBackend;

/// One file under redb.
pub(crate) struct FileBackend {
    file: Box<dyn DiskFile>,
}

impl FileBackend {
    pub(crate) fn new(file: Box<dyn DiskFile>) -> Self {
        Self { file }
    }
}

impl fmt::Debug for FileBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileBackend")
    }
}

impl StorageBackend for FileBackend {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, data)
    }
}
