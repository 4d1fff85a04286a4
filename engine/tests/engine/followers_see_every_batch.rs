//! Who follows the log sees every batch once, in order, or is told to ask for the changes; what is
//! deleted and written in one batch is one.

use std::sync::Arc;
use std::time::Duration;

use chronolith_disk::{CrashMode, SimDisk};
use chronolith_engine::{
    Aggregated, Aggregation, Db, Durability, Every, Function, Kind, Maintenance, Metric, MetricId,
    Options, Partial, Value, ValueRef,
};

fn options() -> Options {
    Options {
        maintenance: Maintenance::Manual,
        producer_secret: Some([7; 32]),
        ..Options::default()
    }
}

fn database(disk: &SimDisk) -> (Db, MetricId) {
    let db = Db::open_on(Arc::new(disk.clone()), options()).unwrap();
    let id = db.metric(Metric::new("car-1", "speed"), Kind::I64).unwrap();
    (db, id)
}

fn write(db: &Db, id: MetricId, time_ns: i64, value: i64) -> u64 {
    let mut batch = db.batch();
    batch.push(id, time_ns, value).unwrap();
    db.write(&batch, Durability::Buffered).unwrap()
}

fn records(db: &Db, id: MetricId) -> Vec<(i64, Value)> {
    let blocks = db.scan(id, ..).unwrap().map(|block| block.unwrap());
    blocks.flat_map(|b| b.iter().map(|(t, v)| (t, v.to_value())).collect::<Vec<_>>()).collect()
}

#[test]
fn followers_of_several_writers_see_every_record_once_and_in_order() {
    let (db, _) = database(&SimDisk::new());
    let follower = db.follow(64 << 20).unwrap();
    let mut position = follower.last();
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let db = &db;
            scope.spawn(move || {
                let name = format!("m{writer}");
                let id = db.metric(Metric::new("car-1", name), Kind::I64).unwrap();
                (0..500).for_each(|time_ns| assert!(write(db, id, time_ns, writer) > 0));
            });
        }
        let mut next = [0; 3];
        while next.iter().sum::<i64>() < 1_500 {
            let _ = follower.wait(position, Duration::from_secs(1));
            let followed = follower.since(position, 100).unwrap();
            for batch in &followed.batches {
                assert!(batch.sequence() > position && batch.sequence() <= followed.until);
                for (_, time_ns, value) in batch.records() {
                    let ValueRef::I64(writer) = value else { panic!("another kind") };
                    assert_eq!(time_ns, next[writer as usize], "of writer {writer}");
                    next[writer as usize] += 1;
                }
            }
            position = followed.until;
        }
    });
    assert_eq!(position, follower.last());
}

#[test]
fn what_does_not_fit_is_known_to_be_missing() {
    let (db, id) = database(&SimDisk::new());
    let before = write(&db, id, 0, 0);
    let follower = db.follow(2_000).unwrap();
    assert!(follower.since(before - 1, 10).is_none(), "from before anybody followed");
    assert!(follower.since(before, 10).unwrap().batches.is_empty());
    (1..199).for_each(|time_ns| assert!(write(&db, id, time_ns, 1) > before));
    let last = write(&db, id, 199, 1);
    assert!(follower.since(before, 10).is_none(), "the oldest are gone");
    assert_eq!(follower.since(last - 3, 10).unwrap().batches.len(), 3);
    assert_eq!(follower.since(last - 3, 2).unwrap().until, last - 1, "so many at a time");
    assert!(!follower.wait(last, Duration::ZERO) && follower.wait(last - 1, Duration::ZERO));
}

#[test]
fn followers_are_told_of_deletions_whoever_makes_them() {
    let (db, id) = database(&SimDisk::new());
    let follower = db.follow(1 << 20).unwrap();
    let position = follower.last();
    write(&db, id, 5, 1);
    db.delete(&[id], 3..7).unwrap();
    let mut batch = db.batch();
    batch.delete(id, 10, 20);
    batch.push(id, 15, 9_i64).unwrap();
    db.write(&batch, Durability::Buffered).unwrap();
    let told = follower.since(position, 100).unwrap().batches;
    let deleted: Vec<_> = told.iter().flat_map(|batch| batch.deletions()).collect();
    assert_eq!(deleted, [(id.index(), 3, 6), (id.index(), 10, 20)]);
    assert_eq!(records(&db, id), [(15, Value::I64(9))], "what the batch writes stays");
}

