//! Damaged bytes are never given out: they are found by whoever reads them first, moved aside and named.

use chronolith_chain::simulate::Random;
use chronolith_disk::{CrashMode, Disk as _, SimDisk};
use chronolith_fragment::Profile;
use chronolith_net::store::{ASIDE_FILES_MAX, DamageKind, FragmentStore, Keeping, StoreError};

use crate::store_fixture::{ALICE, BOB, Kit, open};

/// Reads a fragment, one way or another; whether damage was found.
type Way = fn(&FragmentStore, &Kit) -> bool;

fn path_of(disk: &SimDisk, kit: &Kit, index: u8) -> String {
    let begins = format!("{}.{index}.", kit.id);
    let is_it = |path: &String| {
        path.starts_with("fragments/") && path.contains(&begins) && path.ends_with(".fragment")
    };
    disk.files().into_iter().find(is_it).unwrap()
}

#[test]
fn every_flipped_byte_is_found_by_every_way_to_read_it() {
    let mut random = Random::new(1);
    let kit = Kit::small(&mut random, Profile::Standard);
    let disk = SimDisk::new();
    let store = open(&disk);
    kit.keep(&store, ALICE, 5, 2).unwrap();
    let length = disk.len(&path_of(&disk, &kit, 2)).unwrap();
    let ways: [(&str, Way); 5] = [
        ("fragment", |store, kit| is_damaged(&store.fragment(kit.id, 2))),
        ("blocks", |store, kit| is_damaged(&store.blocks(kit.id, 2, 0, 1))),
        ("sample", |store, kit| is_damaged(&store.sample(kit.id, 2, 0))),
        ("assigned", |store, kit| is_damaged(&store.assigned(kit.id, 2))),
        ("scrub", |store, _| store.scrub(None, 1).damaged.len() == 1),
    ];
    let mut found = 0;
    for offset in 0..length {
        for (way, read) in ways {
            assert!(!read(&store, &kit), "{way} of a whole one");
            let path = path_of(&disk, &kit, 2);
            disk.flip(&path, offset, 1 << (offset % 8)).unwrap();
            assert!(read(&store, &kit), "{way}, byte {offset} of {length}");
            assert_eq!((store.held(kit.id), store.used_bytes()), (Vec::new(), 0));
            assert_eq!(store.fragment(kit.id, 2).unwrap(), None);
            found += 1;
            assert_eq!(store.damaged(), found);
            let told = store.take_damaged();
            assert_eq!((told.len(), told[0].fragment), (1, kit.named(2)));
            assert_eq!(told[0].owners, [(ALICE, 5)]);
            assert_eq!(kit.keep(&store, ALICE, 5, 2).unwrap(), Keeping::New);
        }
    }
    let aside = disk.files().iter().filter(|path| path.starts_with("damaged/")).count();
    assert!((1..=ASIDE_FILES_MAX as usize).contains(&aside), "{aside}");
    assert!(store.take_damaged().is_empty());
}

fn is_damaged<T>(read: &Result<Option<T>, StoreError>) -> bool {
    matches!(read, Err(StoreError::Damaged(_)))
}

#[test]
fn a_header_is_never_another() {
    let mut random = Random::new(2);
    let kit = Kit::small(&mut random, Profile::Lab);
    let header = kit.header().to_bytes();
    for offset in 0..10 + header.len() as u64 {
        let disk = SimDisk::new();
        let store = open(&disk);
        kit.keep(&store, ALICE, 5, 2).unwrap();
        kit.keep(&store, ALICE, 5, 4).unwrap();
        disk.flip(&path_of(&disk, &kit, 2), offset, 0x10).unwrap();
        assert_eq!(store.header(kit.id).unwrap().as_ref(), Some(&header), "of the other fragment");
        assert_eq!((store.held(kit.id), store.damaged()), (vec![4], 1));
        disk.flip(&path_of(&disk, &kit, 4), offset, 0x10).unwrap();
        assert_eq!(store.header(kit.id).unwrap(), None);
        assert_eq!((store.held(kit.id), store.damaged()), (Vec::new(), 2));
    }
}

#[test]
fn cut_grown_and_missing_files_are_found() {
    let mut random = Random::new(3);
    let kit = Kit::small(&mut random, Profile::Lab);
    let disk = SimDisk::new();
    let store = open(&disk);
    kit.keep(&store, ALICE, 5, 0).unwrap();
    let length = disk.len(&path_of(&disk, &kit, 0)).unwrap();
    for other in (0..length).chain([length + 1, length + 5_000]) {
        disk.open(&path_of(&disk, &kit, 0)).unwrap().set_len(other).unwrap();
        let Err(StoreError::Damaged(damage)) = store.fragment(kit.id, 0) else {
            panic!("{other} of {length} bytes");
        };
        assert_eq!(damage.kind, DamageKind::Length { expected: length, found: other });
        kit.keep(&store, ALICE, 5, 0).unwrap();
    }
    disk.remove(&path_of(&disk, &kit, 0)).unwrap();
    let Err(StoreError::Damaged(damage)) = store.fragment(kit.id, 0) else { panic!("gone") };
    assert_eq!(damage.kind, DamageKind::Gone);
    assert_eq!((store.held(kit.id), store.used_bytes()), (Vec::new(), 0));
}

