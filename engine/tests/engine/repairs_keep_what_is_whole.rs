//! A repair keeps everything that is whole, says what is lost, and leaves a store that opens and
//! verifies; wherever the power is cut, the next repair does the same.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use chronolith_disk::{CrashMode, Disk, Lie, SimDisk};
use chronolith_engine::{
    BlobRef, Db, Definition, Durability, Kind, Metric, MetricId, RepairReport, SealScope, Value,
    ValueRef, repair, verify,
};

use crate::crash_script::{Content, SECOND_NS, content, definition, script_options};

fn open(disk: &SimDisk) -> Result<Db, String> {
    Db::open_on(Arc::new(disk.clone()), script_options()).map_err(|error| error.to_string())
}

pub(crate) fn repaired(disk: &SimDisk) -> Result<RepairReport, String> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    repair(&disk, &script_options()).map_err(|error| error.to_string())
}

fn write(db: &Db, from: i64, count: i64) {
    let mut batch = db.batch();
    for at in from..from + count {
        for number in 0..db.metric_count() as u32 {
            let id = db.metric_by_number(number).unwrap();
            let value = match id.kind() {
                Kind::F64 => Value::F64(at as f64 / 10.0),
                Kind::I64 => Value::I64(at % 7),
                Kind::U64 => Value::U64(at as u64),
                Kind::Bool => Value::Bool(at % 3 == 0),
                Kind::Text => Value::Text(format!("at {at}")),
                _ => Value::Bytes(at.to_le_bytes().to_vec()),
            };
            batch.push(id, at * SECOND_NS, value.as_ref()).unwrap();
        }
    }
    batch.put_state("script", &from.to_le_bytes(), b"seen");
    db.write(&batch, Durability::Synced).unwrap();
}

fn refer(db: &Db, id: MetricId, time_ns: i64, content: &[u8]) -> BlobRef {
    let blob = db.write_blob(content).unwrap();
    let mut batch = db.batch();
    batch.push(id, time_ns, ValueRef::Blob(blob)).unwrap();
    db.write(&batch, Durability::Synced).unwrap();
    blob
}

/// A store with two segments, a run, state, definitions, blobs and a log, closed.
pub(crate) fn store() -> SimDisk {
    let disk = SimDisk::new();
    fill(&disk).close().unwrap();
    disk
}

/// The same, as a killed process leaves it: the log has two files, and its end is not recorded.
pub(crate) fn killed_store() -> SimDisk {
    let disk = SimDisk::new();
    let db = fill(&disk);
    let disk = disk.deep_clone();
    drop(db);
    let db = open(&disk).unwrap();
    write(&db, 150, 3);
    write(&db, 160, 1);
    let killed = disk.deep_clone();
    drop(db);
    killed
}

fn fill(disk: &SimDisk) -> Db {
    let db = open(disk).unwrap();
    for number in 0..6 {
        db.define(definition(number, "km/h")).unwrap();
    }
    write(&db, 100, 24);
    let pictures = db.metric_by_number(5).unwrap();
    refer(&db, pictures, 90 * SECOND_NS, b"sealed");
    db.seal(SealScope::ClosedAt(420 * SECOND_NS)).unwrap();
    write(&db, 118, 6);
    let id = db.metric_by_number(1).unwrap();
    db.delete(&[id], 103 * SECOND_NS..=104 * SECOND_NS).unwrap();
    db.flush().unwrap();
    write(&db, 126, 3);
    db.define(definition(7, "of the log")).unwrap();
    write(&db, 127, 3);
    db.delete(&[id], 119 * SECOND_NS..=120 * SECOND_NS).unwrap();
    write(&db, 140, 2);
    db
}

type Times = Vec<BTreeMap<i64, Value>>;

fn times(content: &Content) -> Times {
    content.records.iter().map(|records| records.iter().cloned().collect()).collect()
}

