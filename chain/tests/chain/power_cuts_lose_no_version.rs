//! Whenever the power is cut, a state opens again at the last version that was acknowledged, or
//! at the one that was being committed; its values, root and proofs are those of that version.

use std::collections::BTreeMap;

use chronolith_chain::state::{Changes, Options, State, StateError};
use chronolith_disk::{CrashMode, Disk as _, Failure, FailureKind, FaultyDisk, SimDisk};

use crate::random::Random;
use crate::states_are_provable::{apply, changes};

const PATH: &str = "state.redb";
const OPTIONS: Options = Options { keep_versions: 4, cache_bytes: 1 << 20 };
const BLOCKS: u64 = 12;

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// Creates a state and commits blocks, until the disk fails. The version that was acknowledged
/// last, if any.
fn script(disk: &dyn chronolith_disk::Disk) -> Option<u64> {
    let mut random = Random(7);
    let mut map = Map::new();
    let genesis = changes(&mut random, &map, 50);
    apply(&mut map, &genesis);
    let mut state = State::create(disk, PATH, 0, genesis, OPTIONS).ok()?;
    let mut acknowledged = 0;
    for version in 1..=BLOCKS {
        if version == 6 {
            drop(state);
            state = match State::open(disk, PATH, OPTIONS) {
                Ok(state) => state,
                Err(_) => return Some(acknowledged),
            };
        }
        let changes = changes(&mut random, &map, 30);
        apply(&mut map, &changes);
        let committed = state.prepare(version, changes).and_then(|block| state.commit(block));
        if committed.is_err() {
            return Some(acknowledged);
        }
        acknowledged = version;
    }
    Some(acknowledged)
}

/// What each version of the script holds.
fn expected() -> Vec<Map> {
    let mut random = Random(7);
    let (mut map, mut all) = (Map::new(), Vec::new());
    for version in 0..=BLOCKS {
        let changes = changes(&mut random, &map, if version == 0 { 50 } else { 30 });
        apply(&mut map, &changes);
        all.push(map.clone());
    }
    all
}

fn check(disk: &SimDisk, acknowledged: Option<u64>, expected: &[Map], context: &str) {
    let state = match (State::open(disk, PATH, OPTIONS), acknowledged) {
        (Ok(state), _) => state,
        (Err(StateError::Missing { .. }), None) => return,
        (Err(error), _) => panic!("{context}: {error}"),
    };
    let head = state.head();
    let version = head.version;
    let least = acknowledged.unwrap_or(0);
    assert!((least..=least + 1).contains(&version), "{context}: version {version} of {least}");
    for kept in state.versions() {
        let mut found = Map::new();
        state
            .for_each_at(kept.version, &mut |key, value| {
                found.insert(key.to_vec(), value.to_vec());
            })
            .unwrap();
        assert!(found == expected[kept.version as usize], "{context}: version {}", kept.version);
    }
    let oldest = version.saturating_sub(3);
    assert_eq!(state.versions().next().unwrap().version, oldest, "{context}");
    let (value, proof) = state.prove(version, b"key 1").unwrap();
    proof.verify(&head.root, b"key 1", value.as_deref()).unwrap();
}

#[test]
fn a_power_cut_at_every_operation_leaves_a_version() {
    let expected = expected();
    let whole = SimDisk::new();
    assert_eq!(script(&whole), Some(BLOCKS));
    let operations = whole.operations();
    let mut cuts = 0;
    for cut in 0..=operations {
        let disk = SimDisk::new();
        disk.cut_after(cut);
        let acknowledged = script(&disk);
        for mode in CrashMode::ALL {
            let survivor = disk.crash(mode, cut);
            check(&survivor, acknowledged, &expected, &format!("cut after {cut}, {mode:?}"));
            cuts += 1;
        }
    }
    println!("{cuts} power cuts over {operations} operations");
    assert!(operations > 100);
}

#[test]
fn a_power_cut_while_it_recovers_leaves_a_version() {
    let expected = expected();
    let disk = SimDisk::new();
    script(&disk);
    let operations = disk.operations();
    let mut cuts = 0;
    for first in (operations / 3..operations).step_by(7) {
        let disk = SimDisk::new();
        disk.cut_after(first);
        let acknowledged = script(&disk);
        let survivor = disk.crash(CrashMode::Torn, first);
        for second in 0..8 {
            let again = survivor.deep_clone();
            again.cut_after(second);
            drop(State::open(&again, PATH, OPTIONS));
            let last = again.crash(CrashMode::Mixed, second);
            check(&last, acknowledged, &expected, &format!("cuts after {first} and {second}"));
            cuts += 1;
        }
    }
    println!("{cuts} second cuts");
}

#[test]
fn a_failed_operation_is_never_acknowledged() {
    let expected = expected();
    let whole = SimDisk::new();
    script(&whole);
    let operations = whole.operations();
    let mut failures = 0;
    for kind in [FailureKind::Sync, FailureKind::NoSpace, FailureKind::ShortWrite] {
        for at in 1..=operations {
            let disk = SimDisk::new();
            let forgetful = disk.clone();
            let failure = Failure { kind, at, stays: false };
            let faulty = FaultyDisk::with_failed_sync(
                std::sync::Arc::new(disk.clone()),
                Some(failure),
                move |path| forgetful.forget_unsynced(path),
            );
            let acknowledged = script(&faulty);
            let survivor = disk.crash(CrashMode::KeepAll, at);
            if survivor.exists(PATH).unwrap() || acknowledged.is_some() {
                check(&survivor, acknowledged, &expected, &format!("{kind:?} at {at}"));
            }
            failures += 1;
        }
    }
    println!("{failures} failures");
}

#[test]
fn a_state_is_never_made_over_another() {
    let disk = SimDisk::new();
    script(&disk);
    let again = State::create(&disk, PATH, 0, Changes::new(), OPTIONS);
    assert!(matches!(again, Err(StateError::Exists { .. })));
    let missing = State::open(&disk, "another", OPTIONS);
    assert!(matches!(missing, Err(StateError::Missing { .. })));
    assert!(!disk.exists("another").unwrap(), "asking makes nothing");
}
