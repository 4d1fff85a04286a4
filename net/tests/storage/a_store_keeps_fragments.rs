//! What a peer keeps comes back as it was sent: in every profile, for every owner, after every opening.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::List;
use chronolith_chain::hash::Hash;
use chronolith_chain::ledger::{Fragments, fragments_hash};
use chronolith_chain::simulate::Random;
use chronolith_disk::{Disk as _, RealDisk, SimDisk};
use chronolith_fragment::{BLOCK_BYTES, FragmentFault, MaskSecret, Profile, Shown};
use chronolith_merkle::leaf_hash;
use chronolith_net::store::{Consent, Found, FragmentStore, Keeping, OWNERS_MAX, StoreError};

use crate::fixture::{body, make};
use crate::store_fixture::{ALICE, BOB, Kit, ROOM, open};

#[test]
fn fragments_of_every_profile_come_back_as_they_were_sent() {
    let mut random = Random::new(1);
    let folder = tempfile::tempdir().unwrap();
    let disk = RealDisk::create(folder.path()).unwrap();
    let kits = Profile::ALL.map(|profile| {
        let body = body(&mut random, 4_000);
        Kit::of(make(&mut random, body, profile))
    });
    let store = open(&disk);
    let mut used = 0;
    for kit in &kits {
        for index in 0..kit.header().shape.fragments() {
            assert_eq!(kit.keep(&store, ALICE, 5, index).unwrap(), Keeping::New);
            used += FragmentStore::disk_bytes(kit.header(), &kit.stored(index));
        }
    }
    drop(store);
    let store = open(&disk);
    assert_eq!((store.used_bytes(), store.fragments()), (used, 6 + 30 + 96));
    let fragments = 6 + 30 + 96;
    let found = Found { fragments, owners: fragments, used_bytes: used, ..Found::default() };
    assert_eq!(*store.found(), found);
    for kit in &kits {
        let shape = kit.header().shape;
        assert_eq!(store.header(kit.id).unwrap(), Some(kit.header().to_bytes()));
        assert_eq!(store.held(kit.id), (0..shape.fragments()).collect::<Vec<u8>>());
        for index in 0..shape.fragments() {
            assert_eq!(store.fragment(kit.id, index).unwrap().unwrap(), kit.sent(index));
            let fragment = &kit.made.fragments[usize::from(index)];
            let root = fragment.tree().root();
            let assigned = store.assigned(kit.id, index).unwrap().unwrap();
            assert_eq!((assigned.fragment, assigned.root), (kit.named(index), Hash(root)));
            assert_eq!(assigned.blocks, shape.blocks());
            for row in [0, shape.blocks() / 2, shape.blocks() - 1] {
                let (block, path) = store.sample(kit.id, index, row).unwrap().unwrap();
                let start = row as usize * BLOCK_BYTES;
                assert_eq!(block, fragment.bytes[start..start + BLOCK_BYTES]);
                let (count, leaf) = (shape.blocks() as usize, leaf_hash(&block));
                path.verify(&root, count, &[row as usize], &[leaf]).unwrap();
            }
        }
    }
    let other = ContentId::of_raw(b"other");
    assert_eq!((store.header(other).unwrap(), store.held(other)), (None, Vec::new()));
    assert_eq!(store.fragment(other, 0).unwrap(), None);
    assert_eq!(store.blocks(other, 0, 0, 1).unwrap(), None);
    assert_eq!(store.sample(other, 0, 0).unwrap(), None);
}

#[test]
fn blocks_are_proved_and_their_bounds_checked() {
    let mut random = Random::new(2);
    let kit = Kit::small(&mut random, Profile::Lab);
    let store = open(&SimDisk::new());
    kit.keep(&store, ALICE, 5, 3).unwrap();
    let (shape, root) = (kit.header().shape, kit.header().fragments_root);
    let blocks = shape.blocks();
    for first in 0..blocks {
        for count in 1..=blocks - first {
            let bytes = store.blocks(kit.id, 3, first, count).unwrap().unwrap();
            let shown = Shown::check(shape, &root, 3, &(first..first + count), &bytes).unwrap();
            assert_eq!(shown.blocks().len(), count as usize * BLOCK_BYTES);
        }
    }
    for (first, count) in [(0, 0), (0, blocks + 1), (blocks, 1), (u32::MAX, 1), (1, u32::MAX)] {
        let refused = store.blocks(kit.id, 3, first, count);
        let Err(StoreError::Rows { fault: FragmentFault::Rows { blocks: found, .. }, .. }) =
            refused
        else {
            panic!("{first} {count}: {refused:?}");
        };
        assert_eq!(found, blocks);
    }
    assert!(matches!(store.sample(kit.id, 3, blocks), Err(StoreError::Rows { .. })));
}

