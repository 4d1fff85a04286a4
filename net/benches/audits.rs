//! Answering audits and checking the answers.
//!
//! `cargo bench -p chronolith-net --bench audits`: samples in a second of processor time, twenty in an
//! answer, of a peer with 256 leases.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

use std::hint::black_box;
use std::time::Duration;

use chronolith_chain::content::ContentId;
use chronolith_chain::hash::{ChainId, Hash};
use chronolith_chain::keys::SecretKey;
use chronolith_chain::ledger::{AUDIT_SAMPLES, AssignedFragment, Fragment as Named};
use chronolith_fragment::{BLOCK_BYTES, FragmentTree, MaskSecret};
use chronolith_net::audit::{Answer, Assigned, Question};
use cpu_time::ThreadTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const LEASES: u32 = 256;
const BLOCKS: u32 = 1_024;

/// The processor time of this thread for so many runs: other load does not change it much.
fn spent<T>(runs: u64, mut run: impl FnMut() -> T) -> Duration {
    let start = ThreadTime::now();
    for _ in 0..runs {
        black_box(run());
    }
    start.elapsed()
}

fn audits(criterion: &mut Criterion) {
    // One fragment under many names: what is measured does not depend on its bytes.
    let mut bytes = vec![0; BLOCKS as usize * BLOCK_BYTES];
    MaskSecret::new([7; 32]).key(0).apply(0, &mut bytes);
    let tree = FragmentTree::of(&bytes);
    let mut assigned = Assigned::new();
    for lease in 0..LEASES {
        let fragment = Named { pack: ContentId::of_raw(&lease.to_le_bytes()), index: 3 };
        let root = Hash(tree.root());
        let of_lease = vec![AssignedFragment { fragment, root, blocks: BLOCKS }];
        assigned.set(lease, of_lease).unwrap();
    }
    let key = SecretKey::from_seed(&[1; 32]);
    let question = Question::new(
        ChainId([1; 32]),
        5,
        Hash([2; 32]),
        key.public().into(),
        assigned.root().unwrap(),
        AUDIT_SAMPLES,
    );
    let block = |_: &AssignedFragment, row: u32| {
        let block = bytes.chunks(BLOCK_BYTES).nth(row as usize)?.try_into().ok()?;
        Some((block, tree.prove(&[row as usize]).ok()?))
    };
    let answer = Answer::make(&question, &assigned, &key, block).unwrap();
    let sent = answer.to_bytes();
    println!("an answer has {} bytes", sent.len());
    let mut group = criterion.benchmark_group("audits");
    group.throughput(Throughput::Elements(AUDIT_SAMPLES as u64));
    group.bench_function("answer", |bencher| {
        bencher.iter_custom(|runs| {
            spent(runs, || Answer::make(black_box(&question), &assigned, &key, block).unwrap())
        });
    });
    group.bench_function("check", |bencher| {
        bencher.iter_custom(|runs| {
            spent(runs, || Answer::from_bytes(black_box(&sent)).unwrap().check(&question).unwrap())
        });
    });
    group.finish();
}

criterion_group!(benches, audits);
criterion_main!(benches);
