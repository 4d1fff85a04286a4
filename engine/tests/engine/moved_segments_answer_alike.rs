//! Moving segments changes no answer, and reads no more from the store than what is asked for.

use std::collections::BTreeSet;
use std::sync::Arc;

use chronolith_disk::{Disk, SimDisk};
use chronolith_engine::{
    Aggregation, Db, Definition, Durability, Every, Function, Kind, Metric, MetricId, Options,
    SealScope, SegmentStoreOptions, Value, restore, verify,
};

use crate::crash_script::{SECOND_NS, content};
use crate::oracle::{options, scan};
use crate::simulated_store::{SimStore, moving};

const METRICS: usize = 6;
const RECORDS: i64 = 20_000;
/// How often readers meet.
const ROUNDS_OF_READERS: usize = 24;

/// Values that do not compress much, so that segments have many pieces.
fn value(metric: i64, at: i64) -> f64 {
    (((at * 7919 + metric * 104_729) % 1_000_003) as f64).sqrt()
}

/// A database with some sealed windows of some metrics, and records that are not sealed.
pub(crate) fn filled(disk: &SimDisk, options: Options) -> (Db, Vec<MetricId>) {
    let db = Db::open_on(Arc::new(disk.clone()), options).unwrap();
    let ids: Vec<MetricId> = (0..METRICS)
        .map(|number| {
            let metric = Metric::new("car-1", format!("metric-{number}"));
            db.define(Definition::new(metric, Kind::F64).window_ns(60 * SECOND_NS)).unwrap()
        })
        .collect();
    let mut batch = db.batch();
    for at in 0..RECORDS {
        for (number, id) in ids.iter().enumerate() {
            batch.push(*id, at * SECOND_NS / 50, value(number as i64, at)).unwrap();
        }
    }
    db.write(&batch, Durability::Synced).unwrap();
    db.seal(SealScope::All).unwrap();
    let mut batch = db.batch();
    ids.iter().for_each(|id| batch.push(*id, 425 * SECOND_NS, 1.5).unwrap());
    db.write(&batch, Durability::Synced).unwrap();
    (db, ids)
}

fn with_pieces(store: &SimStore, piece_bytes: u32, cache_bytes: u64) -> Options {
    let mut options = moving(options(), store);
    let segment_store = options.segment_store.take();
    options.segment_store =
        segment_store.map(|store| SegmentStoreOptions { piece_bytes, cache_bytes, ..store });
    options
}

#[test]
pub(crate) fn answers_are_the_same_and_opening_reads_nothing() {
    let (disk, store) = (SimDisk::new(), SimStore::default());
    let (db, ids) = filled(&disk, moving(options(), &store));
    let before = content(&db).unwrap();
    let infos = db.segments();
    let keys: Vec<_> = db.chunks(ids[2], ..).unwrap().iter().map(|chunk| chunk.key).collect();
    let proofs: Vec<_> = keys.iter().map(|key| db.provable_chunk(*key).unwrap()).collect();
    let root = db.catalogue("car-1").unwrap().root;

    let report = db.move_segments().unwrap();
    assert_eq!((report.segments, report.faults.len()), (1, 0));
    assert_eq!(report.bytes, infos[0].size_bytes);
    let files: Vec<String> =
        disk.files().into_iter().filter(|path| path.starts_with("segments/")).collect();
    assert!(files.len() == 1 && files[0].ends_with(".tail"), "{files:?}");
    assert!(disk.read_file(&files[0]).unwrap().len() < infos[0].size_bytes as usize / 4);
    assert_eq!(content(&db).unwrap(), before);
    assert_eq!(db.segments(), infos);
    db.close().unwrap();

    store.take_reads();
    let calls = store.calls();
    let db = Db::open_on(Arc::new(disk.clone()), moving(options(), &store)).unwrap();
    assert_eq!(db.latest(ids[0]).unwrap(), Some((425 * SECOND_NS, Value::F64(1.5))));
    assert_eq!(db.catalogue("car-1").unwrap().root, root);
    // Whole windows are aggregated from their statistics, which are here.
    let (every, functions) = (Every::Everything, vec![Function::Sum, Function::Max]);
    let aggregation = Aggregation { from_ns: i64::MIN, to_ns: i64::MAX, every, functions };
    assert_eq!(db.aggregate(&ids, &aggregation).unwrap().len(), METRICS);
    assert!(db.statistics().unwrap().by_codec.contains_key("moved"));
    assert_eq!(store.calls(), calls, "the store was asked before a body was needed");
    assert_eq!(content(&db).unwrap(), before);
    for (key, proof) in keys.iter().zip(proofs) {
        let (again, proof) = (db.provable_chunk(*key).unwrap().unwrap(), proof.unwrap());
        assert_eq!(
            (again.header, again.body, again.proof),
            (proof.header, proof.body, proof.proof)
        );
    }
    let shared: Arc<dyn Disk> = Arc::new(disk);
    let verified = verify(&shared, &moving(options(), &store));
    assert_eq!((verified.faults, verified.unchecked), (Vec::new(), Vec::new()));
    assert_eq!((verified.moved_segments, verified.extra), (1, Vec::<String>::new()));
}

