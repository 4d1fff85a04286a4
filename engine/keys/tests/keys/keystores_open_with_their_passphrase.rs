//! A keystore opens with its passphrase or its wrapping key, and says why it does not.

use chronolith_keys::{
    ChunkSlot, Cost, EncodingProblem, Encryption, Grant, KeyTree, Keystore, KeystoreError,
    MetricId, Secret, TreeId, Unlock, Wrap,
};

use crate::random::{Random, commitment, slot, tree};

/// The least there is, so that the tests are quick.
pub(crate) const QUICK: Cost = Cost { memory_kib: 8, passes: 1 };
const OPEN: Unlock<'_> = Unlock::Passphrase(b"a passphrase");

fn under(passphrase: &[u8]) -> Wrap<'_> {
    Wrap::Passphrase { passphrase, cost: QUICK }
}

/// Two metrics, one of them rotated; three trees, of which one has holes, one half of the windows and
/// one nothing; and what was bought.
fn keystore(wrap: Wrap<'_>) -> Keystore {
    let mut keystore = Keystore::generate(wrap, &mut Random(5)).unwrap();
    let root = |number: u8| Secret::generate(&mut Random(number.into()));
    keystore.begin(MetricId([8; 32]), TreeId([2; 32]), root(2)).unwrap();
    keystore.begin(MetricId([7; 32]), TreeId([1; 32]), root(1)).unwrap();
    keystore.rotate(MetricId([8; 32]), 50, TreeId([3; 32]), root(3)).unwrap();
    keystore.rotate(MetricId([8; 32]), 90, TreeId([4; 32]), root(4)).unwrap();
    for windows in [5..=9, 100..=100, 7..=12] {
        keystore.puncture(&TreeId([1; 32]), windows).unwrap();
    }
    keystore.puncture(&TreeId([3; 32]), 0..=i64::MAX).unwrap();
    keystore.puncture(&TreeId([4; 32]), i64::MIN..=i64::MAX).unwrap();
    for (first, last) in [(10, 20), (15, 30)] {
        keystore.keep(&Grant::new([tree(9).cover(first..=last).unwrap()]).unwrap());
    }
    keystore
}

fn sealed() -> Vec<u8> {
    keystore(under(b"a passphrase")).to_bytes(&mut Random(6)).unwrap().to_vec()
}

/// All that a keystore says and opens.
fn all(keystore: &Keystore) -> String {
    let windows = || [i64::MIN, -1, 0, 4, 5, 9, 12, 13, 99, 100, 101, i64::MAX].into_iter();
    let of = |tree: &KeyTree| windows().map(|at| commitment(tree, at)).collect::<Vec<_>>();
    let trees: Vec<_> = keystore.trees().map(|tree| (tree.id(), of(tree))).collect();
    let metrics = [7, 8, 9].map(|metric| keystore.trees_of(&MetricId([metric; 32])));
    format!("{trees:?} {metrics:?} {keystore:?} {:?}", keystore.wrapping_key().bytes())
}

fn failure(file: &[u8], unlock: Unlock<'_>) -> KeystoreError {
    Keystore::from_bytes(file, unlock).unwrap_err()
}

/// With a checksum that holds.
fn mended(mut file: Vec<u8>) -> Vec<u8> {
    let end = file.len() - 4;
    let checksum = crc32fast::hash(&file[..end]).to_le_bytes();
    file[end..].copy_from_slice(&checksum);
    file
}

#[test]
fn what_is_in_it_comes_back() {
    let before = keystore(under(b"a passphrase"));
    assert!(before.has_passphrase());
    let opened = Keystore::from_bytes(&sealed(), OPEN).unwrap();
    assert_eq!(all(&opened), all(&before));
    let holed = opened.tree(&TreeId([1; 32])).unwrap();
    assert_eq!(holed.windows(), [i64::MIN..=4, 13..=99, 101..=i64::MAX]);
    assert_eq!(opened.bought().windows(&TreeId([9; 32])), [10..=30]);
    let key = Unlock::WrappingKey(before.wrapping_key().clone());
    assert_eq!(all(&Keystore::from_bytes(&sealed(), key).unwrap()), all(&before));
    assert!(opened.has_passphrase());
}

