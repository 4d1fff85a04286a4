//! A damaged chunk is an error for who asks for it. Everything else goes on.

use std::sync::Arc;

use chronolith_disk::{Disk, SimDisk};
use chronolith_engine::{Db, Definition, Durability, Kind, Metric, MetricId, SealScope};

use crate::oracle::{options, scan};

const SECOND_NS: i64 = 1_000_000_000;
const WINDOW_NS: i64 = 100 * SECOND_NS;

fn write(db: &Db, id: MetricId, window: i64) {
    let mut batch = db.batch();
    for at in 0..50 {
        batch.push(id, window * WINDOW_NS + at * SECOND_NS, at as f64).unwrap();
    }
    db.write(&batch, Durability::Synced).unwrap();
}

fn names(disk: &SimDisk, ending: &str) -> Vec<String> {
    disk.files().into_iter().filter(|name| name.ends_with(ending)).collect()
}

fn flip(disk: &SimDisk, name: &str, offset: usize) {
    let mut content = disk.read_file(name).unwrap();
    content[offset] ^= 0x40;
    let file = disk.open(name).unwrap();
    file.set_len(0).and_then(|()| file.append(&content)).unwrap();
}

fn open(disk: &SimDisk) -> (Db, [MetricId; 2]) {
    let db = Db::open_on(Arc::new(disk.clone()), options()).unwrap();
    let ids = ["speed", "rpm"].map(|name| {
        let definition = Definition::new(Metric::new("car", name), Kind::F64);
        db.define(definition.window_ns(WINDOW_NS)).unwrap()
    });
    (db, ids)
}

/// Any error of upkeep refused all writes until the next opening, where it came again: one flipped
/// bit in a chunk of years ago stopped the recording.
#[test]
fn a_damaged_chunk_stays_where_it_is_and_the_store_goes_on() {
    let disk = SimDisk::new();
    let (db, ids) = open(&disk);
    for window in 0..3 {
        ids.iter().for_each(|id| write(&db, *id, window));
        db.seal(SealScope::All).unwrap();
    }
    db.close().unwrap();
    flip(&disk, &names(&disk, ".seg")[0], 20);

    let (db, ids) = open(&disk);
    let report = db.compact().unwrap();
    assert_eq!((report.faults.len(), report.segments), (1, (3, 3)));
    for window in 3..5 {
        ids.iter().for_each(|id| write(&db, *id, window));
        assert_eq!(db.seal(SealScope::All).unwrap().faults, []);
    }
    assert!(db.scan(ids[0], ..).unwrap().any(|block| block.is_err()));
    for id in ids {
        assert_eq!(scan(&db, id, WINDOW_NS, i64::MAX).len(), 200);
    }
}

#[test]
fn a_damaged_section_of_a_run_leaves_its_window_unsealed_and_no_other() {
    let disk = SimDisk::new();
    let (db, ids) = open(&disk);
    for window in 0..3 {
        ids.iter().for_each(|id| write(&db, *id, window));
    }
    db.flush().unwrap();
    db.close().unwrap();
    // Behind the header and the mark.
    flip(&disk, &names(&disk, ".run")[0], 30);

    let (db, ids) = open(&disk);
    let report = db.seal(SealScope::All).unwrap();
    assert_eq!((report.faults.len(), report.chunks), (1, 5));
    assert!(db.scan(ids[0], ..WINDOW_NS).unwrap().any(|block| block.is_err()));
    assert_eq!(scan(&db, ids[0], WINDOW_NS, i64::MAX).len(), 100);
    assert_eq!(scan(&db, ids[1], 0, i64::MAX).len(), 150);
    write(&db, ids[1], 7);
    assert_eq!(db.seal(SealScope::All).unwrap().chunks, 1);
}
