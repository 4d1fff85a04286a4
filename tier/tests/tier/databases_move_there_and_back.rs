//! A database whose old segments are in a store answers as before, also after the store was away.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use chronolith_engine::{
    Db, Definition, Durability, Kind, Maintenance, MaintenanceError, Metric, MetricId, Options,
    ReadError, SealScope, SegmentStoreOptions, StoreProblem, ValueRef,
};
use chronolith_tier::StoreSettings;

use crate::place::{Server, open, places};

const SECOND_NS: i64 = 1_000_000_000;
const RECORDS: i64 = 30_000;

fn options(settings: &StoreSettings) -> Options {
    let segment_store = SegmentStoreOptions {
        after: Duration::ZERO,
        piece_bytes: 16 << 10,
        removal_grace: Duration::ZERO,
        move_interval: Duration::from_millis(50),
        ..SegmentStoreOptions::new(Arc::new(open(settings)))
    };
    Options {
        segment_store: Some(segment_store),
        maintenance: Maintenance::Manual,
        ..Options::default()
    }
}

fn fill(db: &Db) -> MetricId {
    let definition = Definition::new(Metric::new("car", "speed"), Kind::F64);
    let id = db.define(definition.window_ns(60 * SECOND_NS)).unwrap();
    let mut batch = db.batch();
    for at in 0..RECORDS {
        batch.push(id, at * SECOND_NS / 10, ((at * 7_919) % 1_000_003) as f64 / 7.0).unwrap();
    }
    db.write(&batch, Durability::Synced).unwrap();
    db.seal(SealScope::All).unwrap();
    id
}

fn records(db: &Db, id: MetricId) -> Result<Vec<(i64, f64)>, ReadError> {
    let mut records = Vec::new();
    for block in db.scan(id, ..)? {
        let block = block?;
        records.extend(block.iter().map(|(time, value)| match value {
            ValueRef::F64(value) => (time, value),
            other => panic!("{other:?} is no float"),
        }));
    }
    Ok(records)
}

fn reopened(place: &Path, settings: &StoreSettings) -> Db {
    Db::open(place, options(settings)).unwrap()
}

#[test]
fn answers_are_the_same_and_deletions_are_carried_out() {
    for place in places() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("fleet.db");
        let db = reopened(&database, &place.settings);
        let id = fill(&db);
        let before = records(&db, id).unwrap();
        assert_eq!(db.move_segments().unwrap().segments, 1, "{}", place.name);
        assert_eq!(records(&db, id).unwrap(), before, "{}", place.name);
        db.close().unwrap();
        std::fs::remove_dir_all(database.join("cache")).unwrap();
        let db = reopened(&database, &place.settings);
        assert_eq!(db.store_status().fetched, (0, 0), "opening fetched something");
        assert_eq!(records(&db, id).unwrap(), before, "{}", place.name);
        db.delete(&[id], ..600 * SECOND_NS).unwrap();
        db.compact().unwrap();
        let report = db.move_segments().unwrap();
        assert_eq!((report.segments, report.removed), (1, 1), "{}", place.name);
        assert_eq!(records(&db, id).unwrap(), before[6_000..], "{}", place.name);
        let home = db.store_status();
        assert_eq!((home.local.0, home.moved.0, home.removals), (0, 1, 0), "{}", place.name);
    }
}

/// Waits for what the background does.
fn wait_for(what: &str, is_done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_done() {
        assert!(Instant::now() < deadline, "{what} does not happen");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_server_that_is_killed_in_the_middle_costs_nothing_and_the_background_goes_on() {
    let Some(mut server) = Server::start() else { return };
    let settings = StoreSettings { deadline_s: 2, ..server.settings() };
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("fleet.db");
    let db = reopened(&database, &settings);
    let id = fill(&db);
    let before = records(&db, id).unwrap();
    server.kill();
    let error = db.move_segments().unwrap_err();
    assert!(
        matches!(&error, MaintenanceError::Read(ReadError::Store(error))
        if matches!(error.problem, StoreProblem::Unreachable(_))),
        "{error}"
    );
    assert_eq!(records(&db, id).unwrap(), before, "nothing moved yet");
    db.close().unwrap();

    // The background tries, and tries again when the server is back.
    let background = Options { maintenance: Maintenance::Background, ..options(&settings) };
    let db = Db::open(&database, background).unwrap();
    wait_for("a failed move", || db.store_status().last_error.is_some());
    server.run();
    wait_for("a move", || {
        let status = db.store_status();
        status.moved.0 == 1 && status.last_error.is_none()
    });
    server.kill();
    // What is on this disk goes on.
    let mut batch = db.batch();
    batch.push(id, RECORDS * SECOND_NS, 1.0).unwrap();
    db.write(&batch, Durability::Synced).unwrap();
    let error = records(&db, id).unwrap_err();
    assert!(matches!(error, ReadError::Store(_)), "{error}");
    assert_eq!(db.latest(id).unwrap().map(|(time, _)| time), Some(RECORDS * SECOND_NS));
    server.run();
    assert_eq!(records(&db, id).unwrap().len(), before.len() + 1);
    db.close().unwrap();
}