#[test]
fn a_passphrase_is_changed_taken_away_and_set() {
    let mut opened = Keystore::from_bytes(&sealed(), OPEN).unwrap();
    let before = all(&opened);
    let random = &mut Random(7);
    opened.rewrap(under(b"another"), random).unwrap();
    let file = opened.to_bytes(random).unwrap();
    assert_eq!(failure(&file, OPEN), KeystoreError::Closed);
    let mut opened = Keystore::from_bytes(&file, Unlock::Passphrase(b"another")).unwrap();
    assert_eq!(all(&opened), before);

    opened.rewrap(Wrap::Plain, random).unwrap();
    let file = opened.to_bytes(random).unwrap();
    assert_eq!(failure(&file, OPEN), KeystoreError::NoPassphrase);
    let mut opened = Keystore::from_bytes(&file, Unlock::Plain).unwrap();
    assert_eq!(all(&opened), before);
    assert!(!opened.has_passphrase());

    opened.rewrap(under(b"a passphrase"), random).unwrap();
    let file = opened.to_bytes(random).unwrap();
    assert_eq!(failure(&file, Unlock::Plain), KeystoreError::NeedsPassphrase);
    assert_eq!(all(&Keystore::from_bytes(&file, OPEN).unwrap()), before);
}

#[test]
fn old_words_open_nothing_that_is_written_after_a_renewal() {
    let mut opened = Keystore::from_bytes(&sealed(), OPEN).unwrap();
    let old = opened.wrapping_key().clone();
    opened.renew(under(b"another"), &mut Random(8)).unwrap();
    let file = opened.to_bytes(&mut Random(9)).unwrap();
    assert_eq!(failure(&file, Unlock::WrappingKey(old)), KeystoreError::TreesClosed);
    let opened = Keystore::from_bytes(&file, Unlock::Passphrase(b"another")).unwrap();
    let new = Unlock::WrappingKey(opened.wrapping_key().clone());
    assert!(Keystore::from_bytes(&file, new).is_ok());
}

#[test]
fn nothing_else_opens_it() {
    let file = sealed();
    assert_eq!(failure(&file, Unlock::Passphrase(b"a pass")), KeystoreError::Closed);
    let other = Unlock::WrappingKey(Secret::new([1; 32]));
    assert_eq!(failure(&file, other), KeystoreError::TreesClosed);
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 1;
        let expected = match at {
            0..8 => EncodingProblem::Magic,
            8 => EncodingProblem::Version { found: 0, known: 1 },
            9 => EncodingProblem::Version { found: 257, known: 1 },
            _ => {
                assert_eq!(failure(&changed, OPEN), KeystoreError::Damaged, "byte {at}");
                // A changed cost might ask for a gibibyte of memory; it is tried by itself.
                if at > 18 && at < file.len() - 4 {
                    let expected =
                        if at < 107 { KeystoreError::Closed } else { KeystoreError::TreesClosed };
                    assert_eq!(failure(&mended(changed), OPEN), expected, "byte {at}");
                }
                continue;
            }
        };
        let offset = if at < 8 { 0 } else { 8 };
        assert_eq!(failure(&changed, OPEN), KeystoreError::Malformed { offset, problem: expected });
    }
    let truncated =
        |offset| KeystoreError::Malformed { offset, problem: EncodingProblem::Truncated };
    for length in 0..file.len() {
        let expected = match length {
            0..8 => truncated(0),
            8..10 => truncated(8),
            _ => KeystoreError::Damaged,
        };
        let found = failure(&file[..length], OPEN);
        assert!(found == expected || length == 10, "{length}: {found}");
    }
    // Cut, and with a checksum that holds.
    for (length, offset) in [(10, 10), (12, 11), (16, 15), (20, 19), (40, 35), (106, 35)] {
        let cut = mended([&file[..length], &[0; 4]].concat());
        assert_eq!(failure(&cut, OPEN), truncated(offset), "{length}");
    }
    let mut other = file.clone();
    other[10] = 2;
    let problem = EncodingProblem::Wrap { found: 2 };
    assert_eq!(failure(&mended(other), OPEN), KeystoreError::Malformed { offset: 10, problem });
}

#[test]
fn a_cost_that_no_passphrase_needs_is_refused_before_it_is_paid() {
    for (memory_kib, passes) in [(7, 1), ((1 << 20) + 1, 1), (u32::MAX, 1), (8, 0), (8, 65)] {
        let cost = Cost { memory_kib, passes };
        let refused = KeystoreError::Cost { cost };
        let wrap = Wrap::Passphrase { passphrase: b"", cost };
        assert_eq!(Keystore::generate(wrap, &mut Random(1)).unwrap_err(), refused);
        let mut file = sealed();
        file[11..15].copy_from_slice(&memory_kib.to_le_bytes());
        file[15..19].copy_from_slice(&passes.to_le_bytes());
        assert_eq!(failure(&mended(file), OPEN), refused);
    }
    let mut dearer = sealed();
    dearer[15] = 2;
    assert_eq!(failure(&mended(dearer), OPEN), KeystoreError::Closed);
}

