//! What a metric's policies hide is in no answer, no file and no chunk; the header says what was done.

use std::fs;
use std::path::Path;

use chronolith_engine::chunk::ChunkHeader;
use chronolith_engine::{
    Batch, Db, Definition, Durability, Kind, Metric, MetricId, Options, Policies, SealScope,
    WriteError,
};

const SECOND_NS: i64 = 1_000_000_000;

fn define(db: &Db, name: &str, kind: Kind, policies: &str) -> MetricId {
    let policies: Policies = policies.parse().unwrap();
    db.define(Definition::new(Metric::new("car", name), kind).policies(policies)).unwrap()
}

fn holds(folder: &Path, wanted: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let place = entry.unwrap().path();
        if place.is_dir() {
            return holds(&place, wanted);
        }
        fs::read(&place).unwrap().windows(wanted.len()).any(|window| window == wanted)
    })
}

fn records(db: &Db, id: MetricId) -> Vec<(i64, String)> {
    let blocks = db.scan(id, ..).unwrap().map(Result::unwrap);
    blocks
        .flat_map(|block| {
            block.iter().map(|(at, value)| (at, format!("{value:?}"))).collect::<Vec<_>>()
        })
        .collect()
}

/// A record of each metric at some seconds, all of them in one batch.
fn batch(db: &Db, ids: &[MetricId; 5], seconds: std::ops::Range<i64>) -> Batch {
    let [speed, driver, gone, noisy, plain] = *ids;
    let mut batch = db.batch();
    for second in seconds {
        let at = second * SECOND_NS;
        batch.push(speed, at, 61.3 + second as f64).unwrap();
        batch.push(driver, at, "Maria Q. Example").unwrap();
        batch.push(gone, at, "never kept").unwrap();
        batch.push(noisy, at, 1_000_i64).unwrap();
        batch.push(plain, at, "as it is").unwrap();
    }
    batch
}

#[test]
fn what_is_hidden_is_nowhere_and_the_rest_is_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("db");
    let db = Db::open(&place, Options::default()).unwrap();
    let ids = [
        define(&db, "speed", Kind::F64, "time:10000000000;round:5"),
        define(&db, "driver", Kind::Text, "pseudonym"),
        define(&db, "gone", Kind::Text, "drop"),
        define(&db, "noisy", Kind::I64, "local-laplace:1,3/1"),
        define(&db, "plain", Kind::Text, ""),
    ];
    db.write(&batch(&db, &ids, 0..100), Durability::Synced).unwrap();
    // The log shows what is written in the clear, and nothing of what came.
    assert!(
        holds(&place, b"as it is") && !holds(&place, b"Maria") && !holds(&place, b"never kept")
    );
    // Late ones come to a window that is sealed, and it is sealed anew.
    db.seal(SealScope::All).unwrap();
    db.write(&batch(&db, &ids, 100..200), Durability::Synced).unwrap();
    let before: Vec<_> = ids.iter().map(|id| records(&db, *id)).collect();
    // Twenty times of ten seconds; of those that come to one time, the last stays.
    assert_eq!(before[0].len(), 20);
    assert!(before[0].iter().all(|(at, _)| at % (10 * SECOND_NS) == 0), "{:?}", before[0]);
    assert_eq!(before[0][0].1, "F64(70.0)", "61.3 + 9, by fives");
    assert_eq!(before[1].len(), 200);
    assert!(before[1].iter().all(|record| record.1 == before[1][0].1), "one driver stays one");
    assert!(before[2].is_empty());
    assert!(before[3].iter().any(|record| record.1 != "I64(1000)"));
    assert_eq!(before[4].len(), 200);
    assert!(before[4].iter().all(|record| record.1.contains("as it is")));
    db.seal(SealScope::All).unwrap();
    db.compact().unwrap();
    assert_eq!(ids.map(|id| records(&db, id)).to_vec(), before, "nothing is changed twice");
    // The header says it, and only where there is something to say.
    let policies = ids.map(|id| {
        let chunk = db.chunks(id, ..).unwrap().into_iter().next();
        let header = chunk.and_then(|chunk| db.chunk_header(chunk.key).unwrap());
        let header = header.map(|bytes| ChunkHeader::from_bytes(&bytes).unwrap());
        header.map(|header| header.shown.unwrap().policies.to_string())
    });
    let expected = [
        Some("time:10000000000;round:5"),
        Some("pseudonym"),
        None,
        Some("local-laplace:1,3/1"),
        Some(""),
    ];
    assert_eq!(policies.each_ref().map(Option::as_deref), expected);
    db.close().unwrap();
    assert!(
        !holds(&place, b"Maria") && !holds(&place, b"never kept"),
        "a raw value is on the disk"
    );
    // Whoever opens it again finds the same, and the same driver under the same pseudonym.
    let db = Db::open(&place, Options::default()).unwrap();
    assert_eq!(ids.map(|id| records(&db, id)).to_vec(), before);
    db.write(&batch(&db, &ids, 300..301), Durability::Synced).unwrap();
    assert_eq!(records(&db, ids[1])[200].1, before[1][0].1);
}

#[test]
fn policies_are_fixed_and_must_fit_the_values() {
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(directory.path().join("db"), Options::default()).unwrap();
    let speed = define(&db, "speed", Kind::F64, "round:5");
    let other = Definition::new(Metric::new("car", "speed"), Kind::F64);
    let refused = db.define(other.policies("round:1".parse().unwrap())).unwrap_err();
    assert!(refused.to_string().contains("\"round:5\" and cannot become \"round:1\""), "{refused}");
    let text = Definition::new(Metric::new("car", "driver"), Kind::Text);
    let refused = db.define(text.policies("round:1".parse().unwrap())).unwrap_err();
    assert!(refused.to_string().contains("it is for numbers"), "{refused}");
    // A misfit is named with the position that the writer knows.
    let foreign = Db::open(directory.path().join("other"), Options::default()).unwrap();
    let mut batch = foreign.batch();
    for _ in 0..3 {
        foreign.metric(Metric::new("car", format!("m{}", batch.len())), Kind::Text).unwrap();
        batch.push(speed, 1, 1.0).unwrap();
    }
    let text = foreign.find_metric(&Metric::new("car", "m0")).unwrap();
    batch.push(text, 2, "x").unwrap();
    let refused = db.write(&batch, Durability::Synced).unwrap_err();
    assert!(matches!(refused, WriteError::Kind { position: 3, .. }), "{refused}");
    assert!(records(&db, speed).is_empty(), "all of a batch or nothing");
}
