//! What is encrypted at rest opens with the same key for the same purpose, and not otherwise.

use std::collections::HashSet;

use chronolith_keys::{AtRestKey, Keystore, MetricId, Secret, TreeId, Unlock, Wrap};

use crate::random::Random;

fn keystore(seed: u64) -> Keystore {
    let mut keystore = Keystore::generate(Wrap::Plain, &mut Random(seed)).unwrap();
    assert!(keystore.at_rest_key(0).is_none());
    keystore.begin_at_rest(TreeId([4; 32]), Secret::generate(&mut Random(seed))).unwrap();
    keystore
}

fn key(keystore: &Keystore, number: u32) -> AtRestKey {
    let key = keystore.at_rest_key(number).unwrap();
    assert_eq!(key.number(), number);
    key
}

#[test]
fn a_record_opens_with_its_key_and_purpose_alone() {
    let keystore = keystore(1);
    let sealed = key(&keystore, 0).seal(3, b"a record").unwrap();
    assert_eq!(sealed, key(&keystore, 0).seal(3, b"a record").unwrap(), "the same bytes again");
    assert_ne!(sealed[..24], key(&keystore, 0).seal(3, b"a Record").unwrap()[..24], "nonces");
    let opened = |key: AtRestKey, purpose, bytes: &[u8]| key.open(purpose, bytes);
    assert_eq!(opened(key(&keystore, 0), 3, &sealed).unwrap(), b"a record");
    assert_eq!(opened(key(&keystore, 0), 4, &sealed), None);
    assert_eq!(opened(key(&keystore, 1), 3, &sealed), None);
    assert_eq!(opened(key(&self::keystore(2), 0), 3, &sealed), None);
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert_eq!(opened(key(&keystore, 0), 3, &changed), None, "byte {at}");
        assert_eq!(opened(key(&keystore, 0), 3, &sealed[..at]), None, "the first {at} bytes");
    }
}

#[test]
fn the_key_stays_in_the_file_until_it_is_destroyed() {
    let mut before = keystore(1);
    let sealed = key(&before, 0).seal(1, b"kept").unwrap();
    let file = before.to_bytes(&mut Random(5)).unwrap();
    let after = Keystore::from_bytes(&file, Unlock::Plain).unwrap();
    assert_eq!(key(&after, 0).open(1, &sealed).unwrap(), b"kept");
    before.destroy(&MetricId::at_rest(), 0..=0).unwrap();
    assert!(before.at_rest_key(0).is_none() && before.at_rest_key(1).is_some());
    assert!(before.begin_at_rest(TreeId([5; 32]), Secret::new([1; 32])).is_err(), "not twice");
}

#[test]
fn what_trees_are_found_by_is_different_for_all_that_differs() {
    let id = MetricId([7; 32]);
    let ids =
        [id, id.again(1), id.again(2), id.hidden(), id.hidden().again(1), MetricId::at_rest()];
    assert_eq!(ids.into_iter().collect::<HashSet<_>>().len(), 6);
    assert_eq!(id.again(0), id);
}
