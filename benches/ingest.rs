//! Writing: filling a batch, and handing batches of 1,000 records to the database.

#![allow(clippy::unwrap_used, reason = "a bench that fails says where")]
#![allow(missing_docs, reason = "a program")]

mod common;

use std::hint::black_box;

use chronolith_engine::{Durability, Ticket};
use common::cpu::CpuTime;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

fn ingest(criterion: &mut Criterion<CpuTime>) {
    let rows = common::rows();
    let records = rows.len() as u64 * 10;
    let mut group = criterion.benchmark_group("ingest");
    group.sample_size(10);

    let database = common::empty(common::options());
    let mut batch = database.db.batch();
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("batch push", |bencher| {
        bencher.iter(|| {
            batch.clear();
            common::push(&mut batch, &database.metrics, black_box(&rows[..100]));
        });
    });

    group.throughput(Throughput::Elements(records));
    group.bench_function("write buffered", |bencher| {
        bencher.iter_batched(
            || common::empty(common::options()),
            |database| {
                common::write(&database.db, &database.metrics, &rows, Durability::Buffered);
                database
            },
            BatchSize::PerIteration,
        );
    });

    // As 64 writers would: batches that share syncs.
    group.bench_function("submit, wait for 64 at a time", |bencher| {
        bencher.iter_batched(
            || common::empty(common::options()),
            |database| {
                let mut batch = database.db.batch();
                let mut tickets: Vec<Ticket> = Vec::new();
                for rows in rows.chunks(100) {
                    common::push(&mut batch, &database.metrics, rows);
                    tickets.push(database.db.submit(&batch).unwrap());
                    batch.clear();
                    if tickets.len() == 64 {
                        tickets.drain(..).for_each(|ticket| ticket.wait().unwrap());
                    }
                }
                tickets.into_iter().for_each(|ticket| ticket.wait().unwrap());
                database
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = common::cpu::criterion();
    targets = ingest
}
criterion_main!(benches);
