//! Sealed with keys, a chunk opens with its key alone; all else that a header shows is seen without.

use std::sync::Arc;

use chronolith_disk::{Disk, SimDisk};
use chronolith_engine::chunk::{ChunkHeader, ChunkKey};
use chronolith_engine::{
    AtRest, ChunkKeys, Db, Definition, Durability, KeyError, Kind, Level, MaintenanceError, Metric,
    MetricId, OpenError, Options, ReadError, RepairReport, SealScope, Value, VerifyReport, repair,
    verify,
};
use chronolith_keys::{ChunkSlot, Grant, Keystore, Secret, TreeId, Wrap, padded_bytes};

use crate::crash_script::{Random, SECOND_NS};
use crate::keyed::{Fixed, apart, keys_in};
use crate::oracle::{options, scan};

const LEVELS: [Level; 4] = [Level::Secret, Level::Personal, Level::Regular, Level::Bulk];
/// Each of ten seconds: the records are in the first three.
const WINDOW_NS: i64 = 10 * SECOND_NS;

fn definition(level: Level) -> Definition {
    let metric = Metric::new("car-17", format!("metric-{}", level.number())).tag("side", "left");
    Definition::new(metric, Kind::I64).level(level).window_ns(WINDOW_NS).unit("km/h")
}

fn write(db: &Db, metric: MetricId, seconds: std::ops::Range<i64>) {
    let mut batch = db.batch();
    for second in seconds {
        batch.push(metric, second * SECOND_NS, second * second).unwrap();
    }
    db.write(&batch, Durability::Synced).unwrap();
}

fn records(seconds: std::ops::Range<i64>) -> Vec<(i64, Value)> {
    seconds.map(|second| (second * SECOND_NS, Value::I64(second * second))).collect()
}

/// Thirty records of each level, sealed.
fn sealed(disk: &SimDisk, options: Options) -> (Db, Vec<MetricId>) {
    let db = Db::open_on(Arc::new(disk.clone()), options).unwrap();
    let metrics = LEVELS.map(|level| db.define(definition(level)).unwrap()).to_vec();
    metrics.iter().for_each(|metric| write(&db, *metric, 0..30));
    assert_eq!(db.seal(SealScope::All).unwrap().chunks, 12);
    (db, metrics)
}

fn chunk(metric: MetricId, window: i64) -> ChunkKey {
    ChunkKey { metric: metric.index(), window, generation: 0, part: 0 }
}

fn header(db: &Db, key: ChunkKey) -> ChunkHeader {
    ChunkHeader::from_bytes(&db.chunk_header(key).unwrap().unwrap()).unwrap()
}

fn verified(disk: &SimDisk, options: &Options) -> VerifyReport {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    verify(&shared, options)
}

/// Chunks under keys, all else in the clear.
fn keys_alone() -> (ChunkKeys, Options) {
    let keys = keys_in(&SimDisk::new(), "trees");
    (keys.clone(), Options { keys: Some(keys), ..options() })
}

fn problem(db: &Db, metric: MetricId) -> KeyError {
    let scanned = db.scan(metric, ..).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match scanned {
        Err(ReadError::Key(error)) => *error,
        other => panic!("{:?}", other.map(|blocks| blocks.len())),
    }
}

#[test]
fn what_was_sealed_is_read_again() {
    let disk = SimDisk::new();
    let (_, options) = keys_alone();
    let (db, metrics) = sealed(&disk, options.clone());
    for metric in &metrics {
        assert_eq!(scan(&db, *metric, i64::MIN, i64::MAX), records(0..30));
    }
    db.close().unwrap();
    let report = verified(&disk, &options);
    assert_eq!((report.faults, report.chunks, report.locked_chunks), (Vec::new(), 12, 0));
}

