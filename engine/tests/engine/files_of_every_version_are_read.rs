//! The folders `testdata/database-v*` are databases as every version of the formats wrote them:
//! they are read for ever, and today's program writes the same bytes as the newest.
//!
//! 1. The first version of every format.
//! 2. Runs of version 2, whose sections say themselves what they hold.
//!
//! A change of a format makes new versions and a folder of its own beside these. Where only an
//! encoder changed (it chooses other codecs, say), `CHRONOLITH_WRITE_GOLDEN=1` writes the newest
//! folder anew; the second test must pass on the old one before.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chronolith_disk::{Disk, SimDisk};
use chronolith_engine::{
    BlobRef, Db, Definition, Durability, Kind, Level, Metric, Options, Place, SealScope, Value,
    ValueRef, repair, verify,
};

use crate::oracle::{options, scan};

const SECOND_NS: i64 = 1_000_000_000;
const WINDOW_NS: i64 = 60 * SECOND_NS;

/// The newest version.
const NEWEST: u32 = 2;

fn folder(version: u32) -> PathBuf {
    let name = format!("../testdata/database-v{version}");
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn golden_files(version: u32) -> Vec<(String, Vec<u8>)> {
    let mut golden = Vec::new();
    read_folder(&folder(version), "", &mut golden);
    golden.sort();
    golden
}

/// A disk with the files of a version.
fn golden_disk(version: u32) -> SimDisk {
    let disk = SimDisk::new();
    for (name, bytes) in golden_files(version) {
        if let Some((folder, _)) = name.rsplit_once('/') {
            disk.create_dir_all(folder).unwrap();
        }
        disk.open(&name).unwrap().append(&bytes).unwrap();
    }
    disk
}

fn open(disk: &SimDisk) -> Db {
    let options = Options { producer_secret: Some([7; 32]), ..options() };
    Db::open_on(Arc::new(disk.clone()), options).unwrap()
}

fn value(kind: Kind, at: i64, blob: BlobRef) -> Value {
    match kind {
        Kind::F64 if at % 17 == 16 => Value::F64(f64::from_bits(0x7FF8_0000_0000_1234)),
        Kind::F64 if at % 13 == 12 => Value::F64(-0.0),
        Kind::F64 => Value::F64((at * at % 997) as f64 / 100.0),
        Kind::I64 if at == 30 => Value::I64(i64::MIN),
        Kind::I64 => Value::I64(at % 11 - 5),
        Kind::U64 if at == 31 => Value::U64(u64::MAX),
        Kind::U64 => Value::U64(at as u64 / 7),
        Kind::Bool => Value::Bool(at % 5 < 2),
        Kind::Text => Value::Text(format!("state {} \u{1F697}", at % 3)),
        Kind::Bytes if at % 29 == 28 => Value::Blob(blob),
        Kind::Bytes => Value::Bytes(vec![at as u8, 0, 255]),
    }
}

fn write(db: &Db, blob: BlobRef, times: std::ops::Range<i64>) {
    let mut batch = db.batch();
    for at in times {
        for number in 0..db.metric_count() as u32 {
            let id = db.metric_by_number(number).unwrap();
            let time_ns = at * SECOND_NS + i64::from(number % 2) * (at * 7919 % 1_000) * 1_000;
            batch.push(id, time_ns, value(id.kind(), at, blob).as_ref()).unwrap();
        }
    }
    batch.put_state("golden", b"last", b"\x00\x01");
    db.write(&batch, Durability::Synced).unwrap();
}

/// Everything that a database has files for: sealed, late and replaced chunks, hidden headers, a
/// run, a deletion, state, a blob, amended definitions, and a log.
fn golden() -> SimDisk {
    let disk = SimDisk::new();
    let db = open(&disk);
    for (kind, level) in Kind::ALL.into_iter().zip([4, 3, 2, 4, 1, 4]) {
        let metric = Metric::new("car-17", kind.name()).tag("class", "fleet").tag("bus", "2");
        let mut definition = Definition::new(metric, kind).window_ns(WINDOW_NS);
        definition.level = Level::from_number(level).unwrap();
        definition.unit = "km/h".into();
        definition.place =
            Some(Place { latitude_centidegrees: 5_252, longitude_centidegrees: -1_340 });
        definition.metadata.insert("model".into(), "\u{0416} 1".into());
        db.define(definition).unwrap();
    }
    let blob = db.write_blob(&vec![0xA5; 100_000][..]).unwrap();
    write(&db, blob, 0..150);
    db.seal(SealScope::ClosedAt(1_000 * SECOND_NS)).unwrap();
    write(&db, blob, 20..40);
    db.seal(SealScope::All).unwrap();
    let id = db.metric_by_number(0).unwrap();
    db.delete(&[id], 25 * SECOND_NS..=30 * SECOND_NS).unwrap();
    db.compact().unwrap();
    let mut amended = Definition::clone(&db.definition(id).unwrap());
    amended.unit = "m/s".into();
    db.define(amended).unwrap();
    write(&db, blob, 200..230);
    db.flush().unwrap();
    db.delete(&[id], 205 * SECOND_NS..=206 * SECOND_NS).unwrap();
    write(&db, blob, 225..240);
    db.write(&db.batch(), Durability::Synced).unwrap();
    // Not closed: the log ends as a power cut leaves it.
    disk.deep_clone()
}

fn files(disk: &SimDisk) -> Vec<(String, Vec<u8>)> {
    let names = disk.files().into_iter().filter(|name| name != "LOCK");
    names.map(|name| (name.clone(), disk.read_file(&name).unwrap())).collect()
}

/// Files in a folder and those below it, with their paths in it.
fn read_folder(folder: &Path, prefix: &str, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        match entry.file_type().unwrap().is_dir() {
            true => read_folder(&entry.path(), &format!("{name}/"), found),
            false => found.push((name, fs::read(entry.path()).unwrap())),
        }
    }
}

