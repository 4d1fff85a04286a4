//! One byte of any file may rot: the store gives the same answers, or an error that names the
//! file. It never gives a wrong answer and never panics.

use std::sync::Arc;

use chronolith_disk::SimDisk;
use chronolith_engine::{Aggregation, Db, Durability, Every, Function, SealScope, Value};

use crate::crash_script::{Content, SECOND_NS, content, definition, script_options};

/// Everything that a reader can ask for.
#[derive(Debug, Clone, PartialEq)]
struct Answers {
    content: Content,
    latest: Vec<Option<(i64, Value)>>,
    /// As text, which tells all of them apart.
    buckets: Vec<String>,
    retention: usize,
}

fn open(disk: &SimDisk) -> Result<Db, String> {
    Db::open_on(Arc::new(disk.clone()), script_options()).map_err(|error| error.to_string())
}

fn answers(db: &Db) -> Result<Answers, String> {
    let mut answers = Answers {
        content: content(db)?,
        latest: Vec::new(),
        buckets: Vec::new(),
        retention: db.retention().len(),
    };
    for number in 0..db.metric_count() as u32 {
        let id = db.metric_by_number(number).ok_or("a metric is missing")?;
        answers.latest.push(db.latest(id).map_err(|error| error.to_string())?);
        let applies = |function: &Function| function.applies_to(id.kind());
        let functions: Vec<Function> = Function::ALL.into_iter().filter(applies).collect();
        for every in [Every::Nanoseconds(20 * SECOND_NS), Every::Everything] {
            let functions = functions.clone();
            let aggregation = Aggregation { from_ns: i64::MIN, to_ns: i64::MAX, every, functions };
            let buckets = db.aggregate(&[id], &aggregation).map_err(|error| error.to_string())?;
            answers.buckets.push(format!("{buckets:?}"));
        }
    }
    Ok(answers)
}

fn write(db: &Db, from: i64, count: i64) {
    let mut batch = db.batch();
    for at in from..from + count {
        for number in 0..db.metric_count() as u32 {
            let id = db.metric_by_number(number).unwrap();
            let time_ns = at * SECOND_NS;
            let value = match number {
                0 => Value::F64(at as f64 / 10.0),
                1 => Value::I64(at % 7),
                2 => Value::U64(at as u64),
                3 => Value::Bool(at % 3 == 0),
                _ => Value::Text(format!("at {at}")),
            };
            batch.push(id, time_ns, value.as_ref()).unwrap();
        }
    }
    batch.put_state("flips", &from.to_le_bytes(), b"seen");
    db.write(&batch, Durability::Synced).unwrap();
}

/// A store with a sealed segment, a run, state, definitions and a log, still open.
fn store() -> (SimDisk, Db) {
    let disk = SimDisk::new();
    let db = open(&disk).unwrap();
    for number in 0..5 {
        db.define(definition(number, "km/h")).unwrap();
    }
    write(&db, 100, 24);
    db.seal(SealScope::ClosedAt(420 * SECOND_NS)).unwrap();
    write(&db, 118, 6);
    let id = db.metric_by_number(1).unwrap();
    db.delete(&[id], 103 * SECOND_NS..=104 * SECOND_NS).unwrap();
    db.flush().unwrap();
    write(&db, 126, 3);
    write(&db, 127, 3);
    db.set_retention(Vec::new()).unwrap();
    (disk, db)
}

/// Calls `check` with a disk for every byte of every file that one bit or all bits of it are
/// flipped in; how many.
fn for_each_flip(disk: &SimDisk, mut check: impl FnMut(&SimDisk, &str, u64)) -> usize {
    let mut flips = 0;
    for path in disk.files().into_iter().filter(|path| path != "LOCK") {
        for offset in 0..disk.read_file(&path).unwrap().len() as u64 {
            let flipped = disk.deep_clone();
            flipped.flip(&path, offset, if offset % 2 == 0 { 0x01 } else { 0xFF }).unwrap();
            check(&flipped, &path, offset);
            flips += 1;
        }
    }
    flips
}

fn assert_names(error: &str, path: &str, offset: u64) {
    assert!(error.contains(path), "byte {offset} of {path} is flipped, the error says: {error}");
}

#[test]
pub(crate) fn a_flipped_byte_of_a_closed_store_is_an_error_that_names_the_file() {
    let (disk, db) = store();
    db.close().unwrap();
    let files = disk.files();
    for folder in ["manifest", "metrics", "keys/", "runs/", "segments/", "state/", "wal/"] {
        assert!(files.iter().any(|path| path.starts_with(folder)), "{folder} of {files:?}");
    }
    let expected = answers(&open(&disk.deep_clone()).unwrap()).unwrap();
    let mut errors = 0;
    let flips = for_each_flip(&disk, |flipped, path, offset| {
        let found = open(flipped).and_then(|db| {
            assert_eq!(db.torn_tail(), None, "byte {offset} of {path}");
            answers(&db)
        });
        match found {
            Ok(found) => assert_eq!(found, expected, "byte {offset} of {path}"),
            Err(error) => {
                errors += 1;
                assert_names(&error, path, offset);
            }
        }
    });
    eprintln!(
        "{flips} flips of a closed store: {errors} errors that name the file, no wrong answer"
    );
}

#[test]
pub(crate) fn a_flipped_byte_of_a_store_that_was_not_closed_reads_as_torn_only_at_the_end() {
    let (disk, db) = store();
    let disk = disk.deep_clone();
    drop(db);
    let whole = answers(&open(&disk.deep_clone()).unwrap()).unwrap();
    let (mut errors, mut torn) = (0, 0);
    let flips = for_each_flip(&disk, |flipped, path, offset| {
        let db = match open(flipped) {
            Ok(db) => db,
            Err(error) => {
                errors += 1;
                return assert_names(&error, path, offset);
            }
        };
        let Some(tail) = db.torn_tail().cloned() else {
            match answers(&db) {
                Ok(found) => assert_eq!(found, whole, "byte {offset} of {path}"),
                Err(error) => {
                    errors += 1;
                    assert_names(&error, path, offset);
                }
            }
            return;
        };
        torn += 1;
        assert_eq!(tail.file, path, "byte {offset} of {path}");
        assert!(tail.offset <= offset && tail.dropped_bytes > 0, "byte {offset} of {path}");
        // Only the last batch of the script was confirmed by nothing.
        let times = |answers: &Answers| -> Vec<i64> {
            answers.content.records[0].iter().map(|(time_ns, _)| *time_ns).collect()
        };
        let found = answers(&db).unwrap();
        let lost = times(&whole).iter().filter(|time| !times(&found).contains(time)).count();
        assert_eq!(lost, 1, "byte {offset} of {path}: {tail:?}");
    });
    assert!(torn > 0);
    eprintln!(
        "{flips} flips of a store that was not closed: {errors} errors that name the file, \
         {torn} torn ends, no wrong answer"
    );
}

#[test]
fn a_flipped_byte_of_the_key_does_not_make_another_key() {
    let (disk, db) = store();
    db.close().unwrap();
    let size = disk.read_file("keys/producer.key").unwrap().len() as u64;
    for offset in 0..size {
        let flipped = disk.deep_clone();
        flipped.flip("keys/producer.key", offset, 0x10).unwrap();
        let sealed = open(&flipped)
            .and_then(|db| db.seal(SealScope::All).map_err(|error| error.to_string()));
        match sealed {
            Ok(_) => panic!("sealed with a key whose byte {offset} is flipped"),
            Err(error) => assert_names(&error, "keys/producer.key", offset),
        }
    }
}
