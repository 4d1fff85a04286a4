//! Whatever is written, flushed, sealed, deleted and compacted in whatever order, and however
//! often the database is reopened: it answers what a simple map would.

use chronolith_engine::{
    Db, Definition, Durability, Kind, Level, Metric, MetricId, Options, SealScope, Value,
};
use proptest::prelude::*;

use crate::keyed::with_keys;
use crate::oracle::{Oracle, assert_agrees, load, options, scan};

const SECOND_NS: i64 = 1_000_000_000;

#[derive(Debug, Clone)]
enum Operation {
    /// Records of (metric, time, choice of value).
    Write(Vec<(usize, i64, u64)>),
    Load(Vec<(usize, i64, u64)>),
    Flush,
    Seal,
    SealClosed(i64),
    Compact,
    Delete(usize, i64, i64),
    /// Deletes, and destroys the keys where there are some.
    Destroy(usize, i64, i64),
    Reopen,
    SnapshotThenWrite(Vec<(usize, i64, u64)>),
}

fn records() -> impl Strategy<Value = Vec<(usize, i64, u64)>> {
    // Mostly in order and mostly near: as devices write; and some that are not.
    let near = (0..6_usize, -20..20_i64, 0..4_i64, any::<u64>()).prop_map(
        |(metric, second, part, value)| (metric, second * SECOND_NS + part * 250_000_000, value),
    );
    let far = (0..6_usize, any::<i64>(), any::<u64>());
    prop::collection::vec(prop_oneof![20 => near, 1 => far], 0..60)
}

fn operation() -> impl Strategy<Value = Operation> {
    let time = || (-22..22_i64).prop_map(|second| second * SECOND_NS + 1);
    prop_oneof![
        8 => records().prop_map(Operation::Write),
        3 => records().prop_map(Operation::Load),
        2 => Just(Operation::Flush),
        2 => Just(Operation::Seal),
        1 => time().prop_map(Operation::SealClosed),
        1 => Just(Operation::Compact),
        2 => (0..6_usize, time(), 0..20_i64)
            .prop_map(|(metric, from, span)| Operation::Delete(metric, from, from + span * SECOND_NS)),
        1 => (0..6_usize, time(), 0..30_i64)
            .prop_map(|(metric, from, span)| Operation::Destroy(metric, from, from + span * SECOND_NS)),
        1 => Just(Operation::Reopen),
        1 => records().prop_map(Operation::SnapshotThenWrite),
    ]
}

fn value(kind: Kind, choice: u64) -> Value {
    match kind {
        Kind::F64 if choice.is_multiple_of(7) => Value::F64(f64::from_bits(choice)),
        Kind::F64 => Value::F64((choice % 1000) as f64 / 10.0),
        Kind::I64 if choice.is_multiple_of(5) => Value::I64(choice as i64),
        Kind::I64 => Value::I64((choice % 100) as i64 - 50),
        Kind::U64 => Value::U64(choice % 3 * (u64::MAX / 2)),
        Kind::Bool => Value::Bool(choice.is_multiple_of(2)),
        Kind::Text => Value::Text("é☃".repeat(choice as usize % 9)),
        Kind::Bytes => Value::Bytes(choice.to_le_bytes()[..choice as usize % 9].to_vec()),
    }
}

fn metrics(db: &Db) -> Vec<MetricId> {
    let kinds = Kind::ALL.into_iter().enumerate();
    kinds
        .map(|(index, kind)| {
            let metric = Metric::new(format!("car-{}", index % 2), kind.name());
            let length_ns = [1, 2, 10][index % 3] * SECOND_NS;
            let level = Level::from_number(1 + index as u8 % 4).unwrap();
            db.define(Definition::new(metric, kind).window_ns(length_ns).level(level)).unwrap()
        })
        .collect()
}

fn write(db: &Db, oracle: &mut Oracle, metrics: &[MetricId], records: &[(usize, i64, u64)]) {
    let mut batch = db.batch();
    for (metric, time_ns, choice) in records {
        let metric = metrics[*metric];
        let value = value(metric.kind(), *choice);
        batch.push(metric, *time_ns, value.as_ref()).unwrap();
        oracle.write(metric, *time_ns, value.as_ref());
    }
    db.write(&batch, Durability::Buffered).unwrap();
}

fn run(operations: &[Operation]) {
    // Segments so small that compaction splits them.
    let options = || Options { segment_bytes: 2048, ..options() };
    let directory = tempfile::tempdir().unwrap();
    let mut db = Db::open(directory.path(), options()).unwrap();
    let metrics = metrics(&db);
    let mut oracle = Oracle::default();
    for operation in operations {
        match operation {
            Operation::Write(records) => write(&db, &mut oracle, &metrics, records),
            Operation::Load(records) => {
                let records = records.iter().map(|(metric, time_ns, choice)| {
                    (metrics[*metric], *time_ns, value(metrics[*metric].kind(), *choice))
                });
                let records: Vec<_> = records.collect();
                records
                    .iter()
                    .for_each(|(id, time, value)| oracle.write(*id, *time, value.as_ref()));
                load(&db, &records).unwrap();
            }
            Operation::Flush => db.flush().unwrap(),
            Operation::Seal => drop(db.seal(SealScope::All).unwrap()),
            Operation::SealClosed(now_ns) => {
                // The lateness allowance of the options is five minutes.
                let now_ns = now_ns.saturating_add(300 * SECOND_NS);
                drop(db.seal(SealScope::ClosedAt(now_ns)).unwrap());
            }
            Operation::Compact => drop(db.compact().unwrap()),
            Operation::Delete(metric, from_ns, to_ns) => {
                db.delete(&[metrics[*metric]], *from_ns..=*to_ns).unwrap();
                oracle.delete(metrics[*metric], *from_ns, *to_ns);
            }
            Operation::Destroy(metric, from_ns, to_ns) => {
                let (range, metrics) = (*from_ns..=*to_ns, [metrics[*metric]]);
                match options().keys {
                    Some(_) => drop(db.destroy(&metrics, range).unwrap()),
                    None => db.delete(&metrics, range).unwrap(),
                }
                oracle.delete(metrics[0], *from_ns, *to_ns);
            }
            Operation::Reopen => {
                db.close().unwrap();
                db = Db::open(directory.path(), options()).unwrap();
            }
            Operation::SnapshotThenWrite(records) => {
                let before = oracle.clone();
                let snapshot = db.snapshot();
                write(&db, &mut oracle, &metrics, records);
                for metric in &metrics {
                    let blocks = snapshot.scan(*metric, ..).unwrap();
                    let seen: usize = blocks.map(|block| block.unwrap().len()).sum();
                    assert_eq!(seen, before.range(*metric, i64::MIN, i64::MAX).len());
                }
            }
        }
        for metric in &metrics {
            let expected = oracle.range(*metric, i64::MIN, i64::MAX);
            let got = scan(&db, *metric, i64::MIN, i64::MAX);
            assert_eq!(got, expected, "{metric:?} after {operation:?}");
        }
    }
    for metric in &metrics {
        assert_agrees(&db, &oracle, *metric, -7 * SECOND_NS - 3, 9 * SECOND_NS + 5);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_random_history_reads_like_a_map(operations in prop::collection::vec(operation(), 1..30)) {
        run(&operations);
    }

    #[test]
    fn a_random_history_with_keys_reads_like_a_map(
        operations in prop::collection::vec(operation(), 1..30),
    ) {
        with_keys(|| run(&operations));
    }
}