#[test]
fn a_fragment_in_the_place_of_another_is_found() {
    let mut random = Random::new(4);
    let (kit, other) =
        (Kit::small(&mut random, Profile::Lab), Kit::small(&mut random, Profile::Lab));
    let disk = SimDisk::new();
    let store = open(&disk);
    for index in 0..2 {
        kit.keep(&store, ALICE, 5, index).unwrap();
    }
    other.keep(&store, ALICE, 5, 0).unwrap();
    let bytes = disk.read_file(&path_of(&disk, &kit, 1)).unwrap();
    let file = disk.open(&path_of(&disk, &kit, 0)).unwrap();
    file.set_len(0).unwrap();
    file.append(&bytes).unwrap();
    let read = store.fragment(kit.id, 0);
    assert!(matches!(&read, Err(StoreError::Damaged(damage)) if damage.kind == DamageKind::Other
        || matches!(damage.kind, DamageKind::Length { .. })));
    let bytes = disk.read_file(&path_of(&disk, &kit, 1)).unwrap();
    let path = path_of(&disk, &other, 0);
    let file = disk.open(&path).unwrap();
    file.set_len(0).unwrap();
    file.append(&bytes).unwrap();
    assert!(is_damaged(&store.fragment(other.id, 0)));
    assert_eq!(store.fragment(kit.id, 1).unwrap().unwrap(), kit.sent(1));
}

#[test]
fn a_fragment_that_comes_again_mends_a_damaged_one() {
    let mut random = Random::new(5);
    let kit = Kit::small(&mut random, Profile::Lab);
    let disk = SimDisk::new();
    let store = open(&disk);
    kit.keep(&store, ALICE, 5, 0).unwrap();
    let used = store.used_bytes();
    for (owner, keeping) in [(ALICE, Keeping::Already), (BOB, Keeping::Shared)] {
        let path = path_of(&disk, &kit, 0);
        disk.flip(&path, 700, 1).unwrap();
        assert_eq!(kit.keep(&store, owner, 9, 0).unwrap(), keeping);
        let survivor = open(&disk.crash(CrashMode::DropUnsynced, 0));
        assert_eq!(survivor.fragment(kit.id, 0).unwrap().unwrap(), kit.sent(0));
        assert_eq!((survivor.damaged(), survivor.used_bytes()), (0, used));
    }
    let owners: Vec<_> = store.kept().map(|kept| (kept.owner, kept.height)).collect();
    assert_eq!(owners, [(ALICE, 5), (BOB, 9)]);
}

#[test]
fn a_walk_in_pieces_finds_what_is_damaged_and_nothing_else() {
    let mut random = Random::new(6);
    let disk = SimDisk::new();
    let store = open(&disk);
    let kits: Vec<Kit> = (0..20).map(|_| Kit::small(&mut random, Profile::Lab)).collect();
    for (number, kit) in kits.iter().enumerate() {
        for index in 0..3 {
            kit.keep(&store, if number % 2 == 0 { ALICE } else { BOB }, 5, index).unwrap();
        }
    }
    let mut expected = Vec::new();
    for kit in kits.iter().step_by(6) {
        let path = path_of(&disk, kit, 1);
        disk.flip(&path, random.next() % disk.len(&path).unwrap(), 2).unwrap();
        expected.push(kit.named(1));
    }
    expected.sort_by_key(|fragment| fragment.pack);
    for budget in [1, 10_000, u64::MAX] {
        let (mut checked, mut bytes, mut damaged, mut pieces, mut after) =
            (0, 0, Vec::new(), 0, None);
        loop {
            let scrubbed = store.scrub(after, budget);
            checked += scrubbed.checked;
            bytes += scrubbed.bytes;
            damaged.extend(scrubbed.damaged.into_iter().map(|damage| damage.fragment));
            assert!(scrubbed.unreadable.is_empty());
            pieces += 1;
            after = scrubbed.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(damaged, expected);
        // What was damaged went aside, so that the next walk finds none.
        expected.clear();
        assert_eq!(checked, store.fragments());
        let kept: u64 = store.kept().map(|kept| u64::from(kept.bytes)).sum();
        assert_eq!(bytes, kept);
        assert!(if budget == u64::MAX { pieces == 1 } else { pieces > 10 }, "{pieces}");
    }
    assert_eq!(store.damaged(), 4);
}
