//! Aggregates are what arithmetic says, whatever kinds are merged and whichever way they are
//! computed: from statistics, by decoding, or from the memtable.

use std::sync::Arc;

use chronolith_disk::SimDisk;
use chronolith_engine::{
    Aggregated, Aggregation, Bucket, Db, Definition, Durability, Every, Function, Kind, Metric,
    MetricId, SealScope, Value, ValueRef, combine,
};

use crate::oracle::options;

const SECOND_NS: i64 = 1_000_000_000;

fn database() -> Db {
    Db::open_on(Arc::new(SimDisk::new()), options()).unwrap()
}

fn metric(db: &Db, name: &str, kind: Kind) -> MetricId {
    db.define(Definition::new(Metric::new("car-1", name), kind).window_ns(SECOND_NS)).unwrap()
}

fn write(db: &Db, metric: MetricId, records: &[(i64, ValueRef<'_>)]) {
    let mut batch = db.batch();
    records.iter().for_each(|(time_ns, value)| batch.push(metric, *time_ns, *value).unwrap());
    db.write(&batch, Durability::Synced).unwrap();
}

fn everything(functions: &[Function]) -> Aggregation {
    let (from_ns, to_ns, every) = (i64::MIN, i64::MAX, Every::Everything);
    Aggregation { from_ns, to_ns, every, functions: functions.to_vec() }
}

fn merged(db: &Db, metrics: &[MetricId], functions: &[Function]) -> Bucket {
    let series = db.aggregate(metrics, &everything(functions)).unwrap();
    combine(&series).remove(0)
}

/// Symptom: the sum over metrics of two kinds was that of the first kind alone, and the average
/// too small, since the counts were added. Loss: a wrong answer without an error. Cause: merging
/// had no case for unlike kinds and did nothing. Fix: floats and integers are kept side by side.
#[test]
fn metrics_of_several_kinds_are_merged_without_rounding() {
    use Function::{Avg, Count, Max, Min, Sum};
    let db = database();
    let signed = metric(&db, "signed", Kind::I64);
    let unsigned = metric(&db, "unsigned", Kind::U64);
    let float = metric(&db, "float", Kind::F64);
    write(&db, signed, &[(0, ValueRef::I64(-5)), (1, ValueRef::I64(7))]);
    write(&db, unsigned, &[(0, ValueRef::U64(u64::MAX)), (1, ValueRef::U64(1))]);
    write(&db, float, &[(0, ValueRef::F64(0.5)), (1, ValueRef::F64(f64::NAN))]);
    write(&db, float, &[(1, ValueRef::F64(9_007_199_254_740_992.0))]);
    let large = metric(&db, "large", Kind::I64);
    write(&db, large, &[(0, ValueRef::I64(9_007_199_254_740_993))]);
    for sealed in [false, true] {
        if sealed {
            db.seal(SealScope::All).unwrap();
        }
        let functions = [Count, Sum, Avg, Min, Max];
        for order in [[signed, unsigned], [unsigned, signed]] {
            let both = merged(&db, &order, &functions);
            let all = i128::from(u64::MAX) + 3;
            assert_eq!(both.count(), 4);
            assert_eq!(both.get(Sum), Some(Aggregated::Integer(all)));
            assert_eq!(both.get(Avg), Some(Aggregated::Float(all as f64 / 4.0)));
            assert_eq!(both.get(Min), Some(Aggregated::Integer(-5)));
            assert_eq!(both.get(Max), Some(Aggregated::Integer(u64::MAX.into())));
        }
        for order in [[large, float], [float, large]] {
            let both = merged(&db, &order, &functions);
            assert_eq!(both.get(Sum), Some(Aggregated::Float(18_014_398_509_481_985.5)));
            assert_eq!(both.get(Min), Some(Aggregated::Value(Value::F64(0.5))));
            // One more than the greatest float: no float is that number.
            let greatest = Aggregated::Integer(9_007_199_254_740_993);
            assert_eq!(both.get(Max), Some(greatest));
        }
    }
}

/// Symptom: chunks whose sums cancel each other summed up to 0 from their statistics and to 1 when
/// they were decoded. Loss: the promise that sums agree within 1e-12 whatever path computed them.
/// Cause: statistics kept the rounded sum only. Fix: they keep what rounding took off, too.
#[test]
fn sums_of_chunks_that_cancel_agree_whichever_way_they_are_computed() {
    let db = database();
    let float = metric(&db, "float", Kind::F64);
    write(&db, float, &[(0, ValueRef::F64(1e16)), (1, ValueRef::F64(1.0))]);
    write(&db, float, &[(2 * SECOND_NS, ValueRef::F64(-1e16))]);
    db.seal(SealScope::All).unwrap();
    let sum = |functions: &[Function]| {
        let buckets = db.aggregate(&[float], &everything(functions)).unwrap();
        buckets[0][0].get(Function::Sum)
    };
    assert_eq!(sum(&[Function::Sum]), Some(Aggregated::Float(1.0)), "from statistics");
    // A deviation needs the values.
    let decoded = sum(&[Function::Sum, Function::Stddev]);
    assert_eq!(decoded, Some(Aggregated::Float(1.0)), "by decoding");
}

/// Symptom: the deviation of 2^60 and 2^60 + 1 was 0. Loss: a wrong answer. Cause: the values were
/// made floats before their mean was taken off. Fix: an integer near them is taken off first.
#[test]
fn deviations_of_large_integers_are_not_lost() {
    let db = database();
    let signed = metric(&db, "signed", Kind::I64);
    let large = 1_i64 << 60;
    write(&db, signed, &[(0, ValueRef::I64(large)), (1, ValueRef::I64(large + 1))]);
    // Two more windows, which are merged with the first.
    write(&db, signed, &[(SECOND_NS, ValueRef::I64(large + 2))]);
    write(&db, signed, &[(2 * SECOND_NS, ValueRef::I64(large + 3))]);
    let deviation = |db: &Db| {
        let bucket = db.aggregate(&[signed], &everything(&[Function::Stddev])).unwrap();
        match bucket[0][0].get(Function::Stddev) {
            Some(Aggregated::Float(deviation)) => deviation,
            other => panic!("{other:?}"),
        }
    };
    let expected = (5.0_f64 / 3.0).sqrt();
    assert!((deviation(&db) - expected).abs() < 1e-12, "{}", deviation(&db));
    db.seal(SealScope::All).unwrap();
    assert!((deviation(&db) - expected).abs() < 1e-12, "{}", deviation(&db));
    let ends = [(0, ValueRef::I64(i64::MIN)), (1, ValueRef::I64(i64::MAX))];
    let extreme = metric(&db, "extreme", Kind::I64);
    write(&db, extreme, &ends);
    let bucket = merged(&db, &[extreme, signed], &[Function::Stddev]);
    assert!(matches!(bucket.get(Function::Stddev), Some(Aggregated::Float(d)) if d.is_finite()));
}
