//! The folder `lost`: the damaged originals, and what is known to be lost.
//!
//! ```text
//! lost/moving: a line for each file that is to be moved here once the manifest names it no more
//! lost/known:  record { count varint · file text · offset varint · what text each }
//! ```

use std::collections::HashSet;

use chronolith_disk::{Disk, read_all};

use crate::encoding::{Malformed, Reader, put_bytes, put_varint};
use crate::error::{DiskContext, DiskError, Fault};
use crate::manifest::Manifest;
use crate::protect::{Protect, Purpose};
use crate::{db, record, run, wal};

const DIR: &str = "lost";
const MOVING: &str = "lost/moving";
const KNOWN: &str = "lost/known";

/// Makes the folder.
pub(super) fn prepare(disk: &dyn Disk) -> Result<(), DiskError> {
    disk.create_dir_all(DIR).at(disk, "create", DIR)?;
    disk.sync_dir("").at(disk, "sync", "")
}

/// Writes a file of the folder, whole or not at all.
fn replace(disk: &dyn Disk, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
    let temporary = format!("{name}.new");
    let file = disk.open_private(&temporary).at(disk, "create", &temporary)?;
    file.set_len(0).at(disk, "empty", &temporary)?;
    file.append(bytes).at(disk, "write", &temporary)?;
    file.sync().at(disk, "sync", &temporary)?;
    disk.rename(&temporary, name).at(disk, "rename", &temporary)?;
    disk.sync_dir(DIR).at(disk, "sync", DIR)
}

/// Lists the files that are to be moved once the manifest does not name them any more.
pub(super) fn list(disk: &dyn Disk, originals: &[String]) -> Result<(), DiskError> {
    replace(disk, MOVING, originals.join("\n").as_bytes())
}

/// Moves the listed files that the manifest does not name; where they are now.
pub(crate) fn move_listed(disk: &dyn Disk, manifest: &Manifest) -> Result<Vec<String>, DiskError> {
    if !disk.exists(MOVING).at(disk, "look for", MOVING)? {
        return Ok(Vec::new());
    }
    let listed = read_all(disk, MOVING).at(disk, "read", MOVING)?;
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let (mut moved, mut folders) = (Vec::new(), HashSet::new());
    for name in listed.lines().filter(|name| !is_named(manifest, name)) {
        if disk.exists(name).at(disk, "look for", name)? {
            let place = format!("{DIR}/{}", name.replace('/', "-"));
            disk.rename(name, &place).at(disk, "move", name)?;
            folders.extend(name.rsplit_once('/').map(|(folder, _)| folder));
            moved.push(place);
        }
    }
    disk.sync_dir(DIR).at(disk, "sync", DIR)?;
    for folder in folders {
        disk.sync_dir(folder).at(disk, "sync", folder)?;
    }
    disk.remove(MOVING).at(disk, "remove", MOVING)?;
    disk.sync_dir(DIR).at(disk, "sync", DIR)?;
    Ok(moved)
}

/// Whether the database needs a file: a repair that was cut off lists some that it still does.
fn is_named(manifest: &Manifest, name: &str) -> bool {
    let number = name.strip_prefix(wal::DIR).and_then(|name| name.strip_prefix('/'));
    if let Some(number) = number.and_then(wal::file_number) {
        return number >= manifest.first_log;
    }
    manifest.runs.iter().any(|record| run::file_name(record.number) == name)
        || manifest.segments.iter().any(|record| manifest.segment_file(record) == name)
        || manifest.state.map(db::state_file_name).as_deref() == Some(name)
}

/// Copies a file that keeps its name, readable for its owner only; where to.
pub(super) fn copy(disk: &dyn Disk, name: &str) -> Result<String, DiskError> {
    let bytes = read_all(disk, name).at(disk, "read", name)?;
    let flat = name.replace('/', "-");
    let place = |number: u32| match number {
        0 => format!("{DIR}/{flat}"),
        number => format!("{DIR}/{flat}.{number}"),
    };
    let mut number = 0;
    loop {
        let place = place(number);
        if !disk.exists(&place).at(disk, "look for", &place)? {
            replace(disk, &place, &bytes)?;
            return Ok(place);
        }
        // A repair that was cut off has kept it already.
        if read_all(disk, &place).at(disk, "read", &place)? == bytes {
            return Ok(place);
        }
        number += 1;
    }
}

/// Writes down what is known to be lost from now on, with what was before.
pub(super) fn note_known(
    disk: &dyn Disk,
    protect: &dyn Protect,
    missing: &[Fault],
) -> Result<(), DiskError> {
    if missing.is_empty() {
        return Ok(());
    }
    let mut faults = known(disk, protect);
    faults.extend_from_slice(missing);
    let mut content = Vec::new();
    put_varint(&mut content, faults.len() as u64);
    for fault in &faults {
        put_bytes(&mut content, fault.file.as_bytes());
        put_varint(&mut content, fault.offset);
        put_bytes(&mut content, fault.what.as_bytes());
    }
    let mut bytes = Vec::new();
    record::put(&mut bytes, protect, Purpose::Manifest, &content);
    replace(disk, KNOWN, &bytes)
}

/// What earlier repairs found to be lost; nothing where the list is not there or damaged itself.
pub(crate) fn known(disk: &dyn Disk, protect: &dyn Protect) -> Vec<Fault> {
    let Ok(bytes) = read_all(disk, KNOWN) else { return Vec::new() };
    let Ok(content) = record::get(&bytes, protect, Purpose::Manifest, KNOWN, 0) else {
        return Vec::new();
    };
    let mut reader = Reader::new(&content);
    let mut read = || -> Result<Vec<Fault>, Malformed> {
        let count = reader.varint_usize(reader.remaining())?;
        (0..count)
            .map(|_| {
                let (file, offset) = (reader.text()?.to_owned(), reader.varint()?);
                Ok(Fault { file, offset, what: reader.text()?.to_owned() })
            })
            .collect()
    };
    read().unwrap_or_default()
}