#[test]
fn a_batch_that_deletes_and_writes_is_whole_whenever_the_power_is_cut() {
    let disk = SimDisk::new();
    let (db, id) = database(&disk);
    let before = [(1, Value::I64(1)), (2, Value::I64(2))];
    write(&db, id, 1, 1);
    write(&db, id, 2, 2);
    db.sync().unwrap();
    disk.keep_history();
    let mut batch = db.batch();
    batch.delete(id, 1, 1);
    batch.push(id, 3, 3_i64).unwrap();
    batch.put_state("reader", b"position", b"3");
    db.write(&batch, Durability::Synced).unwrap();
    let acknowledged = disk.history().len();
    db.flush().unwrap();
    db.compact().unwrap();
    let after = [(2, Value::I64(2)), (3, Value::I64(3))];
    assert_eq!(records(&db, id), after);
    drop(db);
    let modes = [CrashMode::DropUnsynced, CrashMode::KeepAll, CrashMode::Torn, CrashMode::Mixed];
    let mut seen = [0, 0];
    for (operations, image) in disk.history().iter().enumerate() {
        for mode in modes {
            let db =
                Db::open_on(Arc::new(image.crash(mode, operations as u64)), options()).unwrap();
            let is_after = db.state("reader", b"position").is_some();
            let wanted = if is_after { &after } else { &before };
            assert_eq!(records(&db, id), wanted, "cut after {operations}, {mode:?}");
            assert!(is_after || operations < acknowledged, "lost after {operations}, {mode:?}");
            seen[usize::from(is_after)] += 1;
        }
    }
    assert!(seen[0] > 0 && seen[1] > 0, "the cuts miss the batch: {seen:?}");
}

#[test]
fn partials_that_grow_record_by_record_know_what_aggregates_know() {
    let (db, _) = database(&SimDisk::new());
    let values = [0.1, -7.5, 1e9, f64::NAN, 3.25, -0.0];
    let id = db.metric(Metric::new("car-1", "f"), Kind::F64).unwrap();
    let mut batch = db.batch();
    let mut partial = Partial::new(Kind::F64);
    for (time_ns, value) in (0..).zip(values.iter().filter(|value| !value.is_nan())) {
        batch.push(id, time_ns, *value).unwrap();
        partial.add(time_ns, ValueRef::F64(*value));
    }
    db.write(&batch, Durability::Buffered).unwrap();
    let mut bytes = Vec::new();
    partial.encode(&mut bytes);
    let again = Partial::decode(&bytes).unwrap();
    let functions = Function::ALL.to_vec();
    let every = Every::Everything;
    let aggregation = Aggregation { from_ns: i64::MIN, to_ns: i64::MAX, every, functions };
    let bucket = &db.aggregate(&[id], &aggregation).unwrap()[0][0];
    for function in Function::ALL {
        let (one, other) = (partial.value(function), bucket.get(function));
        assert_eq!(again.value(function), one, "{function:?} after it was kept");
        match (one, other) {
            (Some(Aggregated::Float(one)), Some(Aggregated::Float(other))) => {
                assert!((one - other).abs() <= 1e-12 * other.abs(), "{function:?}");
            }
            (one, other) => assert_eq!(one, other, "{function:?}"),
        }
    }
    assert_eq!(again.span(), Some((0, 4)));
    for end in 0..bytes.len() {
        assert!(Partial::decode(&bytes[..end]).is_err(), "cut off after {end}");
        let mut flipped = bytes.clone();
        flipped[end] ^= 0xff;
        let _ = Partial::decode(&flipped);
    }
}

#[test]
fn a_reader_hears_of_changes_that_are_in_the_log_only() {
    let disk = SimDisk::new();
    let (db, id) = database(&disk);
    let first = write(&db, id, 1, 1);
    write(&db, id, 2, 2);
    db.sync().unwrap();
    let options = Options { read_only: true, ..options() };
    let reader = Db::open_on(Arc::new(disk.clone()), options).unwrap();
    let chronolith_engine::Changes::Known { changes, until } = reader.changes(first).unwrap()
    else {
        panic!("nothing was forgotten");
    };
    assert_eq!((changes.len(), until), (1, first + 1));
}