#[test]
fn a_header_shows_what_its_level_lets_it() {
    let (_, options) = keys_alone();
    let (db, metrics) = sealed(&SimDisk::new(), options);
    let mut pseudonyms = Vec::new();
    for (metric, level) in metrics.iter().zip(LEVELS) {
        let header = header(&db, chunk(*metric, 1));
        assert!(header.encryption.is_some());
        assert_eq!(header.shown.is_none(), level.hides_metric());
        assert_eq!(header.pseudonym.is_some(), level.hides_metric());
        pseudonyms.extend(header.pseudonym);
        let blocks = db.chunk_blocks(chunk(*metric, 1)).unwrap().unwrap();
        assert_eq!(blocks.body.len() as u64, header.body_bytes);
        let is_padded = |size: usize| (1..=size).any(|body| padded_bytes(body) == size);
        assert!(!level.hides_metric() || is_padded(blocks.body.len() - 40));
        for hidden in ["car-17", "metric-", "left", "km/h"] {
            let shows = |bytes: &[u8]| bytes.windows(hidden.len()).any(|w| w == hidden.as_bytes());
            assert_eq!(shows(&blocks.header), !level.hides_metric(), "{level:?}");
            assert!(!shows(&blocks.body), "{level:?}");
        }
    }
    assert_ne!(pseudonyms[0], pseudonyms[1]);
    let catalogue = db.catalogue("car-17").unwrap();
    for pseudonym in pseudonyms {
        let nodes = catalogue.nodes.values();
        let named = nodes.flat_map(|node| node.windows(32)).filter(|part| *part == pseudonym);
        // Three entries; nodes above name the first entry of one below again.
        assert!(named.count() >= 3);
    }
}

#[test]
fn the_same_records_are_sealed_to_the_same_bytes() {
    let disk = SimDisk::new();
    let keys = keys_in(&disk, "trees");
    let with = || options().with_keys(keys.clone()).unwrap();
    let disks = [SimDisk::new(), SimDisk::new()];
    let files: Vec<_> = disks
        .iter()
        .map(|disk| {
            sealed(disk, with()).0.close().unwrap();
            let files = disk.files().into_iter().filter(|path| path.starts_with("segments/"));
            files.map(|path| (disk.read_file(&path).unwrap(), path)).collect::<Vec<_>>()
        })
        .collect();
    assert!(!files[0].is_empty());
    assert!(files[0] == files[1]);
}

#[test]
fn without_keys_all_is_seen_but_the_records() {
    let disk = SimDisk::new();
    let (_, with) = keys_alone();
    let (db, metrics) = sealed(&disk, with.clone());
    let headers: Vec<_> = metrics.iter().map(|metric| db.chunk_blocks(chunk(*metric, 2))).collect();
    let root = db.catalogue("car-17").unwrap().root;
    db.close().unwrap();

    let db = Db::open_on(Arc::new(disk.clone()), options()).unwrap();
    assert_eq!(db.catalogue("car-17").unwrap().root, root);
    for (metric, blocks) in metrics.iter().zip(headers) {
        assert_eq!(db.chunks(*metric, ..).unwrap().len(), 3);
        assert_eq!(db.chunk_blocks(chunk(*metric, 2)).unwrap(), blocks.unwrap());
        assert!(db.provable_chunk(chunk(*metric, 2)).unwrap().is_some());
        let error = problem(&db, *metric);
        let tree = header(&db, chunk(*metric, 0)).encryption.unwrap().tree;
        assert!(matches!(error, KeyError::NotGiven { tree: of, window: 0, .. } if of == tree));
        assert!(error.to_string().contains(&tree.to_string()), "{error}");
    }
    // Nothing new is sealed in the clear beside them.
    write(&db, metrics[0], 40..41);
    match db.seal(SealScope::All).unwrap_err() {
        MaintenanceError::Read(ReadError::Key(error)) => {
            assert!(matches!(*error, KeyError::WouldBeClear));
        }
        other => panic!("{other}"),
    }
    db.close().unwrap();
    let report = verified(&disk, &options());
    assert_eq!((report.faults, report.chunks, report.locked_chunks), (Vec::new(), 12, 12));
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    assert_eq!(repair(&shared, &options()).unwrap(), RepairReport::default());
    let db = Db::open_on(shared, with).unwrap();
    assert_eq!(scan(&db, metrics[0], i64::MIN, 35 * SECOND_NS), records(0..30));
}

