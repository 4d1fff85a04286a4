//! Backups: a consistent copy of the files while writing goes on, and the way back.

use std::sync::Arc;

use chronolith_disk::{Disk, DiskFile};

use crate::blob;
use crate::db::{Db, Maintained, state};
use crate::error::{DiskContext, DiskError, MaintenanceError, OpenError};
use crate::keys;
use crate::manifest::{self, Manifest, SegmentRecord};
use crate::options::Options;
use crate::registry;
use crate::run;
use crate::segment::{self, PageBudget};
use crate::store::StoreReader;
use crate::view::LiveSegment;
use crate::wal;

/// Files are copied in pieces of this size: bytes.
const PIECE_BYTES: u64 = 1 << 20;

/// What a backup or restore copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CopyReport {
    /// How many files.
    pub files: u64,
    /// Their length together: bytes.
    pub bytes: u64,
}

impl Db {
    /// Copies the database, as it is at this moment, to an empty directory; writers and
    /// maintenance go on meanwhile. What is in a segment store is fetched, so that the copy is
    /// whole without it. The copy is a database and holds the signing key: keep it as
    /// safe.
    pub fn backup(&self, target: &Arc<dyn Disk>) -> Maintained<CopyReport> {
        let inner = &self.inner;
        check_empty(&**target)?;
        let (source, target) = (&*inner.disk, &**target);
        let (manifest, files, blobs, shown) = {
            let mut upkeep = inner.upkeep()?;
            // With everything in files that do not change any more, the copy needs an empty log.
            inner.flush_with(&mut upkeep)?;
            let mut manifest = upkeep.manifest.clone();
            manifest.clean_end = None;
            // Open files stay readable when a compaction removes their names, and what the view
            // shows keeps its blobs. They are listed last: the blob of every record that is in
            // the files is among them.
            let view = inner.view();
            inner.show_blobs(&view);
            let files = open_all(source, &files_of(&manifest))?;
            (manifest, files, blobs_of(source)?, view)
        };
        // What the view shows stays in the store.
        let moved = shown.segments.iter().filter(|live| manifest.is_moved(live.record.number));
        let moved: Vec<&LiveSegment> = moved.map(|live| &**live).collect();
        copy((source, target), &manifest, files, &moved, &blobs, &inner.options)
    }
}

/// Copies a backup, or any database that is closed, to an empty directory. A backup needs no segment
/// store; a database that has moved segments needs the one that the options name.
pub fn restore(
    backup: &Arc<dyn Disk>,
    target: &Arc<dyn Disk>,
    options: &Options,
) -> Result<CopyReport, OpenError> {
    check_empty(&**target)?;
    if !backup.exists(manifest::FILE).at(&**backup, "look for", manifest::FILE)? {
        return Err(OpenError::Missing(backup.describe("")));
    }
    let manifest = Manifest::load(&**backup, &*options.protect)?;
    let source = &**backup;
    let mut names = files_of(&manifest);
    for name in source.list(wal::DIR).at(source, "list", wal::DIR)? {
        if wal::file_number(&name).is_some_and(|number| number >= manifest.first_log) {
            names.push((format!("{}/{name}", wal::DIR), None));
        }
    }
    let files = open_all(source, &names)?;
    let store = options.segment_store.clone();
    let store = store.map(|store| Arc::new(StoreReader::new(backup, store, false)));
    let budget = Arc::new(PageBudget::new(0));
    let live = |record: &SegmentRecord| {
        let (disk, budget) = (Arc::clone(backup), Arc::clone(&budget));
        LiveSegment::of(&manifest, record.clone(), disk, options, budget, store.clone())
    };
    let moved = manifest.segments.iter().filter(|record| manifest.is_moved(record.number));
    let moved: Vec<LiveSegment> = moved.map(live).collect();
    let moved: Vec<&LiveSegment> = moved.iter().collect();
    Ok(copy((source, &**target), &manifest, files, &moved, &blobs_of(source)?, options)?)
}

fn check_empty(target: &dyn Disk) -> Maintained<()> {
    let names = target.list("").at(target, "list", "")?;
    if names.is_empty() { Ok(()) } else { Err(MaintenanceError::Exists(target.describe(""))) }
}

/// A file to copy: its name, and how much of it where that is not all.
type Part = (String, Option<u64>);

/// An open file, its name, and how much of it is copied.
type OpenPart = (String, Box<dyn DiskFile>, u64);

