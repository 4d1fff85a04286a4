//! Masks: a keystream for each fragment, so that no two copies of anything are alike.
//!
//! Reed–Solomon fragments are not unique: whoever has enough of them makes the others. Masked ones
//! are, to who does not know the mask's secret. Key of fragment `i`: HKDF-SHA256(secret, "chronolith
//! mask 1" ‖ i), RFC 5869; keystream: ChaCha20 of RFC 8439 with a nonce of zeros, from counter 0, so
//! that block `b` of 256 bytes begins at counter 4·b. A key masks one fragment of one pack only.

use std::fmt;

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit as _, StreamCipher as _, StreamCipherSeek as _};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize as _, ZeroizeOnDrop};

use crate::shape::BLOCK_BYTES;

/// The bytes of a commitment to a secret.
pub const COMMITMENT_BYTES: usize = 32;

/// What the keys of all fragments of one pack follow from. It must be random, and of this pack alone.
#[derive(Clone, ZeroizeOnDrop)]
pub struct MaskSecret([u8; 32]);

/// The key that masks one fragment.
#[derive(Clone, ZeroizeOnDrop)]
pub struct MaskKey([u8; 32]);

impl fmt::Debug for MaskSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskSecret(..)")
    }
}

impl fmt::Debug for MaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskKey(..)")
    }
}

/// 32 bytes that follow from a secret and what they are for.
fn derive(secret: &[u8; 32], domain: &[u8], index: &[u8]) -> [u8; 32] {
    let mut derived = [0; 32];
    // HKDF gives up to 255 · 32 bytes; 32 never fail.
    let _ = Hkdf::<Sha256>::new(None, secret).expand_multi_info(&[domain, index], &mut derived);
    derived
}

impl MaskSecret {
    /// The secret of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes, for who keeps or reveals it.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key of a fragment; who has it knows nothing of the other keys.
    #[must_use]
    pub fn key(&self, fragment: u8) -> MaskKey {
        MaskKey(derive(&self.0, b"chronolith mask 1", &[fragment]))
    }

    /// What a pack's header and the ledger hold of the secret, so that whoever reveals it later
    /// cannot reveal another.
    #[must_use]
    pub fn commitment(&self) -> [u8; COMMITMENT_BYTES] {
        derive(&self.0, b"chronolith mask commitment 1", &[])
    }
}

impl MaskKey {
    /// The key of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes, for who grants it.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn cipher(&self) -> ChaCha20 {
        ChaCha20::new(&self.0.into(), &[0; 12].into())
    }

    /// Masks, or unmasks, bytes that begin with a block of the fragment. Bytes beyond what the
    /// keystream reaches (256 GiB) do not occur: fragments are bounded.
    pub fn apply(&self, first_block: u32, bytes: &mut [u8]) {
        let mut cipher = self.cipher();
        let is_reached = cipher.try_seek(u64::from(first_block) * BLOCK_BYTES as u64);
        let is_masked = is_reached.and_then(|()| cipher.try_apply_keystream(bytes));
        if is_masked.is_err() {
            // Rather nothing than what is not masked.
            bytes.zeroize();
        }
    }

    /// The keystream from the beginning of the fragment, for who masks it piece by piece.
    pub(crate) fn stream(&self) -> MaskStream {
        MaskStream(self.cipher())
    }
}

/// A keystream that goes on where it ended.
pub(crate) struct MaskStream(ChaCha20);

impl MaskStream {
    /// Masks the next bytes of the fragment.
    pub(crate) fn apply(&mut self, bytes: &mut [u8]) {
        if self.0.try_apply_keystream(bytes).is_err() {
            bytes.zeroize();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keystream_is_that_of_the_rfc() {
        // RFC 8439, appendix A.1, test vector 1 (key, nonce and counter of zeros) and 2 (counter 1).
        let mut stream = [0; 128];
        MaskKey::new([0; 32]).apply(0, &mut stream);
        assert_eq!(stream[..8], [0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90]);
        assert_eq!(stream[64..72], [0x9f, 0x07, 0xe7, 0xbe, 0x55, 0x51, 0x38, 0x7a]);
    }

    #[test]
    fn blocks_are_masked_alone_as_with_all_others() {
        let key = MaskSecret::new([3; 32]).key(5);
        let mut whole = vec![0; 10 * BLOCK_BYTES];
        key.apply(0, &mut whole);
        let mut block = vec![0; BLOCK_BYTES];
        key.apply(7, &mut block);
        assert_eq!(block, whole[7 * BLOCK_BYTES..8 * BLOCK_BYTES]);
        let mut stream = key.stream();
        let mut pieces = vec![0; 10 * BLOCK_BYTES];
        pieces.chunks_mut(3 * BLOCK_BYTES).for_each(|piece| stream.apply(piece));
        assert_eq!(pieces, whole);
    }

    #[test]
    fn keys_and_commitment_differ_and_nothing_is_printed() {
        let secret = MaskSecret::new([3; 32]);
        assert_ne!(secret.key(0).as_bytes(), secret.key(1).as_bytes());
        assert_ne!(secret.key(0).as_bytes(), &secret.commitment());
        assert_ne!(secret.commitment(), MaskSecret::new([4; 32]).commitment());
        assert_eq!(format!("{secret:?} {:?}", secret.key(0)), "MaskSecret(..) MaskKey(..)");
    }
}
