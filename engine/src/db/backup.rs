//! Backups: a consistent copy of the files while writing goes on, and the way back.

use std::sync::Arc;

use chronolith_disk::Disk;

use crate::blob;
use crate::db::{Db, Maintained, state};
use crate::error::{DiskContext, MaintenanceError, OpenError};
use crate::keys;
use crate::manifest::{self, Manifest};
use crate::options::Options;
use crate::registry;
use crate::run;
use crate::segment;
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
    /// Copies the database, as it is at this moment, to an empty directory; writers go on
    /// meanwhile. The copy is a database and holds the signing key: keep it as safe.
    pub fn backup(&self, target: &Arc<dyn Disk>) -> Maintained<CopyReport> {
        check_empty(&**target)?;
        let mut upkeep = self.inner.upkeep()?;
        // With everything in files that do not change any more, the copy needs no log.
        self.inner.flush_with(&mut upkeep)?;
        let mut manifest = upkeep.manifest.clone();
        manifest.clean_end = None;
        copy(&*self.inner.disk, &**target, &manifest, &self.inner.options)
    }
}

/// Copies a backup, or any database that is closed, to an empty directory.
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
    Ok(copy(&**backup, &**target, &manifest, options)?)
}

fn check_empty(target: &dyn Disk) -> Maintained<()> {
    let names = target.list("").at(target, "list", "")?;
    if names.is_empty() { Ok(()) } else { Err(MaintenanceError::Exists(target.describe(""))) }
}

/// Copies everything that a manifest names, and the manifest last.
fn copy(
    source: &dyn Disk,
    target: &dyn Disk,
    manifest: &Manifest,
    options: &Options,
) -> Maintained<CopyReport> {
    for folder in [wal::DIR, run::DIR, segment::DIR, blob::DIR, keys::DIR, state::DIR] {
        target.create_dir_all(folder).at(target, "create", folder)?;
    }
    let mut names: Vec<String> = Vec::new();
    names.extend(manifest.runs.iter().map(|record| run::file_name(record.number)));
    for record in &manifest.segments {
        let folder = segment::folder(record.partition);
        target.create_dir_all(&folder).at(target, "create", &folder)?;
        names.push(segment::file_name(record.partition, record.number));
    }
    names.extend(manifest.state.map(state::file_name));
    for name in source.list(blob::DIR).at(source, "list", blob::DIR)? {
        if name.ends_with(".blob") {
            names.push(format!("{}/{name}", blob::DIR));
        }
    }
    for name in source.list(wal::DIR).at(source, "list", wal::DIR)? {
        if wal::file_number(&name).is_some_and(|number| number >= manifest.first_log) {
            names.push(format!("{}/{name}", wal::DIR));
        }
    }
    let mut report = CopyReport::default();
    for name in &names {
        let len = source.len(name).at(source, "measure", name)?;
        copy_file(source, target, name, len, &mut report)?;
    }
    if manifest.metrics_bytes > 0 {
        let (name, len) = (registry::log::FILE, manifest.metrics_bytes);
        copy_file(source, target, name, len, &mut report)?;
    }
    let len = source.len(keys::FILE).at(source, "measure", keys::FILE)?;
    copy_file(source, target, keys::FILE, len, &mut report)?;
    let folders = names.iter().filter_map(|name| Some(name.rsplit_once('/')?.0));
    for folder in folders.chain([keys::DIR, segment::DIR, ""]) {
        target.sync_dir(folder).at(target, "sync", folder)?;
    }
    manifest.store(target, &*options.protect)?;
    report.files += 1;
    Ok(report)
}

fn copy_file(
    source: &dyn Disk,
    target: &dyn Disk,
    name: &str,
    len: u64,
    report: &mut CopyReport,
) -> Maintained<()> {
    let from = source.open_read(name).at(source, "open", name)?;
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
