//! A bulk load is there whole or not at all, in its place among the batches that others write meanwhile,
//! and who follows the log learns of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use chronolith_disk::{CrashMode, Disk, SimDisk};
use chronolith_engine::chunk::ForeignChunk;
use chronolith_engine::{
    BlobRef, Block, Change, ChangeKind, Changes, Column, Db, Definition, Durability, Kind, Limits,
    Metric, MetricId, Options, Policies, SealScope, Value, VarColumn, WriteError, repair, verify,
};

use crate::crash_script::SECOND_NS;
use crate::hooked::Hooked;
use crate::oracle::{load, options, scan};

fn database(disk: &SimDisk) -> Db {
    Db::open_on(Arc::new(disk.clone()), options()).unwrap()
}

fn define(db: &Db, name: &str, kind: Kind, window_ns: i64) -> MetricId {
    db.define(Definition::new(Metric::new("car", name), kind).window_ns(window_ns)).unwrap()
}

fn all(db: &Db, metric: MetricId) -> Vec<(i64, Value)> {
    scan(db, metric, i64::MIN, i64::MAX)
}

#[test]
fn what_a_metric_does_not_take_is_refused_and_nothing_is_loaded() {
    let db = database(&SimDisk::new());
    let speed = define(&db, "speed", Kind::I64, SECOND_NS);
    let note = define(&db, "note", Kind::Text, SECOND_NS);
    let file = define(&db, "file", Kind::Bytes, SECOND_NS);
    let hidden = Definition::new(Metric::new("car", "driver"), Kind::I64);
    let hidden = db.define(hidden.policies("round:5".parse::<Policies>().unwrap())).unwrap();
    let numbers = Block::of_columns(vec![1, 2, 3], Column::I64(vec![1, 2, 3])).unwrap();
    let mut texts = Column::new(Kind::Text);
    assert!(texts.push("fits".into()));
    let long = "x".repeat(Limits::default().value_bytes + 1);
    assert!(texts.push(long.as_str().into()));
    let texts = Block::of_columns(vec![1, 2], texts).unwrap();
    let mut load = db.bulk_load();
    load.push(speed, &numbers).unwrap();
    assert!(matches!(
        load.push(note, &numbers),
        Err(WriteError::Kind { position: 3, expected: Kind::Text, found: Kind::I64, .. })
    ));
    assert!(matches!(load.push(note, &texts), Err(WriteError::ValueTooLong { position: 4, .. })));
    assert_eq!(load.len(), 3, "what was refused is not in it");
    let other = database(&SimDisk::new());
    let foreign: Vec<_> =
        (0..9).map(|n| define(&other, &format!("m{n}"), Kind::I64, SECOND_NS)).collect();
    let unknown = load.push(foreign[8], &numbers);
    assert!(matches!(unknown, Err(WriteError::UnknownMetric { position: 3, metric: 8 })));
    // Between others there is no room: of a window pieces are one after the other.
    let between = Block::of_columns(vec![0, 2], Column::I64(vec![0, 0])).unwrap();
    let refused = load.push(speed, &between);
    assert!(matches!(refused, Err(WriteError::Overlap { position: 3, .. })), "{refused:?}");
    load.push(speed, &Block::of_columns(vec![-5, 0], Column::I64(vec![0, 0])).unwrap()).unwrap();
    assert_eq!(load.len(), 5);
    load.push(hidden, &numbers).unwrap();
    let error = load.finish().unwrap_err().to_string();
    assert!(error.contains("driver") && error.contains("round:5"), "{error}");
    // Of blobs as in a batch.
    let mut blobs = Column::new(Kind::Bytes);
    let blob = other.write_blob(&b"somewhere else"[..]).unwrap();
    assert!(blobs.push(blob.into()));
    let blobs = Block::of_columns(vec![7], blobs).unwrap();
    let mut load = db.bulk_load();
    load.push(speed, &numbers).unwrap();
    load.push(file, &blobs).unwrap();
    assert!(matches!(load.finish(), Err(WriteError::UnknownBlob { position: 3, .. })));
    for metric in [speed, note, file, hidden] {
        assert_eq!(all(&db, metric), []);
    }
    let mut load = db.bulk_load();
    load.push(file, &blobs).unwrap();
    db.write_blob(&b"somewhere else"[..]).unwrap();
    load.finish().unwrap();
    assert_eq!(all(&db, file).len(), 1);
}

