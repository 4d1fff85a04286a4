//! What the ledger reads of a chunk's header, without knowing the engine, is what the engine wrote.

use std::collections::BTreeMap;

use chronolith_engine::chunk::{ChunkHeader, Encryption, TreeId};
use chronolith_engine::{
    Db, Definition, Durability, Kind, Level, Metric, Options, Place, SealScope,
};
use chronolith_keys::{ChunkSlot, HeaderError, HeaderProblem, HeaderView};

/// A database with a metric of every kind and level, sealed.
fn sealed(directory: &std::path::Path) -> Db {
    let db = Db::open(directory.join("db"), Options::default()).unwrap();
    let mut batch = db.batch();
    for kind in Kind::ALL {
        for level in 1..=4 {
            let metric = Metric::new("car-17", format!("{} {level}", kind.name()));
            let tagged = metric.tag("unit", "km/h").tag("a", "b").tag("größe", "ä");
            let mut definition = Definition::new(tagged, kind);
            definition.level = Level::from_number(level).unwrap();
            definition.metadata = BTreeMap::from([("note".to_owned(), "x".repeat(300))]);
            definition.place =
                Some(Place { latitude_centidegrees: -4_812, longitude_centidegrees: 1_157 });
            let id = db.define(definition).unwrap();
            for time in [-5, 1_767_225_600_000_000_000] {
                match kind {
                    Kind::F64 => batch.push(id, time, 61.25),
                    Kind::I64 => batch.push(id, time, -3_i64),
                    Kind::U64 => batch.push(id, time, 3_u64),
                    Kind::Bool => batch.push(id, time, true),
                    Kind::Text => batch.push(id, time, "text"),
                    Kind::Bytes => batch.push(id, time, [1, 2].as_slice()),
                }
                .unwrap();
            }
        }
    }
    db.write(&batch, Durability::Synced).unwrap();
    db.seal(SealScope::All).unwrap();
    db
}

#[test]
fn every_header_that_the_engine_seals_is_read_by_the_ledger() {
    let directory = tempfile::tempdir().unwrap();
    let db = sealed(directory.path());
    let mut keys = Vec::new();
    db.for_each_sealed(&|_| true, &mut |chunk| keys.push(chunk.key));
    assert_eq!(keys.len(), 2 * 4 * Kind::ALL.len());
    for key in keys {
        let bytes = db.provable_chunk(key).unwrap().unwrap().header;
        let clear = HeaderView::from_bytes(&bytes);
        assert!(matches!(clear, Err(HeaderError { problem: HeaderProblem::Clear, .. })));

        let encryption = Encryption { tree: TreeId([7; 32]), commitment: [9; 32] };
        let mut header = ChunkHeader::from_bytes(&bytes).unwrap();
        header.encryption = Some(encryption);
        let bytes = header.to_bytes();
        assert_eq!(ChunkHeader::from_bytes(&bytes).as_ref(), Ok(&header));
        let view = HeaderView::from_bytes(&bytes).unwrap();
        let (window, generation, part) = (key.window, key.generation, key.part);
        assert_eq!(view.slot, ChunkSlot { window, generation, part });
        assert_eq!((view.window_ns, view.encryption), (header.window_ns, encryption));
        let Some(shown) = header.shown else {
            assert!(header.level.hides_metric() && view.metric.is_none());
            continue;
        };
        let metric = view.metric.unwrap();
        assert_eq!((metric.device, metric.name), (shown.device.as_str(), shown.name.as_str()));
        let tags: BTreeMap<&str, &str> = metric.tags.into_iter().collect();
        let expected = shown.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        assert_eq!(tags, expected.collect());
    }
}