#[test]
fn a_fragment_is_stored_once_for_several_owners() {
    let mut random = Random::new(3);
    let kit = Kit::small(&mut random, Profile::Standard);
    let disk = SimDisk::new();
    let store = open(&disk);
    assert_eq!(kit.keep(&store, ALICE, 5, 7).unwrap(), Keeping::New);
    let used = store.used_bytes();
    assert_eq!(kit.keep(&store, BOB, 9, 7).unwrap(), Keeping::Shared);
    assert_eq!(kit.keep(&store, ALICE, 11, 7).unwrap(), Keeping::Already);
    assert_eq!((store.used_bytes(), store.fragments()), (used, 1));
    drop(store);
    let store = open(&disk);
    assert_eq!((store.used_bytes(), store.fragments()), (used, 1));
    let kept: Vec<_> = store.kept().map(|kept| (kept.owner, kept.height, kept.fragment)).collect();
    assert_eq!(kept, [(ALICE, 5, kit.named(7)), (BOB, 9, kit.named(7))]);
    assert_eq!(store.kept_of(kit.id), store.kept().collect::<Vec<_>>());
    assert_eq!(store.kept_for(BOB, kit.id, 7).unwrap().height, 9);

    assert!(store.remove(ALICE, kit.id, 7).unwrap());
    assert!(!store.remove(ALICE, kit.id, 7).unwrap());
    assert_eq!(store.fragment(kit.id, 7).unwrap().unwrap(), kit.sent(7));
    assert_eq!(store.used_bytes(), used);
    assert!(store.remove(BOB, kit.id, 7).unwrap());
    assert_eq!((store.used_bytes(), store.fragments()), (0, 0));
    assert_eq!(store.fragment(kit.id, 7).unwrap(), None);
    assert_eq!(disk.files(), ["LOCK"]);

    for number in 0..OWNERS_MAX {
        kit.keep(&store, Address([number as u8; 32]), 1, 0).unwrap();
    }
    let refused = kit.keep(&store, Address([255; 32]), 1, 0);
    assert!(matches!(refused, Err(StoreError::TooManyOwners { .. })), "{refused:?}");
    assert_eq!(kit.keep(&store, ALICE, 1, 0).unwrap(), Keeping::Already);
}

#[test]
fn a_pack_is_removed_for_one_owner_at_a_time() {
    let mut random = Random::new(4);
    let kit = Kit::small(&mut random, Profile::Lab);
    let disk = SimDisk::new();
    let store = open(&disk);
    for index in 0..4 {
        kit.keep(&store, ALICE, 5, index).unwrap();
    }
    for index in 2..6 {
        kit.keep(&store, BOB, 5, index).unwrap();
    }
    assert_eq!(store.remove_pack(ALICE, kit.id).unwrap(), 4);
    assert_eq!(store.held(kit.id), [2, 3, 4, 5]);
    assert_eq!(store.remove_pack(ALICE, kit.id).unwrap(), 0);
    assert_eq!(store.remove_pack(BOB, kit.id).unwrap(), 4);
    assert_eq!((store.held(kit.id), store.used_bytes()), (Vec::new(), 0));
    assert_eq!(disk.files(), ["LOCK"]);
}

#[test]
fn the_quota_holds_and_says_its_numbers() {
    let mut random = Random::new(5);
    let kit = Kit::small(&mut random, Profile::Lab);
    let size = FragmentStore::disk_bytes(kit.header(), &kit.stored(0));
    let disk = SimDisk::new();
    let store = FragmentStore::open(Arc::new(disk.clone()), 2 * size + size / 2).unwrap();
    kit.keep(&store, ALICE, 5, 0).unwrap();
    kit.keep(&store, ALICE, 5, 1).unwrap();
    let files = disk.files();
    let Err(StoreError::Quota { needed, used, quota }) = kit.keep(&store, ALICE, 5, 2) else {
        panic!("beyond the quota");
    };
    assert_eq!((needed, used, quota), (size, 2 * size, store.quota_bytes()));
    assert_eq!(disk.files(), files);
    // What is here is not counted again.
    assert_eq!(kit.keep(&store, BOB, 5, 1).unwrap(), Keeping::Shared);
    store.remove(ALICE, kit.id, 0).unwrap();
    kit.keep(&store, ALICE, 5, 2).unwrap();
    drop(store);
    let store = FragmentStore::open(Arc::new(disk), size).unwrap();
    assert_eq!((store.used_bytes(), store.held(kit.id)), (2 * size, vec![1, 2]));
    assert!(matches!(kit.keep(&store, ALICE, 5, 0), Err(StoreError::Quota { .. })));
}

