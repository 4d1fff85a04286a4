//! Keys of bodies: encrypting one chunk.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
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
/// Both come from HKDF-SHA256 of the window's leaf. The commitment is needed because a ciphertext
/// alone commits to no key: with the AEAD that is used here one can make a body that opens under two
/// keys, to two contents.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct BodyKey {
    key: [u8; 32],
    commitment: [u8; 32],
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
        let mut derived = Zeroizing::new([0; 64]);
        // Only lengths of more than 255 hashes are refused.
        let _ = Hkdf::<Sha256>::new(None, leaf.bytes())
            .expand_multi_info(&info, derived.as_mut_slice());
        let mut body = Self { key: [0; 32], commitment: [0; 32] };
        let (key, commitment) = derived.split_at(32);
        body.key.copy_from_slice(key);
        body.commitment.copy_from_slice(commitment);
        body
    }

    /// What the header carries: it says which key it is, and nothing of the key.
    #[must_use]
    pub fn commitment(&self) -> &[u8; 32] {
        &self.commitment
    }

    /// Encrypts a body: `nonce ‖ ciphertext ‖ tag`, by XChaCha20-Poly1305. `aad` is what it belongs
    /// to: the parts of the header that do not depend on the body.
    ///
    /// The nonce is drawn at random for each call: after a crash a chunk may be sealed a second
    /// time with other records, under the same key.
    ///
    /// # Errors
    /// [`BodyError::Long`] above 256 GiB.
    pub fn seal(
        &self,
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        body: &[u8],
    ) -> Result<Vec<u8>, BodyError> {
        cipher::seal(&self.key, nonce, aad, body).ok_or(BodyError::Long { found: body.len() })
    }

    /// Opens what [`BodyKey::seal`] made with the same `aad`.
    ///
    /// # Errors
    /// [`BodyError::Short`] or [`BodyError::Closed`].
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, BodyError> {
        if sealed.len() < OVERHEAD_BYTES {
            return Err(BodyError::Short { found: sealed.len() });
        }
        cipher::open(&self.key, aad, sealed).ok_or(BodyError::Closed)
    }
}

impl fmt::Debug for BodyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BodyKey")
    }
}
