//! Whichever one file of a store is gone, cut short or too many: verifying names it and the place,
//! and a repair leaves a store that verifies and serves all that was whole.

use std::sync::Arc;

use chronolith_disk::{Disk, SimDisk};
use chronolith_engine::{Db, Fault, RepairReport, VerifyReport, verify};

use crate::crash_script::{content, script_options};
use crate::repairs_keep_what_is_whole::{check, killed_store, repaired, store};

fn verified(disk: &SimDisk) -> VerifyReport {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    verify(&shared, &script_options())
}

fn opened(disk: &SimDisk) -> Db {
    Db::open_on(Arc::new(disk.clone()), script_options()).unwrap()
}

fn files(disk: &SimDisk) -> Vec<String> {
    disk.files().into_iter().filter(|path| path != "LOCK").collect()
}

fn names(faults: &[Fault], path: &str, most: u64) -> bool {
    faults.iter().any(|fault| fault.file == path && fault.offset <= most)
}

/// Without these nothing has a name, and a backup is the way back: a repair says so and leaves all
/// as it is.
fn cannot_be_repaired(path: &str) -> bool {
    matches!(path, "manifest" | "metrics")
}

/// Of a blob the records that refer to it stay, and it is known to be lost from then on.
fn is_blob(path: &str) -> bool {
    path.starts_with("blobs/")
}

fn check_blob(disk: &SimDisk, path: &str, place: &str) {
    let report = repaired(disk).unwrap();
    let verified = verified(disk);
    assert_eq!(verified.faults, Vec::new(), "{place}: after the repair");
    let is_lost = report.lost.iter().any(|lost| lost.contains(path));
    assert_eq!(is_lost, verified.known.iter().any(|fault| fault.file == path), "{place}");
    opened(disk);
}

fn refused(disk: &SimDisk, path: &str, place: &str) {
    let before: Vec<_> = files(disk).iter().map(|path| disk.read_file(path).unwrap()).collect();
    let error = repaired(disk).err().unwrap_or_else(|| panic!("{place}: repaired"));
    assert!(error.contains(path), "{place}: {error}");
    let after: Vec<_> = files(disk).iter().map(|path| disk.read_file(path).unwrap()).collect();
    assert!(before == after, "{place}: a repair that failed changed something");
}

/// Symptom: a database whose log or key was gone verified, and opened without the records that were
/// in the log. Loss: every record since the last flush, unseen. Cause: a log without files was taken
/// for an empty one, and readers need no key; and of a killed database nothing told of the newest
/// file of the log. Fix: the first file of the log and the one that is written to are durable before
/// a manifest names them, so that one that is not there is lost.
#[test]
pub(crate) fn whichever_file_is_gone() {
    for disk in [store(), killed_store()] {
        let whole = content(&opened(&disk.deep_clone())).unwrap();
        for path in files(&disk) {
            let damaged = disk.deep_clone();
            damaged.remove(&path).unwrap();
            let faults = verified(&damaged).faults;
            assert!(names(&faults, &path, 0), "{path} is gone: {faults:?}");
            if cannot_be_repaired(&path) {
                refused(&damaged, &path, &format!("{path} is gone"));
                continue;
            }
            if is_blob(&path) {
                check_blob(&damaged, &path, &format!("{path} is gone"));
                continue;
            }
            let (report, _) = check(&damaged, &whole, &format!("{path} is gone"));
            assert!(!report.lost.is_empty(), "{path}");
        }
    }
}

#[test]
fn wherever_a_file_is_cut() {
    let mut cuts = 0;
    for (disk, is_closed) in [(store(), true), (killed_store(), false)] {
        let whole = content(&opened(&disk.deep_clone())).unwrap();
        for path in files(&disk) {
            let size = disk.read_file(&path).unwrap().len() as u64;
            for len in (0..size).filter(|len| path.starts_with("wal/") || len % 5 == 0) {
                let place = format!("{path} is cut to {len} of {size} bytes");
                let damaged = disk.deep_clone();
                damaged.open(&path).unwrap().set_len(len).unwrap();
                let report = verified(&damaged);
                let torn = report.torn.filter(|torn| torn.file == path);
                cuts += 1;
                if report.faults.is_empty() {
                    // Only what was never confirmed may be missing without a fault.
                    assert!(!is_closed && path.starts_with("wal/"), "{place}: no fault");
                    let found = content(&opened(&damaged)).unwrap();
                    assert!(torn.is_some() || found != whole, "{place}: nothing was said");
                    continue;
                }
                assert!(names(&report.faults, &path, len), "{place}: {:?}", report.faults);
                if cannot_be_repaired(&path) {
                    refused(&damaged, &path, &place);
                } else if is_blob(&path) {
                    check_blob(&damaged, &path, &place);
                } else {
                    check(&damaged, &whole, &place);
                }
            }
        }
    }
    eprintln!("{cuts} files cut short");
}

#[test]
fn whichever_file_is_too_many() {
    for disk in [store(), killed_store()] {
        let whole = content(&opened(&disk.deep_clone())).unwrap();
        let log = files(&disk).into_iter().rfind(|path| path.starts_with("wal/")).unwrap();
        let number: u64 = log[4..16].parse().unwrap();
        let copied = |from: &str, to: &str| {
            let damaged = disk.deep_clone();
            let bytes = disk.read_file(from).unwrap();
            damaged.open(to).unwrap().append(&bytes).unwrap();
            (damaged, to.to_owned())
        };
        // Of these nothing depends; a crash may have left some.
        let run = files(&disk).into_iter().find(|path| path.starts_with("runs/")).unwrap();
        for (damaged, path) in [
            copied("manifest", "manifest.new"),
            copied("manifest", "notes.txt"),
            copied(&run, "runs/000000000999.run"),
            copied(&run, "segments/1970-01/000000000999.seg"),
            copied(&run, "blobs/x.part"),
            copied(&run, "state/000000000999.state"),
            copied(&log, "wal/000000000000.wal"),
        ] {
            let report = verified(&damaged);
            assert_eq!((report.faults, report.extra), (Vec::new(), vec![path.clone()]));
            assert_eq!(repaired(&damaged).unwrap(), RepairReport::default(), "{path}");
            assert_eq!(content(&opened(&damaged)).unwrap(), whole, "{path}");
        }
        // A file of another place in the log is none of this one's, and no frame of it is served.
        let next = format!("wal/{:012}.wal", number + 1);
        let (damaged, _) = copied(&log, &next);
        let faults = verified(&damaged).faults;
        assert!(names(&faults, &next, 0), "{faults:?}");
        let (_, found) = check(&damaged, &whole, "a file of the log is there twice");
        assert_eq!(found, whole);
        let (damaged, _) = copied(&log, &format!("wal/{:012}.wal", number + 2));
        let faults = verified(&damaged).faults;
        assert!(names(&faults, &next, 0), "{faults:?}");
        let (_, found) = check(&damaged, &whole, "a gap in the log");
        assert_eq!(found, whole);
    }
}
