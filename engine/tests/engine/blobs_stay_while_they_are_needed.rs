//! A blob is there as long as a record, a snapshot, a writer or a backup needs it, and gone after.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use chronolith_disk::{Disk, SimDisk};
use chronolith_engine::{
    BlobRef, Db, Definition, Durability, Kind, Metric, MetricId, SealScope, Value, ValueRef,
    WriteError, verify,
};

use crate::hooked::Hooked;
use crate::oracle::{load, options, scan};

const SECOND_NS: i64 = 1_000_000_000;

fn open(disk: Arc<dyn Disk>) -> (Db, MetricId) {
    let db = Db::open_on(disk, options()).unwrap();
    let definition = Definition::new(Metric::new("car-1", "picture"), Kind::Bytes);
    let id = db.define(definition.window_ns(SECOND_NS)).unwrap();
    (db, id)
}

fn refer(db: &Db, id: MetricId, time_ns: i64, blob: BlobRef) -> Result<u64, WriteError> {
    let mut batch = db.batch();
    batch.push(id, time_ns, ValueRef::Blob(blob)).unwrap();
    db.write(&batch, Durability::Synced)
}

fn read(db: &Db, blob: &BlobRef) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    db.open_blob(blob).ok()?.read_to_end(&mut content).ok()?;
    Some(content)
}

fn blob_files(disk: &SimDisk) -> Vec<String> {
    disk.files().into_iter().filter(|name| name.starts_with("blobs/")).collect()
}

/// Symptom: a record referred to a blob that was not there. Loss: the blob, after its writer was
/// told that it is stored. Cause: a compaction between the name of the blob and the note that it
/// is new found nothing that refers to it. Fix: the note comes before the name.
#[test]
fn a_compaction_right_after_the_name_of_a_blob_leaves_it() {
    let disk = Arc::new(Hooked::new());
    let (db, id) = open(Arc::clone(&disk) as Arc<dyn Disk>);
    let hooked = db.clone();
    disk.set(move |call, path| {
        if call == "renamed" && path.starts_with("blobs/") {
            hooked.compact().unwrap();
        }
    });
    let blob = db.write_blob(&b"content"[..]).unwrap();
    disk.clear();
    assert_eq!(read(&db, &blob).as_deref(), Some(&b"content"[..]));
    refer(&db, id, 0, blob).unwrap();
}

/// Symptom: records whose blob was gone. Loss: blobs. Cause: a batch took a reference from a scan
/// while the record it came from was deleted and compacted; content was written again while the
/// blob it makes was about to be removed. Fix: a batch keeps its blobs before it is logged, and is
/// refused where one is not there; each file is looked up and removed under one lock.
#[test]
fn writers_and_compactions_side_by_side_leave_no_record_without_its_blob() {
    let disk = SimDisk::new();
    let (db, id) = open(Arc::new(disk));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (db, done) = (&db, &done);
        let writers: Vec<_> = (0..2_i64)
            .map(|writer| {
                scope.spawn(move || {
                    for round in 0..120_i64 {
                        let content = [(round % 3) as u8; 40];
                        let place = writer * 1000 + round % 7;
                        let blob = db.write_blob(&content[..]).unwrap();
                        match writer {
                            0 => refer(db, id, place, blob).unwrap(),
                            _ => load(db, &[(id, place, Value::Blob(blob))]).unwrap(),
                        };
                        // What somebody else's record shows may be gone by now; then it is said.
                        for (_, value) in scan(db, id, 0, 10_000).into_iter().take(2) {
                            let Value::Blob(seen) = value else { continue };
                            match refer(db, id, place + 100, seen) {
                                Ok(_) | Err(WriteError::UnknownBlob { position: 0, .. }) => {}
                                Err(error) => panic!("{error}"),
                            }
                        }
                        if round % 4 == 0 {
                            db.delete(&[id], (writer * 1000)..(writer * 1000 + 500)).unwrap();
                        }
                    }
                })
            })
            .collect();
        scope.spawn(move || {
            while !done.load(Ordering::SeqCst) {
                db.compact().unwrap();
            }
        });
        let ended: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        done.store(true, Ordering::SeqCst);
        ended.into_iter().for_each(|ended| ended.unwrap());
    });
    for round in 0..3 {
        for (time_ns, value) in scan(&db, id, 0, 10_000) {
            let Value::Blob(blob) = value else { continue };
            assert!(read(&db, &blob).is_some(), "the record at {time_ns}, {round} compactions on");
        }
        db.compact().unwrap();
    }
}

#[test]
fn a_batch_that_refers_to_a_blob_that_is_not_here_is_refused() {
    let (db, id) = open(Arc::new(SimDisk::new()));
    let blob = db.write_blob(&b"content"[..]).unwrap();
    let (other, _) = open(Arc::new(SimDisk::new()));
    let foreign = other.write_blob(&b"elsewhere"[..]).unwrap();
    let mut batch = db.batch();
    batch.push(id, 0, ValueRef::Blob(blob)).unwrap();
    batch.push(id, 1, ValueRef::Bytes(b"inline")).unwrap();
    batch.push(id, 2, ValueRef::Blob(foreign)).unwrap();
    let refused = db.write(&batch, Durability::Synced).unwrap_err();
    assert!(matches!(refused, WriteError::UnknownBlob { position: 2, .. }), "{refused}");
    assert_eq!(scan(&db, id, 0, 10), Vec::new(), "nothing of it is written");
    let longer = BlobRef { len_bytes: blob.len_bytes + 1, ..blob };
    assert!(refer(&db, id, 0, longer).is_err(), "of another length than it has");
    refer(&db, id, 0, blob).unwrap();
    // Once it is gone, what once was a reference is none any more.
    db.delete(&[id], ..).unwrap();
    db.compact().unwrap();
    assert!(matches!(refer(&db, id, 5, blob), Err(WriteError::UnknownBlob { .. })));
}

