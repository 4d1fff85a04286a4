//! Values of any size.
//!
//! A compaction removes the blobs that no record refers to. What must not go meanwhile:
//! 1. a blob that was written and that no record refers to yet;
//! 2. a blob of a batch on its way: its record is not to be seen yet, or was not when the
//!    collection looked;
//! 3. a blob that a snapshot, or a backup under way, still shows.
//!
//! All of these are told before the name of the blob appears or the batch is logged, and every
//! file is looked up in them and removed under the same lock.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use cid::Cid;

use crate::batch::Batch;
use crate::blob::{self, BlobReader};
use crate::db::{Db, Inner};
use crate::error::{DiskContext, MaintenanceError, ReadError, WriteError};
use crate::layers::{self, Source};
use crate::model::{BlobRef, Column, Kind, Window};
use crate::view::View;

/// The blobs that must stay although no record that is seen refers to them.
#[derive(Debug)]
pub(super) struct KeptBlobs {
    /// Written since the opening, with their lengths, until a record refers to them.
    written: HashMap<Cid, u64>,
    /// On their way, and by how many writers.
    held: HashMap<Cid, usize>,
    /// While a collection is under way: those that were held when it began, or arrived since.
    arrived: Option<HashSet<Cid>>,
    /// What is still shown to somebody.
    shown: Vec<Weak<View>>,
    /// Whether there may be a blob that nothing needs.
    is_suspect: bool,
}

impl Default for KeptBlobs {
    /// What a database that was not closed left behind is not known.
    fn default() -> Self {
        let (written, held, shown) = (HashMap::new(), HashMap::new(), Vec::new());
        Self { written, held, arrived: None, shown, is_suspect: true }
    }
}

impl KeptBlobs {
    fn hold(&mut self, cid: Cid) {
        *self.held.entry(cid).or_default() += 1;
        self.arrived.as_mut().map(|arrived| arrived.insert(cid));
    }

    fn release(&mut self, cid: &Cid) {
        if let Some(count) = self.held.get_mut(cid) {
            *count -= 1;
            if *count == 0 {
                self.held.remove(cid);
            }
        }
    }

    fn keeps(&self, cid: &Cid) -> bool {
        self.written.contains_key(cid)
            || self.held.contains_key(cid)
            || self.arrived.as_ref().is_some_and(|arrived| arrived.contains(cid))
    }

    fn show(&mut self, view: &Arc<View>) {
        self.shown.retain(|shown| shown.strong_count() > 0);
        self.shown.push(Arc::downgrade(view));
    }
}

/// Blobs on their way into a record; they are let go of when this is dropped.
pub(super) struct HeldBlobs<'a> {
    inner: &'a Inner,
    blobs: Vec<BlobRef>,
}

impl HeldBlobs<'_> {
    /// How many records refer to them.
    pub(super) const fn len(&self) -> usize {
        self.blobs.len()
    }

    /// Not all of the records that were to refer to them do: the next compaction removes those that none does.
    pub(super) fn are_used_in_part(self) {
        let inner = self.inner;
        self.are_used();
        inner.kept_blobs.lock().is_suspect = true;
    }

    /// A record refers to them now.
    pub(super) fn are_used(self) {
        if !self.blobs.is_empty() {
            let mut kept = self.inner.kept_blobs.lock();
            for blob in &self.blobs {
                kept.written.remove(&blob.cid);
            }
        }
    }
}

impl Drop for HeldBlobs<'_> {
    fn drop(&mut self) {
        if !self.blobs.is_empty() {
            let mut kept = self.inner.kept_blobs.lock();
            self.blobs.iter().for_each(|blob| kept.release(&blob.cid));
        }
    }
}

impl Db {
    /// Streams content of any length into the blob store. A record of a `bytes` metric then holds
    /// the reference. A blob that no record refers to is removed by a later compaction, but not
    /// before a record did or the database was closed.
    pub fn write_blob(&self, mut content: impl Read) -> Result<BlobRef, WriteError> {
        let inner = &*self.inner;
        inner.log()?;
        let number = inner.next_part.fetch_add(1, Ordering::Relaxed);
        let (disk, protect) = (&*inner.disk, &*inner.options.protect);
        let function = inner.options.hash_function;
        let mut held = HeldBlobs { inner, blobs: Vec::new() };
        let written = blob::write(disk, protect, function, number, &mut content, &mut |blob| {
            inner.kept_blobs.lock().hold(blob.cid);
            held.blobs.push(blob);
        })?;
        inner.kept_blobs.lock().written.insert(written.cid, written.len_bytes);
        Ok(written)
    }

