//! The sealed codecs beside Gorilla, on the same chunks of 3,600 records.
//!
//! Sizes, single metrics, and plain `pco` and `zstd` on the same bytes are in
//! `cargo run --release -p chronolith-engine --example codec_report`.

#![allow(clippy::unwrap_used, reason = "a bench that fails says where")]
#![allow(missing_docs, reason = "a program")]

mod common;

use std::hint::black_box;

use chronolith::fleet::Fleet;
use chronolith_engine::chunk::codec::{
    Policy, decode_times, decode_values, encode_times, encode_values, gorilla,
};
use chronolith_engine::{Column, Kind};
use common::cpu::CpuTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const RECORDS: usize = 3_600;

type Chunk = (Vec<i64>, Column);
type Encoded = (Vec<u8>, Vec<u8>);

/// One chunk of each metric of a vehicle.
fn chunks() -> Vec<Chunk> {
    let columns = Fleet::new(common::FLEET).vehicle_columns(0);
    let chunk = |(times, values): (Vec<i64>, Vec<f64>)| {
        (times[..RECORDS].to_vec(), Column::F64(values[..RECORDS].to_vec()))
    };
    columns.into_iter().map(chunk).collect()
}

fn encode(chunks: &[Chunk], policy: Policy) -> Vec<Encoded> {
    let one = |(times, values): &Chunk| {
        let mut encoded = Encoded::default();
        encode_times(times, policy, &mut encoded.0);
        encode_values(values, policy, &mut encoded.1);
        encoded
    };
    chunks.iter().map(one).collect()
}

fn encode_gorilla(chunks: &[Chunk]) -> Vec<Vec<u8>> {
    let one = |(times, values): &Chunk| {
        let Column::F64(values) = values else { unreachable!("made as floats") };
        let mut encoder = gorilla::Gorilla::new();
        for (time, value) in times.iter().zip(values) {
            encoder.push(*time, value.to_bits());
        }
        let mut stream = Vec::new();
        encoder.copy_stream(&mut stream);
        stream
    };
    chunks.iter().map(one).collect()
}

fn codecs(criterion: &mut Criterion<CpuTime>) {
    let chunks = chunks();
    let records = (chunks.len() * RECORDS) as u64;
    let policies = [("smallest", Policy::Smallest), ("fastest", Policy::Fastest)];

    let mut group = criterion.benchmark_group("encode");
    group.sample_size(20).throughput(Throughput::Elements(records));
    for (name, policy) in policies {
        group.bench_function(name, |bencher| bencher.iter(|| encode(black_box(&chunks), policy)));
    }
    group.bench_function("gorilla", |bencher| {
        bencher.iter(|| encode_gorilla(black_box(&chunks)));
    });
    group.finish();

    let mut group = criterion.benchmark_group("decode");
    group.sample_size(20).throughput(Throughput::Elements(records));
    let (mut times, mut values) = (Vec::new(), Column::new(Kind::F64));
    for (name, policy) in policies {
        let encoded = encode(&chunks, policy);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for (time_bytes, value_bytes) in &encoded {
                    times.clear();
                    values.clear();
                    decode_times(black_box(time_bytes), RECORDS, &mut times).unwrap();
                    decode_values(Kind::F64, black_box(value_bytes), RECORDS, &mut values).unwrap();
                }
            });
        });
    }
    let encoded = encode_gorilla(&chunks);
    let mut bits = Vec::new();
    group.bench_function("gorilla", |bencher| {
        bencher.iter(|| {
            for stream in &encoded {
                times.clear();
                bits.clear();
                gorilla::decode(black_box(stream), RECORDS, &mut times, &mut bits).unwrap();
            }
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = common::cpu::criterion();
    targets = codecs
}
criterion_main!(benches);
