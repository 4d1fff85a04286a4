//! No secret is in what is printed for people or logs.

use std::sync::Arc;

use chronolith_disk::SimDisk;
use chronolith_keys::{
    Grant, Keyring, Keystore, KeystoreFile, MetricId, OneTimeSecret, Secret, TreeId, Unlock, Wrap,
};

use crate::random::{Random, slot};

/// Every byte of every secret here is this one, in some writing of it.
fn shows(text: &str) -> bool {
    ["ab", "AB", "171", "\u{AB}", "\\xab"].iter().any(|byte| text.contains(byte))
}

#[test]
fn debug_shows_names_and_windows_and_no_secret_byte() {
    let secret = Secret::new([0xAB; 32]);
    assert!(shows(&format!("{:?}", secret.bytes())), "the test would notice");
    let one_time = OneTimeSecret::from_bytes([0xAB; 32]);
    let tree = chronolith_keys::KeyTree::new(TreeId([1; 32]), secret.clone());
    let key = tree.body_key(slot(0)).unwrap();
    let grant = Grant::new([tree.cover(1..=1).unwrap()]).unwrap();
    let mut ring = Keyring::new();
    ring.add(&grant);
    let shown = format!("{secret:?} {one_time:?} {tree:?} {key:?} {grant:?} {ring:?}");
    assert!(!shows(&shown), "{shown}");
    assert!(shown.contains("1..=1") && shown.contains(&"01".repeat(32)), "{shown}");
}

#[test]
fn a_keystore_and_its_file_show_how_much_is_in_them() {
    let mut keystore = Keystore::generate(Wrap::Plain, &mut Random(1)).unwrap();
    keystore.begin(MetricId([2; 32]), TreeId([1; 32]), Secret::new([0xAB; 32])).unwrap();
    let wrapping = keystore.wrapping_key().clone();
    let disk = Arc::new(SimDisk::new());
    let file = KeystoreFile::create(disk.clone(), "trees", keystore, &mut Random(1)).unwrap();
    let shown = format!("{file:?} {:?}", file.keystore());
    assert!(shown.contains("trees") && !shows(&shown), "{shown}");
    for part in wrapping.bytes().windows(3) {
        assert!(!shown.contains(&format!("{part:?}").replace(['[', ']'], "")), "{shown}");
    }
    drop(file);
    // Nor do the errors of a wrong passphrase, key or word.
    let bytes = disk.read_file("trees").unwrap();
    for unlock in [Unlock::Passphrase(&[0xAB; 8]), Unlock::WrappingKey(Secret::new([0xAB; 32]))] {
        let error = Keystore::from_bytes(&bytes, unlock).unwrap_err();
        let shown = format!("{error:?} {error}");
        assert!(!shows(&shown), "{shown}");
    }
}