/// The files that a manifest names, and the key; without the tails of moved segments.
fn files_of(manifest: &Manifest) -> Vec<Part> {
    let mut names: Vec<Part> = Vec::new();
    names.extend(manifest.runs.iter().map(|record| (run::file_name(record.number), None)));
    let segments = manifest.segments.iter().filter(|record| !manifest.is_moved(record.number));
    names
        .extend(segments.map(|record| (segment::file_name(record.partition, record.number), None)));
    names.extend(manifest.state.map(|number| (state::file_name(number), None)));
    if manifest.metrics_bytes > 0 {
        names.push((registry::log::FILE.to_owned(), Some(manifest.metrics_bytes)));
    }
    names.push((keys::FILE.to_owned(), None));
    names
}

fn open_all(source: &dyn Disk, names: &[Part]) -> Result<Vec<OpenPart>, DiskError> {
    let open = |(name, len): &Part| {
        let file = source.open_read(name).at(source, "open", name)?;
        let len = match len {
            Some(len) => *len,
            None => file.len().at(source, "measure", name)?,
        };
        Ok((name.clone(), file, len))
    };
    names.iter().map(open).collect()
}

fn blobs_of(source: &dyn Disk) -> Result<Vec<String>, DiskError> {
    let mut names = source.list(blob::DIR).at(source, "list", blob::DIR)?;
    names.retain(|name| name.ends_with(".blob"));
    Ok(names.into_iter().map(|name| format!("{}/{name}", blob::DIR)).collect())
}

/// Copies files, moved segments and blobs, and the manifest last.
fn copy(
    (source, target): (&dyn Disk, &dyn Disk),
    manifest: &Manifest,
    files: Vec<OpenPart>,
    moved: &[&LiveSegment],
    blobs: &[String],
    options: &Options,
) -> Maintained<CopyReport> {
    let mut folders: Vec<String> =
        [wal::DIR, run::DIR, segment::DIR, blob::DIR, keys::DIR, state::DIR]
            .map(String::from)
            .into();
    folders.extend(manifest.segments.iter().map(|record| segment::folder(record.partition)));
    folders.dedup();
    for folder in &folders {
        target.create_dir_all(folder).at(target, "create", folder)?;
    }
    let mut report = CopyReport::default();
    for (name, file, len) in files {
        copy_file((source, &*file), target, &name, len, &mut report)?;
    }
    for live in moved {
        report.bytes += live.segment.copy_to(target, live.segment.name())?;
        report.files += 1;
    }
    for name in blobs {
        let file = match source.open_read(name) {
            // No record that is copied refers to it: it was removed since.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            file => file.at(source, "open", name)?,
        };
        let len = file.len().at(source, "measure", name)?;
        copy_file((source, &*file), target, name, len, &mut report)?;
    }
    for folder in folders.iter().map(String::as_str).chain([""]) {
        target.sync_dir(folder).at(target, "sync", folder)?;
    }
    // Of the log nothing may be needed; its first file is there all the same.
    let first_log = wal::file_name(manifest.first_log);
    if !target.exists(&first_log).at(target, "look for", &first_log)? {
        wal::prepare_file(target, &manifest.database, manifest.first_log, manifest.flushed)?;
        report.files += 1;
    }
    // Everything is in the copy. What it moves itself gets a home of its own, so that neither
    // removes what the other needs.
    let copied = Manifest { moved: None, ..manifest.clone() };
    copied.store(target, &*options.protect)?;
    report.files += 1;
    Ok(report)
}

fn copy_file(
    (source, from): (&dyn Disk, &dyn DiskFile),
    target: &dyn Disk,
    name: &str,
    len: u64,
    report: &mut CopyReport,
) -> Maintained<()> {
    let to = match name {
        keys::FILE => target.open_private(name),
        _ => target.open(name),
    };
    let to = to.at(target, "create", name)?;
    let mut offset = 0;
    let mut piece = Vec::new();
    while offset < len {
        piece.resize(PIECE_BYTES.min(len - offset) as usize, 0);
        from.read_at(offset, &mut piece).at(source, "read", name)?;
        to.append(&piece).at(target, "write", name)?;
        offset += piece.len() as u64;
    }
    to.sync().at(target, "sync", name)?;
    report.files += 1;
    report.bytes += len;
    Ok(())
}
