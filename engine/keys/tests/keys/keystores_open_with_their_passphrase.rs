//! A keystore opens with its passphrase or its wrapping key, and says why it does not.

use chronolith_keys::{Cost, EncodingProblem, KeyTree, Keystore, KeystoreError, Secret, TreeId};

use crate::random::{Random, commitment, tree};

/// The least there is, so that the tests are quick.
const QUICK: Cost = Cost { memory_kib: 8, passes: 1 };

/// Three trees, of which one has holes and one begins with the first window.
fn keystore() -> Keystore {
    let mut keystore = Keystore::generate(&mut Random(5));
    for number in [2, 1, 3] {
        keystore.insert(tree(number)).unwrap();
    }
    for windows in [5..=9, 100..=100, 7..=12] {
        keystore.puncture(&TreeId([1; 32]), windows).unwrap();
    }
    keystore.puncture(&TreeId([3; 32]), 0..=i64::MAX).unwrap();
    keystore
}

fn sealed() -> Vec<u8> {
    keystore().seal(b"a passphrase", QUICK, &mut Random(6)).unwrap()
}

fn commitments(keystore: &Keystore) -> Vec<(TreeId, Vec<Option<[u8; 32]>>)> {
    let windows = || [i64::MIN, -1, 0, 4, 5, 9, 12, 13, 99, 100, 101, i64::MAX].into_iter();
    let of = |tree: &KeyTree| windows().map(|window| commitment(tree, window)).collect();
    keystore.trees().map(|tree| (tree.id(), of(tree))).collect()
}

#[test]
fn the_trees_come_back_with_their_holes() {
    let opened = Keystore::open(&sealed(), b"a passphrase").unwrap();
    assert_eq!(commitments(&opened), commitments(&keystore()));
    let holed = opened.tree(&TreeId([1; 32])).unwrap();
    assert_eq!(holed.windows(), [i64::MIN..=4, 13..=99, 101..=i64::MAX]);
    let key = Secret::new(*keystore().wrapping_key().bytes());
    let opened = Keystore::open_with_key(&sealed(), key).unwrap();
    assert_eq!(commitments(&opened), commitments(&keystore()));
    // Another passphrase for the same trees.
    let again = opened.seal(b"another", QUICK, &mut Random(7)).unwrap();
    assert!(Keystore::open(&again, b"a passphrase").is_err());
    assert_eq!(commitments(&Keystore::open(&again, b"another").unwrap()), commitments(&opened));
}

#[test]
fn nothing_else_opens_it() {
    let file = sealed();
    assert_eq!(Keystore::open(&file, b"a pass").unwrap_err(), KeystoreError::Closed);
    let other = Keystore::open_with_key(&file, Secret::new([1; 32])).unwrap_err();
    assert_eq!(other, KeystoreError::TreesClosed);
    // A changed cost might ask for a gibibyte of memory; it is tried by itself.
    for at in (0..file.len()).filter(|at| !(10..18).contains(at)) {
        let mut changed = file.clone();
        changed[at] ^= 1;
        let error = Keystore::open(&changed, b"a passphrase").unwrap_err();
        let expected = match at {
            0..8 => EncodingProblem::Magic,
            8 => EncodingProblem::Version { found: 0, known: 1 },
            9 => EncodingProblem::Version { found: 257, known: 1 },
            18..106 => {
                assert_eq!(error, KeystoreError::Closed, "byte {at}");
                continue;
            }
            _ => {
                assert_eq!(error, KeystoreError::TreesClosed, "byte {at}");
                continue;
            }
        };
        let offset = if at < 8 { 0 } else { 8 };
        assert_eq!(error, KeystoreError::Malformed { offset, problem: expected });
    }
    for length in 0..file.len() {
        let error = Keystore::open(&file[..length], b"a passphrase").unwrap_err();
        let truncated =
            |offset| KeystoreError::Malformed { offset, problem: EncodingProblem::Truncated };
        let expected = match length {
            0..8 => truncated(0),
            8..10 => truncated(8),
            10..14 => truncated(10),
            14..18 => truncated(14),
            18..34 => truncated(18),
            34..106 => truncated(34),
            _ => KeystoreError::TreesClosed,
        };
        assert_eq!(error, expected, "{length}");
    }
}

