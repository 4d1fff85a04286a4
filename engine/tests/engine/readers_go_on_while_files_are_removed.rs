//! A reader finishes with the files of the view it began with, whoever merges, moves and removes
//! them meanwhile.

use std::sync::{Arc, Mutex};

use chronolith_disk::Disk;
use chronolith_engine::{Db, Durability, Kind, MetricId, Options, SealScope, Snapshot};

use crate::crash_script::{SECOND_NS, definition};
use crate::hooked::Hooked;
use crate::oracle::{options, scan};
use crate::simulated_store::{SimStore, moving};

/// A store with two files of records: runs, or small segments.
fn filled(disk: &Arc<Hooked>, options: Options, seal: bool) -> (Db, MetricId) {
    let db = Db::open_on(Arc::clone(disk) as Arc<dyn Disk>, options).unwrap();
    let definition = definition(0, "");
    assert_eq!(definition.kind, Kind::F64);
    let id = db.define(definition).unwrap();
    for part in 0..2_i64 {
        let mut batch = db.batch();
        for second in 0..50_i64 {
            let time_ns = (part * 50 + second) * SECOND_NS;
            batch.push(id, time_ns, second as f64).unwrap();
        }
        db.write(&batch, Durability::Synced).unwrap();
        if seal {
            db.seal(SealScope::All).unwrap();
        } else {
            db.flush().unwrap();
        }
    }
    (db, id)
}

/// Symptom: a scan failed because a run was not there. Cause: between a reader's look whether a
/// file is open and its opening it, a compaction opened, merged and removed it. Fix: the reader
/// looks again.
#[test]
fn a_file_that_is_merged_while_a_reader_opens_it_is_read() {
    for (seal, kind) in [(false, ".run"), (true, ".seg")] {
        let disk = Arc::new(Hooked::new());
        let (db, id) = filled(&disk, options(), seal);
        // Closed and opened again: no file has been read from.
        db.close().unwrap();
        let db = Db::open_on(Arc::clone(&disk) as Arc<dyn Disk>, options()).unwrap();
        let compacted = Arc::new(Mutex::new(false));
        let (of_calls, of_hook) = (Arc::clone(&compacted), db.clone());
        disk.set(move |call, path| {
            if call == "map" && path.ends_with(kind) && !*of_calls.lock().unwrap() {
                of_hook.compact().unwrap();
                *of_calls.lock().unwrap() = true;
            }
        });
        assert_eq!(scan(&db, id, 0, i64::MAX).len(), 100, "{kind}");
        assert!(*compacted.lock().unwrap(), "{kind}: the compaction came in between");
        disk.clear();
    }
}

/// The file of a moved segment's footer was removed by a compaction that had begun before the
/// move, while a snapshot of in between had not read from it.
#[test]
fn a_segment_that_is_moved_and_then_rewritten_is_read_by_a_snapshot_of_in_between() {
    let (disk, store) = (Arc::new(Hooked::new()), SimStore::default());
    let (db, id) = filled(&disk, moving(options(), &store), true);
    assert_eq!(db.compact().unwrap().segments, (2, 1));
    db.delete(&[id], ..10 * SECOND_NS).unwrap();
    let between = Arc::new(Mutex::new(None::<Snapshot>));
    let (of_calls, of_hook) = (Arc::clone(&between), db.clone());
    disk.set(move |call, path| {
        if call == "open" && path.ends_with(".seg") && of_calls.lock().unwrap().is_none() {
            assert_eq!(of_hook.move_segments().unwrap().segments, 1);
            *of_calls.lock().unwrap() = Some(of_hook.snapshot());
        }
    });
    assert_eq!(db.compact().unwrap().segments, (1, 1));
    disk.clear();
    let snapshot = between.lock().unwrap().take().unwrap();
    let blocks = snapshot.scan(id, ..).unwrap();
    assert_eq!(blocks.map(|block| block.unwrap().len()).sum::<usize>(), 90);
}
