//! Coding and masking bodies of a megabyte, and joining them again.
//!
//! `cargo bench -p chronolith-fragment --bench fragments`: bytes of the body in a second of processor
//! time. `vectors` is the code in C with AVX2, `portable` the one in safe Rust.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

use std::hint::black_box;
use std::time::Duration;

use chronolith_fragment::{
    Encoder, ErasureCode, Fragment, MaskSecret, PortableReedSolomon, Profile, ReedSolomon, Shape,
    restore,
};
use cpu_time::ThreadTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const BODY_BYTES: usize = 1 << 20;

fn body() -> Vec<u8> {
    let mut body = vec![0; BODY_BYTES];
    MaskSecret::new([7; 32]).key(0).apply(0, &mut body);
    body
}

/// The processor time of this thread for so many runs: other load does not change it much.
fn spent<T>(runs: u64, mut run: impl FnMut() -> T) -> Duration {
    let start = ThreadTime::now();
    for _ in 0..runs {
        black_box(run());
    }
    start.elapsed()
}

fn fragments(criterion: &mut Criterion) {
    let (body, secret) = (body(), MaskSecret::new([1; 32]));
    for profile in Profile::ALL {
        let mut group = criterion.benchmark_group(profile.name());
        group.throughput(Throughput::Bytes(BODY_BYTES as u64)).sample_size(20);
        let shape = Shape::of(profile, BODY_BYTES).unwrap();
        let (needed, all) = (shape.needed(), shape.fragments());
        let codes: [(&str, Box<dyn ErasureCode>); 2] = [
            ("vectors", Box::new(ReedSolomon::new(needed, all).unwrap())),
            ("portable", Box::new(PortableReedSolomon::new(needed, all).unwrap())),
        ];
        for (name, code) in codes {
            let encoder = Encoder::with(shape, code);
            group.bench_function(format!("code and mask, {name}"), |bencher| {
                bencher.iter_custom(|runs| {
                    spent(runs, || encoder.pieces(black_box(&body), &secret).unwrap())
                });
            });
        }
        let encoder = Encoder::new(shape).unwrap();
        group.bench_function("code, mask and trees", |bencher| {
            bencher.iter_custom(|runs| {
                spent(runs, || encoder.encode(black_box(&body), &secret).unwrap())
            });
        });
        let encoded = encoder.encode(&body, &secret).unwrap();
        let all: Vec<&Fragment> = encoded.fragments().iter().collect();
        let last = &all[all.len() - usize::from(needed)..];
        for (name, of) in [("join data", &all[..needed.into()]), ("join parity", last)] {
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|runs| {
                    spent(runs, || restore(shape, black_box(of), |index| Some(secret.key(index))))
                });
            });
        }
        group.bench_function("mask one fragment of the body's length", |bencher| {
            let (mut bytes, key) = (body.clone(), secret.key(0));
            bencher.iter_custom(|runs| spent(runs, || key.apply(0, black_box(&mut bytes))));
        });
        let root = encoded.root();
        group.bench_function("check what is joined", |bencher| {
            let check = |fragment: &&Fragment| fragment.check(shape, &root).unwrap();
            bencher.iter_custom(|runs| {
                spent(runs, || all[..usize::from(needed)].iter().for_each(check))
            });
        });
    }
}

criterion_group!(benches, fragments);
criterion_main!(benches);
