//! What keys cost, in processor time, which other load does not change much: `cargo bench -p
//! chronolith-keys`.
#![allow(missing_docs, reason = "criterion's macros make functions without any")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use std::hint::black_box;

use chronolith_keys::{ChunkSlot, Grant, GrantContext, KeyTree, OneTimeSecret, Secret, TreeId};
use cpu_time::ProcessTime;
use criterion::{Bencher, Criterion, Throughput, criterion_group, criterion_main};

#[expect(dead_code, reason = "tests use more of it")]
#[path = "../tests/keys/random.rs"]
mod random;

use random::Random;

fn measure<T>(b: &mut Bencher<'_>, mut work: impl FnMut() -> T) {
    b.iter_custom(|times| {
        let start = ProcessTime::now();
        (0..times).for_each(|_| {
            black_box(work());
        });
        start.elapsed()
    });
}

fn slot(window: i64) -> ChunkSlot {
    ChunkSlot { window, generation: 0, part: 0 }
}

fn keys(c: &mut Criterion) {
    let tree = KeyTree::new(TreeId([1; 32]), Secret::new([2; 32]));
    let year = tree.cover(490_001..=490_001 + 8_759).unwrap();
    c.bench_function("key of a chunk from the root", |b| {
        measure(b, || tree.body_key(black_box(slot(495_000))));
    });
    c.bench_function("key of a chunk from a year of hours", |b| {
        measure(b, || year.body_key(black_box(slot(495_000))));
    });
    c.bench_function("cover of a year of hours", |b| {
        measure(b, || tree.cover(black_box(490_001..=490_001 + 8_759)));
    });
    c.bench_function("puncture of one window", |b| {
        measure(b, || {
            let mut tree = tree.clone();
            tree.puncture(black_box(495_000..=495_000));
            tree
        });
    });
    let (secret, context) =
        (OneTimeSecret::from_bytes([3; 32]), GrantContext { chain: [1; 32], request: [2; 32] });
    let grant = Grant::new([year]).unwrap();
    let sealed = grant.seal(&secret.public(), &context, &mut Random(1)).unwrap();
    c.bench_function("open a grant of a year of hours", |b| {
        measure(b, || Grant::open(black_box(&sealed), &secret, &context));
    });
}

fn bodies(c: &mut Criterion) {
    let tree = KeyTree::new(TreeId([1; 32]), Secret::new([2; 32]));
    let key = tree.body_key(slot(5)).unwrap();
    for (name, size) in [("8 KiB", 8 << 10), ("1 MiB", 1 << 20)] {
        let body: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        let sealed = key.seal(&[7; 300], &body).unwrap();
        let mut group = c.benchmark_group(format!("a body of {name}"));
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function("seal", |b| measure(b, || key.seal(&[7; 300], black_box(&body))));
        group.bench_function("open", |b| measure(b, || key.open(&[7; 300], black_box(&sealed))));
        group.finish();
    }
}

criterion_group!(benches, keys, bodies);
criterion_main!(benches);