    /// The content of a blob, as a stream with seek.
    pub fn open_blob(&self, blob: &BlobRef) -> Result<BlobReader, ReadError> {
        self.inner.open_blob(blob)
    }
}

impl Inner {
    fn open_blob(&self, blob: &BlobRef) -> Result<BlobReader, ReadError> {
        BlobReader::open(&*self.disk, Arc::clone(&self.options.protect), blob)
    }

    /// Keeps the blobs that a batch refers to until it is written; an error names the record whose
    /// blob is not here.
    pub(super) fn hold_blobs(&self, batch: &Batch) -> Result<HeldBlobs<'_>, WriteError> {
        self.hold(batch.blobs())
    }

    /// The same of blobs by the positions of their records.
    pub(super) fn hold(
        &self,
        referred: Vec<(usize, BlobRef)>,
    ) -> Result<HeldBlobs<'_>, WriteError> {
        let mut held = HeldBlobs { inner: self, blobs: Vec::new() };
        if referred.is_empty() {
            return Ok(held);
        }
        let mut unknown = Vec::new();
        {
            let mut kept = self.kept_blobs.lock();
            for (position, blob) in referred {
                kept.hold(blob.cid);
                held.blobs.push(blob);
                if kept.written.get(&blob.cid) != Some(&blob.len_bytes) {
                    unknown.push((position, blob));
                }
            }
        }
        // Held first, then looked for: what is found does not go any more.
        for (position, blob) in unknown {
            match self.open_blob(&blob) {
                Ok(_) => {}
                Err(ReadError::UnknownBlob(blob)) => {
                    return Err(WriteError::UnknownBlob { position, blob });
                }
                Err(error) => return Err(Box::new(MaintenanceError::from(error)).into()),
            }
        }
        Ok(held)
    }

    /// Keeps the blobs that a view shows for as long as somebody holds it.
    pub(super) fn show_blobs(&self, view: &Arc<View>) {
        self.kept_blobs.lock().show(view);
    }

    /// Removes the blobs that nothing needs, where some record was deleted or it is not known
    /// whether there are any. A record that was written again with another value leaves its blob
    /// until then.
    pub(super) fn remove_unused_blobs(&self, were_deleted: bool) -> Result<(), MaintenanceError> {
        {
            let mut kept = self.kept_blobs.lock();
            kept.is_suspect |= were_deleted;
            if !kept.is_suspect {
                return Ok(());
            }
            // Before the view is taken: what is not in it is on its way now, or arrives from now on.
            kept.arrived = Some(kept.held.keys().copied().collect());
        }
        let removed = self.collect_blobs();
        let mut kept = self.kept_blobs.lock();
        kept.arrived = None;
        kept.is_suspect = removed?;
        Ok(())
    }

    /// Removes the blobs that nothing needs; whether some are needed by snapshots only, so that
    /// they have to be looked at again.
    fn collect_blobs(&self) -> Result<bool, MaintenanceError> {
        let disk = &*self.disk;
        let names = disk.list(blob::DIR).at(disk, "list", blob::DIR)?;
        if names.is_empty() {
            return Ok(false);
        }
        let mut used = HashSet::new();
        self.used_blobs(&self.view(), &mut used)?;
        let shown: Vec<Arc<View>> =
            self.kept_blobs.lock().shown.iter().filter_map(Weak::upgrade).collect();
        let mut shown_blobs = HashSet::new();
        for view in shown {
            self.used_blobs(&view, &mut shown_blobs)?;
        }
        let mut is_suspect = false;
        for name in names {
            let cid = name.strip_suffix(".blob").and_then(|text| Cid::try_from(text).ok());
            let Some(cid) = cid.filter(|cid| !used.contains(cid)) else { continue };
            if shown_blobs.contains(&cid) {
                is_suspect = true;
                continue;
            }
            let path = format!("{}/{name}", blob::DIR);
            let kept = self.kept_blobs.lock();
            if !kept.keeps(&cid) {
                disk.remove(&path).at(disk, "remove", &path)?;
            }
        }
        Ok(is_suspect)
    }

    /// Adds the blobs that the records of a view refer to.
    fn used_blobs(&self, view: &View, used: &mut HashSet<Cid>) -> Result<(), ReadError> {
        let metrics = self.registry.read().kinds().to_vec();
        for (metric, _) in metrics.iter().enumerate().filter(|(_, kind)| **kind == Kind::Bytes) {
            let metric = self.metric_ref(metric as u32)?;
            for window in layers::find(view, metric, Window::MIN, Window::MAX)? {
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
        Ok(())
    }
}
