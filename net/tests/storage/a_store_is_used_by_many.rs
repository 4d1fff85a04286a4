//! Readers, writers and a walk go on together: nobody sees half of anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use chronolith_chain::simulate::Random;
use chronolith_disk::{Disk, RealDisk, SimDisk};
use chronolith_fragment::Profile;
use chronolith_net::store::{FragmentStore, Keeping, StoreError};

use crate::store_fixture::{ALICE, BOB, Kit, ROOM, open};

fn readers_and_writers(disk: Arc<dyn Disk>, rounds: u64) {
    let mut random = Random::new(1);
    let kits: Vec<Kit> = (0..6).map(|_| Kit::small(&mut random, Profile::Lab)).collect();
    let store = FragmentStore::open(Arc::clone(&disk), ROOM).unwrap();
    let is_over = AtomicBool::new(false);
    let reads = AtomicU64::new(0);
    thread::scope(|scope| {
        let writers: Vec<_> = [(ALICE, 11), (BOB, 12)]
            .into_iter()
            .map(|(owner, seed)| {
                let (store, kits) = (&store, &kits);
                scope.spawn(move || {
                    let mut random = Random::new(seed);
                    for height in 0..rounds {
                        let kit = &kits[(random.next() % 6) as usize];
                        let index = (random.next() % 3) as u8;
                        match random.next() % 4 {
                            0 => drop(store.remove(owner, kit.id, index).unwrap()),
                            1 if height % 16 == 0 => {
                                store.remove_pack(owner, kit.id).unwrap();
                            }
                            _ => drop(kit.keep(store, owner, height, index).unwrap()),
                        }
                    }
                    // At last each owner has all.
                    for kit in kits {
                        (0..6).for_each(|index| drop(kit.keep(store, owner, rounds, index)));
                    }
                })
            })
            .collect();
        for seed in 0..2 {
            let (store, kits, is_over, reads) = (&store, &kits, &is_over, &reads);
            scope.spawn(move || {
                let mut random = Random::new(100 + seed);
                while !is_over.load(Ordering::SeqCst) {
                    let kit = &kits[(random.next() % 6) as usize];
                    let index = (random.next() % 6) as u8;
                    if let Some(bytes) = store.fragment(kit.id, index).unwrap() {
                        assert_eq!(bytes, kit.sent(index));
                        reads.fetch_add(1, Ordering::SeqCst);
                    }
                    if let Some(header) = store.header(kit.id).unwrap() {
                        assert_eq!(header, kit.header().to_bytes());
                    }
                    drop(store.sample(kit.id, index, 0).unwrap());
                }
            });
        }
        scope.spawn(|| {
            let mut after = None;
            while !is_over.load(Ordering::SeqCst) {
                let scrubbed = store.scrub(after, 20_000);
                assert!(scrubbed.damaged.is_empty() && scrubbed.unreadable.is_empty());
                after = scrubbed.next;
            }
        });
        let results: Vec<_> = writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        // The others end, whatever became of these.
        is_over.store(true, Ordering::SeqCst);
        assert!(results.iter().all(Result::is_ok));
    });
    assert_eq!((store.fragments(), store.kept().count(), store.damaged()), (36, 72, 0));
    let used = store.used_bytes();
    drop(store);
    let store = FragmentStore::open(disk, ROOM).unwrap();
    assert_eq!((store.fragments(), store.kept().count()), (36, 72));
    assert_eq!((store.used_bytes(), store.found().unfinished), (used, 0));
    println!("{} reads beside {rounds} writes of two", reads.load(Ordering::SeqCst));
}

#[test]
fn readers_and_writers_go_on_together() {
    let folder = tempfile::tempdir().unwrap();
    readers_and_writers(Arc::new(RealDisk::create(folder.path()).unwrap()), 150);
    readers_and_writers(Arc::new(SimDisk::new()), 400);
}

#[test]
fn writers_together_stay_within_the_quota() {
    let mut random = Random::new(2);
    let kits: Vec<Kit> = (0..8).map(|_| Kit::small(&mut random, Profile::Lab)).collect();
    let size = FragmentStore::disk_bytes(kits[0].header(), &kits[0].stored(0));
    let disk = SimDisk::new();
    let store = FragmentStore::open(Arc::new(disk.clone()), 10 * size).unwrap();
    let kept = AtomicU64::new(0);
    thread::scope(|scope| {
        for kit in &kits {
            scope.spawn(|| {
                for index in 0..6 {
                    match kit.keep(&store, ALICE, 5, index) {
                        Ok(keeping) => {
                            assert_eq!(keeping, Keeping::New);
                            kept.fetch_add(1, Ordering::SeqCst);
                        }
                        Err(StoreError::Quota { used, quota, .. }) => assert!(used <= quota),
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
    assert_eq!((kept.load(Ordering::SeqCst), store.used_bytes()), (10, 10 * size));
    drop(store);
    assert_eq!(open(&disk).used_bytes(), 10 * size);
}
