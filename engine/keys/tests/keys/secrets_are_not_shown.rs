//! No secret is in what is printed for people or logs.

use chronolith_keys::{Grant, Keystore, OneTimeSecret, Secret};

use crate::random::{Random, slot};

#[test]
fn debug_shows_names_and_windows_and_no_secret_byte() {
    let secret = Secret::new([0xAB; 32]);
    let one_time = OneTimeSecret::from_bytes([0xAB; 32]);
    let tree = chronolith_keys::KeyTree::new(chronolith_keys::TreeId([1; 32]), secret.clone());
    let key = tree.body_key(slot(0)).unwrap();
    let grant = Grant::new([tree.cover(1..=1).unwrap()]).unwrap();
    let keystore = Keystore::generate(&mut Random(1));
    let shown = format!("{secret:?} {one_time:?} {tree:?} {key:?} {grant:?}");
    let wrapping = format!("{:?}", keystore.wrapping_key().bytes());
    assert!(!format!("{keystore:?}").contains(&wrapping));
    for byte in ["ab", "AB", "171"] {
        assert!(!shown.contains(byte), "{shown}");
    }
    assert!(shown.contains("1..=1") && shown.contains(&"01".repeat(32)), "{shown}");
}
