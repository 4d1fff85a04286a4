//! Keys of bodies: encrypting one chunk.

use std::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::cipher::{self, NONCE_BYTES, OVERHEAD_BYTES};
use crate::id::TreeId;
use crate::secret::Secret;

const DOMAIN: &[u8] = b"\x16chronolith/chunk-key/1";

/// A chunk's place in its key tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkSlot {
    /// The number of its window.
    pub window: i64,
    /// 0 for the first chunk of a window; each later chunk that amends it has the next number.
    pub generation: u32,
    /// 0, or the number of the part where a window needs several bodies.
    pub part: u32,
}

/// The key of one chunk's body, and the commitment to it that the header carries.
///
/// Both come from HKDF-SHA256 of the window's leaf, and so does a third secret that nonces are made
/// with. The commitment is needed because a ciphertext alone commits to no key: with the AEAD that is
/// used here one can make a body that opens under two keys, to two contents.
pub struct BodyKey {
    key: SealingKey,
    commitment: [u8; 32],
}

/// A key that encrypts, and one that makes the nonces.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct SealingKey {
    key: [u8; 32],
    nonce_key: [u8; 32],
}

impl SealingKey {
    /// Of two parts of 32 bytes.
    pub(crate) fn of(key: &[u8], nonce_key: &[u8]) -> Self {
        let mut new = Self { key: [0; 32], nonce_key: [0; 32] };
        new.key.copy_from_slice(key);
        new.nonce_key.copy_from_slice(nonce_key);
        new
    }

    /// None above 256 GiB.
    pub(crate) fn seal(&self, aad: &[u8], text: &[u8]) -> Option<Vec<u8>> {
        cipher::seal(&self.key, self.nonce(aad, text)?, aad, text)
    }

    pub(crate) fn open(&self, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        cipher::open(&self.key, aad, sealed)
    }

    /// `HMAC(nonce key, length of aad u64 ‖ aad ‖ text)`, cut; there is one for every length.
    fn nonce(&self, aad: &[u8], text: &[u8]) -> Option<[u8; NONCE_BYTES]> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.nonce_key).ok()?;
        mac.update(&(aad.len() as u64).to_le_bytes());
        mac.update(aad);
        mac.update(text);
        mac.finalize().into_bytes().first_chunk().copied()
    }
}

/// A body that does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// It is shorter than the nonce and the tag.
    #[error("{found} bytes are no encrypted body, which has at least {OVERHEAD_BYTES}")]
    Short {
        /// The length: bytes.
        found: usize,
    },
    /// It was encrypted with another key or for another header, or was changed.
    #[error("the body does not open: it is damaged, of another header, or the key is another")]
    Closed,
    /// It is longer than the cipher takes.
    #[error("{found} bytes are more than can be encrypted under one nonce")]
    Long {
        /// The length: bytes.
        found: usize,
    },
}

impl BodyKey {
    pub(crate) fn derive(leaf: &Secret, tree: TreeId, slot: ChunkSlot) -> Self {
        let (window, generation) = (slot.window.to_le_bytes(), slot.generation.to_le_bytes());
        let part = slot.part.to_le_bytes();
        let info = [DOMAIN, &tree.0, &window, &generation, &part];
        let mut derived = Zeroizing::new([0; 96]);
        // Only lengths of more than 255 hashes are refused.
        let _ = Hkdf::<Sha256>::new(None, leaf.bytes())
            .expand_multi_info(&info, derived.as_mut_slice());
        let (key, rest) = derived.split_at(32);
        let (committed, nonce_key) = rest.split_at(32);
        let mut commitment = [0; 32];
        commitment.copy_from_slice(committed);
        Self { key: SealingKey::of(key, nonce_key), commitment }
    }

    /// What the header carries: it says which key it is, and nothing of the key.
    #[must_use]
    pub fn commitment(&self) -> &[u8; 32] {
        &self.commitment
    }

    /// Whether it is the key that a header commits to. Takes as long wherever the two differ.
    #[must_use]
    pub fn is_committed(&self, commitment: &[u8; 32]) -> bool {
        self.commitment.ct_eq(commitment).into()
    }

    /// Encrypts a body: `nonce ‖ ciphertext ‖ tag`, by XChaCha20-Poly1305. `aad` is what it belongs
    /// to: the parts of the header that do not depend on the body.
    ///
    /// The same body of the same header gives the same bytes, so that a chunk which is sealed again
    /// after a crash has its old content id. Another body gets another nonce, although the key is the
    /// same: after a crash a chunk may be sealed again with other records. The nonce is the beginning
    /// of an HMAC-SHA256 of both, under a key of its own: the synthetic nonce of SIV (Rogaway and
    /// Shrimpton, "Deterministic Authenticated-Encryption", EUROCRYPT 2006, section 4). All that
    /// repeating gives away is that two sealed bodies are the same chunk, which their ids say anyway.
    ///
    /// # Errors
    /// [`BodyError::Long`] above 256 GiB.
    pub fn seal(&self, aad: &[u8], body: &[u8]) -> Result<Vec<u8>, BodyError> {
        self.key.seal(aad, body).ok_or(BodyError::Long { found: body.len() })
    }

    /// Opens what [`BodyKey::seal`] made with the same `aad`.
    ///
    /// # Errors
    /// [`BodyError::Short`] or [`BodyError::Closed`].
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, BodyError> {
        if sealed.len() < OVERHEAD_BYTES {
            return Err(BodyError::Short { found: sealed.len() });
        }
        self.key.open(aad, sealed).ok_or(BodyError::Closed)
    }
}

impl fmt::Debug for BodyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BodyKey")
    }
}
