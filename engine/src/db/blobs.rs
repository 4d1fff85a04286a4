//! Values of any size.

use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use cid::Cid;

use crate::blob::{self, BlobReader};
use crate::db::{Db, Inner};
use crate::error::{DiskContext, MaintenanceError, ReadError, WriteError};
use crate::layers::{self, Source};
use crate::model::{BlobRef, Column, Kind, Window};

impl Db {
    /// Streams content of any length into the blob store. A record of a `bytes` metric then holds
    /// the reference; a blob that no record refers to is removed by a later compaction, but not
    /// while the database that wrote it is open.
    pub fn write_blob(&self, mut content: impl Read) -> Result<BlobRef, WriteError> {
        let inner = &self.inner;
        inner.log()?;
        let number = inner.next_part.fetch_add(1, Ordering::Relaxed);
        let (disk, protect) = (&*inner.disk, &*inner.options.protect);
        let function = inner.options.hash_function;
        let written = blob::write(disk, protect, function, number, &mut content)?;
        inner.fresh_blobs.lock().insert(written.cid);
        Ok(written)
    }

    /// The content of a blob, as a stream with seek.
    pub fn open_blob(&self, blob: &BlobRef) -> Result<BlobReader, ReadError> {
        BlobReader::open(&*self.inner.disk, Arc::clone(&self.inner.options.protect), blob)
    }
}

impl Inner {
    /// Removes the blobs that no record refers to and that were not written since the opening.
    pub(super) fn remove_unused_blobs(&self) -> Result<(), MaintenanceError> {
        let disk = &*self.disk;
        let names = disk.list(blob::DIR).at(disk, "list", blob::DIR)?;
        if names.is_empty() {
            return Ok(());
        }
        let fresh = self.fresh_blobs.lock().clone();
        let used = self.used_blobs()?;
        let keeps = |cid: &Cid| used.contains(cid) || fresh.contains(cid);
        for name in names {
            let cid = name.strip_suffix(".blob").and_then(|text| Cid::try_from(text).ok());
            if cid.is_some_and(|cid| !keeps(&cid)) {
                let path = format!("{}/{name}", blob::DIR);
                disk.remove(&path).at(disk, "remove", &path)?;
            }
        }
        Ok(())
    }

    /// The blobs that records refer to.
    fn used_blobs(&self) -> Result<HashSet<Cid>, ReadError> {
        let view = self.view();
        let mut used = HashSet::new();
        let metrics = self.registry.read().kinds().to_vec();
        for (metric, _) in metrics.iter().enumerate().filter(|(_, kind)| **kind == Kind::Bytes) {
            let metric = self.metric_ref(metric as u32)?;
            for window in layers::find(&view, metric, Window::MIN, Window::MAX)? {
                for layer in &window.layers {
                    if let Source::Chunk(_, _, body) = &layer.source
                        && !body.has_blobs
                    {
                        continue;
                    }
                    // Deletions that are not carried out yet still keep their blobs.
                    let block = layer.decode(metric, &[])?;
                    if let Column::Bytes(values) = block.values() {
                        used.extend(values.blobs().iter().map(|(_, blob)| blob.cid));
                    }
                }
            }
        }
        Ok(used)
    }
}
