//! The fragments on a peer's disk: keeping, reading, walking over and finding them.
//!
//! `cargo bench -p chronolith-net --bench store`: bytes in a second of processor time, for fragments of the
//! profile `lab` of packs of a megabyte, in a temporary folder (`TMPDIR`). Keeping waits for the disk, which
//! is not in it. `CHRONOLITH_FRAGMENTS` (100,000) fragments are named, and found by an opening.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_disk::RealDisk;
use chronolith_fragment::{MaskSecret, Profile};
use chronolith_net::pack::{Item, Pack, Packer};
use chronolith_net::store::FragmentStore;
use chronolith_net::stored::StoredFragment;
use cpu_time::ThreadTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const OWNER: Address = Address([7; 32]);

/// The processor time of this thread for so many runs: other load does not change it much.
fn spent<T>(runs: u64, mut run: impl FnMut() -> T) -> Duration {
    let start = ThreadTime::now();
    for _ in 0..runs {
        black_box(run());
    }
    start.elapsed()
}

fn pack() -> (Pack, Vec<StoredFragment>) {
    let secret = MaskSecret::new([3; 32]);
    let mut block = vec![0; 1_000_000];
    secret.key(0).apply(0, &mut block);
    let mut packer = Packer::default();
    assert!(packer.add(Item::block(ContentId::of_raw(&block), block).unwrap()).is_none());
    let (pack, encoded) = Pack::make(packer.finish().unwrap(), Profile::Lab, &secret).unwrap();
    let (id, shape) = (pack.content_id(), pack.header().shape);
    let fragments = encoded.into_fragments();
    let stored = |fragment| StoredFragment { pack: id, shape, fragment };
    (pack, fragments.into_iter().map(stored).collect())
}

fn fragments(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let disk = RealDisk::create(folder.path()).unwrap();
    let store = FragmentStore::open(Arc::new(disk), u64::MAX).unwrap();
    let (pack, fragments) = pack();
    let (id, header) = (pack.content_id(), pack.header());
    for fragment in &fragments {
        store.keep(OWNER, 1, header, fragment).unwrap();
    }
    let bytes = fragments[0].fragment.bytes.len() as u64;
    println!("a fragment has {bytes} bytes");
    let mut group = criterion.benchmark_group("store");
    group.throughput(Throughput::Bytes(bytes));
    group.bench_function("keep", |bencher| {
        bencher.iter_custom(|runs| {
            let mut all = Duration::ZERO;
            for _ in 0..runs {
                store.remove(OWNER, id, 0).unwrap();
                all += spent(1, || store.keep(OWNER, 1, header, &fragments[0]).unwrap());
            }
            all
        });
    });
    group.bench_function("fragment", |bencher| {
        bencher.iter_custom(|runs| spent(runs, || store.fragment(id, 1).unwrap().unwrap()));
    });
    group.bench_function("sample", |bencher| {
        bencher.iter_custom(|runs| spent(runs, || store.sample(id, 1, 700).unwrap().unwrap()));
    });
    group.throughput(Throughput::Bytes(bytes * fragments.len() as u64));
    group.bench_function("scrub", |bencher| {
        bencher.iter_custom(|runs| spent(runs, || store.scrub(None, u64::MAX).checked));
    });
    group.finish();
}

fn opening(_: &mut Criterion) {
    let count = std::env::var("CHRONOLITH_FRAGMENTS").map_or(100_000, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let disk = RealDisk::create(folder.path()).unwrap();
        FragmentStore::open(Arc::new(disk), u64::MAX).unwrap()
    };
    drop(open());
    for number in 0..count {
        let pack = ContentId::of_raw(&u32::to_le_bytes(number));
        let place = folder.path().join(format!("fragments/{:02x}", pack.digest()[0]));
        std::fs::create_dir_all(&place).unwrap();
        for name in [format!("{pack}.3.262473.fragment"), format!("{pack}.3.1000.{OWNER}.owner")] {
            std::fs::File::create(place.join(name)).unwrap();
        }
    }
    let (wall, processor) = (Instant::now(), ThreadTime::now());
    let store = open();
    let (wall, processor) = (wall.elapsed(), processor.elapsed());
    assert_eq!(store.fragments(), u64::from(count));
    println!("{count} fragments are found in {wall:?}, {processor:?} of the processor");
}

criterion_group!(benches, fragments, opening);
criterion_main!(benches);
