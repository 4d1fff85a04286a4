//! A database with everything that makes reading hard, and an oracle that knows what is in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use chronolith_engine::{
    Db, Definition, Durability, Kind, Maintenance, Metric, MetricId, Options, SealScope, Value,
};
use chronolith_query::arrow::array::{Array, RecordBatch};
use chronolith_query::arrow::util::display::{ArrayFormatter, FormatOptions};
use chronolith_query::{Limits, QueryError, Sql};

/// 2026-01-01T00:00:00Z.
pub(crate) const START_NS: i64 = 1_767_225_600_000_000_000;
pub(crate) const SECOND_NS: i64 = 1_000_000_000;

/// Deterministic numbers (splitmix64, Steele, Lea and Flood 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub(crate) fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}

/// A database and what is in it.
pub(crate) struct Fixture {
    pub(crate) sql: Sql,
    pub(crate) records: BTreeMap<(String, String), BTreeMap<i64, Value>>,
    _directory: tempfile::TempDir,
}

/// The metrics of each device: name, kind.
const METRICS: [(&str, Kind); 5] = [
    ("speed", Kind::F64),
    ("rpm", Kind::I64),
    ("odometer", Kind::U64),
    ("brake", Kind::Bool),
    ("note", Kind::Text),
];

fn value(kind: Kind, random: &mut Random) -> Value {
    match kind {
        Kind::F64 if random.below(40) == 0 => Value::F64(f64::NAN),
        Kind::F64 => Value::F64((random.below(20_000) as f64 - 2_000.0) / 100.0),
        Kind::I64 => Value::I64(random.below(8_000) as i64 - 1_000),
        Kind::U64 => Value::U64(random.below(1 << 40)),
        Kind::Bool => Value::Bool(random.below(2) == 1),
        _ => Value::Text(format!("n{}", random.below(5))),
    }
}

/// Windows sealed, amended, deleted from, flushed and open, for some devices.
pub(crate) fn fixture(seed: u64) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { maintenance: Maintenance::Manual, ..Options::default() };
    let db = Db::open(directory.path().join("db"), options).unwrap();
    let mut random = Random(seed);
    let mut metrics: Vec<(MetricId, (String, String), Kind)> = Vec::new();
    for device in 0..4 {
        for (name, kind) in METRICS {
            let device = format!("car-{device}");
            let mut metric = Metric::new(&device, name).tag("class", "fleet");
            if device != "car-0" {
                metric = metric.tag("site", if device == "car-1" { "north" } else { "south" });
            }
            let definition = Definition::new(metric, kind).window_ns(600 * SECOND_NS);
            metrics.push((db.define(definition).unwrap(), (device, name.to_owned()), kind));
        }
    }
    let mut records: BTreeMap<(String, String), BTreeMap<i64, Value>> = BTreeMap::new();
    let write = |db: &Db,
                 random: &mut Random,
                 count: u64,
                 from: u64,
                 to: u64,
                 records: &mut BTreeMap<(String, String), BTreeMap<i64, Value>>| {
        let mut batch = db.batch();
        for (id, key, kind) in &metrics {
            for _ in 0..count {
                let second = (from + random.below(to - from)) as i64;
                // Half of the times are shared by the metrics of a device.
                let jitter = if random.below(2) == 0 { random.below(1000) as i64 } else { 0 };
                let time_ns = START_NS + second * SECOND_NS + jitter * 1_000_000;
                let value = value(*kind, random);
                batch.push(*id, time_ns, value.as_ref()).unwrap();
                records.entry(key.clone()).or_default().insert(time_ns, value);
            }
        }
        db.write(&batch, Durability::Buffered).unwrap();
    };
    write(&db, &mut random, 900, 0, 5_400, &mut records);
    db.seal(SealScope::All).unwrap();
    // A late chunk amends some windows, a deletion hides part of others.
    write(&db, &mut random, 60, 1_200, 2_400, &mut records);
    db.seal(SealScope::All).unwrap();
    let (from_ns, to_ns) = (START_NS + 3_000 * SECOND_NS, START_NS + 3_100 * SECOND_NS);
    for (id, key, _) in metrics.iter().take(7) {
        db.delete(&[*id], from_ns..to_ns).unwrap();
        records.entry(key.clone()).or_default().retain(|t, _| !(from_ns..to_ns).contains(t));
    }
    write(&db, &mut random, 100, 5_000, 7_200, &mut records);
    db.flush().unwrap();
    write(&db, &mut random, 100, 6_000, 9_000, &mut records);
    Fixture { sql: Sql::new(db).unwrap(), records, _directory: directory }
}