#[test]
fn a_cost_that_no_passphrase_needs_is_refused_before_it_is_paid() {
    for (memory_kib, passes) in [(7, 1), ((1 << 20) + 1, 1), (u32::MAX, 1), (8, 0), (8, 65)] {
        let cost = Cost { memory_kib, passes };
        let refused = KeystoreError::Cost { cost };
        assert_eq!(keystore().seal(b"", cost, &mut Random(1)).unwrap_err(), refused);
        let mut file = sealed();
        file[10..14].copy_from_slice(&memory_kib.to_le_bytes());
        file[14..18].copy_from_slice(&passes.to_le_bytes());
        assert_eq!(Keystore::open(&file, b"a passphrase").unwrap_err(), refused);
    }
    let mut dearer = sealed();
    dearer[14] = 2;
    assert_eq!(Keystore::open(&dearer, b"a passphrase").unwrap_err(), KeystoreError::Closed);
}

#[test]
fn a_tree_is_taken_once_and_goes_when_nothing_is_left_of_it() {
    let mut keystore = keystore();
    let id = TreeId([1; 32]);
    let exists = KeystoreError::Exists { tree: id };
    assert_eq!(keystore.insert(tree(1)).unwrap_err(), exists, "its holes would be filled again");
    keystore.puncture(&id, i64::MIN..=i64::MAX).unwrap();
    assert!(keystore.tree(&id).is_none());
    let missing = KeystoreError::Missing { tree: id };
    assert_eq!(keystore.puncture(&id, 0..=0).unwrap_err(), missing);
}

/// Made by the second implementation that derivations_do_not_drift.rs tells of, with the Argon2id of
/// pyca/cryptography 48.
#[test]
fn files_do_not_drift() {
    let bytes: Vec<u8> = (0..FILE.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&FILE[at..at + 2], 16).unwrap())
        .collect();
    let opened = Keystore::open(&bytes, b"correct horse").unwrap();
    let wrapping: [u8; 32] = std::array::from_fn(|at| 50 + at as u8);
    assert_eq!(opened.wrapping_key().bytes(), &wrapping);
    let whole = KeyTree::new(TreeId([7; 32]), Secret::new(std::array::from_fn(|at| at as u8)));
    let found = opened.tree(&TreeId([7; 32])).unwrap();
    assert_eq!(found.windows(), [5..=9, 20..=20]);
    for window in [5, 7, 9, 20] {
        assert_eq!(commitment(found, window), commitment(&whole, window));
    }
}

const FILE: &str = "\
    434c545245455300010008000000010000000303030303030303030303030303030304040404040404040404\
    0404040404040404040404040404954f775b67a7b57ee40b3d6640c318fdc0527091d64b1332d439d8713d3a\
    64000e01464f8ff9b910d352a15558f5258a050505050505050505050505050505050505050505050505c2ff\
    bdf6277ca3f179e27eb1d89716daec30757f2e3912ca6e646aa2f39050b9aeff8e57388a6d2a9e252a09f122\
    9a8c6018783dea26a05c985b73bab2b79dbfab36870fb35d228c3fbe3ed7fd61d110ae9f14111246ae0babc3\
    02ac20305febd3ff6e359f79f94cb69b8516a7a31417204258de915fe164f060d137bb574301f6bdb56f9bf6\
    713b0a804a03d7ab1408831959b5298981b11489c645f0be25e05e23239603b92453727cf7631e9dfa43595e\
    f05b94ade0650694cee82069e8644c76f10b6622bf9ff0c3a5968d2b76dd50ddbfe98bc52d2e6d29ffd52ddf\
    2854dc9fb51e038a6a2b50b49510b1039b48";
