//! SQL beside the plain read: what it adds, and what the bucket operator saves.
//!
//! With `CHRONOLITH_FLEET` set to a database that `chronolith bench fleet --db` made, its records
//! are read; else those of the small fleet of all benches.

#![allow(clippy::unwrap_used, reason = "a bench that fails says where")]
#![allow(missing_docs, reason = "a program")]

mod common;

use std::hint::black_box;

use chronolith_engine::{
    Aggregation, Db, Definition, Durability, Function, Kind, Metric, Options, SealScope, Selector,
};
use chronolith_query::{Limits, Sql};
use common::cpu::CpuTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn answer(sql: &Sql, text: &str) -> usize {
    sql.query(text, &Limits::default()).unwrap().map(|batch| batch.unwrap().num_rows()).sum()
}

/// Average per 5 minutes by vehicle: by the engine alone, by SQL, and by DataFusion's own way.
fn fleet(criterion: &mut Criterion<CpuTime>) {
    let (db, _database) = match std::env::var_os("CHRONOLITH_FLEET") {
        Some(path) => (Db::open(path, Options::read_only()).unwrap(), None),
        None => {
            let database = common::sealed(common::options(), &common::rows());
            (database.db.clone(), Some(database))
        }
    };
    let speed = db.select(&Selector::all().name("speed")).unwrap();
    let sql = Sql::new(db.clone()).unwrap();
    let records = speed.iter().map(|id| db.metric_statistics(*id).unwrap().records).sum();
    let (from_ns, to_ns, functions) = (i64::MIN, i64::MAX, vec![Function::Avg]);
    let every = "5m".parse().unwrap();
    let aggregation = Aggregation { from_ns, to_ns, every, functions };
    let query = |table: &str| {
        format!(
            "SELECT device, time_bucket('5m', time) AS b, avg(value) FROM {table} GROUP BY 1, 2"
        )
    };
    let operator = query("speed");
    // A limit keeps the rule from replacing the aggregation.
    let plain = query("(SELECT * FROM speed LIMIT 1000000000000)");
    let mut group = criterion.benchmark_group("sql avg per 5 min");
    group.sample_size(20);
    group.throughput(Throughput::Elements(records));
    group.bench_function("engine", |bencher| {
        bencher.iter(|| db.aggregate(black_box(&speed), &aggregation).unwrap());
    });
    group.bench_function("sql", |bencher| bencher.iter(|| answer(&sql, &operator)));
    group.bench_function("plain datafusion", |bencher| bencher.iter(|| answer(&sql, &plain)));
    group.finish();

    let mut group = criterion.benchmark_group("sql small");
    group.sample_size(20);
    for (name, text) in [
        ("max from statistics", "SELECT max(value) FROM speed"),
        ("one row", "SELECT time, value FROM speed ORDER BY time DESC LIMIT 1"),
        ("select 1", "SELECT 1"),
    ] {
        group.bench_function(name, |bencher| bencher.iter(|| answer(&sql, text)));
    }
    group.finish();
}

/// What the operator has to do more for: calendars, ways through the values, and wide tables.
fn reach(criterion: &mut Criterion<CpuTime>) {
    let (db, _database) = match std::env::var_os("CHRONOLITH_FLEET") {
        Some(path) => (Db::open(path, Options::read_only()).unwrap(), None),
        None => {
            let database = common::sealed(common::options(), &common::rows());
            (database.db.clone(), Some(database))
        }
    };
    let speed = db.select(&Selector::all().name("speed")).unwrap();
    let records = speed.iter().map(|id| db.metric_statistics(*id).unwrap().records).sum();
    let sql = Sql::new(db).unwrap();
    let mut group = criterion.benchmark_group("sql reach");
    group.sample_size(20);
    group.throughput(Throughput::Elements(records));
    for (name, bucket, calls) in [
        ("days in Berlin", "time_bucket('1d', time, 'Europe/Berlin')", "avg(value)"),
        ("rate per 5 min", "time_bucket('5m', time)", "rate(value, time)"),
        ("weighted per 5 min", "time_bucket('5m', time)", "time_weighted_avg(value, time)"),
    ] {
        for (way, table) in [
            ("operator", "speed"),
            ("plain datafusion", "(SELECT * FROM speed LIMIT 1000000000000)"),
        ] {
            let text = format!("SELECT device, {bucket} AS b, {calls} FROM {table} GROUP BY 1, 2");
            group.bench_function(format!("{name}: {way}"), |bencher| {
                bencher.iter(|| answer(&sql, &text));
            });
        }
    }
    // Beside `avg` of one column, all rows of the class counted: a row is a time of any metric.
    if sql.tables().iter().any(|table| table == "fleet") {
        for calls in ["avg(speed), max(rpm)", "count(*), avg(speed)"] {
            for (way, table) in [
                ("operator", "fleet"),
                ("plain datafusion", "(SELECT * FROM fleet LIMIT 1000000000000)"),
            ] {
                let text = format!(
                    "SELECT device, time_bucket('5m', time) AS b, {calls} FROM {table} \
                     GROUP BY 1, 2"
                );
                group.bench_function(format!("wide {calls} per 5 min: {way}"), |bencher| {
                    bencher.iter(|| answer(&sql, &text));
                });
            }
        }
    }
    group.finish();
}

/// Values that cost next to nothing to decode: what is left is the operator's own loop.
fn without_decoding(criterion: &mut Criterion<CpuTime>) {
    const RECORDS: i64 = 10_000_000;
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(directory.path(), common::options()).unwrap();
    let definition = Definition::new(Metric::new("constant", "level"), Kind::F64);
    let id = db.define(definition.window_ns(86_400_000_000_000)).unwrap();
    let mut batch = db.batch();
    for second in 0..RECORDS {
        batch.push(id, second * 1_000_000_000, 21.5).unwrap();
        if second % 50_000 == 49_999 {
            db.write(&batch, Durability::Buffered).unwrap();
            batch.clear();
        }
    }
    db.write(&batch, Durability::Buffered).unwrap();
    db.seal(SealScope::All).unwrap();
    let sql = Sql::new(db).unwrap();
    let mut group = criterion.benchmark_group("sql without decoding");
    group.sample_size(20);
    group.throughput(Throughput::Elements(RECORDS as u64));
    for (name, calls) in
        [("avg", "avg(value)"), ("min, max, avg", "min(value), max(value), avg(value)")]
    {
        for (way, table) in [
            ("operator", "level"),
            ("plain datafusion", "(SELECT * FROM level LIMIT 1000000000000)"),
        ] {
            let text =
                format!("SELECT time_bucket('5m', time) AS b, {calls} FROM {table} GROUP BY 1");
            group.bench_function(format!("{name}: {way}"), |bencher| {
                bencher.iter(|| answer(&sql, &text));
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = common::cpu::criterion();
    targets = fleet, reach, without_decoding
}
criterion_main!(benches);
