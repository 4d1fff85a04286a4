//! What changed, what is latest and which chunks there are: no more is left out than was asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chronolith_disk::{Disk, SimDisk};
use chronolith_engine::{
    Change, ChangeKind, Changes, Db, Definition, Durability, Kind, Level, Metric, MetricId,
    SealScope, Value, verify,
};

use crate::oracle::{options, scan};

const SECOND_NS: i64 = 1_000_000_000;

fn database() -> (SimDisk, Db) {
    let disk = SimDisk::new();
    let db = Db::open_on(Arc::new(disk.clone()), options()).unwrap();
    (disk, db)
}

fn definition() -> Definition {
    Definition::new(Metric::new("car-1", "speed"), Kind::F64).window_ns(SECOND_NS)
}

fn write(db: &Db, id: MetricId, time_ns: i64, value: f64) {
    let mut batch = db.batch();
    batch.push(id, time_ns, value).unwrap();
    db.write(&batch, Durability::Synced).unwrap();
}

fn known(db: &Db, since: u64) -> (Vec<Change>, u64) {
    match db.changes(since).unwrap() {
        Changes::Known { changes, until } => (changes, until),
        Changes::TooOld { from } => panic!("too old, known from {from}"),
    }
}

/// Symptom: asking for the latest record of the last minute gave one of last year. Loss: stale
/// values that look current. Cause: the start of the range was ignored. Fix: it holds.
#[test]
fn the_latest_record_of_a_range_is_in_the_range() {
    let (_, db) = database();
    let id = db.define(definition()).unwrap();
    for (time_ns, value) in [(5, 0.5), (8, 0.8), (SECOND_NS + 3, 1.3)] {
        write(&db, id, time_ns, value);
    }
    for step in 0..3 {
        match step {
            1 => db.flush().unwrap(),
            2 => drop(db.seal(SealScope::All).unwrap()),
            _ => {}
        }
        let snapshot = db.snapshot();
        let latest = |from, to| snapshot.latest(id, from..=to).unwrap();
        assert_eq!(latest(i64::MIN, i64::MAX), Some((SECOND_NS + 3, Value::F64(1.3))));
        assert_eq!(latest(SECOND_NS + 4, i64::MAX), None);
        assert_eq!(latest(9, SECOND_NS + 2), None);
        assert_eq!(latest(8, SECOND_NS + 2), Some((8, Value::F64(0.8))));
        assert_eq!(latest(6, 7), None);
        assert_eq!(latest(i64::MIN, 7), Some((5, Value::F64(0.5))));
        assert_eq!(snapshot.latest(id, ..5).unwrap(), None);
    }
}

/// Symptom: after a metric's level was raised, all of its chunks vanished from the catalogue until
/// the next one was sealed, and when all bodies were gone for ever. Loss: the proof that nothing
/// is missing. Cause: one name for all chunks of a metric, taken from a body. Fix: each chunk is
/// named by the definition it was made from, and pseudonyms come from the key.
#[test]
fn the_catalogue_lists_every_chunk_whatever_its_level() {
    let (disk, db) = database();
    let id = db.define(definition()).unwrap();
    write(&db, id, 0, 1.0);
    db.seal(SealScope::All).unwrap();
    let open = db.catalogue("car-1").unwrap();
    assert_eq!(open.chunks, 1);
    db.define(definition().level(Level::Personal)).unwrap();
    assert_eq!(db.catalogue("car-1").unwrap(), open, "raising the level changes no chunk");
    write(&db, id, SECOND_NS, 2.0);
    db.seal(SealScope::All).unwrap();
    let both = db.catalogue("car-1").unwrap();
    assert_eq!(both.chunks, 2);
    // Every body goes; the headers' digests and the replacements' absence stay.
    db.delete(&[id], ..).unwrap();
    db.compact().unwrap();
    assert!(db.chunks(id, ..).unwrap().iter().all(|chunk| chunk.body.is_none()));
    assert_eq!(db.catalogue("car-1").unwrap(), both);
    db.close().unwrap();
    let reader = chronolith_engine::Options { read_only: true, create: false, ..options() };
    let db = Db::open_on(Arc::new(disk), reader).unwrap();
    assert_eq!(db.catalogue("car-1").unwrap(), both, "read by somebody who takes no lock");
}