#[test]
fn a_repair_without_keys_keeps_what_it_cannot_open() {
    let disk = SimDisk::new();
    let (_, with) = keys_alone();
    let (db, metrics) = sealed(&disk, with.clone());
    db.close().unwrap();
    let path = disk.files().into_iter().find(|path| path.starts_with("segments/")).unwrap();
    // Two bytes of the first body, which cannot be mended.
    disk.flip(&path, 150, 0xFF).unwrap();
    disk.flip(&path, 155, 0xFF).unwrap();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let report = repair(&shared, &options()).unwrap();
    assert_eq!(report.lost.len(), 1, "{:?}", report.lost);
    let db = Db::open_on(shared, with).unwrap();
    assert_eq!(scan(&db, metrics[0], i64::MIN, i64::MAX), records(10..30));
    for metric in &metrics[1..] {
        assert_eq!(scan(&db, *metric, i64::MIN, i64::MAX), records(0..30));
    }
}

#[test]
fn another_keystore_opens_nothing_and_is_named_so() {
    let disk = SimDisk::new();
    let (db, metrics) = sealed(&disk, keys_alone().1);
    db.close().unwrap();
    let db = Db::open_on(Arc::new(disk.clone()), keys_alone().1).unwrap();
    for metric in metrics {
        assert!(matches!(problem(&db, metric), KeyError::NotHeld { window: 0, .. }));
    }
}

#[test]
fn files_at_rest_open_with_their_keystore_only() {
    let disk = SimDisk::new();
    let with = apart(options());
    let (db, metrics) = sealed(&disk, with.clone());
    db.close().unwrap();
    let before: Vec<_> = disk.files().iter().map(|path| disk.read_file(path).unwrap()).collect();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    for without in [options(), apart(options())] {
        let Err(error) = Db::open_on(Arc::clone(&shared), without.clone()) else { panic!("open") };
        assert!(matches!(error, OpenError::Protected { .. }), "{error}");
        assert!(matches!(repair(&shared, &without), Err(OpenError::Protected { .. })));
    }
    let after: Vec<_> = disk.files().iter().map(|path| disk.read_file(path).unwrap()).collect();
    assert!(before == after, "whoever has no key changes nothing");
    // The key of the files opens the files, and no chunk.
    let protect = Arc::new(AtRest::new(with.keys.as_ref().unwrap()).unwrap());
    let db = Db::open_on(Arc::clone(&shared), Options { protect, ..options() }).unwrap();
    assert!(matches!(problem(&db, metrics[0]), KeyError::NotGiven { .. }));
}

#[test]
fn a_store_in_the_clear_takes_keys_from_one_day_on() {
    let disk = SimDisk::new();
    let (db, metrics) = sealed(&disk, options());
    db.close().unwrap();
    let with = apart(options());
    let db = Db::open_on(Arc::new(disk.clone()), with.clone()).unwrap();
    write(&db, metrics[0], 30..40);
    db.seal(SealScope::All).unwrap();
    assert_eq!(header(&db, chunk(metrics[0], 2)).encryption, None);
    assert!(header(&db, chunk(metrics[0], 3)).encryption.is_some());
    db.compact().unwrap();
    db.close().unwrap();
    let db = Db::open_on(Arc::new(disk.clone()), with.clone()).unwrap();
    assert_eq!(scan(&db, metrics[0], i64::MIN, i64::MAX), records(0..40));
    drop(db);
    assert_eq!(verified(&disk, &with).faults, Vec::new());
}