#[test]
fn a_scan_reads_forward_in_few_requests_and_only_what_it_needs() {
    let (disk, store) = (SimDisk::new(), SimStore::default());
    let (db, ids) = filled(&disk, with_pieces(&store, 1_024, 1 << 20));
    let size_bytes = db.segments()[0].size_bytes;
    db.move_segments().unwrap();
    store.take_reads();
    scan(&db, ids[1], i64::MIN, i64::MAX);
    let reads = store.take_reads();
    let bytes: u64 = reads.iter().map(|(.., len)| len).sum();
    // A sixth of the bodies, and at most eight pieces too many.
    assert!(bytes < size_bytes / 6 + 9 * 1_024, "{bytes} of {size_bytes}");
    assert!((reads.len() as u64) < bytes / 1_024 / 4, "{} reads of {bytes} bytes", reads.len());
    scan(&db, ids[1], i64::MIN, i64::MAX);
    assert_eq!(store.take_reads(), Vec::new(), "what is kept is not read again");
    let status = db.store_status();
    assert!(status.cache_hits > 0 && status.cached_bytes >= bytes, "{status:?}");
    // What is kept outlives the database.
    db.close().unwrap();
    let db = Db::open_on(Arc::new(disk.clone()), with_pieces(&store, 1_024, 1 << 20)).unwrap();
    scan(&db, ids[1], i64::MIN, i64::MAX);
    assert_eq!(store.take_reads(), Vec::new(), "what an earlier opening kept is used");
}

#[test]
fn many_readers_fetch_each_piece_once() {
    let (disk, store) = (SimDisk::new(), SimStore::default());
    let (mut db, ids) = filled(&disk, with_pieces(&store, 2_048, 1 << 20));
    let expected = scan(&db, ids[0], i64::MIN, i64::MAX);
    db.move_segments().unwrap();
    // Readers meet at other places each time.
    for _ in 0..ROUNDS_OF_READERS {
        store.take_reads();
        store.hold_reads(true);
        let calls = store.calls();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_eq!(scan(&db, ids[0], i64::MIN, i64::MAX), expected));
            }
            while store.calls() == calls {
                std::thread::yield_now();
            }
            store.hold_reads(false);
        });
        let reads = store.take_reads();
        let pieces: Vec<u64> = reads
            .iter()
            .flat_map(|(_, offset, len)| *offset / 2_048..(offset + len).div_ceil(2_048))
            .collect();
        let distinct: BTreeSet<u64> = pieces.iter().copied().collect();
        assert_eq!(pieces.len(), distinct.len(), "a piece was fetched twice: {reads:?}");
        db.close().unwrap();
        for name in disk.files().into_iter().filter(|name| name.starts_with("cache/")) {
            disk.remove(&name).unwrap();
        }
        db = Db::open_on(Arc::new(disk.clone()), with_pieces(&store, 2_048, 1 << 20)).unwrap();
    }
}

