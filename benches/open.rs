//! Opening: a full log to replay, and everything sealed.

#![allow(clippy::unwrap_used, reason = "a bench that fails says where")]
#![allow(missing_docs, reason = "a program")]

mod common;

use chronolith_engine::Db;
use common::cpu::CpuTime;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

fn open(criterion: &mut Criterion<CpuTime>) {
    let rows = common::rows();
    let mut group = criterion.benchmark_group("open");
    group.sample_size(10);

    // The files of a database that is still open are those that a killed process leaves.
    let written = common::written(common::options(), &rows);
    group.throughput(Throughput::Elements(rows.len() as u64 * 10));
    group.bench_function("replay the log", |bencher| {
        bencher.iter_batched(
            || common::copy(written.directory.path()),
            |directory| (Db::open(directory.path(), common::options()).unwrap(), directory),
            BatchSize::PerIteration,
        );
    });
    drop(written);

    let sealed = common::sealed(common::options(), &rows);
    let directory = sealed.directory;
    sealed.db.close().unwrap();
    group.bench_function("all sealed", |bencher| {
        bencher.iter(|| Db::open(directory.path(), common::options()).unwrap());
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = common::cpu::criterion();
    targets = open
}
criterion_main!(benches);
