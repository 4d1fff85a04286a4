//! A sealed grant opens with the request's secret, for that request of that chain.

use chronolith_keys::{Grant, GrantContext, GrantError, OneTimeSecret, OpenError, TreeId};

use crate::random::{Random, commitment, slot, tree};

const CONTEXT: GrantContext = GrantContext { chain: [1; 32], request: [2; 32] };

fn sealed() -> (OneTimeSecret, Vec<u8>) {
    let random = &mut Random(1);
    let secret = OneTimeSecret::generate(random);
    let parts = [3, 1, 2].map(|number| tree(number).cover(100..=200).unwrap());
    let grant = Grant::new(parts).unwrap();
    (secret.clone(), grant.seal(&secret.public(), &CONTEXT, random).unwrap())
}

#[test]
fn the_buyer_gets_the_keys_of_what_he_bought() {
    let (secret, sealed) = sealed();
    let grant = Grant::open(&sealed, &secret, &CONTEXT).unwrap();
    let trees: Vec<_> = grant.trees().collect();
    assert_eq!(trees, [1, 2, 3].map(|id| (TreeId([id; 32]), 100..=200)));
    for number in 1..=3 {
        let key = grant.body_key(&TreeId([number; 32]), slot(150)).unwrap();
        assert_eq!(Some(*key.commitment()), commitment(&tree(number), 150));
        assert!(grant.body_key(&TreeId([number; 32]), slot(201)).is_none());
    }
    assert!(grant.body_key(&TreeId([4; 32]), slot(150)).is_none());
}

#[test]
fn nothing_else_opens_it() {
    let (secret, sealed) = sealed();
    let closed =
        |found: Result<Grant, OpenError>| assert_eq!(found.unwrap_err(), OpenError::Closed);
    closed(Grant::open(&sealed, &OneTimeSecret::generate(&mut Random(9)), &CONTEXT));
    closed(Grant::open(&sealed, &secret, &GrantContext { chain: [9; 32], ..CONTEXT }));
    closed(Grant::open(&sealed, &secret, &GrantContext { request: [9; 32], ..CONTEXT }));
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        closed(Grant::open(&changed, &secret, &CONTEXT));
    }
    for length in [0, 31, 47] {
        let found = Grant::open(&sealed[..length], &secret, &CONTEXT).unwrap_err();
        assert_eq!(found, OpenError::Length { found: length });
    }
    let long = Grant::open(&[0; 16_385], &secret, &CONTEXT).unwrap_err();
    assert_eq!(long, OpenError::Length { found: 16_385 });
}

#[test]
fn a_message_that_opens_and_is_no_grant_is_told_apart() {
    // Sealed as a grant is, by hpke itself, with something else in it.
    use hpke::{Deserializable, Kem, Serializable};
    type X25519 = hpke::kem::X25519HkdfSha256;
    let secret = OneTimeSecret::generate(&mut Random(1));
    let to = <X25519 as Kem>::PublicKey::from_bytes(&secret.public()).unwrap();
    let info = [b"\x12chronolith/grant/1".as_slice(), &CONTEXT.chain, &CONTEXT.request];
    let info = info.concat();
    let (key, text) = hpke::single_shot_seal_with_rng::<
        hpke::aead::ChaCha20Poly1305,
        hpke::kdf::HkdfSha256,
        X25519,
    >(&hpke::OpModeS::Base, &to, &info, b"\x01", &[], &mut Random(2))
    .unwrap();
    let sealed = [key.to_bytes().as_slice(), &text].concat();
    let found = Grant::open(&sealed, &secret, &CONTEXT).unwrap_err();
    assert_eq!(found, OpenError::Grant(GrantError::Empty));
}

#[test]
fn a_key_that_gives_everybody_the_same_secret_is_refused() {
    let grant = Grant::new([tree(1).cover(0..=1).unwrap()]).unwrap();
    // The points of small order.
    let mut one = [0; 32];
    one[0] = 1;
    for key in [[0; 32], one] {
        assert!(grant.seal(&key, &CONTEXT, &mut Random(1)).is_err());
    }
}