#[test]
fn todays_program_writes_the_bytes_of_the_newest_version() {
    let written = files(&golden());
    if std::env::var_os("CHRONOLITH_WRITE_GOLDEN").is_some() {
        for (name, bytes) in &written {
            let path = folder(NEWEST).join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
    let golden = golden_files(NEWEST);
    let names = |files: &[(String, Vec<u8>)]| -> Vec<String> {
        files.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(&written), names(&golden));
    for ((name, written), (_, golden)) in written.iter().zip(&golden) {
        let differs = written.iter().zip(golden).position(|(a, b)| a != b);
        let lengths = (written.len(), golden.len());
        assert!(written == golden, "{name} differs at {differs:?}, lengths {lengths:?}");
    }
}

#[test]
fn a_database_of_every_version_is_read_verified_and_gone_on_with() {
    (1..=NEWEST).for_each(|version| go_on_with(&golden_disk(version)));
}

/// A run of version 1 has no words of its own in its sections: one damaged byte is mended anywhere,
/// more of the table cost the run, and more of a section that section.
#[test]
fn a_run_of_version_1_is_repaired() {
    let path = "runs/000000000011.run";
    let whole = golden_disk(1);
    let size = whole.read_file(path).unwrap().len() as u64;
    for offset in (0..size).step_by(3) {
        let disk = whole.deep_clone();
        disk.flip(path, offset, 0x40).unwrap();
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let report = repair(&shared, &options()).unwrap();
        assert_eq!(report.lost, Vec::<String>::new(), "byte {offset}");
        go_on_with(&disk);
    }
    for offset in [20, size - 60] {
        let disk = whole.deep_clone();
        (offset..offset + 4).for_each(|at| disk.flip(path, at, 0x40).unwrap());
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        assert!(!repair(&shared, &options()).unwrap().lost.is_empty());
        assert_eq!(verify(&shared, &options()).faults, []);
    }
}

fn go_on_with(disk: &SimDisk) {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    assert_eq!(verify(&shared, &options()).faults, []);
    let db = open(disk);
    let check = |db: &Db| {
        let blob = blob_of(db);
        for number in 0..6 {
            let id = db.metric_by_number(number).unwrap();
            let found = scan(db, id, i64::MIN, i64::MAX);
            let is_deleted = |at: i64| number == 0 && matches!(at, 25..=30 | 205..=206);
            let times = (0..150).chain(200..240).filter(|at| !is_deleted(*at));
            let values: Vec<Value> = found.into_iter().map(|(_, value)| value).collect();
            let expected: Vec<Value> = times.map(|at| value(id.kind(), at, blob)).collect();
            assert_eq!(values, expected, "metric {number}");
        }
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut db.open_blob(&blob).unwrap(), &mut content).unwrap();
        assert!(content == vec![0xA5; 100_000]);
        assert_eq!(db.state("golden", b"last").as_deref(), Some(&b"\x00\x01"[..]));
    };
    check(&db);
    assert_eq!(db.definition(db.metric_by_number(0).unwrap()).unwrap().unit, "m/s");
    db.seal(SealScope::All).unwrap();
    db.compact().unwrap();
    check(&db);
    db.close().unwrap();
    assert_eq!(verify(&shared, &options()).faults, []);
}

fn blob_of(db: &Db) -> BlobRef {
    let id = db.metric_by_number(5).unwrap();
    let records = scan(db, id, 28 * SECOND_NS, 29 * SECOND_NS - 1);
    match records.first().map(|(_, value)| value.as_ref()) {
        Some(ValueRef::Blob(blob)) => blob,
        other => panic!("no blob but {other:?}"),
    }
}