impl Fixture {
    /// The answer to a query, each row as texts.
    pub(crate) fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        rows(&self.sql, sql).unwrap_or_else(|error| panic!("{sql}\n{error}"))
    }

    /// The answer to a query with its rows in the order of their texts.
    pub(crate) fn sorted(&self, sql: &str) -> Vec<Vec<String>> {
        let mut rows = self.rows(sql);
        rows.sort();
        rows
    }

    /// The records of a metric name: time, device, value.
    pub(crate) fn of(&self, name: &str) -> Vec<(i64, &str, &Value)> {
        let metrics = self.records.iter().filter(|((_, other), _)| other == name);
        metrics
            .flat_map(|((device, _), records)| {
                records.iter().map(move |(time_ns, value)| (*time_ns, device.as_str(), value))
            })
            .collect()
    }
}

/// The answer to a query, each row as texts; null is empty.
pub(crate) fn rows(sql: &Sql, text: &str) -> Result<Vec<Vec<String>>, QueryError> {
    let mut rows = Vec::new();
    for batch in sql.query(text, &Limits::default())? {
        rows.extend(texts(&batch?));
    }
    Ok(rows)
}

fn texts(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_display_error(true);
    let formatters: Vec<(ArrayFormatter<'_>, &Arc<dyn Array>)> = batch
        .columns()
        .iter()
        .map(|column| (ArrayFormatter::try_new(column, &options).unwrap(), column))
        .collect();
    (0..batch.num_rows())
        .map(|row| formatters.iter().map(|(one, _)| one.value(row).to_string()).collect())
        .collect()
}

/// A year of hourly temperatures in three places, with a gap in each month: for calendars.
pub(crate) fn year() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { maintenance: Maintenance::Manual, ..Options::default() };
    let db = Db::open(directory.path().join("db"), options).unwrap();
    let mut random = Random(7);
    let mut records: BTreeMap<(String, String), BTreeMap<i64, Value>> = BTreeMap::new();
    for device in ["attic", "cellar", "garden"] {
        let metric = Metric::new(device, "temperature").tag("class", "house");
        let definition = Definition::new(metric, Kind::F64).window_ns(86_400 * SECOND_NS);
        let id = db.define(definition).unwrap();
        let mut batch = db.batch();
        for hour in (0..366 * 24).filter(|hour| hour % 720 < 650) {
            // From 2024-12-31 on, so that both changes of the clocks are in it.
            let time_ns = START_NS - 366 * 86_400 * SECOND_NS + hour * 3_600 * SECOND_NS;
            let value = Value::F64((random.below(4_000) as f64 - 1_000.0) / 100.0);
            batch.push(id, time_ns, value.as_ref()).unwrap();
            let key = (device.to_owned(), "temperature".to_owned());
            records.entry(key).or_default().insert(time_ns, value);
        }
        db.write(&batch, Durability::Buffered).unwrap();
    }
    db.seal(SealScope::All).unwrap();
    Fixture { sql: Sql::new(db).unwrap(), records, _directory: directory }
}

/// Whether two cells are the same, floats up to the order of their additions.
pub(crate) fn same(left: &str, right: &str) -> bool {
    if left == right {
        return true;
    }
    let (Ok(left), Ok(right)) = (left.parse::<f64>(), right.parse::<f64>()) else { return false };
    (left.is_nan() && right.is_nan()) || (left - right).abs() <= 1e-11 * left.abs().max(1.0)
}

/// Panics where two answers differ.
pub(crate) fn expect_same(what: &str, left: &[Vec<String>], right: &[Vec<String>]) {
    assert_eq!(left.len(), right.len(), "{what}: other number of rows");
    for (left, right) in left.iter().zip(right) {
        let equal = left.len() == right.len() && left.iter().zip(right).all(|(a, b)| same(a, b));
        assert!(equal, "{what}\n{left:?}\n{right:?}");
    }
}
