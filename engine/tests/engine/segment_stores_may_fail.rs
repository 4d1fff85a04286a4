//! A segment store that cannot be reached, refuses, lies or lost something: what is here goes on,
//! nothing is removed that is not there, and every error says where and what to do.

use std::sync::Arc;

use chronolith_disk::{Disk, SimDisk};
use chronolith_engine::{
    Db, Durability, MaintenanceError, MetricId, Options, ReadError, RepairReport, SealScope,
    StoreProblem, repair, verify,
};

use crate::crash_script::{SECOND_NS, content};
use crate::moved_segments_answer_alike::filled;
use crate::oracle::{options, scan};
use crate::simulated_store::{SimStore, StoreLie, moving};

fn unreachable() -> Option<StoreProblem> {
    Some(StoreProblem::Unreachable("connection refused".to_owned()))
}

fn moved() -> (SimDisk, SimStore, Db, Vec<MetricId>) {
    let (disk, store) = (SimDisk::new(), SimStore::default());
    let (db, ids) = filled(&disk, moving(options(), &store));
    db.move_segments().unwrap();
    (disk, store, db, ids)
}

fn open(disk: &SimDisk, options: Options) -> Db {
    Db::open_on(Arc::new(disk.clone()), options).unwrap()
}

/// What the first block of a scan of everything fails with.
fn failure(db: &Db, id: MetricId) -> ReadError {
    db.scan(id, ..).unwrap().find_map(Result::err).unwrap()
}

fn push(db: &Db, ids: &[MetricId], time_ns: i64) {
    let mut batch = db.batch();
    ids.iter().for_each(|id| batch.push(*id, time_ns, 2.5).unwrap());
    db.write(&batch, Durability::Synced).unwrap();
}

#[test]
fn nothing_is_removed_that_the_store_does_not_hold() {
    for lie in [StoreLie::Forgets, StoreLie::Mangles, StoreLie::Shortens] {
        let (disk, store) = (SimDisk::new(), SimStore::default());
        let (db, _) = filled(&disk, moving(options(), &store));
        let before = content(&db).unwrap();
        store.lie(Some(lie));
        let error = db.move_segments().unwrap_err().to_string();
        assert!(error.contains("simulated://store") && error.contains(".seg"), "{lie:?}: {error}");
        assert_eq!(db.store_status().last_error, Some(error), "{lie:?}");
        assert_eq!((db.store_status().local.0, db.store_status().moved.0), (1, 0), "{lie:?}");
        store.lie(None);
        assert_eq!(content(&db).unwrap(), before, "{lie:?}");
        assert_eq!(db.move_segments().unwrap().segments, 1, "{lie:?}");
        assert_eq!(db.store_status().last_error, None, "{lie:?}");
        assert_eq!(content(&db).unwrap(), before, "{lie:?}");
    }
}

#[test]
fn a_damaged_segment_stays_here() {
    let (disk, store) = (SimDisk::new(), SimStore::default());
    let (db, _) = filled(&disk, moving(options(), &store));
    let file = db.segments()[0].file.clone();
    db.close().unwrap();
    disk.flip(&file, 100, 1).unwrap();
    let report = open(&disk, moving(options(), &store)).move_segments().unwrap();
    assert_eq!((report.segments, report.faults.len()), (0, 1), "{report:?}");
    assert_eq!(report.faults[0].file, file);
    assert!(disk.exists(&file).unwrap() && store.objects().is_empty());
}