#[test]
fn what_the_header_does_not_commit_to_is_refused() {
    let mut random = Random::new(6);
    let kit = Kit::small(&mut random, Profile::Lab);
    let other = Kit::small(&mut random, Profile::Lab);
    let disk = SimDisk::new();
    let store = open(&disk);
    let of_other = store.keep(ALICE, 5, other.header(), &kit.stored(0));
    assert!(matches!(of_other, Err(StoreError::OtherPack { .. })), "{of_other:?}");
    for place in 0..kit.stored(0).fragment.bytes.len() {
        let mut flipped = kit.stored(0);
        flipped.fragment.bytes[place] ^= 0x20;
        let refused = store.keep(ALICE, 5, kit.header(), &flipped);
        assert!(matches!(refused, Err(StoreError::Refused { fault: FragmentFault::Root, .. })));
    }
    let mut changed = kit.stored(0);
    changed.fragment.path.hashes[0][0] ^= 1;
    assert!(store.keep(ALICE, 5, kit.header(), &changed).is_err());
    let mut changed = kit.stored(0);
    changed.fragment.index = 1;
    assert!(store.keep(ALICE, 5, kit.header(), &changed).is_err());
    let mut short = kit.stored(0);
    short.fragment.bytes.pop();
    assert!(store.keep(ALICE, 5, kit.header(), &short).is_err());
    assert_eq!((store.fragments(), disk.files()), (0, vec!["LOCK".to_owned()]));
}

#[test]
fn foreign_files_do_no_harm_and_stay() {
    let mut random = Random::new(7);
    let kit = Kit::small(&mut random, Profile::Lab);
    let disk = SimDisk::new();
    let store = open(&disk);
    kit.keep(&store, ALICE, 5, 1).unwrap();
    drop(store);
    let ours = disk.files();
    let kept = ours.iter().find(|path| path.ends_with(".fragment")).unwrap();
    let (folder, name) = kept.rsplit_once('/').unwrap();
    let elsewhere = if folder == "fragments/00" { "fragments/01" } else { "fragments/00" };
    let uppercase = name.to_uppercase();
    let foreign = [
        "README".to_owned(),
        "fragments/README".to_owned(),
        "fragments/ABC/x".to_owned(),
        format!("{folder}/.directory"),
        format!("{folder}/{name}.bak"),
        format!("{folder}/{uppercase}"),
        format!("{folder}/copy of {name}"),
        // A fragment in the folder of another would not be found where it is looked for.
        format!("{elsewhere}/{name}"),
        "consents/x.consent".to_owned(),
        "secrets/.secret.new".to_owned(),
        "damaged/notes".to_owned(),
    ];
    for path in &foreign {
        disk.create_dir_all(path.rsplit_once('/').map_or("", |(folder, _)| folder)).unwrap();
        disk.open(path).unwrap().append(b"mine").unwrap();
    }
    let store = open(&disk);
    let found = store.found();
    assert_eq!((found.fragments, found.unfinished, found.damaged), (1, 0, 1));
    // All but the one in the root, where nobody looks, and the one among the damaged.
    assert_eq!(found.foreign, foreign.len() as u64 - 2);
    assert_eq!(store.fragment(kit.id, 1).unwrap().unwrap(), kit.sent(1));
    store.remove_pack(ALICE, kit.id).unwrap();
    let left: BTreeSet<String> = disk.files().into_iter().collect();
    let expected = foreign.into_iter().chain(["LOCK".to_owned()]).collect::<BTreeSet<_>>();
    assert_eq!(left, expected);
}

#[test]
fn one_store_at_a_time_has_a_folder() {
    let disk = SimDisk::new();
    let store = open(&disk);
    let second = FragmentStore::open(Arc::new(disk.clone()), ROOM);
    assert!(matches!(second.err(), Some(StoreError::Locked { .. })));
    drop(store);
    open(&disk);
}