#[test]
fn columns_are_records_of_rising_times_or_nothing() {
    assert!(Block::of_columns(vec![1, 2], Column::I64(vec![1])).is_none());
    assert!(Block::of_columns(vec![2, 1], Column::I64(vec![1, 2])).is_none());
    assert!(Block::of_columns(vec![1, 1], Column::I64(vec![1, 2])).is_none());
    // No text is anything but UTF-8, also where all of them together are.
    let halves = |bytes: [&[u8]; 2]| {
        let mut texts = VarColumn::default();
        bytes.into_iter().for_each(|bytes| texts.push(bytes));
        Block::of_columns(vec![1, 2], Column::Text(texts))
    };
    assert!(halves([b"a", b"b"]).is_some());
    assert!(halves([b"\xc3", b"\xa9"]).is_none() && halves([b"\xff", b""]).is_none());
    let (mut texts, cid) = (VarColumn::default(), cid::Cid::default());
    texts.push_blob(BlobRef { cid, len_bytes: 1 });
    assert!(Block::of_columns(vec![1], Column::Text(texts)).is_none());
    assert_eq!(
        Block::of_columns(Vec::new(), Column::Bool(Vec::new())),
        Some(Block::new(Kind::Bool))
    );
}

/// Chunks of ten seconds, one of them amended later, go where windows are as long, shorter, longer.
#[test]
fn chunks_of_others_are_loaded_whatever_the_windows() {
    let from = database(&SimDisk::new());
    for kind in [Kind::F64, Kind::I64, Kind::Text] {
        let value = |n: i64| match kind {
            Kind::F64 => Value::F64(n as f64 / 4.0),
            Kind::I64 => Value::I64(n * n),
            _ => Value::Text(format!("at {n}")),
        };
        let source = define(&from, kind.name(), kind, 10 * SECOND_NS);
        let write = |seconds: std::ops::Range<i64>, more: i64| {
            let mut batch = from.batch();
            for second in seconds {
                batch.push(source, second * SECOND_NS, value(second + more).as_ref()).unwrap();
            }
            from.write(&batch, Durability::Buffered).unwrap();
            from.seal(SealScope::All).unwrap();
        };
        write(0..35, 0);
        write(8..12, 1_000);
        let chunks = from.chunks(source, ..).unwrap();
        assert_eq!(chunks.len(), 6, "four windows, and what came late for two");
        for window_ns in [10, 4, 60].map(|seconds| seconds * SECOND_NS) {
            let disk = SimDisk::new();
            let to = database(&disk);
            let target = define(&to, kind.name(), kind, window_ns);
            let (mut load, mut loads) = (to.bulk_load(), 1);
            for chunk in &chunks {
                let blocks = from.chunk_blocks(chunk.key).unwrap().unwrap();
                let foreign = ForeignChunk::new(chunk.cid, &blocks.header, blocks.body).unwrap();
                let opened = foreign.open(None).unwrap();
                match load.push_opened(target, &opened) {
                    Ok(()) => {}
                    // What amends a chunk comes behind it.
                    Err(WriteError::Overlap { .. }) => {
                        std::mem::replace(&mut load, to.bulk_load()).finish().unwrap();
                        load.push_opened(target, &opened).unwrap();
                        loads += 1;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            assert!(loads > 1, "the amended chunks are one after the other in the list");
            load.finish().unwrap();
            let expected = all(&from, source);
            assert_eq!(all(&to, target), expected, "{kind} in {window_ns}");
            to.close().unwrap();
            let to = database(&disk);
            to.seal(SealScope::All).unwrap();
            to.compact().unwrap();
            assert_eq!(all(&to, target), expected, "{kind} in {window_ns}, sealed");
        }
    }
}

#[test]
fn who_follows_is_told_to_look_for_what_changed() {
    let db = database(&SimDisk::new());
    let speed = define(&db, "speed", Kind::I64, 10 * SECOND_NS);
    let follower = db.follow(1 << 20).unwrap();
    let position = follower.last();
    let records: Vec<_> = (0..30).map(|n| (speed, n * SECOND_NS, Value::I64(n))).collect();
    let sequence = load(&db, &records).unwrap();
    assert!(follower.wait(position, std::time::Duration::ZERO));
    assert!(follower.since(position, 100).is_none(), "it is not in memory");
    let Changes::Known { changes, until } = db.changes(position).unwrap() else {
        panic!("they are known");
    };
    assert!(until >= sequence);
    let spans: Vec<_> =
        changes.iter().map(|Change { first_ns, last_ns, .. }| (first_ns, last_ns)).collect();
    assert!(changes.iter().all(|change| {
        (change.metric, change.kind, change.sequences)
            == (speed.index(), ChangeKind::Write, (sequence, sequence))
    }));
    assert_eq!((*spans[0].0, *spans[spans.len() - 1].1), (0, 29 * SECOND_NS));
    // And goes on from there.
    let mut batch = db.batch();
    batch.push(speed, 31 * SECOND_NS, 1_i64).unwrap();
    db.write(&batch, Durability::Buffered).unwrap();
    assert_eq!(follower.since(until, 100).unwrap().batches.len(), 1);
}

/// Of two values of one time the one of the later sequence counts, whoever wrote it and whatever was
/// flushed, deleted and sealed between.
#[test]
fn loads_and_batches_of_many_writers_are_in_the_order_of_their_sequences() {
    const ROUNDS: i64 = 40;
    let disk = SimDisk::new();
    let db = database(&disk);
    let speed = define(&db, "speed", Kind::I64, 10 * SECOND_NS);
    let done: Mutex<BTreeMap<u64, Vec<(i64, i64)>>> = Mutex::default();
    std::thread::scope(|scope| {
        for writer in 0..4_i64 {
            let (db, done) = (&db, &done);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    // All of them write the same times.
                    let value = writer * ROUNDS + round;
                    let records: Vec<_> =
                        (round..round + 25).map(|n| (n * SECOND_NS, value)).collect();
                    let sequence = if writer % 2 == 0 {
                        let mut batch = db.batch();
                        for (time_ns, value) in &records {
                            batch.push(speed, *time_ns, *value).unwrap();
                        }
                        db.write(&batch, Durability::Buffered).unwrap()
                    } else {
                        let records = records.iter();
                        let records: Vec<_> = records
                            .map(|(time_ns, value)| (speed, *time_ns, Value::I64(*value)))
                            .collect();
                        load(db, &records).unwrap()
                    };
                    assert!(done.lock().unwrap().insert(sequence, records).is_none());
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..10 {
                drop(db.snapshot());
                db.seal(SealScope::All).unwrap();
                db.compact().unwrap();
            }
        });
    });
    let mut expected: BTreeMap<i64, i64> = BTreeMap::new();
    for records in done.into_inner().unwrap().into_values() {
        expected.extend(records);
    }
    let expected: Vec<_> =
        expected.into_iter().map(|(time_ns, value)| (time_ns, Value::I64(value))).collect();
    assert_eq!(all(&db, speed), expected);
    drop(db);
    let db = database(&disk);
    assert_eq!(all(&db, speed), expected, "opened again without being closed");
    db.seal(SealScope::All).unwrap();
    assert_eq!(all(&db, speed), expected, "sealed");
}

/// A batch that comes while a load flushes what is in memory is older than the load, whatever comes later: in memory,
/// read back from the log, in runs and in chunks.
#[test]
fn what_comes_right_before_a_load_is_older() {
    let disk = Arc::new(Hooked::new());
    let db = Db::open_on(Arc::clone(&disk) as Arc<dyn Disk>, options()).unwrap();
    let speed = define(&db, "speed", Kind::I64, 10 * SECOND_NS);
    let write = |db: &Db, records: &[(i64, i64)]| {
        let mut batch = db.batch();
        records.iter().for_each(|(time_ns, value)| batch.push(speed, *time_ns, *value).unwrap());
        db.write(&batch, Durability::Buffered).unwrap();
    };
    write(&db, &[(1, 10), (2, 10), (3, 10)]);
    // The second run is that of what was in memory.
    let (hooked, mut runs) = (db.clone(), 0);
    disk.set(move |call, path| {
        runs += usize::from(call == "open" && path.starts_with("runs/"));
        if runs == 2 {
            runs += 1;
            let mut batch = hooked.batch();
            batch.push(speed, 2, 20_i64).unwrap();
            batch.push(speed, 5, 20_i64).unwrap();
            hooked.write(&batch, Durability::Buffered).unwrap();
        }
    });
    load(&db, &[(speed, 2, Value::I64(30)), (speed, 4, Value::I64(30))]).unwrap();
    disk.clear();
    let survived = database(&disk.sim.crash(CrashMode::KeepAll, 0));
    for db in [db, survived] {
        let mut expected = vec![(1, 10), (2, 30), (3, 10), (4, 30), (5, 20)];
        let check = |expected: &[(i64, i64)], when: &str| {
            let expected: Vec<_> =
                expected.iter().map(|(time_ns, value)| (*time_ns, Value::I64(*value))).collect();
            assert_eq!(all(&db, speed), expected, "{when}");
        };
        check(&expected, "loaded");
        write(&db, &[(6, 60)]);
        expected.push((6, 60));
        check(&expected, "written behind it");
        db.flush().unwrap();
        check(&expected, "flushed");
        db.compact().unwrap();
        check(&expected, "compacted");
        db.seal(SealScope::All).unwrap();
        check(&expected, "sealed");
    }
}

/// What is there after a power cut is what came up to some sequence, loads among it, whoever wrote.
#[test]
fn a_power_cut_beside_loads_leaves_a_prefix() {
    let disk = SimDisk::new();
    let db = database(&disk);
    let speed = define(&db, "speed", Kind::I64, 10 * SECOND_NS);
    db.sync().unwrap();
    disk.keep_history();
    let done: Mutex<BTreeMap<u64, Vec<(i64, i64)>>> = Mutex::default();
    std::thread::scope(|scope| {
        for writer in 0..3_i64 {
            let (db, done) = (&db, &done);
            scope.spawn(move || {
                for round in 0..12 {
                    let value = writer * 100 + round;
                    let records: Vec<_> =
                        (round..round + 9).map(|n| (n * SECOND_NS, value)).collect();
                    let mut batch = db.batch();
                    let mut columns = Vec::new();
                    for (time_ns, value) in &records {
                        batch.push(speed, *time_ns, *value).unwrap();
                        columns.push((speed, *time_ns, Value::I64(*value)));
                    }
                    let sequence = match writer {
                        0 => load(db, &columns).unwrap(),
                        1 => db.write(&batch, Durability::Synced).unwrap(),
                        _ => db.write(&batch, Durability::Buffered).unwrap(),
                    };
                    done.lock().unwrap().insert(sequence, records);
                }
            });
        }
    });
    db.sync().unwrap();
    let mut prefixes: Vec<BTreeMap<i64, i64>> = vec![BTreeMap::new()];
    for records in done.into_inner().unwrap().into_values() {
        let mut next = prefixes[prefixes.len() - 1].clone();
        next.extend(records);
        prefixes.push(next);
    }
    let prefixes: Vec<Vec<_>> = prefixes
        .into_iter()
        .map(|one| one.into_iter().map(|(time_ns, value)| (time_ns, Value::I64(value))).collect())
        .collect();
    let (mut cuts, mut longest) = (0, 0);
    for (seed, image) in disk.history().iter().enumerate() {
        for mode in [CrashMode::ALL[seed % CrashMode::ALL.len()], CrashMode::DropUnsynced] {
            let survived = image.crash(mode, seed as u64);
            let found = all(&database(&survived), speed);
            let prefix = prefixes.iter().position(|one| *one == found);
            let prefix = prefix.unwrap_or_else(|| panic!("{mode:?} {seed}: {found:?}"));
            (cuts, longest) = (cuts + 1, longest.max(prefix));
        }
    }
    assert!(cuts > 200 && longest == prefixes.len() - 1, "{cuts} cuts, {longest}");
}

/// A log that lacks what the manifest says came before a load's run is damaged, and not torn; a repair goes on behind it.
#[test]
fn a_log_that_ends_before_a_load_is_damage() {
    let disk = SimDisk::new();
    let db = database(&disk);
    let speed = define(&db, "speed", Kind::I64, SECOND_NS);
    load(&db, &[(speed, 1, Value::I64(1))]).unwrap();
    // Not closed: that would say itself where the log ended.
    let disk = disk.crash(CrashMode::KeepAll, 0);
    let logs: Vec<String> =
        disk.files().into_iter().filter(|name| name.starts_with("wal/")).collect();
    let last = logs.iter().max().unwrap();
    let before = disk.deep_clone();
    let file = disk.open(last).unwrap();
    file.set_len(file.len().unwrap() - 1).unwrap();
    drop(file);
    let cut: Arc<dyn Disk> = Arc::new(disk);
    let reported = verify(&cut, &options()).faults;
    assert_eq!(reported.len(), 1, "{reported:?}");
    assert!(Db::open_on(Arc::clone(&cut), options()).is_err());
    assert!(repair(&cut, &options()).unwrap().changed_files > 0);
    for disk in [cut, Arc::new(before)] {
        let db = Db::open_on(disk, options()).unwrap();
        assert_eq!(all(&db, speed), [(1, Value::I64(1))]);
        // What comes next is newer.
        let mut batch = db.batch();
        batch.push(speed, 1, 2_i64).unwrap();
        db.write(&batch, Durability::Synced).unwrap();
        db.flush().unwrap();
        assert_eq!(all(&db, speed), [(1, Value::I64(2))]);
        db.delete(&[speed], 1..=1).unwrap();
        assert_eq!(all(&db, speed), []);
    }
}

#[test]
fn a_database_for_reading_takes_no_load() {
    let disk = SimDisk::new();
    let db = database(&disk);
    let speed = define(&db, "speed", Kind::I64, SECOND_NS);
    db.close().unwrap();
    let db = Db::open_on(Arc::new(disk), Options { read_only: true, ..options() }).unwrap();
    let refused = load(&db, &[(speed, 1, Value::I64(1))]);
    assert!(matches!(refused, Err(WriteError::ReadOnly)));
}