/// Repairs a damaged disk; what it holds then. Everything holds that must hold of any repair.
pub(crate) fn check(disk: &SimDisk, whole: &Content, place: &str) -> (RepairReport, Content) {
    let report = repaired(disk).unwrap_or_else(|error| panic!("{place}: {error}"));
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let verified = verify(&shared, &script_options());
    assert_eq!(verified.faults, Vec::new(), "{place}: after the repair");
    let db = open(disk).unwrap_or_else(|error| panic!("{place}: after the repair: {error}"));
    let found = content(&db).unwrap_or_else(|error| panic!("{place}: {error}"));
    for name in &report.originals {
        assert!(disk.files().contains(name), "{place}: {name} is kept");
    }
    if found != *whole {
        assert!(!report.lost.is_empty(), "{place}: something is missing and nothing was said");
    }
    if report.lost.is_empty() {
        assert_eq!(found, *whole, "{place}");
    }
    // It goes on.
    let id = db.metric_by_number(0).unwrap();
    let mut batch = db.batch();
    batch.push(id, 500 * SECOND_NS, 1.5).unwrap();
    db.write(&batch, Durability::Synced).unwrap();
    db.seal(SealScope::All).unwrap();
    db.compact().unwrap();
    db.close().unwrap();
    let again = verify(&shared, &script_options());
    assert_eq!(again.faults, Vec::new(), "{place}: after going on");
    (report, found)
}

/// Symptom: a flipped byte of the state or the key made a store that nothing opened again, and one
/// of a segment's header, trailer or index lost all of its chunks. Loss: up to everything. Cause:
/// repairing knew nothing of them. Fix: what is always the same is put back, one damaged byte of a
/// record is found from its checksum, and what cannot be mended is dropped by itself.
#[test]
pub(crate) fn whichever_byte_is_flipped_the_store_is_repaired() {
    let disk = store();
    let whole = content(&open(&disk.deep_clone()).unwrap()).unwrap();
    let (mut flips, mut lossless) = (0, 0);
    for path in disk.files().into_iter().filter(|path| path != "LOCK") {
        let size = disk.read_file(&path).unwrap().len() as u64;
        for offset in (0..size).step_by(if size > 900 { 5 } else { 1 }) {
            // Another version of the format is none of a repair's business.
            if path == "manifest" && (6..8).contains(&offset) {
                continue;
            }
            let flipped = disk.deep_clone();
            flipped.flip(&path, offset, if offset % 2 == 0 { 0x01 } else { 0xFF }).unwrap();
            let (report, _) = check(&flipped, &whole, &format!("byte {offset} of {path}"));
            flips += 1;
            lossless += usize::from(report.lost.is_empty());
            // Frames of the log are the only ones without a second chance.
            assert!(
                report.lost.is_empty() || path.starts_with("wal/"),
                "{path} {offset} {report:?}"
            );
        }
    }
    eprintln!("{flips} flips repaired, {lossless} of them without any loss");
}

/// Inverts a piece of a file.
fn wipe(disk: &SimDisk, path: &str, offset: u64, size: u64) {
    let end = (offset + size).min(disk.read_file(path).unwrap().len() as u64);
    (offset..end).for_each(|at| disk.flip(path, at, 0xA7).unwrap());
}

/// Like a sector that cannot be read: more than a checksum can mend.
#[test]
fn whichever_piece_is_wiped_the_store_is_repaired() {
    let disk = store();
    let whole = content(&open(&disk.deep_clone()).unwrap()).unwrap();
    let expected = times(&whole);
    for path in disk.files().into_iter().filter(|path| path != "LOCK") {
        // Without names there is no repair; and of blobs there is a test of their own.
        if path == "manifest" || path == "metrics" || path.starts_with("blobs/") {
            continue;
        }
        let size = disk.read_file(&path).unwrap().len() as u64;
        for offset in (0..size).step_by(37) {
            let wiped = disk.deep_clone();
            wipe(&wiped, &path, offset, 40);
            let place = format!("40 bytes from {offset} of {path}");
            let (_, found) = check(&wiped, &whole, &place);
            // A deletion that is lost brings back what it hid; nothing else is invented.
            for (metric, records) in times(&found).iter().enumerate() {
                for (time_ns, value) in records.iter().filter(|_| !path.starts_with("wal/")) {
                    assert_eq!(expected[metric].get(time_ns), Some(value), "{place}");
                }
            }
        }
    }
}