#[test]
fn a_grant_opens_its_windows() {
    let (keys, options) = keys_alone();
    let disk = SimDisk::new();
    let (db, metrics) = sealed(&disk, options);
    for metric in &metrics {
        let id = keys.metric_id(&db.definition(*metric).unwrap());
        let grant = Grant::new(keys.keystore().cover(&id, 1..=1).unwrap()).unwrap();
        let mut buyer = Keystore::generate(Wrap::Plain, &mut Fixed(Random(9))).unwrap();
        buyer.keep(&grant);
        for window in 0..3 {
            let header = header(&db, chunk(*metric, window));
            let encryption = header.encryption.unwrap();
            let key = buyer.body_key(&encryption, ChunkSlot { window, generation: 0, part: 0 });
            assert_eq!(key.is_some(), window == 1);
            let body = db.chunk_blocks(chunk(*metric, window)).unwrap().unwrap().body;
            if let Some(key) = key {
                assert!(key.open(&header.binding(), &body).is_ok());
                assert!(key.open(&[0; 32], &body).is_err(), "bound to its header");
            }
        }
    }
}

#[test]
fn a_public_metric_is_in_the_clear_by_choice() {
    let (_, with) = keys_alone();
    let blocks = [with, options()].map(|options| {
        let db = Db::open_on(Arc::new(SimDisk::new()), options).unwrap();
        let metric = db.define(definition(Level::Regular).public()).unwrap();
        write(&db, metric, 0..9);
        db.seal(SealScope::All).unwrap();
        assert_eq!(scan(&db, metric, i64::MIN, i64::MAX), records(0..9));
        db.chunk_blocks(chunk(metric, 0)).unwrap().unwrap()
    });
    assert_eq!(ChunkHeader::from_bytes(&blocks[0].header).unwrap().encryption, None);
    assert_eq!(blocks[0], blocks[1]);
    let db = Db::open_on(Arc::new(SimDisk::new()), options()).unwrap();
    for level in [Level::Secret, Level::Personal] {
        let error = db.define(definition(level).public()).unwrap_err().to_string();
        assert!(error.contains("never public"), "{error}");
    }
}

#[test]
fn a_raised_level_takes_another_tree_whose_id_says_nothing() {
    let disk = SimDisk::new();
    let (_, options) = keys_alone();
    let db = Db::open_on(Arc::new(disk.clone()), options.clone()).unwrap();
    let metric = db.define(definition(Level::Bulk)).unwrap();
    write(&db, metric, 0..30);
    db.seal(SealScope::All).unwrap();
    let open = header(&db, chunk(metric, 0)).encryption.unwrap().tree;
    let raised = Definition { level: Level::Secret, ..definition(Level::Bulk) };
    db.define(raised).unwrap();
    assert_eq!(db.compact().unwrap().rewritten_windows, 3);
    let replaced = header(&db, ChunkKey { generation: 1, ..chunk(metric, 0) });
    assert_ne!(replaced.encryption.unwrap().tree, open);
    assert!(replaced.shown.is_none() && replaced.pseudonym.is_some());
    assert_eq!(scan(&db, metric, i64::MIN, i64::MAX), records(0..30));
    db.close().unwrap();
    assert_eq!(verified(&disk, &options).faults, Vec::new());
}

