//! Every kept version proves what it holds and what it does not, and nothing else.

use std::collections::BTreeMap;

use chronolith_chain::encoding::encode;
use chronolith_chain::hash::Hash;
use chronolith_chain::state::{
    Changes, EMPTY, Options, ProofEnd, State, StateError, StateProof, StateProofError,
};

use crate::random::Random;

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// Random changes of `count` keys among 400; half of those that are there go.
pub(crate) fn changes(random: &mut Random, map: &Map, count: u64) -> Changes {
    let mut changes = Changes::new();
    for _ in 0..count {
        let key = format!("key {}", random.below(400)).into_bytes();
        let goes = map.contains_key(&key) && random.below(2) == 0;
        let value = format!("value {}", random.next()).into_bytes();
        changes.insert(key, (!goes).then_some(value));
    }
    changes
}

/// Applies changes to what a state should hold.
pub(crate) fn apply(map: &mut Map, changes: &Changes) {
    for (key, value) in changes {
        match value {
            Some(value) => map.insert(key.clone(), value.clone()),
            None => map.remove(key),
        };
    }
}

/// Random blocks; what each kept version should hold.
pub(crate) fn history(state: &mut State, seed: u64, blocks: u64) -> BTreeMap<u64, Map> {
    let mut random = Random(seed);
    let mut map = Map::new();
    let mut versions = BTreeMap::from([(0, map.clone())]);
    for version in 1..=blocks {
        let count = random.below(60);
        let changes = changes(&mut random, &map, count);
        apply(&mut map, &changes);
        let prepared = state.prepare(version, changes).unwrap();
        state.commit(prepared).unwrap();
        versions.insert(version, map.clone());
    }
    versions
}

#[test]
fn kept_versions_prove_presence_and_absence() {
    let options = Options { keep_versions: 10, ..Options::default() };
    let mut state = State::in_memory(0, Changes::new(), options).unwrap();
    let versions = history(&mut state, 1, 30);
    let kept: Vec<_> = state.versions().collect();
    assert_eq!(
        kept.iter().map(|head| head.version).collect::<Vec<_>>(),
        (21..=30).collect::<Vec<_>>()
    );
    for head in &kept {
        for number in 0..400 {
            let key = format!("key {number}").into_bytes();
            let expected = versions[&head.version].get(&key);
            let (value, proof) = state.prove(head.version, &key).unwrap();
            assert_eq!(value.as_ref(), expected, "version {}", head.version);
            let decoded = StateProof::decode(&encode(&proof)).unwrap();
            decoded.verify(&head.root, &key, value.as_deref()).unwrap();
            // Another root, another value, the opposite, another key: none of it is proved.
            let other = Hash([1; 32]);
            assert_eq!(proof.verify(&other, &key, value.as_deref()), Err(StateProofError::Root));
            assert!(proof.verify(&head.root, &key, Some(b"another")).is_err());
            let opposite = if value.is_some() { None } else { Some(b"".as_slice()) };
            let is_present = value.is_some();
            assert_eq!(
                proof.verify(&head.root, &key, opposite),
                Err(StateProofError::Kind { is_present })
            );
            if value.is_some() {
                assert!(proof.verify(&head.root, b"key 1000", value.as_deref()).is_err());
            }
        }
    }
    for wanted in [20, 31] {
        let refused = state.prove(wanted, b"key 1");
        assert!(matches!(refused, Err(StateError::Version { oldest: 21, newest: 30, .. })));
    }
}

#[test]
fn damaged_proofs_are_refused() {
    let mut state = State::in_memory(0, Changes::new(), Options::default()).unwrap();
    history(&mut state, 2, 5);
    let root = state.head().root;
    let mut seen = [false; 3];
    for number in 0..400 {
        let key = format!("key {number}").into_bytes();
        let (value, proof) = state.prove(5, &key).unwrap();
        seen[match proof.end {
            ProofEnd::Present => 0,
            ProofEnd::Empty => 1,
            ProofEnd::Other { .. } => 2,
        }] = true;
        let bytes = encode(&proof);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            if let Ok(damaged) = StateProof::decode(&damaged) {
                assert!(damaged.verify(&root, &key, value.as_deref()).is_err(), "byte {at}");
            }
        }
    }
    assert_eq!(seen, [true; 3], "all three ends were looked at");
}

#[test]
fn an_own_leaf_proves_no_absence() {
    let values = Changes::from([(b"a".to_vec(), Some(b"1".to_vec()))]);
    let state = State::in_memory(0, values, Options::default()).unwrap();
    let root = state.head().root;
    let key = chronolith_chain::state::key_hash(b"a");
    let value = chronolith_chain::state::value_hash(b"1");
    let (_, mut proof) = state.prove(0, b"a").unwrap();
    proof.end = ProofEnd::Other { key, value };
    assert_eq!(proof.verify(&root, b"a", None), Err(StateProofError::Elsewhere));
}

#[test]
fn the_empty_state_proves_absence() {
    let state = State::in_memory(0, Changes::new(), Options::default()).unwrap();
    assert_eq!(state.head().root, EMPTY);
    let (value, proof) = state.prove(0, b"a").unwrap();
    assert_eq!(value, None);
    proof.verify(&EMPTY, b"a", None).unwrap();
}

#[test]
fn a_block_that_was_prepared_on_another_version_is_refused() {
    let mut state = State::in_memory(0, Changes::new(), Options::default()).unwrap();
    let change = |value: &str| Changes::from([(b"a".to_vec(), Some(value.as_bytes().to_vec()))]);
    let first = state.prepare(1, change("1")).unwrap();
    let second = state.prepare(1, change("2")).unwrap();
    assert_ne!(first.head().root, second.head().root);
    let head = first.head();
    assert_eq!(state.commit(first).unwrap(), head);
    assert!(matches!(state.commit(second), Err(StateError::Stale)));
    assert!(matches!(state.prepare(1, change("3")), Err(StateError::Order { .. })));
    assert_eq!(state.head(), head);
}