#[test]
fn a_metric_has_a_tree_from_a_window_on() {
    let mut keystore = keystore(Wrap::Plain);
    let (metric, other) = (MetricId([8; 32]), MetricId([9; 32]));
    let at = |window| keystore.tree_at(&metric, window);
    assert_eq!([i64::MIN, 49, 50, 89].map(at), [2, 2, 3, 3].map(|id| Some(TreeId([id; 32]))));
    assert_eq!([90, i64::MAX].map(at), [Some(TreeId([4; 32])); 2]);
    assert_eq!(keystore.tree_at(&other, 0), None);

    let root = || Secret::new([1; 32]);
    let exists = KeystoreError::MetricExists { metric };
    assert_eq!(keystore.begin(metric, TreeId([5; 32]), root()).unwrap_err(), exists);
    let missing = KeystoreError::MetricMissing { metric: other };
    assert_eq!(keystore.rotate(other, 1, TreeId([5; 32]), root()).unwrap_err(), missing);
    assert_eq!(keystore.destroy(&other, 1..=1).unwrap_err(), missing);
    assert_eq!(keystore.cover(&other, 1..=1).unwrap_err(), missing);
    for from in [90, 0] {
        let early = KeystoreError::Rotation { from, last: 90 };
        assert_eq!(keystore.rotate(metric, from, TreeId([5; 32]), root()).unwrap_err(), early);
    }
    // One of which nothing is left does not begin again, not after it was read either.
    let gone = KeystoreError::Exists { tree: TreeId([4; 32]) };
    assert_eq!(keystore.rotate(metric, 100, TreeId([4; 32]), root()).unwrap_err(), gone);
    let file = keystore.to_bytes(&mut Random(1)).unwrap();
    let mut again = Keystore::from_bytes(&file, Unlock::Plain).unwrap();
    assert_eq!(again.begin(other, TreeId([4; 32]), root()).unwrap_err(), gone);
    assert!(again.trees_of(&other).is_empty(), "what is refused leaves nothing");
}

#[test]
fn a_right_is_cut_from_the_trees_of_its_windows_and_ends_at_what_was_destroyed() {
    let mut keystore = keystore(Wrap::Plain);
    let metric = MetricId([8; 32]);
    let parts = |keystore: &Keystore, first, last| {
        let parts = keystore.cover(&metric, first..=last)?;
        Ok::<_, KeystoreError>(
            parts.iter().map(|part| (part.id(), part.windows())).collect::<Vec<_>>(),
        )
    };
    assert_eq!(parts(&keystore, 40, 49).unwrap(), [(TreeId([2; 32]), vec![40..=49])]);
    let window =
        |window, tree| Err(chronolith_keys::NotHeld { tree: TreeId([tree; 32]), window }.into());
    assert_eq!(parts(&keystore, 40, 60), window(50, 3));
    assert_eq!(parts(&keystore, 90, 91), window(90, 4));
    let root = Secret::new([1; 32]);
    keystore.rotate(metric, 95, TreeId([5; 32]), root.clone()).unwrap();
    keystore.rotate(metric, 97, TreeId([6; 32]), root).unwrap();
    let expected = [(5, 96..=96), (6, 97..=99)].map(|(id, part)| (TreeId([id; 32]), vec![part]));
    assert_eq!(parts(&keystore, 96, 99).unwrap(), expected);
    keystore.destroy(&metric, 98..=98).unwrap();
    assert_eq!(parts(&keystore, 96, 99), window(98, 6));
    // The old tree has lost the key, too, which nobody asks it for.
    assert_eq!(keystore.tree(&TreeId([5; 32])).unwrap().windows().len(), 2);
}

#[test]
fn a_tree_is_taken_once_and_goes_when_nothing_is_left_of_it() {
    let mut keystore = keystore(Wrap::Plain);
    let id = TreeId([1; 32]);
    let exists = KeystoreError::Exists { tree: id };
    assert_eq!(keystore.insert(tree(1)).unwrap_err(), exists, "its holes would be filled again");
    keystore.puncture(&id, i64::MIN..=i64::MAX).unwrap();
    assert!(keystore.tree(&id).is_none() && keystore.trees().all(|tree| tree.id() != id));
    assert_eq!(keystore.insert(tree(1)).unwrap_err(), exists);
    let missing = KeystoreError::Missing { tree: TreeId([77; 32]) };
    assert_eq!(keystore.puncture(&TreeId([77; 32]), 0..=0).unwrap_err(), missing);
}

