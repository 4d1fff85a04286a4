//! A grant has one encoding, and what is not it is refused with its place.

use chronolith_keys::{EncodingProblem, GRANT_BYTES_MAX, Grant, GrantError, Secret, TreeId};
use proptest::prelude::*;

use crate::random::tree;

fn grant() -> Vec<u8> {
    let parts = [tree(1).cover(5..=9).unwrap(), tree(2).cover(i64::MIN..=-3).unwrap()];
    Grant::new(parts).unwrap().to_bytes().to_vec()
}

fn problem(bytes: &[u8]) -> (usize, EncodingProblem) {
    match Grant::from_bytes(bytes).unwrap_err() {
        GrantError::Malformed { offset, problem } => (offset, problem),
        other => panic!("{other}"),
    }
}

#[test]
fn what_is_no_grant_is_refused_with_its_place() {
    let bytes = grant();
    // 5, 6 and 7, 8 and 9.
    let second = 1 + 48 + 3 * 32;
    assert_eq!(&bytes[second..second + 32], [2; 32]);
    let mut other = bytes.clone();
    other[0] = 2;
    assert_eq!(problem(&other), (0, EncodingProblem::Version { found: 2, known: 1 }));
    assert_eq!(problem(&[]), (0, EncodingProblem::Truncated));
    assert_eq!(Grant::from_bytes(&[1]).unwrap_err(), GrantError::Empty);
    for length in (2..bytes.len()).filter(|length| *length != second) {
        assert_eq!(problem(&bytes[..length]).1, EncodingProblem::Truncated, "{length}");
    }
    let turned = [&bytes[..1], &bytes[second..], &bytes[1..second]].concat();
    assert_eq!(problem(&turned).1, EncodingProblem::Order);
    let twice = [&bytes[..second], &bytes[1..second]].concat();
    assert_eq!(problem(&twice), (second, EncodingProblem::Order));
    let mut backwards = bytes.clone();
    backwards[33..41].copy_from_slice(&10_i64.to_le_bytes());
    assert_eq!(problem(&backwards), (1, EncodingProblem::Range));
    let long = GrantError::TooLong { found: GRANT_BYTES_MAX + 1 };
    assert_eq!(Grant::from_bytes(&vec![1; GRANT_BYTES_MAX + 1]).unwrap_err(), long);
}

#[test]
fn keys_that_are_no_grant_are_refused_with_what_to_do() {
    assert_eq!(Grant::new([]).unwrap_err(), GrantError::Empty);
    let scattered = GrantError::Scattered { tree: TreeId([1; 32]) };
    let part = |first, last| tree(1).cover(first..=last).unwrap();
    assert_eq!(Grant::new([part(1, 2), part(5, 6)]).unwrap_err(), scattered);
    let mut pieces = part(1, 9);
    pieces.puncture(5..=5);
    assert_eq!(Grant::new([pieces.clone()]).unwrap_err(), scattered);
    pieces.puncture(0..=10);
    assert_eq!(Grant::new([pieces]).unwrap_err(), GrantError::Empty);
    // A year of hours that lies badly, of so many metrics.
    let year = |number: u8| {
        let id = TreeId([number; 32]);
        let tree = chronolith_keys::KeyTree::new(id, Secret::new([number; 32]));
        tree.cover(490_001..=490_001 + 8_759).unwrap()
    };
    let one = Grant::new([year(1)]).unwrap().to_bytes().len();
    assert!(one <= 1 + 48 + 27 * 32, "{one}");
    assert!(Grant::new((0..17).map(year)).is_ok());
    let many = Grant::new((0..60).map(year)).unwrap_err();
    assert!(matches!(many, GrantError::TooLong { found } if found > GRANT_BYTES_MAX));
}

proptest! {
    #[test]
    fn what_decodes_encodes_to_the_same_bytes(
        at in 0_usize..2000, byte: u8, tail in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut bytes = grant();
        let at = at % bytes.len();
        bytes[at] = byte;
        for bytes in [bytes.clone(), [bytes, tail.clone()].concat(), tail] {
            if let Ok(grant) = Grant::from_bytes(&bytes) {
                prop_assert_eq!(&*grant.to_bytes(), &bytes);
            }
        }
    }
}
