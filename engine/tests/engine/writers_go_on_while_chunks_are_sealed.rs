//! Sealing and compaction take long; a writer whose memtable is full flushes it meanwhile.

use std::sync::{Arc, Mutex};

use chronolith_disk::SimDisk;
use chronolith_engine::{Db, Durability, Options, SealScope};

use crate::crash_script::{SECOND_NS, content, definition};
use crate::hooked::Hooked;
use crate::oracle::options;

fn write(db: &Db, from: i64, count: i64) {
    let mut batch = db.batch();
    for number in 0..2 {
        let id = db.metric_by_number(number).unwrap();
        for at in from..from + count {
            batch.push(id, at * SECOND_NS, at as f64).unwrap();
        }
    }
    db.write(&batch, Durability::Synced).unwrap();
}

fn define(db: &Db) {
    for number in [0, 6] {
        db.define(definition(number, "")).unwrap();
    }
}

/// Sealing held the lock that a flush needs: with the memtable at twice its budget, writers,
/// deletions and questions for changes waited until all of it was sealed.
#[test]
fn a_full_memtable_is_flushed_in_the_middle_of_a_seal_and_of_a_compaction() {
    let upkeeps: [fn(&Db); 2] = [
        |db| assert!(db.seal(SealScope::All).unwrap().chunks > 0),
        |db| assert_eq!(db.compact().unwrap().segments, (2, 1)),
    ];
    for (index, upkeep) in upkeeps.into_iter().enumerate() {
        let (disk, handle) = (Arc::new(Hooked::new()), Arc::new(Mutex::new(None::<Db>)));
        let of_calls = Arc::clone(&handle);
        disk.set(move |call, path| {
            if call != "open" || !path.ends_with(".seg") {
                return;
            }
            // Once, in the middle: the file of the first segment is being made.
            let Some(db) = of_calls.lock().unwrap().take() else { return };
            let flushed = db.statistics().unwrap().runs;
            write(&db, 5_000, 2_000);
            assert!(db.statistics().unwrap().runs > flushed, "the memtable was flushed");
            let id = db.metric_by_number(0).unwrap();
            db.delete(&[id], 10 * SECOND_NS..20 * SECOND_NS).unwrap();
            db.changes(0).unwrap();
            drop(db.snapshot());
        });
        let budget = Options { memtable_bytes: 4 << 10, ..options() };
        let db = Db::open_on(disk, budget).unwrap();
        define(&db);
        write(&db, 0, 100);
        if index == 1 {
            db.seal(SealScope::All).unwrap();
            write(&db, 100, 100);
            db.seal(SealScope::All).unwrap();
        }
        *handle.lock().unwrap() = Some(db.clone());
        upkeep(&db);
        assert!(handle.lock().unwrap().is_none(), "the writer came");

        let plain = Db::open_on(Arc::new(SimDisk::new()), options()).unwrap();
        define(&plain);
        write(&plain, 0, if index == 1 { 200 } else { 100 });
        write(&plain, 5_000, 2_000);
        let id = plain.metric_by_number(0).unwrap();
        plain.delete(&[id], 10 * SECOND_NS..20 * SECOND_NS).unwrap();
        assert_eq!(content(&db).unwrap(), content(&plain).unwrap());
        db.seal(SealScope::All).unwrap();
        db.compact().unwrap();
        assert_eq!(content(&db).unwrap(), content(&plain).unwrap());
    }
}
