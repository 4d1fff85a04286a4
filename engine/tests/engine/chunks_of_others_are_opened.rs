//! A chunk that somebody else sealed is read by its two blocks and its key alone, and nothing that was
//! changed is believed.

use std::ops::RangeInclusive;
use std::sync::Arc;

use chronolith_disk::SimDisk;
use chronolith_engine::chunk::{ChunkKey, ForeignChunk, ForeignError, OpenChunkError};
use chronolith_engine::{
    ChunkKeys, Db, Definition, Durability, KeyError, Kind, Level, Metric, MetricId, Options,
    SealScope, Value,
};
use chronolith_keys::Grant;

use crate::crash_script::SECOND_NS;
use crate::keyed::keys_in;
use crate::oracle::options;

const WINDOW_NS: i64 = 10 * SECOND_NS;

fn definition(level: Level, kind: Kind) -> Definition {
    let metric = Metric::new("car-17", format!("metric-{}", level.number())).tag("side", "left");
    Definition::new(metric, kind).level(level).window_ns(WINDOW_NS).unit("km/h")
}

/// Thirty records, in three windows that are sealed under keys.
fn sealed(definition: Definition, value: impl Fn(i64) -> Value) -> (Db, ChunkKeys, MetricId) {
    let keys = keys_in(&SimDisk::new(), "trees");
    let options = Options { keys: Some(keys.clone()), ..options() };
    let db = Db::open_on(Arc::new(SimDisk::new()), options).unwrap();
    let metric = db.define(definition).unwrap();
    let mut batch = db.batch();
    for second in 0..30 {
        batch.push(metric, second * SECOND_NS, value(second).as_ref()).unwrap();
    }
    db.write(&batch, Durability::Synced).unwrap();
    db.seal(SealScope::All).unwrap();
    (db, keys, metric)
}

fn chunk(metric: MetricId, window: i64) -> ChunkKey {
    ChunkKey { metric: metric.index(), window, generation: 0, part: 0 }
}

/// The two blocks of a window's chunk, and its content id.
fn blocks(db: &Db, metric: MetricId, window: i64) -> (cid::Cid, Vec<u8>, Vec<u8>) {
    let found = db.chunks(metric, ..).unwrap();
    let cid = found.iter().find(|one| one.key == chunk(metric, window)).unwrap().cid;
    let blocks = db.chunk_blocks(chunk(metric, window)).unwrap().unwrap();
    (cid, blocks.header, blocks.body)
}

/// Why a body is not read.
fn problem<T>(opened: Result<T, ForeignError>) -> OpenChunkError {
    match opened {
        Err(ForeignError::Body { source, .. }) => source,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it is read"),
    }
}

fn grant(keys: &ChunkKeys, definition: &Definition, windows: RangeInclusive<i64>) -> Grant {
    Grant::new(keys.cover(definition, windows).unwrap()).unwrap()
}

#[test]
fn with_its_key_a_chunk_of_any_level_and_kind_gives_its_metric_and_records() {
    let texts = |second: i64| Value::Text(format!("at {second}"));
    let kinds: [(Kind, &dyn Fn(i64) -> Value); 3] = [
        (Kind::I64, &|second| Value::I64(second * second)),
        (Kind::F64, &|second| Value::F64(second as f64 / 8.0)),
        (Kind::Text, &texts),
    ];
    for level in [Level::Secret, Level::Personal, Level::Regular, Level::Bulk] {
        for (kind, value) in kinds {
            let definition = definition(level, kind);
            let (db, keys, metric) = sealed(definition.clone(), value);
            let granted = grant(&keys, &definition, 1..=1);
            let (cid, header, body) = blocks(&db, metric, 1);
            let foreign = ForeignChunk::new(cid, &header, body).unwrap();
            let tree = foreign.header().encryption.unwrap().tree;
            let key = granted.body_key(&tree, foreign.slot()).unwrap();
            let opened = foreign.open(Some(&key)).unwrap();
            assert_eq!(*opened.definition(), definition);
            let records: Vec<_> =
                opened.records().iter().map(|(time, value)| (time, value.to_value())).collect();
            let expected: Vec<_> =
                (10..20).map(|second| (second * SECOND_NS, value(second))).collect();
            assert_eq!(records, expected, "{level:?} {kind:?}");
            // Neither without a key, nor with that of another window.
            assert!(matches!(problem(foreign.open(None)), OpenChunkError::NoKey { .. }));
            let (cid, header, body) = blocks(&db, metric, 2);
            let other = ForeignChunk::new(cid, &header, body).unwrap();
            assert!(matches!(problem(other.open(Some(&key))), OpenChunkError::OtherKey { .. }));
            assert!(granted.body_key(&tree, other.slot()).is_none());
        }
    }
}

