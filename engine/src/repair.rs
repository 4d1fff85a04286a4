//! Repairing a database: everything that is whole is kept, and what is lost is said.
//!
//! The order that must hold, so that a power cut loses nothing that is whole:
//! 1. What is whole is written to new files, and these are synced. The manifest and all that it
//!    names stay as they are; a repair that is cut off here is begun anew.
//! 2. `lost/moving` lists the damaged originals.
//! 3. The manifest is replaced: it names the new files.
//! 4. The originals are moved to `lost/`, by this repair or by the next opening.
//! 5. What is still missing is written to `lost/known`, so that verifying tells it from new damage.
//!
//! The lock is held throughout. In a record one damaged byte is found from its checksum. The
//! manifest and the definitions can be mended in that way only; without them nothing has a name,
//! and a backup is the way back.

mod blobs;
mod files;
mod log;
pub(crate) mod lost;
mod names;

use std::sync::Arc;

use chronolith_disk::{Disk, DiskLock};

use crate::db::{check_state, state_file_name};
use crate::error::{DiskContext, Fault, OpenError};
use crate::keys::{self, KeyProblem, ProducerKey};
use crate::manifest::Manifest;
use crate::options::Options;
use crate::registry::{self, Registry};
use crate::verify::verify;

/// What a repair did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepairReport {
    /// What was damaged.
    pub faults: Vec<Fault>,
    /// What is lost, a sentence each.
    pub lost: Vec<String>,
    /// How many whole frames of a damaged log were written again.
    pub salvaged_frames: u64,
    /// How many files were rewritten or dropped.
    pub changed_files: u64,
    /// What is damaged in segments that were moved to a segment store which could not be read: they
    /// stay as they are.
    pub unreached: Vec<String>,
    /// Where the damaged originals are now, relative to the database directory. Nothing needs them
    /// any more, and nothing removes them.
    pub originals: Vec<String>,
}

/// Repairs the database on a disk; it must not be open.
pub fn repair(disk: &Arc<dyn Disk>, options: &Options) -> Result<RepairReport, OpenError> {
    let _lock = lock(&**disk)?;
    // Without the keys everything would look damaged.
    if let Err(error @ OpenError::Protected { .. }) = Manifest::load(&**disk, &*options.protect) {
        return Err(error);
    }
    let mut faults = verify(disk, options).faults;
    if faults.is_empty() {
        return Ok(RepairReport::default());
    }
    let mut report = RepairReport::default();
    if names::mend_manifest(&**disk, options, &faults, &mut report)? {
        // Without it nothing else was looked at.
        faults.extend(verify(disk, options).faults);
    }
    names::mend_definitions(&**disk, options, &faults, &mut report)?;
    report.faults = faults;
    let manifest = Manifest::load(&**disk, &*options.protect)?;
    let mut registry = Registry::default();
    registry::log::load(&**disk, &*options.protect, manifest.metrics_bytes, &mut registry)?;
    let (before, originals) = (manifest.clone(), Vec::new());
    let (disk_of, unreached) = (Arc::clone(disk), Vec::new());
    let mut repairer =
        Repairer { disk: disk_of, options, registry, manifest, report, originals, unreached };
    lost::prepare(&**disk)?;
    repairer.key()?;
    repairer.log()?;
    repairer.state()?;
    repairer.runs()?;
    repairer.segments()?;
    repairer.blobs()?;
    let Repairer { manifest, mut report, originals, unreached, .. } = repairer;
    if manifest != before {
        lost::list(&**disk, &originals)?;
        manifest.store(&**disk, &*options.protect)?;
        report.originals.extend(lost::move_listed(&**disk, &manifest)?);
    }
    let mut missing = verify(disk, options).faults;
    // What the store may still give is not lost: the next repair tries again.
    missing.retain(|fault| !unreached.contains(&fault.file));
    report.lost.extend(missing.iter().map(ToString::to_string));
    lost::note_known(&**disk, &*options.protect, &missing)?;
    Ok(report)
}

fn lock(disk: &dyn Disk) -> Result<Box<dyn DiskLock>, OpenError> {
    match disk.lock("LOCK") {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            Err(OpenError::Locked(disk.describe("")))
        }
        lock => Ok(lock.at(disk, "lock", "LOCK")?),
    }
}

struct Repairer<'a> {
    disk: Arc<dyn Disk>,
    options: &'a Options,
    registry: Registry,
    /// The manifest as it will be.
    manifest: Manifest,
    report: RepairReport,
    /// The files that it will not name any more.
    originals: Vec<String>,
    /// Segments, and files of theirs, that are damaged and could not be read from their store.
    unreached: Vec<String>,
}

impl Repairer<'_> {
    fn is_damaged(&self, name: &str) -> bool {
        self.report.faults.iter().any(|fault| fault.file == name)
    }

    /// Mends the signing key, or makes a new one; the damaged one is kept.
    fn key(&mut self) -> Result<(), OpenError> {
        if !self.is_damaged(keys::FILE) {
            return Ok(());
        }
        let disk = &*self.disk;
        let is_there = disk.exists(keys::FILE).at(disk, "look for", keys::FILE)?;
        let key = match keys::examine(disk) {
            Ok(_) => return Ok(()),
            Err(KeyProblem::Damaged(mended)) => mended,
            Err(KeyProblem::Missing) => None,
            Err(KeyProblem::Other(error)) => return Err(error.into()),
        };
        if is_there {
            let kept = lost::copy(disk, keys::FILE)?;
            self.report.originals.push(kept);
        }
        let key = match (key, self.options.producer_secret) {
            (Some(key), _) => *key,
            (None, given) => {
                self.report.lost.push(
                    "the signing key: there is a new one, and what is sealed from now on is \
                     signed with it"
                        .to_owned(),
                );
                let secret = given.map_or_else(|| keys::new_secret(disk), Ok)?;
                ProducerKey::from_secret(&secret)
            }
        };
        key.store(disk)?;
        self.report.changed_files += 1;
        Ok(())
    }

    /// Mends the state's file, or drops it: what is in the log comes on top.
    fn state(&mut self) -> Result<(), OpenError> {
        let Some(number) = self.manifest.state else { return Ok(()) };
        let (name, disk, protect) = (state_file_name(number), &*self.disk, &*self.options.protect);
        if !self.is_damaged(&name) {
            return Ok(());
        }
        self.report.changed_files += 1;
        self.manifest.state = None;
        if let Some(mut bytes) = files::read(disk, &name)? {
            self.originals.push(name.clone());
            if crate::record::mend(&mut bytes) {
                let new = self.manifest.take_number();
                files::write(disk, &state_file_name(new), &bytes)?;
                if check_state(disk, protect, new).is_ok() {
                    self.manifest.state = Some(new);
                    return Ok(());
                }
            }
        }
        let what = "the key-value state as it was stored last, in";
        self.report.lost.push(format!("{what} {name}"));
        Ok(())
    }
}