fn consent(random: &mut Random, owner: Address, valid_until: u64) -> Consent {
    let kit = Kit::small(random, Profile::Lab);
    let fragments = List::new([kit.assigned(0), kit.assigned(3)]).unwrap();
    let consent = Consent { owner, fragments, valid_until };
    let named = Fragments::new([kit.named(0), kit.named(3)]).unwrap();
    assert_eq!(consent.fragments_hash(), fragments_hash(&named), "as the ledger hashes them");
    consent
}

#[test]
fn consents_and_secrets_come_back() {
    let mut random = Random::new(8);
    let folder = tempfile::tempdir().unwrap();
    let disk = RealDisk::create(folder.path()).unwrap();
    let store = open(&disk);
    let (first, second) = (consent(&mut random, ALICE, 50), consent(&mut random, BOB, 60));
    let of_bob = Consent { owner: BOB, ..first.clone() };
    let records = store.records();
    for consent in [&first, &second, &of_bob] {
        records.put_consent(consent).unwrap();
    }
    let later = Consent { valid_until: 70, ..first.clone() };
    records.put_consent(&later).unwrap();
    let (pack, secret) = (ContentId::of_raw(b"pack"), MaskSecret::new([7; 32]));
    records.put_secret(ALICE, pack, &secret).unwrap();
    drop(store);

    let store = open(&disk);
    let records = store.records();
    assert_eq!(records.consent(ALICE, first.fragments_hash()).unwrap(), Some(later));
    assert_eq!(records.consent(BOB, first.fragments_hash()).unwrap(), Some(of_bob));
    assert_eq!(records.consent(BOB, second.fragments_hash()).unwrap(), Some(second.clone()));
    assert_eq!(records.consent(ALICE, second.fragments_hash()).unwrap(), None);
    assert_eq!(records.consents().len(), 3);
    assert!(records.remove_consent(BOB, second.fragments_hash()).unwrap());
    assert!(!records.remove_consent(BOB, second.fragments_hash()).unwrap());
    assert_eq!(records.consent(BOB, second.fragments_hash()).unwrap(), None);

    let found = records.secret(ALICE, pack).unwrap().unwrap();
    assert_eq!((found.as_bytes(), format!("{found:?}").as_str()), (&[7; 32], "MaskSecret(..)"));
    assert!(records.secret(BOB, pack).unwrap().is_none());
    assert_eq!(records.secrets(), [(ALICE, pack)]);
    let files: Vec<_> = std::fs::read_dir(folder.path().join("secrets")).unwrap().collect();
    assert_eq!(files.len(), 1);
    let mode = files[0].as_ref().unwrap().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(records.remove_secret(ALICE, pack).unwrap());
    assert!(records.secret(ALICE, pack).unwrap().is_none() && records.secrets().is_empty());
}

#[test]
fn every_flipped_bit_of_a_record_is_noticed() {
    let mut random = Random::new(9);
    let disk = SimDisk::new();
    let store = open(&disk);
    let consent = consent(&mut random, ALICE, 50);
    let (hash, pack) = (consent.fragments_hash(), ContentId::of_raw(b"pack"));
    store.records().put_consent(&consent).unwrap();
    store.records().put_secret(ALICE, pack, &MaskSecret::new([7; 32])).unwrap();
    for path in disk.files().iter().filter(|path| *path != "LOCK") {
        for offset in 0..disk.len(path).unwrap() {
            disk.flip(path, offset, 4).unwrap();
            let (first, second) =
                (store.records().consent(ALICE, hash), store.records().secret(ALICE, pack));
            let is_noticed = matches!(first, Err(StoreError::Record { .. }))
                || matches!(second, Err(StoreError::Record { .. }));
            assert!(is_noticed, "{path} {offset}");
            disk.flip(path, offset, 4).unwrap();
        }
        let bytes = disk.read_file(path).unwrap();
        for end in 0..bytes.len() {
            disk.open(path).unwrap().set_len(end as u64).unwrap();
            let is_noticed = store.records().consent(ALICE, hash).is_err()
                || store.records().secret(ALICE, pack).is_err();
            assert!(is_noticed, "{path} cut to {end}");
            disk.open(path).unwrap().write_at(0, &bytes).unwrap();
        }
    }
    assert_eq!(store.records().consent(ALICE, hash).unwrap(), Some(consent));
    assert!(store.records().remove_secret(ALICE, pack).unwrap());
}