#[test]
fn the_cache_stays_within_its_budget_and_may_be_deleted() {
    let (disk, store) = (SimDisk::new(), SimStore::default());
    let budget = 8 * 512;
    let (db, _) = filled(&disk, with_pieces(&store, 512, budget));
    let before = content(&db).unwrap();
    db.move_segments().unwrap();
    let cached = || -> Vec<String> {
        disk.files().into_iter().filter(|path| path.starts_with("cache/")).collect()
    };
    let bytes = || cached().iter().map(|path| disk.len(path).unwrap()).sum::<u64>();
    assert_eq!(content(&db).unwrap(), before);
    assert!(bytes() > 0 && bytes() <= budget, "{} bytes in the cache", bytes());
    assert_eq!(db.store_status().cached_bytes, bytes());
    for path in cached() {
        disk.remove(&path).unwrap();
    }
    assert_eq!(content(&db).unwrap(), before);
    // Damaged pieces are fetched once more: in the open database, and by the next.
    for reopens in [false, true] {
        let paths = cached();
        assert!(!paths.is_empty());
        for path in &paths {
            (0..disk.len(path).unwrap()).for_each(|at| disk.flip(path, at, 255).unwrap());
        }
        let shared = Arc::new(disk.clone());
        let again = reopens.then(|| {
            drop(db.clone().close());
            Db::open_on(shared, with_pieces(&store, 512, budget)).unwrap()
        });
        assert_eq!(content(again.as_ref().unwrap_or(&db)).unwrap(), before);
    }
}

#[test]
fn a_reader_keeps_pieces_in_memory_and_writes_nothing() {
    let (disk, store) = (SimDisk::new(), SimStore::default());
    let (db, ids) = filled(&disk, with_pieces(&store, 1_024, 1 << 20));
    let before = content(&db).unwrap();
    db.move_segments().unwrap();
    let operations = disk.operations();
    let reading = Options { read_only: true, create: false, ..with_pieces(&store, 1_024, 1 << 20) };
    let reader = Db::open_on(Arc::new(disk.clone()), reading).unwrap();
    store.take_reads();
    assert_eq!(content(&reader).unwrap(), before);
    assert!(!store.take_reads().is_empty());
    scan(&reader, ids[0], i64::MIN, i64::MAX);
    assert_eq!(store.take_reads(), Vec::new(), "what is in memory is not read again");
    assert_eq!(disk.operations(), operations, "a reader wrote something");
    drop(db);
}

#[test]
pub(crate) fn backups_are_whole_without_the_store_and_have_objects_of_their_own() {
    let (disk, store) = (SimDisk::new(), SimStore::default());
    let (db, _) = filled(&disk, moving(options(), &store));
    let before = content(&db).unwrap();
    db.move_segments().unwrap();
    let backup: Arc<dyn Disk> = Arc::new(SimDisk::new());
    db.backup(&backup).unwrap();
    db.close().unwrap();
    assert_eq!(verify(&backup, &options()).faults, Vec::new());

    let restored = SimDisk::new();
    let target: Arc<dyn Disk> = Arc::new(restored.clone());
    restore(&backup, &target, &options()).unwrap();
    let copy = Db::open_on(Arc::clone(&target), moving(options(), &store)).unwrap();
    assert_eq!(content(&copy).unwrap(), before);
    // The copy moves to a home of its own, and removes nothing of the original's.
    copy.move_segments().unwrap();
    assert_eq!(store.objects().len(), 2, "{:?}", store.objects());
    let everything = copy.select(&chronolith_engine::Selector::all()).unwrap();
    copy.delete(&everything, ..).unwrap();
    copy.compact().unwrap();
    copy.move_segments().unwrap();
    copy.move_segments().unwrap();
    let original = Db::open_on(Arc::new(disk.clone()), moving(options(), &store)).unwrap();
    assert_eq!(content(&original).unwrap(), before);
    original.close().unwrap();

    // A closed database that has moved segments can be copied where its store is named.
    let (source, target): (Arc<dyn Disk>, Arc<dyn Disk>) =
        (Arc::new(disk), Arc::new(SimDisk::new()));
    let error = restore(&source, &target, &options()).unwrap_err().to_string();
    assert!(error.contains("simulated://store") && error.contains("--store"), "{error}");
    let target: Arc<dyn Disk> = Arc::new(SimDisk::new());
    restore(&source, &target, &moving(options(), &store)).unwrap();
    let copy = Db::open_on(target, options()).unwrap();
    assert_eq!(content(&copy).unwrap(), before);
}