#[test]
fn a_body_key_is_found_among_the_own_and_the_bought_ones() {
    let mut keystore = keystore(Wrap::Plain);
    let header = |number: u8, window| Encryption {
        tree: TreeId([number; 32]),
        commitment: commitment(&tree(number), window).unwrap(),
    };
    let find = |keystore: &Keystore, chunk: &Encryption, at: ChunkSlot| {
        keystore.body_key(chunk, at).is_some()
    };
    assert!(find(&keystore, &header(2, 5), slot(5)), "an own one");
    assert!(find(&keystore, &header(9, 25), slot(25)), "a bought one");
    assert!(!find(&keystore, &header(9, 31), slot(31)), "one that was not bought");
    assert!(!find(&keystore, &header(2, 5), slot(6)), "another chunk's");
    assert!(keystore.forget(&TreeId([9; 32])) && !keystore.forget(&TreeId([9; 32])));
    assert!(!find(&keystore, &header(9, 25), slot(25)));
}

/// Made by the second implementation that derivations_do_not_drift.rs tells of, with the Argon2id of
/// pyca/cryptography 48.
#[test]
fn files_do_not_drift() {
    let bytes: Vec<u8> = (0..FILE.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&FILE[at..at + 2], 16).unwrap())
        .collect();
    let opened = Keystore::from_bytes(&bytes, Unlock::Passphrase(b"correct horse")).unwrap();
    let wrapping: [u8; 32] = std::array::from_fn(|at| 50 + at as u8);
    assert_eq!(opened.wrapping_key().bytes(), &wrapping);
    let whole = KeyTree::new(TreeId([7; 32]), Secret::new(std::array::from_fn(|at| at as u8)));
    let found = opened.tree(&TreeId([7; 32])).unwrap();
    assert_eq!(found.windows(), [5..=9, 20..=20]);
    for window in [5, 7, 9, 20] {
        assert_eq!(commitment(found, window), commitment(&whole, window));
    }
    assert_eq!(opened.tree_at(&MetricId([6; 32]), 99), Some(TreeId([7; 32])));
    assert_eq!(opened.tree_at(&MetricId([6; 32]), 100), Some(TreeId([8; 32])));
    let bought = KeyTree::new(TreeId([9; 32]), Secret::new(std::array::from_fn(|at| at as u8)));
    let chunk = Encryption { tree: bought.id(), commitment: commitment(&bought, 2).unwrap() };
    assert!(opened.body_key(&chunk, slot(2)).is_some());
    // The same bytes but for the nonces, which this program draws: the contents are canonical.
    let again = opened.to_bytes(&mut Random(1)).unwrap();
    assert_eq!((again.len(), &again[..107]), (bytes.len(), &bytes[..107]));
}

const FILE: &str = "\
    434c545245455300010001080000000100000003030303030303030303030303030303040404040404040404\
    040404040404040404040404040404954f775b67a7b57ee40b3d6640c318fdc0527091d64b1332d439d8713d\
    3a640066f053278221b567737dbd3390156f4f050505050505050505050505050505050505050505050505c4\
    f8baf1267da2f078e37fb0d99617dbed31747e2f3813cb6f656ba3f29151b8adf988513a8a6d2a97252a09f1\
    229a0cf79fb8cb6a7a4cb841f5e27dd4f24f434ced483ceb4af7e20275c6ac4df15015329fc4d8110e40e893\
    e94203c0341f24e84bac79d6ddcbfeac26b065262a0f52e51bb0eedec1c724e4b9571ffbf8910ce563e08f15\
    848d6b9b1c515b0d3039a8831959b5298981b11489c645f2b922e7592424910dbe2354757bf064891a3ab5ca\
    051bb84a0476a573d61b13c0b5205026c22f339449d9a273f1e409b678a775b0793e0f291d29d1588baa9897\
    9d438ed0856e803e420e9b20f655486fed52ef4cf0549659e02f85bf488f6c0cdf418b8499ff83bbcf2915d1\
    cab4a2f24b0eb72dd879ccb52c65231d1591c54c0ca6027e35e47390d725f4489097d173d07f12946aca01ba\
    52325b5b39d897796eb4a15cc89278ab1d57aaf012d03d788d1c3151ea006a165bcb7696b9b0cf9da80455a6\
    eb9f1d0f1a2cfcf66fe66ab57f7c0d53ad0efd2523108cdfbb742e01435120f6ffde9140505c1bcd65173982\
    58e7ab8f971e7e7868a3e4e18ed360fb727f1cc4be85360f3fd94fc6335d16ad90f32de9576f6170fe96bb39\
    7980bf7afae1db16eda4561a99e256287a493f7122724cc8212e5f70beb4347decf50fd65baedd";
