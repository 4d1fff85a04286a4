//! What keys cost a store, in processor time, which other load does not change much: sealing and scanning
//! the same records in the clear, with chunks encrypted, and with all files encrypted. `cargo bench -p
//! chronolith-engine --bench keyed`.
#![allow(missing_docs, reason = "criterion's macros make functions without any")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use std::sync::Arc;

use chronolith_disk::{Disk, SimDisk};
use chronolith_engine::{
    ChunkKeys, Db, Definition, DeviceAccount, Durability, Kind, Level, Maintenance, Metric,
    MetricId, Options, SealScope,
};
use chronolith_keys::{Keystore, KeystoreFile, Wrap};
use cpu_time::ProcessTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand_core::TryRng;

const METRICS: i64 = 20;
/// An hour at 1 Hz, in each of four windows.
const RECORDS: i64 = 4 * 3_600;
const SECOND_NS: i64 = 1_000_000_000;

#[expect(dead_code, reason = "tests use more of it")]
#[path = "../keys/tests/keys/random.rs"]
mod random;

use random::Random;

fn keys() -> ChunkKeys {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
    let keystore = Keystore::generate(Wrap::Plain, &mut Random(1)).unwrap();
    let file = KeystoreFile::create(disk, "trees", keystore, &mut Random(2)).unwrap();
    ChunkKeys::new(file, |_| DeviceAccount { key: [1; 32], era: 0 })
}

fn options(name: &str) -> Options {
    let options = Options { maintenance: Maintenance::Manual, ..Options::default() };
    match name {
        "in the clear" => options,
        "chunks encrypted" => Options { keys: Some(keys()), ..options },
        _ => options.with_keys(keys()).unwrap(),
    }
}

/// Metrics of all levels, and an hour of records in each of their windows, in memory.
fn written(name: &str) -> (Db, Vec<MetricId>) {
    let db = Db::open_on(Arc::new(SimDisk::new()), options(name)).unwrap();
    let metrics: Vec<MetricId> = (0..METRICS)
        .map(|number| {
            let level = Level::from_number(1 + (number % 4) as u8).unwrap();
            let metric = Metric::new("car-17", format!("metric-{number}"));
            db.define(Definition::new(metric, Kind::F64).level(level)).unwrap()
        })
        .collect();
    // Hundredths that walk, as what sensors measure does.
    let (mut random, mut hundredths) = (Random(7), vec![5_000_i64; metrics.len()]);
    for second in 0..RECORDS {
        let mut batch = db.batch();
        for (metric, hundredths) in metrics.iter().zip(&mut hundredths) {
            *hundredths += (random.try_next_u32().unwrap() % 21) as i64 - 10;
            batch.push(*metric, second * SECOND_NS, *hundredths as f64 / 100.0).unwrap();
        }
        db.write(&batch, Durability::Buffered).unwrap();
    }
    (db, metrics)
}

fn keyed(c: &mut Criterion) {
    for name in ["in the clear", "chunks encrypted", "all files encrypted"] {
        let mut group = c.benchmark_group(name);
        group.sample_size(10).throughput(Throughput::Elements((METRICS * RECORDS) as u64));
        group.bench_function("write", |b| {
            b.iter_custom(|times| {
                let start = ProcessTime::now();
                (0..times).for_each(|_| drop(written(name)));
                start.elapsed()
            });
        });
        group.bench_function("seal", |b| {
            b.iter_custom(|times| {
                (0..times)
                    .map(|_| {
                        let (db, _) = written(name);
                        let start = ProcessTime::now();
                        db.seal(SealScope::All).unwrap();
                        start.elapsed()
                    })
                    .sum()
            });
        });
        let (db, metrics) = written(name);
        db.seal(SealScope::All).unwrap();
        group.bench_function("scan", |b| {
            b.iter_custom(|times| {
                let start = ProcessTime::now();
                for _ in 0..times {
                    for metric in &metrics {
                        let blocks = db.scan(*metric, ..).unwrap();
                        let count: usize = blocks.map(|block| block.unwrap().len()).sum();
                        assert_eq!(count as i64, RECORDS);
                    }
                }
                start.elapsed()
            });
        });
        group.finish();
        let bytes =
            db.statistics().unwrap().by_codec.values().map(|codec| codec.bytes).sum::<u64>();
        eprintln!("{name}: {bytes} bytes of bodies");
    }
}

criterion_group!(benches, keyed);
criterion_main!(benches);
