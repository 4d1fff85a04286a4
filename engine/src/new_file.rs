//! A file on its way: written through a buffer, and removed again where it is not finished.

use chronolith_disk::{Disk, DiskFile};

use crate::error::{DiskContext, DiskError};

/// Bytes are collected up to this size before they are handed to the disk.
const BUFFER_BYTES: usize = 1 << 20;

/// A new file; what it replaces is emptied at once.
pub(crate) struct NewFile<'a> {
    disk: &'a dyn Disk,
    name: String,
    file: Box<dyn DiskFile>,
    buffer: Vec<u8>,
    /// How much was handed to the disk.
    written: u64,
    is_finished: bool,
}

impl Drop for NewFile<'_> {
    fn drop(&mut self) {
        if !self.is_finished {
            // What fails here is removed by the next opening.
            let _ = self.disk.remove(&self.name);
        }
    }
}

impl<'a> NewFile<'a> {
    /// Begins a file with a header.
    pub(crate) fn create(
        disk: &'a dyn Disk,
        name: String,
        header: &[u8],
    ) -> Result<Self, DiskError> {
        let file = disk.open(&name).at(disk, "create", &name)?;
        file.set_len(0).at(disk, "empty", &name)?;
        Ok(Self { disk, name, file, buffer: header.to_vec(), written: 0, is_finished: false })
    }

    /// How long the file is so far, and where the next byte goes.
    pub(crate) const fn len(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// What is appended here is the file's next bytes.
    pub(crate) const fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Hands the buffer to the disk where it is full.
    pub(crate) fn relieve(&mut self) -> Result<(), DiskError> {
        if self.buffer.len() >= BUFFER_BYTES { self.write_out() } else { Ok(()) }
    }

    fn write_out(&mut self) -> Result<(), DiskError> {
        self.file.append(&self.buffer).at(self.disk, "write", &self.name)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        // One long record must not pin its memory until the file is finished.
        self.buffer.shrink_to(2 * BUFFER_BYTES);
        Ok(())
    }

    /// Writes the rest and syncs the file; returns its length in bytes. Its name is durable only
    /// after the folder is synced.
    pub(crate) fn finish(mut self) -> Result<u64, DiskError> {
        self.write_out()?;
        self.file.sync().at(self.disk, "sync", &self.name)?;
        self.is_finished = true;
        Ok(self.written)
    }
}
