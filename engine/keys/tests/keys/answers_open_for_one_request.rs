//! A sealed answer opens for its request alone, and never passes for a grant.

use chronolith_keys::{Grant, GrantContext, OneTimeSecret, OpenError, open_answer, seal_answer};

use crate::random::Random;

const CONTEXT: GrantContext = GrantContext { chain: [1; 32], request: [2; 32] };

fn secret() -> OneTimeSecret {
    OneTimeSecret::from_bytes([7; 32])
}

#[test]
fn an_answer_opens_for_its_request_alone() {
    let sealed = seal_answer(b"42", &secret().public(), &CONTEXT, &mut Random(1)).unwrap();
    assert_eq!(open_answer(&sealed, &secret(), &CONTEXT).unwrap().as_slice(), b"42");
    for other in
        [GrantContext { request: [3; 32], ..CONTEXT }, GrantContext { chain: [3; 32], ..CONTEXT }]
    {
        assert_eq!(open_answer(&sealed, &secret(), &other), Err(OpenError::Closed));
    }
    let stranger = OneTimeSecret::from_bytes([8; 32]);
    assert_eq!(open_answer(&sealed, &stranger, &CONTEXT), Err(OpenError::Closed));
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(open_answer(&changed, &secret(), &CONTEXT).is_err(), "byte {at}");
    }
    for length in 0..48 {
        let cut = open_answer(&sealed[..length], &secret(), &CONTEXT);
        assert_eq!(cut, Err(OpenError::Length { found: length }));
    }
    let long = vec![0; 16_385];
    let found = open_answer(&long, &secret(), &CONTEXT);
    assert_eq!(found, Err(OpenError::Length { found: 16_385 }));
}

#[test]
fn an_answer_is_no_grant_whatever_it_says() {
    let tree = chronolith_keys::KeyTree::new(
        chronolith_keys::TreeId([1; 32]),
        chronolith_keys::Secret::new([2; 32]),
    );
    let grant = Grant::new([tree.cover(0..=9).unwrap()]).unwrap();
    let to = secret().public();
    let as_answer = seal_answer(&grant.to_bytes(), &to, &CONTEXT, &mut Random(1)).unwrap();
    assert!(matches!(Grant::open(&as_answer, &secret(), &CONTEXT), Err(OpenError::Closed)));
    let as_grant = grant.seal(&to, &CONTEXT, &mut Random(1)).unwrap();
    assert_eq!(open_answer(&as_grant, &secret(), &CONTEXT), Err(OpenError::Closed));
}