/// The index of a segment is gone: its pages tell what it told.
#[test]
fn a_segment_without_its_index_keeps_its_chunks() {
    let disk = store();
    let whole = content(&open(&disk.deep_clone()).unwrap()).unwrap();
    for path in disk.files().into_iter().filter(|path| path.starts_with("segments/")) {
        let size = disk.read_file(&path).unwrap().len() as u64;
        for (from, wiped) in [(28 + 60, 40), (28 + 100, 128), (28, 28)] {
            let damaged = disk.deep_clone();
            wipe(&damaged, &path, size - from, wiped);
            let place = format!("{wiped} bytes {from} before the end of {path}");
            let (report, found) = check(&damaged, &whole, &place);
            assert_eq!(found, whole, "{place}: {report:?}");
        }
    }
}

/// Symptom: two damaged bytes in the table of a run lost all of its records. Loss: up to a whole
/// memtable of acknowledged records. Cause: only the table said where and what the sections are. Fix:
/// each says so itself, behind a mark of its file.
#[test]
fn a_run_without_its_table_keeps_its_sections() {
    let disk = store();
    let whole = content(&open(&disk.deep_clone()).unwrap()).unwrap();
    let path = disk.files().into_iter().find(|path| path.starts_with("runs/")).unwrap();
    let size = disk.read_file(&path).unwrap().len() as u64;
    let lost_of = |report: &RepairReport| report.lost.len();
    for (from, wiped) in [(28, 28), (28 + 200, 228), (28 + 200, 40), (size, 16), (200, 8)] {
        let damaged = disk.deep_clone();
        wipe(&damaged, &path, size - from, wiped);
        let place = format!("{wiped} bytes {from} before the end of {path}");
        let (report, found) = check(&damaged, &whole, &place);
        assert_eq!((lost_of(&report), &found), (0, &whole), "{place}: {report:?}");
    }
    // Without its table, and damaged in one section, that section is lost and no other.
    for offset in (16..size / 2).step_by(7) {
        let damaged = disk.deep_clone();
        wipe(&damaged, &path, offset, 6);
        wipe(&damaged, &path, size - 28, 28);
        let (report, found) = check(&damaged, &whole, &format!("6 bytes from {offset}"));
        assert!(lost_of(&report) <= 2, "{report:?}");
        let missing = |(a, b): (&Vec<_>, &Vec<_>)| a.len() - b.len();
        let missing: usize = whole.records.iter().zip(&found.records).map(missing).sum();
        assert!(missing <= 12, "{missing} records for 6 bytes from {offset}");
    }
    // Cut short, it keeps what is before the cut.
    let file = damaged_len(&disk, &path, size * 2 / 3);
    let (_, found) = check(&file, &whole, "cut short");
    assert!(found.records.iter().flatten().count() > 0, "nothing is left");
}

fn damaged_len(disk: &SimDisk, path: &str, len: u64) -> SimDisk {
    let damaged = disk.deep_clone();
    damaged.open(path).unwrap().set_len(len).unwrap();
    damaged
}

