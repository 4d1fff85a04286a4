//! Sealing: encoding, hashing and signing what was written, for both policies.

#![allow(clippy::unwrap_used, reason = "a bench that fails says where")]
#![allow(missing_docs, reason = "a program")]

mod common;

use chronolith_engine::chunk::codec::Policy;
use chronolith_engine::{Options, SealScope};
use common::cpu::CpuTime;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

fn seal(criterion: &mut Criterion<CpuTime>) {
    let rows = common::rows();
    let mut group = criterion.benchmark_group("seal");
    group.sample_size(10).throughput(Throughput::Elements(rows.len() as u64 * 10));
    for (name, seal_policy) in [("smallest", Policy::Smallest), ("fastest", Policy::Fastest)] {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || common::written(Options { seal_policy, ..common::options() }, &rows),
                |database| {
                    database.db.seal(SealScope::All).unwrap();
                    database
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = common::cpu::criterion();
    targets = seal
}
criterion_main!(benches);
