//! A body opens with its chunk's key, for its header, unchanged; and not otherwise.

use chronolith_keys::{BodyError, OVERHEAD_BYTES};

use crate::random::{slot, tree};

#[test]
fn a_body_comes_back_and_no_other_key_header_or_byte_opens_it() {
    let tree = tree(1);
    let (key, other) = (tree.body_key(slot(5)).unwrap(), tree.body_key(slot(6)).unwrap());
    for length in [0, 1, 63, 64, 1000] {
        let body = vec![7; length];
        let sealed = key.seal(b"header", &body).unwrap();
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
fn a_body_has_one_form_and_another_body_or_header_has_nothing_in_common_with_it() {
    let key = tree(1).body_key(slot(5)).unwrap();
    let sealed = |aad: &[u8], body: &[u8]| key.seal(aad, body).unwrap();
    let one = sealed(b"header", &[0; 64]);
    assert_eq!(one, sealed(b"header", &[0; 64]), "sealed again after a crash");
    let mut other = [0; 64];
    other[63] = 1;
    // Where the header ends and the body begins counts, too.
    for two in [sealed(b"header", &other), sealed(b"headers", &[0; 64]), sealed(b"heade", b"r")] {
        let same = one.iter().zip(&two).filter(|(one, two)| one == two).count();
        assert!(same < 8, "{same} of 104 bytes are the same");
    }
    let [one, two] = [sealed(b"ab", b"c"), sealed(b"a", b"bc")];
    assert_ne!(one[..24], two[..24]);
}

#[test]
fn a_key_knows_its_commitment_and_no_other() {
    let key = tree(1).body_key(slot(5)).unwrap();
    let commitment = *key.commitment();
    assert!(key.is_committed(&commitment));
    for at in 0..32 {
        let mut other = commitment;
        other[at] ^= 0x80;
        assert!(!key.is_committed(&other), "byte {at}");
    }
}