/// Symptom: after a metric's level was raised, headers of what was sealed before went on showing its
/// names and times. Loss: what the level hides. Cause: only new chunks took the new level. Fix: a
/// compaction replaces the old ones; what was given away before stays given away.
#[test]
fn raising_a_level_rewrites_what_was_sealed_before() {
    let (disk, db) = database();
    let id = db.define(definition()).unwrap();
    let other = db.define(Definition { metric: Metric::new("car-1", "other"), ..definition() });
    let other = other.unwrap();
    for at in 0..3 {
        write(&db, id, at * SECOND_NS, at as f64);
        write(&db, other, at * SECOND_NS, at as f64);
    }
    db.seal(SealScope::All).unwrap();
    let shown = |id: MetricId| -> Vec<bool> {
        let chunks = db.chunks(id, ..).unwrap();
        let whole = chunks.iter().filter(|chunk| chunk.body.is_some());
        let header = |key| db.provable_chunk(key).unwrap().unwrap().header;
        let shows = |header: Vec<u8>| header.windows(5).any(|bytes| bytes == b"speed");
        whole.map(|chunk| shows(header(chunk.key))).collect()
    };
    let before = scan(&db, id, i64::MIN, i64::MAX);
    let ids = |id| -> Vec<_> { db.chunks(id, ..).unwrap().iter().map(|c| c.cid).collect() };
    let unchanged = ids(other);
    assert!(shown(id).iter().all(|shows| *shows));
    db.define(definition().level(Level::Personal)).unwrap();
    assert!(db.compact().unwrap().rewritten_windows > 0);
    assert!(!shown(id).is_empty() && shown(id).iter().all(|shows| !shows));
    assert_eq!(scan(&db, id, i64::MIN, i64::MAX), before);
    assert_eq!(ids(other), unchanged, "no other metric's chunks change");
    assert_eq!(db.compact().unwrap().rewritten_windows, 0, "once is enough");
    db.close().unwrap();
    let shared: Arc<dyn Disk> = Arc::new(disk);
    assert_eq!(verify(&shared, &options()).faults, []);
}

/// Symptom: a reader of changes never heard of a deletion that came while it asked. Loss: derived
/// results that keep deleted records. Cause: deletions were copied before the moment that the
/// answer is of. Fix: everything is of one view, taken after the sequence that the answer names.
#[test]
fn a_deletion_is_reported_whenever_it_comes() {
    let (_, db) = database();
    let id = db.define(definition()).unwrap();
    write(&db, id, 5, 0.5);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..400 {
                db.delete(&[id], round..=round).unwrap();
            }
            done.store(true, Ordering::SeqCst);
        });
        let (mut since, mut found) = (0, Vec::new());
        loop {
            let last = done.load(Ordering::SeqCst);
            let (changes, until) = known(&db, since);
            assert!(until >= since);
            let deletions = changes.iter().filter(|change| change.kind == ChangeKind::Delete);
            found.extend(deletions.map(|change| change.first_ns));
            since = until;
            if last {
                break;
            }
        }
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, (0..400).collect::<Vec<i64>>());
    });
}

/// Symptom: a reader that asked once a second made a memtable a second, and a run of every eight.
/// Loss: speed, and many small files. Cause: each question froze the memtable, to know its end.
/// Fix: the end is the last sequence before the question, and spans are known without decoding.
#[test]
fn asking_for_changes_changes_nothing() {
    let (disk, db) = database();
    let id = db.define(definition()).unwrap();
    let text = db
        .define(Definition::new(Metric::new("car-1", "note"), Kind::Text).window_ns(SECOND_NS))
        .unwrap();
    let mut since = 0;
    let before = disk.files();
    for round in 0..40 {
        write(&db, id, 100 - round, 1.0);
        let mut batch = db.batch();
        batch.push(text, round, "x").unwrap();
        db.write(&batch, Durability::Synced).unwrap();
        let (changes, until) = known(&db, since);
        let spans: Vec<(u32, i64, i64)> =
            changes.iter().map(|change| (change.metric, change.first_ns, change.last_ns)).collect();
        assert_eq!(spans, [(0, 100 - round, 100), (1, 0, round)]);
        assert!(changes.iter().all(|change| change.sequences.1 == until && until > since));
        assert_eq!(known(&db, until), (Vec::new(), until));
        since = until;
    }
    assert_eq!(disk.files(), before);
}
