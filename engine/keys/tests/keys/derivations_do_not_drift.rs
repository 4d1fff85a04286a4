//! Every derivation gives the bytes that it always gave.
//!
//! The expected bytes are from an implementation of their own, in Python, by the definitions of
//! docs/format/grant.md; the sealed grant is from the HPKE of pyca/cryptography 48.

use chronolith_keys::{
    ChunkSlot, Grant, GrantContext, KeyTree, MetricId, MetricIdentity, OneTimeSecret, Secret,
    TreeId,
};
use sha2::{Digest as _, Sha256};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(text: &str) -> Vec<u8> {
    let pair = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(pair).collect()
}

fn rising() -> [u8; 32] {
    std::array::from_fn(|at| at as u8)
}

fn tree() -> KeyTree {
    KeyTree::new(TreeId([7; 32]), Secret::new(rising()))
}

#[test]
fn commitments_are_those_of_the_definition() {
    let commitment = |window, generation, part| {
        hex(tree().body_key(ChunkSlot { window, generation, part }).unwrap().commitment())
    };
    for (window, generation, part, expected) in [
        (490_000, 1, 2, "7c50d54dec7f20bf98963ef3f0671f0613493a508c9a8e5d837dfb1ce81d014d"),
        (-1, 0, 0, "7e59466778d4e174f3367b4d6221a4773c300622e7e3b863d458e465bf56cbab"),
        (i64::MIN, 0, 0, "33a776d9cb4f6fa613c1bb79fc87a66be78a34f04ae967ab849e55797097542d"),
        (i64::MAX, 4, 9, "94c8bf76a8f4a2bb20a651b344b69bccd42966eea442e72c113a43de34aad48a"),
    ] {
        assert_eq!(commitment(window, generation, part), expected, "window {window}");
    }
}

#[test]
fn bodies_are_those_of_the_definition() {
    let slot = ChunkSlot { window: 490_000, generation: 1, part: 2 };
    let body = b"a body of some length, longer than one block of sixty-four bytes is";
    let sealed = tree().body_key(slot).unwrap().seal(b"the header", body).unwrap();
    let expected = "0a71440a4657cbe7101238dfec05615641ee531a95e8120962b89d4081821634";
    assert_eq!(hex(&Sha256::digest(sealed)), expected);
}

#[test]
fn names_of_trees_are_those_of_the_definition() {
    let tags = vec![("unit", "km/h"), ("axle", "1")];
    let metric = MetricIdentity { device: "car-17", name: "speed", tags };
    let id = TreeId::named(&[1; 32], 2, 3, 3_600_000_000_000, &metric);
    let expected = "5e05ed2deb2f6f003911175d764aee988596201f5dcb30e72652a7993a40d93b";
    assert_eq!(id.to_string(), expected);
    let id = MetricId::of(&[1; 32], 2, 3_600_000_000_000, &metric);
    let expected = "e12e3ffff85a59d37541db625339f29f1904692c7bcfb08b097315144ec1f0d3";
    assert_eq!(id.to_string(), expected);
}

#[test]
fn grants_are_those_of_the_definition_and_open_whoever_sealed_them() {
    let grant = Grant::new([tree().cover(5..=9).unwrap()]).unwrap().to_bytes();
    let expected = "75ca45532a09313d571693670772bc539bf57b1ee2c519900c2aef263853c917";
    assert_eq!((grant.len(), hex(&Sha256::digest(&*grant)).as_str()), (145, expected));

    let secret = OneTimeSecret::from_bytes(rising());
    let public = "8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f";
    assert_eq!(hex(&secret.public()), public);
    let context = GrantContext { chain: [1; 32], request: [2; 32] };
    let opened = Grant::open(&bytes(SEALED), &secret, &context).unwrap();
    assert_eq!(opened.to_bytes(), grant);
}

/// The libraries that all of it stands on, by the vectors of their standards.
#[test]
fn the_libraries_are_those_of_the_standards() {
    // RFC 5869, A.1.
    let mut okm = [0; 42];
    let salt: [u8; 13] = std::array::from_fn(|at| at as u8);
    let hkdf = hkdf::Hkdf::<Sha256>::new(Some(&salt), &[0x0B; 22]);
    hkdf.expand(&bytes("f0f1f2f3f4f5f6f7f8f9"), &mut okm).unwrap();
    let expected =
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
    assert_eq!(hex(&okm), expected);

    // RFC 9180, A.2.1, sequence number 0.
    use hpke::{Deserializable as _, Kem};
    type X25519 = hpke::kem::X25519HkdfSha256;
    let secret = bytes("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb");
    let key = bytes("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a");
    let text = "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28";
    let opened =
        hpke::single_shot_open::<hpke::aead::ChaCha20Poly1305, hpke::kdf::HkdfSha256, X25519>(
            &hpke::OpModeR::Base,
            &<X25519 as Kem>::PrivateKey::from_bytes(&secret).unwrap(),
            &<X25519 as Kem>::EncappedKey::from_bytes(&key).unwrap(),
            b"Ode on a Grecian Urn",
            &bytes(text),
            b"Count-0",
        );
    assert_eq!(opened.unwrap(), b"Beauty is truth, truth beauty");

    // draft-irtf-cfrg-xchacha-03, A.3.1.
    use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
    let (key, nonce) =
        (std::array::from_fn(|at| 0x80 + at as u8), std::array::from_fn(|at| 0x40 + at as u8));
    let msg = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for \
        the future, sunscreen would be it.";
    let aad = &bytes("50515253c0c1c2c3c4c5c6c7");
    let cipher = chacha20poly1305::XChaCha20Poly1305::new((&key).into());
    let sealed = cipher.encrypt(&nonce.into(), Payload { msg, aad }).unwrap();
    assert_eq!(hex(&sealed[..16]), "bd6d179d3e83d43b9576579493c0e939");
    assert_eq!(hex(&sealed[msg.len()..]), "c0875924c1c7987947deafd8780acf49");
}

const SEALED: &str = "\
    437fd2d9ec2314c00103fc5e8d94905fbe9754d6b97fa1857a737530702fa15c309c3483b6d7be1153bd8704\
    c1c98b65ae98e68ad8e872917b0fc6155d195c0c1e5b1362c07820afa3d792807f8342442eab429e5486c34b\
    e4f80148536418c9db807d490fe11d5e8dccd107f6aaf3650cd733454f1a25610ceda313c4a5c270829d712b\
    d2a70a5ea0191d551b4f232aa8df7bdf0cc1dfb277b023655691221276f9897548b1387abbcd340915113d9f\
    530ddcf9ac2041d8167fec152fbced221e";