/// Symptom: after a repair the records of one metric were those of another. Loss: both. Cause:
/// metrics whose definitions were behind the damage got new numbers, and their records kept the
/// old. Fix: records and deletions follow their metric; what belongs to none is dropped and said.
#[test]
fn records_behind_a_lost_definition_stay_with_their_metric() {
    let disk = SimDisk::new();
    let db = open(&disk).unwrap();
    let named = |name: &str| {
        db.define(Definition::new(Metric::new("car-1", name), Kind::F64).window_ns(SECOND_NS))
            .unwrap()
    };
    named("first");
    let mut bounds = vec![disk.read_file("wal/000000000002.wal").unwrap().len()];
    let put = |records: &[(MetricId, f64)]| {
        let mut batch = db.batch();
        records.iter().for_each(|(id, value)| batch.push(*id, 7, *value).unwrap());
        db.write(&batch, Durability::Synced).unwrap();
    };
    let first = db.metric_by_number(0).unwrap();
    put(&[(first, 0.1)]);
    bounds.push(disk.read_file("wal/000000000002.wal").unwrap().len());
    let lost = named("lost");
    db.sync().unwrap();
    bounds.push(disk.read_file("wal/000000000002.wal").unwrap().len());
    let (second, third) = (named("second"), named("third"));
    put(&[(first, 1.0), (lost, 2.0), (second, 3.0), (third, 4.0)]);
    db.delete(&[second], 100..=200).unwrap();
    put(&[(third, 5.0)]);
    drop(db);
    // The whole frame that defines it.
    wipe(&disk, "wal/000000000002.wal", bounds[1] as u64, (bounds[2] - bounds[1]) as u64);
    let report = repaired(&disk).unwrap();
    assert!(
        report.lost.iter().any(|lost| lost.contains("1 records of metric number 1")),
        "{report:?}"
    );
    let db = open(&disk).unwrap();
    assert_eq!(db.metric_count(), 3);
    let latest = |name: &str| {
        let id = db.find_metric(&Metric::new("car-1", name)).unwrap();
        db.latest(id).unwrap().unwrap().1
    };
    assert_eq!(latest("first"), Value::F64(1.0));
    assert_eq!(latest("second"), Value::F64(3.0));
    assert_eq!(latest("third"), Value::F64(5.0));
    assert_eq!(db.find_metric(&Metric::new("car-1", "lost")), None);
}

/// Symptom: a power cut during a repair lost acknowledged frames that were whole. Loss: everything
/// behind the damage of the log. Cause: they were cut off the log and only in memory until they
/// were written again. Fix: what is whole is written and synced before anything is given up.
#[test]
fn a_power_cut_at_any_step_of_a_repair_loses_nothing_that_is_whole() {
    let cuts = cut_repairs(None).unwrap_or_else(|problem| panic!("{problem}"));
    eprintln!("{cuts} power cuts during a repair");
}

#[test]
fn this_test_notices_a_repair_that_does_not_sync() {
    assert!(cut_repairs(Some(Lie::FileSync)).is_err(), "files that are not synced went unnoticed");
    assert!(
        cut_repairs(Some(Lie::FolderSync)).is_err(),
        "names that are not synced went unnoticed"
    );
}

/// Cuts the power at every operation of a repair and repairs again; how often.
fn cut_repairs(lie: Option<Lie>) -> Result<usize, String> {
    let disk = store();
    let log: Vec<String> =
        disk.files().into_iter().filter(|path| path.starts_with("wal/")).collect();
    let segment = disk.files().into_iter().find(|path| path.starts_with("segments/")).unwrap();
    let run = disk.files().into_iter().find(|path| path.starts_with("runs/")).unwrap();
    let state = disk.files().into_iter().find(|path| path.starts_with("state/")).unwrap();
    wipe(&disk, &log[0], 80, 30);
    wipe(&disk, &segment, 30, 6);
    wipe(&disk, &run, 30, 6);
    wipe(&disk, &state, 3, 4);
    wipe(&disk, "keys/producer.key", 20, 4);
    let once = disk.deep_clone();
    repaired(&once).unwrap();
    let expected = content(&open(&once).unwrap()).unwrap();
    let damaged = disk.deep_clone();
    damaged.keep_history();
    damaged.lie(lie);
    repaired(&damaged).unwrap();
    let images = damaged.history();
    assert!(images.len() > 40, "a repair of {} operations", images.len());
    for (operations, image) in images.iter().enumerate() {
        for (number, mode) in CrashMode::ALL.into_iter().enumerate() {
            let place = format!("cut after {operations} of {}, {mode:?}", images.len());
            let cut = image.crash(mode, (operations * 5 + number) as u64);
            repaired(&cut).map_err(|error| format!("{place}: {error}"))?;
            let shared: Arc<dyn Disk> = Arc::new(cut.clone());
            let faults = verify(&shared, &script_options()).faults;
            let db = open(&cut).map_err(|error| format!("{place}: {error}"))?;
            if !faults.is_empty() || content(&db)? != expected {
                return Err(format!("{place}: {faults:?}, or something is missing"));
            }
            drop(db);
            // The originals, too, whoever moved them.
            for name in ["lost/runs-", "lost/segments-", "lost/state-", "lost/wal-", "lost/keys-"] {
                let kept = cut.files().iter().any(|path| path.starts_with(name));
                if !kept {
                    return Err(format!("{place}: nothing in {name}"));
                }
            }
        }
    }
    Ok(images.len() * CrashMode::ALL.len())
}

