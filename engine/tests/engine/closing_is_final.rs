//! Closing waits for what goes on, and what was acknowledged before it is there afterwards.

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use chronolith_engine::{
    Db, Durability, Kind, Maintenance, Metric, MetricId, Options, SealScope, WriteError,
};

const SECOND_NS: i64 = 1_000_000_000;

fn open(path: &Path, memtable_bytes: usize) -> Db {
    let maintenance = Maintenance::Background;
    Db::open(path, Options { memtable_bytes, maintenance, ..Options::default() }).unwrap()
}

fn metric(db: &Db, name: &str) -> MetricId {
    db.metric(Metric::new("car", name), Kind::I64).unwrap()
}

fn write(db: &Db, id: MetricId, at: i64, durability: Durability) -> Result<(), WriteError> {
    let mut batch = db.batch();
    batch.push(id, at * SECOND_NS, at)?;
    db.write(&batch, durability).map(drop)
}

fn count(db: &Db, id: MetricId) -> usize {
    db.scan(id, ..).unwrap().map(|block| block.unwrap().len()).sum()
}

/// Closing returned while the thread behind it still flushed and held the lock: an opening right
/// after it said that another process had the database open.
#[test]
fn a_database_may_be_opened_again_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..20 {
        // So small a budget keeps the background busy.
        let db = open(folder.path(), 1 << 10);
        let id = metric(&db, "speed");
        for at in 0..100 {
            write(&db, id, round * 100 + at, Durability::Buffered).unwrap();
        }
        match round % 3 {
            0 => db.close().unwrap(),
            1 => drop(db),
            _ => drop((db.clone(), db)),
        }
    }
    let db = open(folder.path(), 1 << 20);
    assert_eq!(count(&db, metric(&db, "speed")), 2_000);
}

/// A frame that came between the last sync and the note of the log's end was counted as part of
/// what was closed cleanly, but never written: the next opening called it damage.
#[test]
fn a_writer_that_is_closed_on_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut expected = [0; 2];
    for _ in 0..30 {
        let db = open(folder.path(), 1 << 20);
        let writers: Vec<_> = [("a", Durability::Synced), ("b", Durability::Buffered)]
            .into_iter()
            .zip(expected)
            .map(|((name, durability), start)| {
                let (db, id) = (db.clone(), metric(&db, name));
                thread::spawn(move || {
                    let mut at = start;
                    while write(&db, id, at, durability).is_ok() {
                        at += 1;
                    }
                    at
                })
            })
            .collect();
        let watcher = metric(&db, "b");
        while count(&db, watcher) < expected[1] as usize + 5 {
            thread::yield_now();
        }
        db.close().unwrap();
        for (writer, expected) in writers.into_iter().zip(&mut expected) {
            *expected = writer.join().unwrap();
        }
        let db = open(folder.path(), 1 << 20);
        for (name, expected) in ["a", "b"].iter().zip(expected) {
            assert_eq!(count(&db, metric(&db, name)) as i64, expected);
        }
    }
}

#[test]
fn who_waits_for_a_batch_is_called_by_closing_and_not_stopped_by_others() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path(), 1 << 20);
    let id = metric(&db, "speed");
    let (told, results) = mpsc::channel();
    for at in 0..10 {
        let mut batch = db.batch();
        batch.push(id, at * SECOND_NS, at).unwrap();
        let ticket = db.submit(&batch).unwrap();
        let told = told.clone();
        db.when_durable(&ticket, move |result| {
            told.send(result.is_ok()).unwrap();
            assert!(at % 3 > 0, "a caller's mistake");
        });
    }
    db.close().unwrap();
    drop(told);
    assert_eq!(results.iter().collect::<Vec<_>>(), [true; 10]);
}

#[test]
fn other_handles_are_told_that_the_database_was_closed() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path(), 1 << 20);
    let id = metric(&db, "speed");
    write(&db, id, 1, Durability::Synced).unwrap();
    let other = db.clone();
    db.close().unwrap();
    assert!(matches!(write(&other, id, 2, Durability::Synced), Err(WriteError::Closed)));
    assert!(other.seal(SealScope::All).is_err());
    assert!(other.compact().is_err());
    assert!(other.delete(&[id], ..).is_err());
    assert_eq!(count(&other, id), 1);
    // The files belong to whoever opened them next.
    let next = open(folder.path(), 1 << 20);
    write(&next, metric(&next, "speed"), 2, Durability::Synced).unwrap();
    drop(other);
    assert_eq!(count(&next, metric(&next, "speed")), 2);
}

#[test]
fn times_that_never_come_are_no_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { seal_interval: Duration::MAX, ..Options::default() };
    let db = Db::open(folder.path(), options).unwrap();
    let id = metric(&db, "speed");
    write(&db, id, 1, Durability::Within(Duration::MAX)).unwrap();
    db.close().unwrap();
    assert_eq!(count(&open(folder.path(), 1 << 20), id), 1);
}
