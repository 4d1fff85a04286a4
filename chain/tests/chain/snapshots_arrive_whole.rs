//! A snapshot is verified piece by piece against the state root, whoever sends it.

use std::collections::BTreeMap;

use chronolith_chain::encoding::{Bytes, List, encode};
use chronolith_chain::hash::Hash;
use chronolith_chain::state::{
    Changes, Head, Options, Restore, SnapshotChunk, SnapshotError, State,
};
use chronolith_disk::SimDisk;

use crate::states_are_provable::history;

fn state() -> State {
    let options = Options { keep_versions: 5, ..Options::default() };
    let mut state = State::in_memory(0, Changes::new(), options).unwrap();
    history(&mut state, 3, 12);
    state
}

fn contents(state: &State) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut all = BTreeMap::new();
    let version = state.head().version;
    state
        .for_each_at(version, &mut |key, value| drop(all.insert(key.to_vec(), value.to_vec())))
        .unwrap();
    all
}

#[test]
fn every_kept_version_is_restored_at_every_cut() {
    let state = state();
    for head in state.versions().collect::<Vec<_>>() {
        for bits in [0, 1, 4, 10] {
            let mut snapshot = state.snapshot(head.version).unwrap();
            snapshot.cut_at(bits).unwrap();
            assert_eq!(snapshot.head(), head);
            let mut restore = Restore::new(head, bits).unwrap();
            for index in (0..snapshot.count()).rev() {
                let bytes = encode(&snapshot.chunk(index).unwrap());
                restore.add(SnapshotChunk::decode(&bytes).unwrap()).unwrap();
            }
            let disk = SimDisk::new();
            let restored = restore.finish(&disk, "state.redb", Options::default()).unwrap();
            assert_eq!(restored.head(), head);
            if head == state.head() {
                assert_eq!(contents(&restored), contents(&state));
            }
        }
    }
}

#[test]
fn a_restored_state_goes_on_like_the_original() {
    let mut state = state();
    let snapshot = state.snapshot(12).unwrap();
    let mut restore = Restore::new(snapshot.head(), snapshot.bits()).unwrap();
    for index in 0..snapshot.count() {
        restore.add(snapshot.chunk(index).unwrap()).unwrap();
    }
    drop(snapshot);
    let mut other = restore.finish_in_memory(Options::default()).unwrap();
    let changes = Changes::from([(b"key 1".to_vec(), Some(b"new".to_vec()))]);
    let mine = state.prepare(13, changes.clone()).unwrap();
    let theirs = other.prepare(13, changes).unwrap();
    assert_eq!(state.commit(mine).unwrap(), other.commit(theirs).unwrap());
}

#[test]
fn false_pieces_are_refused() {
    let state = state();
    let head = state.head();
    let mut snapshot = state.snapshot(head.version).unwrap();
    snapshot.cut_at(3).unwrap();
    let good = snapshot.chunk(2).unwrap();
    let bits = snapshot.bits();
    let add = |chunk: SnapshotChunk| Restore::new(head, bits).unwrap().add(chunk).unwrap_err();

    let entries = good.entries.to_vec();
    let with =
        |entries: Vec<_>| SnapshotChunk { entries: List::new(entries).unwrap(), ..good.clone() };
    assert!(matches!(add(with(entries[1..].to_vec())), SnapshotError::Proof { .. }));
    let mut changed = entries.clone();
    changed[0].1 = Bytes::new("another").unwrap();
    assert!(matches!(add(with(changed)), SnapshotError::Proof { .. }));
    let mut swapped = entries.clone();
    swapped.swap(0, 1);
    assert!(matches!(add(with(swapped)), SnapshotError::Entry { entry: 1, .. }));
    let mut twice = entries.clone();
    twice.insert(0, entries[0].clone());
    assert!(matches!(add(with(twice)), SnapshotError::Entry { entry: 1, .. }));
    let elsewhere = SnapshotChunk { index: 3, ..good.clone() };
    assert!(matches!(add(elsewhere), SnapshotError::Entry { .. }));
    let nowhere = SnapshotChunk { index: 8, ..good.clone() };
    assert!(matches!(add(nowhere), SnapshotError::Index { index: 8, count: 8 }));
    let longer = SnapshotChunk { beside: List::new([None; 4]).unwrap(), ..good.clone() };
    assert!(matches!(add(longer), SnapshotError::Shape { .. }));
    let other = SnapshotChunk { other: Some((Hash::default(), Hash::default())), ..good.clone() };
    assert!(matches!(add(other), SnapshotError::Shape { .. }));

    let mut restore = Restore::new(head, bits).unwrap();
    restore.add(good.clone()).unwrap();
    assert!(matches!(restore.add(good.clone()), Err(SnapshotError::Duplicate { index: 2 })));
    assert_eq!(restore.missing().count(), 7);
    let refused = restore.finish_in_memory(Options::default()).err().unwrap();
    assert!(matches!(refused, SnapshotError::Incomplete { found: 1, count: 8 }));

    let another = Head { root: Hash([1; 32]), ..head };
    let refused = Restore::new(another, bits).unwrap().add(good).unwrap_err();
    assert!(matches!(refused, SnapshotError::Proof { .. }));
    assert!(matches!(Restore::new(head, 17), Err(SnapshotError::Bits { found: 17 })));
}

#[test]
fn bytes_that_are_no_piece_are_refused() {
    let state = state();
    let snapshot = state.snapshot(12).unwrap();
    let bytes = encode(&snapshot.chunk(0).unwrap());
    for end in 0..bytes.len() {
        assert!(SnapshotChunk::decode(&bytes[..end]).is_err());
    }
    for at in (0..bytes.len()).step_by(3) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        if let Ok(chunk) = SnapshotChunk::decode(&damaged) {
            let mut restore = Restore::new(snapshot.head(), snapshot.bits()).unwrap();
            assert!(restore.add(chunk).is_err(), "byte {at}");
        }
    }
}