/// Symptom: a repair said nothing of blobs that were gone, and every later check complained again.
/// Loss: blobs, unseen. Cause: blobs were not part of repairing. Fix: what can be rebuilt is, what
/// is lost is said once, and verifying tells it from new damage.
#[test]
fn a_lost_blob_is_said_and_known_from_then_on() {
    let disk = store();
    let db = open(&disk).unwrap();
    let id = db.metric_by_number(5).unwrap();
    let long: Vec<u8> =
        (0..(1 << 20) + 500).map(|number: u32| ((number * 31) >> 4) as u8).collect();
    let blob = refer(&db, id, 95 * SECOND_NS, &long);
    let other = refer(&db, id, 96 * SECOND_NS, b"other");
    db.close().unwrap();
    let name = |blob: &BlobRef| format!("blobs/{}.blob", blob.cid);
    // All but the content itself can be rebuilt.
    let size = disk.read_file(&name(&blob)).unwrap().len() as u64;
    for (offset, count) in [(0, 9), (size - 24, 24), (size - 60, 60), (8 + (1 << 20) + 1, 4)] {
        let damaged = disk.deep_clone();
        wipe(&damaged, &name(&blob), offset, count);
        let report = repaired(&damaged).unwrap();
        assert_eq!(report.lost, Vec::<String>::new(), "{count} bytes at {offset}");
        let mut read = Vec::new();
        open(&damaged).unwrap().open_blob(&blob).unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read, long);
    }
    wipe(&disk, &name(&blob), 3000, 2);
    disk.remove(&name(&other)).unwrap();
    let report = repaired(&disk).unwrap();
    for blob in [&blob, &other] {
        let said = report.lost.iter().any(|lost| lost.contains(&blob.cid.to_string()));
        assert!(said, "{report:?}");
    }
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let verified = verify(&shared, &script_options());
    assert_eq!((verified.faults.len(), verified.known.len()), (0, 2));
    assert_eq!(repaired(&disk).unwrap(), RepairReport::default(), "nothing is left to repair");
}

/// A store whose key is lost can be read, and after a repair it seals with a new one.
#[test]
fn a_lost_key_is_replaced_and_the_damaged_one_kept() {
    let disk = store();
    wipe(&disk, "keys/producer.key", 12, 20);
    let damaged = disk.read_file("keys/producer.key").unwrap();
    let reader = chronolith_engine::Options { read_only: true, create: false, ..script_options() };
    Db::open_on(Arc::new(disk.clone()), reader).unwrap();
    assert!(open(&disk).is_err_and(|error| error.contains("keys/producer.key")));
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let options = chronolith_engine::Options { producer_secret: None, ..script_options() };
    let report = repair(&shared, &options).unwrap();
    assert!(report.lost.iter().any(|lost| lost.contains("signing key")), "{report:?}");
    assert_eq!(disk.read_file("lost/keys-producer.key").unwrap(), damaged);
    let db = open(&disk).unwrap();
    write(&db, 300, 3);
    let sealed = db.seal(SealScope::All).unwrap();
    assert!(sealed.chunks > 0);
    db.close().unwrap();
    assert_eq!(verify(&shared, &script_options()).faults, Vec::new());
}

#[test]
fn nothing_else_opens_the_store_while_it_is_repaired() {
    let disk = store();
    let held = disk.lock("LOCK").unwrap();
    assert!(repaired(&disk).is_err_and(|error| error.contains("locked")));
    drop(held);
    assert_eq!(repaired(&disk).unwrap(), RepairReport::default());
}
