//! Mending the manifest and the definitions, where one byte of a record of theirs is damaged.

use chronolith_disk::{Disk, read_all};

use crate::error::{DiskContext, DiskError, Fault, OpenError};
use crate::manifest::{self, Manifest};
use crate::options::Options;
use crate::{record, registry};

use super::{RepairReport, lost};

/// Keeps a copy of a damaged file and replaces it.
fn replace(
    disk: &dyn Disk,
    name: &str,
    bytes: &[u8],
    report: &mut RepairReport,
) -> Result<(), DiskError> {
    lost::prepare(disk)?;
    report.originals.push(lost::copy(disk, name)?);
    report.changed_files += 1;
    let temporary = format!("{name}.new");
    let file = disk.open(&temporary).at(disk, "create", &temporary)?;
    file.set_len(0).at(disk, "empty", &temporary)?;
    file.append(bytes).at(disk, "write", &temporary)?;
    file.sync().at(disk, "sync", &temporary)?;
    disk.rename(&temporary, name).at(disk, "rename", &temporary)?;
    disk.sync_dir("").at(disk, "sync", "")
}

/// Mends the manifest; whether it was damaged.
pub(super) fn mend_manifest(
    disk: &dyn Disk,
    options: &Options,
    faults: &[Fault],
    report: &mut RepairReport,
) -> Result<bool, OpenError> {
    if !faults.iter().any(|fault| fault.file == manifest::FILE) {
        return Ok(false);
    }
    let bytes = read_all(disk, manifest::FILE).at(disk, "read", manifest::FILE)?;
    if let Some(mended) = Manifest::mend(bytes) {
        replace(disk, manifest::FILE, &mended, report)?;
    }
    Manifest::load(disk, &*options.protect).map(|_| true)
}

/// Mends the definitions' file.
pub(super) fn mend_definitions(
    disk: &dyn Disk,
    options: &Options,
    faults: &[Fault],
    report: &mut RepairReport,
) -> Result<(), OpenError> {
    if !faults.iter().any(|fault| fault.file == registry::log::FILE) {
        return Ok(());
    }
    let len = Manifest::load(disk, &*options.protect)?.metrics_bytes;
    let mut bytes = read_all(disk, registry::log::FILE).at(disk, "read", registry::log::FILE)?;
    bytes.truncate(usize::try_from(len).unwrap_or(usize::MAX));
    // What is cut off cannot be mended.
    if (bytes.len() as u64) < len {
        return Ok(());
    }
    let mut at = 0;
    while at < bytes.len() {
        // What cannot be mended is named by whoever loads it next.
        let Some(size) = mend_frame(&mut bytes[at..]) else { return Ok(()) };
        at += size;
    }
    Ok(replace(disk, registry::log::FILE, &bytes, report)?)
}

/// Mends the frame at the front, whose length may be what is damaged; how long it is.
fn mend_frame(bytes: &mut [u8]) -> Option<usize> {
    let said: [u8; 4] = *bytes.first_chunk()?;
    let place = |length: [u8; 4]| {
        let end = (u32::from_le_bytes(length) as usize).checked_add(4)?;
        (end <= bytes.len()).then_some(end)
    };
    let fits =
        |length: &[u8; 4]| place(*length).is_some_and(|end| record::checksum_holds(&bytes[4..end]));
    let others = (0..4).flat_map(|at| {
        (1..=255_u8).map(move |mask| {
            let mut length = said;
            length[at] ^= mask;
            length
        })
    });
    if let Some(length) = std::iter::once(said).chain(others).find(fits) {
        let end = place(length)?;
        bytes[..4].copy_from_slice(&length);
        return Some(end);
    }
    let end = place(said)?;
    record::mend(&mut bytes[4..end]).then_some(end)
}