#[test]
fn what_is_destroyed_cannot_be_opened_by_anybody_any_more() {
    let disk = SimDisk::new();
    let (keys, options) = keys_alone();
    let (db, metrics) = sealed(&disk, options.clone());
    let copies: Vec<_> = metrics
        .iter()
        .map(|metric| (header(&db, chunk(*metric, 1)), db.chunk_blocks(chunk(*metric, 1)).unwrap()))
        .collect();
    let slot = ChunkSlot { window: 1, generation: 0, part: 0 };
    let key_of = |header: &ChunkHeader| keys.keystore().body_key(&header.encryption.unwrap(), slot);
    assert!(copies.iter().all(|(header, _)| key_of(header).is_some()));
    // Windows 0 and 2 are in the range in part: their records go, their keys stay.
    let report = db.destroy(&metrics, 5 * SECOND_NS..25 * SECOND_NS).unwrap();
    assert_eq!(report.windows, metrics.iter().map(|m| (*m, 1..=1)).collect::<Vec<_>>());
    assert!(copies.iter().all(|(header, _)| key_of(header).is_none()));
    let left = [records(0..5), records(25..30)].concat();
    for metric in &metrics {
        assert_eq!(scan(&db, *metric, i64::MIN, i64::MAX), left);
    }
    // What is written for the window afterwards is sealed under other keys, and stays.
    metrics.iter().for_each(|metric| write(&db, *metric, 12..14));
    assert_eq!(db.seal(SealScope::All).unwrap().chunks, 4);
    for (metric, (before, _)) in metrics.iter().zip(&copies) {
        let again = header(&db, ChunkKey { generation: 1, ..chunk(*metric, 1) });
        assert_ne!(again.encryption.unwrap().tree, before.encryption.unwrap().tree);
    }
    db.compact().unwrap();
    let mut all = [left, records(12..14)].concat();
    all.sort_by_key(|(time_ns, _)| *time_ns);
    for metric in &metrics {
        assert_eq!(scan(&db, *metric, i64::MIN, i64::MAX), all);
        assert_eq!(db.chunk_blocks(chunk(*metric, 1)).unwrap(), None, "its bytes are gone");
    }
    db.close().unwrap();
    let db = Db::open_on(Arc::new(disk.clone()), options.clone()).unwrap();
    assert_eq!(scan(&db, metrics[0], i64::MIN, i64::MAX), all);
    assert_eq!(db.destroy(&metrics, ..).unwrap().windows.len(), 4);
    db.compact().unwrap();
    assert_eq!(scan(&db, metrics[0], i64::MIN, i64::MAX), Vec::new());
    db.close().unwrap();
    assert_eq!(verified(&disk, &options).faults, Vec::new());
}

#[test]
fn blobs_of_chunks_that_do_not_open_stay_until_these_are_gone() {
    let disk = SimDisk::new();
    let (_, with) = keys_alone();
    let db = Db::open_on(Arc::new(disk.clone()), with.clone()).unwrap();
    let metric = Metric::new("car-17", "picture");
    let metric = db.define(Definition::new(metric, Kind::Bytes).window_ns(WINDOW_NS)).unwrap();
    let blobs = || disk.files().iter().filter(|path| path.starts_with("blobs/")).count();
    let write = |second: i64| {
        let blob = Value::Blob(db.write_blob(&[second as u8; 99][..]).unwrap());
        let mut batch = db.batch();
        batch.push(metric, second * SECOND_NS, blob.as_ref()).unwrap();
        db.write(&batch, Durability::Synced).unwrap();
        db.seal(SealScope::All).unwrap();
    };
    write(1);
    write(11);
    // Somebody looks at what is destroyed: it cannot be read, and nothing is removed under him.
    let snapshot = db.snapshot();
    db.destroy(&[metric], ..10 * SECOND_NS).unwrap();
    db.compact().unwrap();
    assert_eq!(blobs(), 2);
    drop(snapshot);
    db.compact().unwrap();
    assert_eq!(blobs(), 1);
    db.close().unwrap();
    // Without keys nobody knows what the rest needs.
    let db = Db::open_on(Arc::new(disk.clone()), options()).unwrap();
    db.compact().unwrap();
    drop(db);
    assert_eq!(blobs(), 1);
    let db = Db::open_on(Arc::new(disk.clone()), with).unwrap();
    assert_eq!(scan(&db, metric, i64::MIN, i64::MAX).len(), 1);
}

#[test]
fn nothing_shows_a_secret() {
    let keys = keys_in(&SimDisk::new(), "trees");
    let root = [0xA7; 32];
    keys.change(|keystore| {
        keystore.insert(chronolith_keys::KeyTree::new(TreeId([1; 32]), Secret::new(root)))
    })
    .unwrap();
    let options = options().with_keys(keys.clone()).unwrap();
    let shown = format!("{keys:?} {:?} {:?}", options.keys, options.protect);
    for secret in ["167, 167", "a7a7", "A7A7"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(shown.contains("ChunkKeys") && shown.contains("AtRest"), "{shown}");
}