#[test]
fn everything_local_goes_on_while_the_store_is_away() {
    let (disk, store, db, ids) = moved();
    let before = scan(&db, ids[0], i64::MIN, i64::MAX);
    store.fail(unreachable());
    let fresh = open(&disk.deep_clone(), moving(options(), &store));
    let error = failure(&fresh, ids[0]);
    assert!(matches!(&error, ReadError::Store(error)
        if matches!(error.problem, StoreProblem::Unreachable(_))));
    let text = error.to_string();
    for part in ["simulated://store", "segments/1970-01/", "connection refused", "try again"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    // Writing, sealing, merging, reading of what is here, and chunks of moved windows' headers.
    for late in 0..3 {
        push(&db, &ids, 500 * SECOND_NS + late);
        push(&db, &ids, 10 * SECOND_NS + 1 + late);
        assert_eq!(db.seal(SealScope::All).unwrap().faults, Vec::new());
    }
    let compacted = db.compact().unwrap();
    assert_eq!((compacted.store_failure, compacted.postponed_windows), (None, 0));
    assert_eq!(scan(&db, ids[0], 500 * SECOND_NS, i64::MAX).len(), 3);
    db.catalogue("car-1").unwrap();
    let error = db.move_segments().unwrap_err();
    assert!(matches!(error, MaintenanceError::Read(ReadError::Store(_))), "{error}");
    let status = db.store_status();
    assert!(status.waiting.0 > 0 && status.last_error.is_some(), "{status:?}");
    // And back: what was moved and what came later.
    store.fail(None);
    assert_eq!(scan(&db, ids[0], i64::MIN, i64::MAX).len(), before.len() + 6);
    db.move_segments().unwrap();
    assert_eq!(db.store_status().waiting, (0, 0));
    assert_eq!(scan(&db, ids[0], i64::MIN, i64::MAX).len(), before.len() + 6);
}

#[test]
fn deletions_of_moved_records_are_hidden_at_once_and_carried_out_when_the_store_is_back() {
    let (disk, store, db, ids) = moved();
    // A record that is not sealed, in a window that is touched.
    push(&db, &ids, 30 * SECOND_NS + 7);
    let (from_ns, to_ns) = (20 * SECOND_NS, 40 * SECOND_NS);
    store.fail(unreachable());
    db.delete(&ids[..1], from_ns..to_ns).unwrap();
    push(&db, &ids, 25 * SECOND_NS + 3);
    let compacted = db.compact().unwrap();
    assert!(compacted.postponed_windows > 0 && compacted.store_failure.is_some());
    let object = store.objects();
    store.fail(None);
    let check = |db: &Db| {
        let records = scan(db, ids[0], from_ns, to_ns - 1);
        assert_eq!(records.iter().map(|(time, _)| *time).collect::<Vec<_>>(), [25 * SECOND_NS + 3]);
        assert_eq!(scan(db, ids[1], from_ns, to_ns - 1).len(), 1_000 + 2);
    };
    check(&db);
    db.close().unwrap();
    let db = open(&disk, moving(options(), &store));
    check(&db);
    let compacted = db.compact().unwrap();
    assert_eq!((compacted.postponed_windows, compacted.store_failure), (0, None));
    assert!(compacted.rewritten_windows > 0);
    check(&db);
    assert_eq!(store.objects(), object, "compacting removes no object");
    assert_eq!(db.store_status().removals, 1);
    let report = db.move_segments().unwrap();
    assert_eq!((report.segments, report.removed), (1, 1));
    assert!(store.objects().len() == 1 && store.objects() != object);
    assert_eq!(db.store_status().removals, 0);
    check(&db);
    let shared: Arc<dyn Disk> = Arc::new(disk);
    assert_eq!(verify(&shared, &moving(options(), &store)).faults, Vec::new());
}

#[test]
fn an_object_stays_for_the_views_that_show_it() {
    let (_disk, store, db, ids) = moved();
    let snapshot = db.snapshot();
    let expected = scan(&db, ids[0], i64::MIN, i64::MAX).len();
    db.delete(&ids, ..100 * SECOND_NS).unwrap();
    db.compact().unwrap();
    let report = db.move_segments().unwrap();
    assert_eq!((report.segments, report.removed), (1, 0));
    assert_eq!(store.objects().len(), 2);
    let blocks = snapshot.scan(ids[0], ..).unwrap();
    assert_eq!(blocks.map(|block| block.unwrap().len()).sum::<usize>(), expected);
    drop(snapshot);
    assert_eq!(db.move_segments().unwrap().removed, 1);
    assert_eq!(store.objects().len(), 1);
}

#[test]
fn without_a_store_what_is_here_can_be_read_and_written() {
    let (disk, store, db, ids) = moved();
    let before = content(&db).unwrap();
    db.close().unwrap();
    let db = open(&disk, options());
    let error = failure(&db, ids[0]).to_string();
    assert!(error.contains("simulated://store") && error.contains("--store"), "{error}");
    assert_eq!(scan(&db, ids[0], 425 * SECOND_NS, i64::MAX).len(), 1);
    push(&db, &ids, 426 * SECOND_NS);
    db.seal(SealScope::All).unwrap();
    db.compact().unwrap();
    assert!(db.move_segments().unwrap_err().to_string().contains("without a segment store"));
    db.delete(&ids, 426 * SECOND_NS..).unwrap();
    assert_eq!(db.store_status().moved_to.as_deref(), Some("simulated://store"));
    assert_eq!((db.store_status().store, db.store_status().moved.0), (None, 1));
    db.close().unwrap();
    let verified = verify(&(Arc::new(disk.clone()) as Arc<dyn Disk>), &options());
    assert_eq!((verified.faults.len(), verified.unchecked.len()), (0, 1), "{verified:?}");
    let db = open(&disk, moving(options(), &store));
    assert_eq!(content(&db).unwrap(), before);
}

#[test]
fn what_the_store_lost_or_damaged_is_named_and_a_repair_keeps_the_rest() {
    let (disk, store, db, ids) = moved();
    let body = 3 * db.segments()[0].size_bytes / 10;
    let whole = content(&db).unwrap();
    db.close().unwrap();
    let object = store.objects().remove(0);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let options_with = || moving(options(), &store);
    // A store that is away damages nothing, and repairs nothing.
    store.fail(unreachable());
    assert_eq!(verify(&shared, &options_with()).faults, Vec::new());
    assert_eq!(repair(&shared, &options_with()).unwrap(), RepairReport::default());
    store.fail(None);

    store.change_object(&object, |bytes| bytes[body as usize] ^= 16);
    let faults = verify(&shared, &options_with()).faults;
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(object.ends_with(&faults[0].file), "{faults:?}");
    let db = open(&disk, options_with());
    let damaged = ids.iter().filter(|id| db.scan(**id, ..).unwrap().any(|block| block.is_err()));
    assert_eq!(damaged.count(), 1);
    db.close().unwrap();

    // One byte is mended from its record's checksum.
    let report = repair(&shared, &options_with()).unwrap();
    assert_eq!((&report.lost, &report.unreached), (&Vec::new(), &Vec::new()), "{report:?}");
    assert_eq!(verify(&shared, &options_with()).faults, Vec::new());
    let db = open(&disk, options_with());
    assert_eq!(content(&db).unwrap(), whole);
    assert_eq!((db.store_status().moved.0, db.store_status().removals), (0, 1));
    let report = db.move_segments().unwrap();
    assert_eq!((report.segments, report.removed), (1, 1));
    assert_eq!(content(&db).unwrap(), whole);
    db.close().unwrap();

    // An object that is gone is named; a repair does not take it for good reason to drop chunks.
    let object = store.objects().remove(0);
    let mut kept = Vec::new();
    store.change_object(&object, |bytes| kept.clone_from(bytes));
    store.lose_object(&object);
    let faults = verify(&shared, &options_with()).faults;
    assert!(faults.len() == 1 && faults[0].what.contains("it is not there"), "{faults:?}");
    let report = repair(&shared, &options_with()).unwrap();
    assert_eq!(report.unreached.len(), 1, "{report:?}");
    let found = SimStore::default();
    chronolith_engine::SegmentStore::put(&found, &object, &kept, &|| true).unwrap();
    assert_eq!(content(&open(&disk, moving(options(), &found))).unwrap(), whole);
}

#[test]
fn a_tail_that_is_gone_or_damaged_is_made_anew_from_the_store() {
    let (disk, store, db, _) = moved();
    let whole = content(&db).unwrap();
    db.close().unwrap();
    let is_tail = |path: &String| path.ends_with(".tail");
    let tail = disk.files().into_iter().find(is_tail).unwrap();
    let size = disk.len(&tail).unwrap();
    for at in (0..=size).step_by(29) {
        let damaged = disk.deep_clone();
        match at {
            0 => damaged.remove(&tail).unwrap(),
            at => damaged.flip(&tail, at.min(size - 1), 4).unwrap(),
        }
        let shared: Arc<dyn Disk> = Arc::new(damaged.clone());
        let faults = verify(&shared, &moving(options(), &store)).faults;
        assert!(faults.iter().any(|fault| fault.file == tail), "byte {at}: {faults:?}");
        let without = repair(&shared, &options()).unwrap();
        assert_eq!(without.unreached.len(), 1, "byte {at}: {without:?}");
        let report = repair(&shared, &moving(options(), &store)).unwrap();
        assert_eq!(report.lost, Vec::<String>::new(), "byte {at}");
        let db = open(&damaged, moving(options(), &store));
        assert_eq!(content(&db).unwrap(), whole, "byte {at}");
        assert_eq!(db.store_status().moved.0, 0, "byte {at}");
    }
}
