//! A window may hold more records than a piece of a file, and a metric more windows than records
//! of one.

use std::sync::Arc;

use chronolith_disk::SimDisk;
use chronolith_engine::{
    Db, Definition, Durability, Kind, Metric, MetricId, Options, SealScope, ValueRef,
};

use crate::oracle::options;

const SECOND_NS: i64 = 1_000_000_000;

fn open(disk: &SimDisk, options: Options) -> Db {
    Db::open_on(Arc::new(disk.clone()), options).unwrap()
}

fn define(db: &Db, window_ns: i64) -> MetricId {
    let metric = Metric::new("car", "vibration");
    db.define(Definition::new(metric, Kind::F64).window_ns(window_ns)).unwrap()
}

fn value(at: i64) -> f64 {
    (at % 1_000) as f64 / 8.0
}

fn write(db: &Db, id: MetricId, times: impl Iterator<Item = i64>, step_ns: i64) {
    let mut batch = db.batch();
    for at in times {
        batch.push(id, at * step_ns, value(at)).unwrap();
        if batch.len() == 50_000 {
            db.write(&batch, Durability::Buffered).unwrap();
            batch.clear();
        }
    }
    db.write(&batch, Durability::Buffered).unwrap();
}

fn check(db: &Db, id: MetricId, count: i64, step_ns: i64) {
    let mut next = 0;
    for block in db.scan(id, ..).unwrap() {
        let block = block.unwrap();
        for (time_ns, found) in block.iter() {
            assert_eq!((time_ns, found), (next * step_ns, ValueRef::F64(value(next))));
            next += 1;
        }
    }
    assert_eq!(next, count);
}

/// Compaction wrote all of a window into one section. Beyond 16,777,216 records no reader took it
/// any more, and the runs and the log it had come from were gone.
#[test]
fn a_window_of_more_records_than_a_section_holds_is_read_back() {
    let (disk, count, step_ns) = (SimDisk::new(), 2_500_000, 1_000_000);
    let db = open(&disk, options());
    let id = define(&db, 366 * 86_400 * SECOND_NS);
    // Odd ones first, so that no stream is in order.
    write(&db, id, (0..count).filter(|at| at % 2 == 1), step_ns);
    db.flush().unwrap();
    write(&db, id, (0..count).filter(|at| at % 2 == 0), step_ns);
    check(&db, id, count, step_ns);
    db.compact().unwrap();
    check(&db, id, count, step_ns);
    db.close().unwrap();
    let db = open(&disk, options());
    check(&db, id, count, step_ns);
    assert_eq!(db.seal(SealScope::All).unwrap().records, count as u64);
    check(&db, id, count, step_ns);
}

/// A record in a window of its own counted as nothing, and finding the window took as many steps
/// as there were windows: ten years of hours filled gigabytes and took minutes.
#[test]
fn windows_of_one_record_count_against_the_budget() {
    let (disk, budget) = (SimDisk::new(), 1 << 20);
    let db = open(&disk, Options { memtable_bytes: budget, ..options() });
    let id = define(&db, 60 * SECOND_NS);
    let count = 60_000;
    // The latest first: the worst order for a sorted list.
    for at in (0..count).rev().collect::<Vec<i64>>().chunks(1_000) {
        write(&db, id, at.iter().copied(), 60 * SECOND_NS);
        let statistics = || db.statistics().unwrap();
        if at[0] % 10_000 < 1_000 {
            assert!(statistics().memtable_bytes <= 2 * budget as u64);
        }
    }
    assert!(db.statistics().unwrap().runs > 3);
    check(&db, id, count, 60 * SECOND_NS);
}
