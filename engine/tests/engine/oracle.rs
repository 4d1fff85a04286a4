//! A store so simple that it is right: a map per metric.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chronolith_engine::{
    Aggregated, Aggregation, Block, Clock, Column, Db, Every, Function, Kind, Maintenance,
    MetricId, Options, Value, ValueRef, WriteError,
};

use crate::keyed::of_this_test;

/// What the store must answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Oracle {
    pub(crate) metrics: BTreeMap<u32, BTreeMap<i64, Value>>,
}

impl Oracle {
    pub(crate) fn write(&mut self, metric: MetricId, time_ns: i64, value: ValueRef<'_>) {
        self.metrics.entry(metric.index()).or_default().insert(time_ns, value.to_value());
    }

    pub(crate) fn delete(&mut self, metric: MetricId, from_ns: i64, to_ns: i64) {
        if let Some(records) = self.metrics.get_mut(&metric.index()) {
            records.retain(|time_ns, _| !(from_ns..=to_ns).contains(time_ns));
        }
    }

    pub(crate) fn range(&self, metric: MetricId, from_ns: i64, to_ns: i64) -> Vec<(i64, Value)> {
        let Some(records) = self.metrics.get(&metric.index()) else { return Vec::new() };
        records.range(from_ns..=to_ns).map(|(time_ns, value)| (*time_ns, value.clone())).collect()
    }
}

/// Writes records as a bulk load: of each metric two blocks, the later one first.
pub(crate) fn load(db: &Db, records: &[(MetricId, i64, Value)]) -> Result<u64, WriteError> {
    let mut series: BTreeMap<MetricId, BTreeMap<i64, &Value>> = BTreeMap::new();
    for (metric, time_ns, value) in records {
        series.entry(*metric).or_default().insert(*time_ns, value);
    }
    let mut load = db.bulk_load();
    for (metric, records) in series {
        let records: Vec<(i64, &Value)> = records.into_iter().collect();
        for half in records.chunks(records.len().div_ceil(2)).rev() {
            let mut values = Column::new(metric.kind());
            half.iter().for_each(|(_, value)| assert!(values.push(value.as_ref())));
            let times = half.iter().map(|(time_ns, _)| *time_ns).collect();
            load.push(metric, &Block::of_columns(times, values).unwrap())?;
        }
    }
    load.finish()
}

/// The records that a scan gives.
pub(crate) fn scan(db: &Db, metric: MetricId, from_ns: i64, to_ns: i64) -> Vec<(i64, Value)> {
    let mut records = Vec::new();
    for block in db.scan(metric, from_ns..=to_ns).unwrap() {
        let block = block.unwrap();
        assert!(!block.is_empty());
        records.extend(block.iter().map(|(time_ns, value)| (time_ns, value.to_value())));
    }
    records
}

fn as_f64(value: &Value) -> f64 {
    match value {
        Value::F64(value) => *value,
        Value::I64(value) => *value as f64,
        Value::U64(value) => *value as f64,
        Value::Bool(value) => f64::from(u8::from(*value)),
        _ => f64::NAN,
    }
}

fn as_integer(value: &Value) -> Option<i128> {
    match value {
        Value::I64(value) => Some((*value).into()),
        Value::U64(value) => Some((*value).into()),
        _ => None,
    }
}

fn close(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits()
        || (a.is_nan() && b.is_nan())
        || a == b
        || (a - b).abs() <= 1e-12 * a.abs().max(b.abs()).max(1.0)
}

/// Asserts that scan, latest and aggregates of a metric are what the oracle says.
pub(crate) fn assert_agrees(db: &Db, oracle: &Oracle, metric: MetricId, from_ns: i64, to_ns: i64) {
    let expected = oracle.range(metric, i64::MIN, i64::MAX);
    assert_eq!(scan(db, metric, i64::MIN, i64::MAX), expected, "all of {metric:?}");
    assert_eq!(db.latest(metric).unwrap(), expected.last().cloned(), "latest of {metric:?}");
    let expected = oracle.range(metric, from_ns, to_ns);
    assert_eq!(scan(db, metric, from_ns, to_ns), expected, "{metric:?} {from_ns}..={to_ns}");
    for every in
        [Every::Nanoseconds(700_000_000), Every::Nanoseconds(4_000_000_000), Every::Everything]
    {
        assert_aggregates(db, metric, from_ns, to_ns, every, &expected);
    }
}

