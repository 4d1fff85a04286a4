//! Rebuilding blobs: header, list and trailer follow from the blocks.

use crate::blob;
use crate::error::OpenError;

use super::{Repairer, files};

impl Repairer<'_> {
    /// Rebuilds the damaged blobs whose content is whole. Of another the whole blocks stay
    /// readable where they are, and verifying names the others.
    pub(super) fn blobs(&mut self) -> Result<(), OpenError> {
        let names: Vec<String> = self.report.faults.iter().map(|f| f.file.clone()).collect();
        for name in names.iter().filter(|name| name.starts_with(blob::DIR)) {
            let disk = &*self.disk;
            let Some(bytes) = files::read(disk, name)? else { continue };
            if blob::rebuild(disk, &*self.options.protect, name, &bytes)? {
                self.report.changed_files += 1;
            }
        }
        Ok(())
    }
}