#[test]
fn whichever_byte_is_changed_it_is_refused() {
    let definition = definition(Level::Personal, Kind::I64);
    let (db, keys, metric) = sealed(definition.clone(), Value::I64);
    let (cid, header, body) = blocks(&db, metric, 0);
    for at in 0..header.len() {
        let mut changed = header.clone();
        changed[at] ^= 1;
        let refused = ForeignChunk::new(cid, &changed, body.clone());
        assert!(matches!(refused, Err(ForeignError::OtherHeader { .. })), "byte {at}");
    }
    for at in 0..body.len() {
        let mut changed = body.clone();
        changed[at] ^= 1;
        let refused = ForeignChunk::new(cid, &header, changed);
        assert_eq!(problem(refused), OpenChunkError::OtherBody, "byte {at}");
    }
    // Header and body of different chunks do not go together.
    let (_, _, other) = blocks(&db, metric, 1);
    let refused = ForeignChunk::new(cid, &header, other);
    assert_eq!(problem(refused), OpenChunkError::OtherBody);
    drop(keys);
}

#[test]
fn what_is_destroyed_is_in_no_grant_and_the_rest_is() {
    let definition = definition(Level::Regular, Kind::I64);
    let (db, keys, metric) = sealed(definition.clone(), Value::I64);
    db.destroy(&[metric], 10 * SECOND_NS..20 * SECOND_NS).unwrap();
    let windows = |range: RangeInclusive<i64>| {
        let parts = keys.cover(&definition, range)?;
        let held = parts.iter().flat_map(|part| part.windows());
        Ok::<_, KeyError>(held.flatten().collect::<Vec<_>>())
    };
    assert_eq!(windows(0..=2).unwrap(), [0, 2]);
    assert_eq!(windows(1..=2).unwrap(), [2]);
    assert!(matches!(windows(1..=1), Err(KeyError::Destroyed { window: 1 })));
    // A grant of one range each: two pieces of one tree are two grants.
    assert!(Grant::new(keys.cover(&definition, 0..=2).unwrap()).is_err());
    assert!(Grant::new(keys.cover(&definition, 2..=9).unwrap()).is_ok());
}

#[test]
fn keys_of_windows_to_come_are_given_before_there_is_a_record() {
    let definition = definition(Level::Bulk, Kind::I64);
    let keys = keys_in(&SimDisk::new(), "trees");
    let granted = grant(&keys, &definition, 5..=6);
    let options = Options { keys: Some(keys), ..options() };
    let db = Db::open_on(Arc::new(SimDisk::new()), options).unwrap();
    let metric = db.define(definition).unwrap();
    let mut batch = db.batch();
    batch.push(metric, 5 * WINDOW_NS, 7_i64).unwrap();
    db.write(&batch, Durability::Synced).unwrap();
    db.seal(SealScope::All).unwrap();
    let (cid, header, body) = blocks(&db, metric, 5);
    let foreign = ForeignChunk::new(cid, &header, body).unwrap();
    let tree = foreign.header().encryption.unwrap().tree;
    let key = granted.body_key(&tree, foreign.slot()).unwrap();
    assert_eq!(foreign.open(Some(&key)).unwrap().records().len(), 1);
}

#[test]
fn rules_are_for_metrics_that_are_new() {
    let rules = Arc::new(|definition: Definition| definition.level(Level::Secret));
    let disk = SimDisk::new();
    let db = Db::open_on(Arc::new(disk.clone()), options()).unwrap();
    let old = db.define(definition(Level::Bulk, Kind::I64)).unwrap();
    db.close().unwrap();
    let options = Options { rules: Some(rules), ..options() };
    let db = Db::open_on(Arc::new(disk), options).unwrap();
    let new = db.metric(Metric::new("car-17", "position"), Kind::F64).unwrap();
    let level = |id| db.definition(id).unwrap().level;
    assert_eq!((level(old), level(new)), (Level::Bulk, Level::Secret));
    // What is said of one that is there is not changed by a rule.
    db.define(definition(Level::Bulk, Kind::I64).level(Level::Personal)).unwrap();
    assert_eq!(level(old), Level::Personal);
}