#[test]
fn a_blob_that_could_not_be_written_leaves_nothing() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the camera is gone"))
        }
    }
    let disk = SimDisk::new();
    let (db, _) = open(Arc::new(disk.clone()));
    let content = [7; 3 << 20].chain(Broken);
    let error = db.write_blob(content).unwrap_err().to_string();
    assert!(error.contains("the camera is gone"), "{error}");
    assert_eq!(blob_files(&disk), Vec::<String>::new());
}

/// Symptom: a snapshot showed a record whose blob could not be opened. Loss: the promise that
/// deletions do not change a snapshot. Cause: only the newest records kept blobs. Fix: those that
/// a live snapshot shows do, too.
#[test]
fn a_snapshot_keeps_the_blobs_it_shows_and_no_longer() {
    let disk = SimDisk::new();
    let (db, id) = open(Arc::new(disk.clone()));
    let blob = db.write_blob(&b"content"[..]).unwrap();
    refer(&db, id, 0, blob).unwrap();
    let snapshot = db.snapshot();
    db.seal(SealScope::All).unwrap();
    db.delete(&[id], ..).unwrap();
    for _ in 0..2 {
        db.compact().unwrap();
        let blocks: Vec<_> = snapshot.scan(id, ..).unwrap().map(Result::unwrap).collect();
        assert_eq!(blocks.len(), 1);
        assert_eq!(read(&db, &blob).as_deref(), Some(&b"content"[..]));
    }
    drop(snapshot);
    db.compact().unwrap();
    assert_eq!(blob_files(&disk), Vec::<String>::new());
}

#[test]
fn a_compaction_after_which_nothing_was_deleted_looks_for_no_blobs() {
    let disk = Arc::new(Hooked::new());
    let (db, id) = open(Arc::clone(&disk) as Arc<dyn Disk>);
    let looked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&looked);
    disk.set(move |call, path| {
        if (call, path) == ("list", "blobs") {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    for round in 0..4 {
        let blob = db.write_blob(&[round; 9][..]).unwrap();
        refer(&db, id, round.into(), blob).unwrap();
        db.compact().unwrap();
    }
    assert_eq!(looked.load(Ordering::SeqCst), 1, "what an earlier process left is not known");
    db.delete(&[id], 0..2).unwrap();
    db.compact().unwrap();
    assert_eq!(looked.load(Ordering::SeqCst), 2);
    assert_eq!(blob_files(&disk.sim).len(), 2);
    disk.clear();
}

/// Symptom: a backup of hours held up sealing and compaction for hours, and could hold a record
/// without its blob. Loss: the blob, where the backup is all that is left. Cause: the lock was kept
/// while files were copied, blobs were listed before the log, and the log was copied although the
/// flush had made it needless. Fix: files are opened under the lock and copied without it, blobs
/// are listed last and stay, the log is not copied.
#[test]
fn maintenance_goes_on_during_a_backup_and_the_copy_is_whole() {
    let (db, id) = open(Arc::new(SimDisk::new()));
    for time_ns in 0..4_i64 {
        let blob = db.write_blob(&time_ns.to_le_bytes()[..]).unwrap();
        refer(&db, id, time_ns, blob).unwrap();
        if time_ns == 1 {
            db.seal(SealScope::All).unwrap();
        }
    }
    let expected = scan(&db, id, 0, 10);
    let target = Arc::new(Hooked::new());
    let (done, is_done) = mpsc::channel();
    let hooked = db.clone();
    let mut first = true;
    target.set(move |call, _| {
        if call != "open" || !std::mem::take(&mut first) {
            return;
        }
        let (db, done) = (hooked.clone(), done.clone());
        std::thread::spawn(move || {
            db.delete(&[id], ..=2).unwrap();
            db.seal(SealScope::All).unwrap();
            db.compact().unwrap();
            let blob = db.write_blob(&b"later"[..]).unwrap();
            refer(&db, id, 9, blob).unwrap();
            done.send(()).unwrap();
        });
        let ended = is_done.recv_timeout(Duration::from_secs(60));
        assert!(ended.is_ok(), "maintenance waits for the backup");
    });
    db.backup(&(Arc::clone(&target) as Arc<dyn Disk>)).unwrap();
    target.clear();
    assert_eq!(scan(&db, id, 0, 10).len(), 2);
    let copy: Arc<dyn Disk> = Arc::new(target.sim.clone());
    let log = target.sim.files().into_iter().filter(|name| name.starts_with("wal/"));
    assert!(log.map(|name| target.sim.len(&name).unwrap()).all(|len| len == 28), "no frame");
    assert_eq!(verify(&copy, &options()).faults, Vec::new());
    let copied = Db::open_on(copy, options()).unwrap();
    assert_eq!(scan(&copied, id, 0, 10), expected);
    for (time_ns, value) in expected {
        let Value::Blob(blob) = value else { panic!("{value:?}") };
        assert_eq!(read(&copied, &blob).as_deref(), Some(&time_ns.to_le_bytes()[..]));
    }
    refer(&copied, id, 20, copied.write_blob(&b"goes on"[..]).unwrap()).unwrap();
}