fn assert_aggregates(
    db: &Db,
    metric: MetricId,
    from_ns: i64,
    to_ns: i64,
    every: Every,
    records: &[(i64, Value)],
) {
    let functions: Vec<Function> =
        Function::ALL.into_iter().filter(|function| function.applies_to(metric.kind())).collect();
    let is_number = metric.kind().is_number() || metric.kind() == Kind::Bool;
    let aggregation = Aggregation { from_ns, to_ns, every, functions };
    let buckets = db.aggregate(&[metric], &aggregation).unwrap().remove(0);
    let mut rest = records;
    for bucket in &buckets {
        let end = match every {
            Every::Nanoseconds(length) => bucket.start_ns.checked_add(length),
            _ => None,
        };
        let count = rest.iter().take_while(|(time, _)| end.is_none_or(|end| *time < end)).count();
        let (inside, later) = rest.split_at(count);
        rest = later;
        assert_eq!(bucket.count(), count as u64);
        assert!(count > 0 && inside[0].0 >= bucket.start_ns);
        let first = Some(Aggregated::Value(inside[0].1.clone()));
        let last = inside.last().map(|(_, value)| Aggregated::Value(value.clone()));
        assert_eq!(bucket.get(Function::First), first);
        assert_eq!(bucket.get(Function::Last), last);
        if is_number {
            assert_numbers(bucket, inside);
        }
    }
    assert!(rest.is_empty(), "records without a bucket: {rest:?}");
}

fn assert_numbers(bucket: &chronolith_engine::Bucket, inside: &[(i64, Value)]) {
    let values: Vec<f64> = inside.iter().map(|(_, value)| as_f64(value)).collect();
    let numbers = || values.iter().copied().filter(|value| !value.is_nan());
    let got = |function| match bucket.get(function) {
        Some(Aggregated::Float(value)) => Some(value),
        Some(Aggregated::Integer(value)) => Some(value as f64),
        Some(Aggregated::Value(value)) => Some(as_f64(&value)),
        _ => None,
    };
    let sum: f64 = values.iter().sum();
    assert!(close(got(Function::Sum).unwrap(), sum), "{:?} {sum}", got(Function::Sum));
    assert!(close(got(Function::Avg).unwrap(), sum / values.len() as f64));
    assert_eq!(got(Function::Min), numbers().reduce(f64::min));
    assert_eq!(got(Function::Max), numbers().reduce(f64::max));
    // Of integers the differences from the first, since floats cannot hold them all.
    let integers: Vec<i128> = inside.iter().filter_map(|(_, value)| as_integer(value)).collect();
    let values: Vec<f64> = match integers.first() {
        Some(first) => integers.iter().map(|integer| (integer - first) as f64).collect(),
        None => values,
    };
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    let expected = (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt());
    match (got(Function::Stddev), expected) {
        (Some(got), Some(expected)) => {
            // Squares of the largest floats overflow, on each side a little sooner or later.
            let overflows = !got.is_finite() && values.iter().any(|value| value.abs() > 1e150);
            let both_are_nan = got.is_nan() && expected.is_nan();
            let difference = (got - expected).abs();
            assert!(
                overflows || both_are_nan || difference <= 1e-9 * expected.abs().max(1.0),
                "{got} {expected}"
            );
        }
        (got, expected) => assert_eq!(got.is_some(), expected.is_some()),
    }
}

/// A clock that stands where a test puts it.
#[derive(Debug, Default)]
pub(crate) struct TestClock(pub(crate) AtomicI64);

impl Clock for TestClock {
    fn now_ns(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Options without threads, whose every byte is reproducible.
pub(crate) fn options() -> Options {
    of_this_test(Options {
        maintenance: Maintenance::Manual,
        producer_secret: Some([7; 32]),
        clock: Arc::new(TestClock::default()),
        ..Options::default()
    })
}
