//! With keys, what metrics of levels 1 and 2 hold, and what they are called, is in no file of the disk, at
//! no moment: not in the log, runs, segments, blobs, definitions, state, the manifest, temporary files or
//! the keystore. Without keys all of it is found, so the search can fail.

use std::collections::BTreeSet;
use std::sync::Arc;

use chronolith_disk::SimDisk;
use chronolith_engine::{
    Db, Definition, Durability, Kind, Level, Metric, MetricId, Options, Place, SealScope, Value,
};

use crate::crash_script::SECOND_NS;
use crate::keyed::beside;
use crate::oracle::{load, options};

const TEXTS: [&str; 8] = [
    "WVWZZZ1KZAP031415",     // a value
    "device-of-Ada",         // names
    "heartbeat-of-driver",   //
    "tag-key-blood",         //
    "tag-value-rhesus",      //
    "unit-of-secrecy",       //
    "metadata-of-the-bloke", //
    "state-of-the-driver",   //
];
const NUMBER: f64 = 48.137_154_936_271_83;
const INTEGER: i64 = 0x6E5A_71C3_9D2B_4F18;
const BLOB: &[u8] = b"a picture of somebody who wants to be seen by nobody";

fn planted() -> Vec<(&'static str, Vec<u8>)> {
    let mut planted: Vec<_> = TEXTS.iter().map(|text| (*text, text.as_bytes().to_vec())).collect();
    planted.push(("the position", NUMBER.to_le_bytes().to_vec()));
    planted.push(("the integer", INTEGER.to_le_bytes().to_vec()));
    planted.push(("the blob", BLOB.to_vec()));
    planted
}

fn definition(kind: Kind, level: Level) -> Definition {
    let metric = Metric::new(TEXTS[1], format!("{}-{}", TEXTS[2], kind.name()));
    let mut definition = Definition::new(metric.tag(TEXTS[3], TEXTS[4]), kind);
    definition.place = Some(Place { latitude_centidegrees: 4813, longitude_centidegrees: 1157 });
    definition.metadata.insert("who".to_owned(), TEXTS[6].to_owned());
    definition.window_ns(10 * SECOND_NS).unit(TEXTS[5]).level(level)
}

fn records(db: &Db, metrics: &[MetricId], from: i64) -> Vec<(MetricId, i64, Value)> {
    let blob = db.write_blob(BLOB).unwrap();
    let value = |metric: &MetricId, second: i64| match metric.kind() {
        Kind::F64 => Value::F64(NUMBER),
        Kind::I64 => Value::I64(INTEGER),
        Kind::Text => Value::Text(format!("{}-{second}", TEXTS[0])),
        _ => Value::Blob(blob),
    };
    let at = |second: i64| {
        metrics.iter().map(move |metric| (*metric, second * SECOND_NS, value(metric, second)))
    };
    (from..from + 4).flat_map(at).collect()
}

fn write(db: &Db, metrics: &[MetricId], from: i64) {
    let mut batch = db.batch();
    for (metric, time_ns, value) in records(db, metrics, from) {
        batch.push(metric, time_ns, value.as_ref()).unwrap();
    }
    batch.put_state("names", TEXTS[7].as_bytes(), TEXTS[0].as_bytes());
    db.write(&batch, Durability::Synced).unwrap();
}

/// What of the planted is in some file at some moment of a life with everything in it, and in which files.
fn found(with: impl Fn(&SimDisk) -> Options) -> (BTreeSet<&'static str>, BTreeSet<String>) {
    let disk = SimDisk::new();
    disk.keep_history();
    let options = Options { memtable_bytes: 4 << 10, segment_bytes: 8 << 10, ..with(&disk) };
    let db = Db::open_on(Arc::new(disk.clone()), options.clone()).unwrap();
    let kinds = [
        (Kind::F64, Level::Secret),
        (Kind::I64, Level::Personal),
        (Kind::Text, Level::Secret),
        (Kind::Bytes, Level::Personal),
    ];
    let metrics = kinds.map(|(kind, level)| db.define(definition(kind, level)).unwrap());
    write(&db, &metrics, 0);
    db.flush().unwrap();
    write(&db, &metrics, 5);
    db.seal(SealScope::All).unwrap();
    // Late records, a deletion, an amended definition, a replaced chunk.
    write(&db, &metrics, 3);
    db.seal(SealScope::All).unwrap();
    db.delete(&metrics[..2], SECOND_NS..2 * SECOND_NS).unwrap();
    db.define(definition(Kind::F64, Level::Secret).unit(format!("{}-2", TEXTS[5]))).unwrap();
    db.compact().unwrap();
    write(&db, &metrics, 20);
    load(&db, &records(&db, &metrics, 40)).unwrap();
    db.close().unwrap();
    let db = Db::open_on(Arc::new(disk.clone()), options).unwrap();
    assert_eq!(
        db.scan(metrics[2], ..).unwrap().map(|block| block.unwrap().len()).sum::<usize>(),
        17
    );
    write(&db, &metrics, 30);
    drop(db);
    let (planted, mut found, mut files) = (planted(), BTreeSet::new(), BTreeSet::new());
    for image in disk.history().iter().chain([&disk]) {
        for path in image.files() {
            let bytes = image.read_file(&path).unwrap();
            let is_name = |text: &[u8]| path.as_bytes().windows(text.len()).any(|w| w == text);
            for (what, text) in &planted {
                if is_name(text) || bytes.windows(text.len()).any(|window| window == text) {
                    found.insert(*what);
                    files.insert(path.split('/').next().unwrap().to_owned());
                }
            }
        }
    }
    (found, files)
}

#[test]
fn nothing_hidden_is_found_with_keys_and_all_of_it_without() {
    let (what, files) = found(|disk| beside(disk, options()));
    assert_eq!((what, files), (BTreeSet::new(), BTreeSet::new()));
    let (what, files) = found(|_| options());
    assert_eq!(what.len(), planted().len(), "{what:?}");
    for place in ["wal", "segments", "blobs"] {
        assert!(files.contains(place), "{files:?}");
    }
}
