//! XChaCha20-Poly1305, with the nonce in front: `nonce ‖ ciphertext ‖ tag`.

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305};

/// The length of the nonce in front: bytes.
pub const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// What encryption adds: bytes.
pub const OVERHEAD_BYTES: usize = NONCE_BYTES + TAG_BYTES;

/// Encrypts; `None` above 256 GiB, which is what one nonce is good for.
pub(crate) fn seal(
    key: &[u8; 32],
    nonce: [u8; NONCE_BYTES],
    aad: &[u8],
    text: &[u8],
) -> Option<Vec<u8>> {
    let mut sealed = Vec::with_capacity(text.len() + OVERHEAD_BYTES);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(text);
    let (_, text) = sealed.split_at_mut(NONCE_BYTES);
    let cipher = XChaCha20Poly1305::new(key.into());
    let tag = cipher.encrypt_inout_detached(&nonce.into(), aad, text.into()).ok()?;
    sealed.extend_from_slice(&tag);
    Some(sealed)
}

/// Opens what [`seal`] made with the same key and `aad`; `None` for anything else.
pub(crate) fn open(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let (text, tag) = rest.split_last_chunk::<TAG_BYTES>()?;
    let mut text = text.to_vec();
    let cipher = XChaCha20Poly1305::new(key.into());
    let (nonce, tag) = ((*nonce).into(), Tag::from(*tag));
    cipher.decrypt_inout_detached(&nonce, aad, text.as_mut_slice().into(), &tag).ok()?;
    Some(text)
}
