//! Updates of the state at a million keys: `cargo bench -p chronolith-chain --bench state_trie`.
//!
//! Prints processor time of this process per key: of the trie alone (prepare), and of a whole commit
//! with values and what they replaced in redb, in memory.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

use std::time::Duration;

use chronolith_chain::state::{Changes, Options, State};
use cpu_time::ProcessTime;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const KEYS: u64 = 1_000_000;

/// A spread of key numbers without repetition within a batch: an odd step over the whole.
fn changes(count: u64, round: u64) -> Changes {
    (0..count)
        .map(|index| {
            let number = (index * 7_919 + round * 104_729) % KEYS;
            let mut key = vec![1];
            key.extend(number.to_be_bytes());
            key.resize(33, 7);
            let mut value = vec![0; 40];
            value[..8].copy_from_slice(&(round + index).to_le_bytes());
            (key, Some(value))
        })
        .collect()
}

fn report(name: &str, keys: u64, spent: Duration) {
    let rate = keys as f64 / spent.as_secs_f64();
    println!("{name}: {:.2} µs of processor time a key, {rate:.0} keys a second", 1e6 / rate);
}

fn trie(criterion: &mut Criterion) {
    let options = Options { keep_versions: 3, cache_bytes: 1 << 30 };
    let started = ProcessTime::now();
    let mut state = State::in_memory(0, changes(KEYS, 0), options).unwrap();
    report("build and open a million keys", KEYS, started.elapsed());
    println!("the trie takes {} bytes a key", state.trie_bytes() as u64 / KEYS);

    let mut group = criterion.benchmark_group("state_trie");
    group.sample_size(10);
    for count in [1_000, 10_000, 100_000] {
        group.throughput(Throughput::Elements(count));
        let (mut round, mut spent, mut keys) = (0, Duration::ZERO, 0);
        group.bench_function(format!("prepare {count}"), |bench| {
            bench.iter_batched(
                || {
                    round += 1;
                    changes(count, round)
                },
                |changes| {
                    let started = ProcessTime::now();
                    let prepared = state.prepare(u64::MAX, changes).unwrap();
                    spent += started.elapsed();
                    keys += count;
                    prepared
                },
                BatchSize::PerIteration,
            );
        });
        report(&format!("prepare {count}"), keys, spent);
    }
    for count in [1_000, 10_000] {
        let (mut spent, rounds) = (Duration::ZERO, 20);
        for _ in 0..rounds {
            let version = state.head().version + 1;
            let changes = changes(count, version);
            let started = ProcessTime::now();
            let prepared = state.prepare(version, changes).unwrap();
            state.commit(prepared).unwrap();
            spent += started.elapsed();
        }
        report(&format!("prepare and commit {count}"), count * rounds, spent);
    }
    group.finish();
}

criterion_group!(benches, trie);
criterion_main!(benches);
