//! Reading sealed and unsealed records: scans, aggregates, latest records.

#![allow(clippy::unwrap_used, reason = "a bench that fails says where")]
#![allow(missing_docs, reason = "a program")]

mod common;

use std::hint::black_box;

use chronolith_engine::{Aggregation, Function, Selector};
use common::Database;
use common::cpu::CpuTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn aggregation(every: &str, function: Function) -> Aggregation {
    let functions = vec![function];
    Aggregation { from_ns: i64::MIN, to_ns: i64::MAX, every: every.parse().unwrap(), functions }
}

fn reads(criterion: &mut Criterion<CpuTime>, name: &str, database: &Database) {
    let Database { db, metrics, .. } = database;
    let speed = db.select(&Selector::all().name("speed")).unwrap();
    let seconds = u64::from(common::FLEET.seconds);
    let mut group = criterion.benchmark_group(name);
    group.sample_size(20);

    group.throughput(Throughput::Elements(metrics.len() as u64 * seconds));
    group.bench_function("scan", |bencher| {
        bencher.iter(|| {
            for metric in metrics {
                for block in db.scan(*metric, ..).unwrap() {
                    black_box(block.unwrap());
                }
            }
        });
    });

    group.throughput(Throughput::Elements(speed.len() as u64 * seconds));
    let aggregates = [
        ("avg per 5 min, decoding", aggregation("5m", Function::Avg)),
        ("max of everything, statistics", aggregation("all", Function::Max)),
    ];
    for (name, aggregation) in aggregates {
        group.bench_function(name, |bencher| {
            bencher.iter(|| db.aggregate(black_box(&speed), &aggregation).unwrap());
        });
    }

    group.throughput(Throughput::Elements(metrics.len() as u64));
    group.bench_function("latest", |bencher| {
        bencher.iter(|| {
            for metric in metrics {
                black_box(db.latest(*metric).unwrap());
            }
        });
    });
    group.finish();
}

fn read(criterion: &mut Criterion<CpuTime>) {
    let rows = common::rows();
    reads(criterion, "read sealed", &common::sealed(common::options(), &rows));
    reads(criterion, "read unsealed", &common::written(common::options(), &rows));
}

criterion_group! {
    name = benches;
    config = common::cpu::criterion();
    targets = read
}
criterion_main!(benches);
