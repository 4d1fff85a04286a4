//! Doors to the private decoders for the fuzz targets in `engine/keys/fuzz`; compiled only for them.
//!
//! Each hands bytes from outside to one decoder and checks what decodes: it must encode to the same
//! bytes. A broken promise panics, which a fuzzer takes for a find. Checksums and ciphers are put
//! around the bytes here, so that a fuzzer need not guess them.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a panic is a find")]

use zeroize::Zeroizing;

use crate::body::ChunkSlot;
use crate::grant::Grant;
use crate::id::{MetricId, TreeId};
use crate::keystore::{Contents, Keystore, Unlock, Wrap};
use crate::padding;
use crate::policy::Policies;
use crate::secret::Secret;
use crate::tree::KeyTree;

/// The wrapping key of the files that are made here.
const KEY: [u8; 32] = [7; 32];

/// What is encrypted in a keystore.
pub fn keystore_contents(data: &[u8]) {
    let Ok(contents) = Contents::from_bytes(data) else { return };
    assert!(**contents.to_bytes() == *data, "the contents have another encoding");
    assert_eq!(contents.encoded_bytes(), data.len());
    let bought = contents.bought.trees().map(|tree| (tree, contents.bought.windows(&tree)));
    for (tree, windows) in bought {
        assert!(!windows.is_empty(), "a tree without windows: {tree}");
    }
    for tree in contents.trees.values() {
        for windows in tree.windows() {
            let slot = ChunkSlot { window: *windows.end(), generation: 0, part: 0 };
            assert!(tree.body_key(slot).is_some(), "a window without a key");
        }
    }
}

/// A keystore's file without its checksum.
pub fn keystore_file(data: &[u8]) {
    let mut file = Zeroizing::new(data.to_vec());
    file.extend_from_slice(&crc32fast::hash(data).to_le_bytes());
    for unlock in [Unlock::Plain, Unlock::WrappingKey(Secret::new(KEY))] {
        let Ok(found) = Keystore::from_bytes(&file, unlock) else { continue };
        let again = found.to_bytes(&mut Counter(0)).expect("it was small enough to be read");
        assert_eq!(again.len(), file.len(), "the keystore has another encoding");
    }
}

/// Recovery words: those that are taken are those of their secret.
pub fn recovery_words(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(secret) = Secret::from_words(text) else { return };
    let words: Vec<_> = text.split_whitespace().map(str::to_ascii_lowercase).collect();
    assert_eq!(*secret.to_words(), words.join(" "));
}

/// Policies as they stand in a header.
pub fn policies(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(policies) = text.parse::<Policies>() else { return };
    assert_eq!(policies.to_string(), text, "the policies have another form");
    let key = Secret::new(KEY);
    for value in [i64::MIN, -1, 0, 7, i64::MAX] {
        assert!(policies.time(value) <= value);
        let (as_f64, as_u64) = (value as f64, value as u64);
        let is_nan = policies.f64(as_f64, &mut Counter(0)).is_nan();
        assert!(!is_nan, "NaN out of a number");
        policies.i64(value, &mut Counter(0));
        policies.u64(as_u64, &mut Counter(0));
    }
    assert_eq!(policies.text("a", &key).len(), policies.text("b", &key).len());
    assert!(policies.bytes(data, &key).len() <= data.len().max(16));
}

/// A padded body.
pub fn padded_body(data: &[u8]) {
    let Ok(body) = padding::unpad(data) else { return };
    let mut again = body.to_vec();
    padding::pad(&mut again);
    assert!(again == data, "the body has another padded form");
}

/// Real encodings to begin with: the target, and what it is to read.
///
/// # Panics
/// Never, unless a promise is broken.
#[must_use]
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let policies = [
        "drop",
        "pseudonym",
        "time:60000000000;round:0.5",
        "grid:0.01",
        "band:-1.5,0,18,65",
        "local-laplace:1,3/2",
    ];
    let mut seeds: Vec<_> =
        policies.map(|policies| ("policies", policies.as_bytes().to_vec())).into();
    let wrap = Wrap::Plain;
    let mut keystore = Keystore::generate(wrap, &mut Counter(0)).unwrap();
    for steps in 0..4_u8 {
        let contents = keystore.contents().to_bytes().to_vec();
        let file = keystore.to_bytes(&mut Counter(9)).unwrap();
        let file = file.split_last_chunk::<4>().unwrap().0.to_vec();
        seeds.extend([("keystore_contents", contents), ("keystore_file", file)]);
        let id = |number: u8| [steps * 16 + number; 32];
        let root = || Secret::new([steps; 32]);
        keystore.begin(MetricId(id(1)), TreeId(id(2)), root()).unwrap();
        keystore.rotate(MetricId(id(1)), 100, TreeId(id(3)), root()).unwrap();
        keystore.destroy(&MetricId(id(1)), 50..=60).unwrap();
        let part = KeyTree::new(TreeId(id(4)), root()).cover(-5..=9).unwrap();
        keystore.keep(&Grant::new([part]).unwrap());
        seeds.push(("recovery_words", Secret::new([steps; 32]).to_words().as_bytes().to_vec()));
        let mut body = vec![steps; 100 * usize::from(steps)];
        padding::pad(&mut body);
        seeds.push(("padded_body", body));
    }
    seeds
}

/// SplitMix64: bytes that are the same on every machine; the seeds' keys are no secrets.
struct Counter(u64);

impl rand_core::TryRng for Counter {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(self.try_next_u64()? as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Ok(mixed ^ (mixed >> 31))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        for byte in bytes {
            *byte = self.try_next_u64()? as u8;
        }
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Counter {}
