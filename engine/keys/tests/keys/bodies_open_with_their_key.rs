//! A body opens with its chunk's key, for its header, unchanged; and not otherwise.

use chronolith_keys::{BodyError, OVERHEAD_BYTES};

use crate::random::{slot, tree};

#[test]
fn a_body_comes_back_and_no_other_key_header_or_byte_opens_it() {
    let tree = tree(1);
    let (key, other) = (tree.body_key(slot(5)).unwrap(), tree.body_key(slot(6)).unwrap());
    for length in [0, 1, 63, 64, 1000] {
        let body = vec![7; length];
        let sealed = key.seal([9; 24], b"header", &body).unwrap();
        assert_eq!(sealed.len(), length + OVERHEAD_BYTES);
        assert_eq!(key.open(b"header", &sealed).unwrap(), body);
        assert_eq!(other.open(b"header", &sealed), Err(BodyError::Closed));
        assert_eq!(key.open(b"another", &sealed), Err(BodyError::Closed));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(key.open(b"header", &changed), Err(BodyError::Closed), "byte {at}");
        }
        let cut = &sealed[..sealed.len() - 1];
        assert!(key.open(b"header", cut).is_err());
    }
    for length in 0..OVERHEAD_BYTES {
        let short = BodyError::Short { found: length };
        assert_eq!(key.open(b"", &vec![0; length]), Err(short));
    }
}

#[test]
fn a_second_sealing_with_another_nonce_has_nothing_in_common() {
    let key = tree(1).body_key(slot(5)).unwrap();
    let [one, two] = [1, 2].map(|nonce| key.seal([nonce; 24], b"", &[0; 64]).unwrap());
    let same = one.iter().zip(&two).skip(24).filter(|(one, two)| one == two).count();
    assert!(same < 8, "{same} of 80 bytes are the same");
}
