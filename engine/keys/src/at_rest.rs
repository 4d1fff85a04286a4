//! Keys at rest: what a device's own files are encrypted with.
//!
//! They are leaves of a key tree of their own, so a keystore keeps them like other trees, and destroying
//! one is puncturing it.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::body::SealingKey;
use crate::cipher::OVERHEAD_BYTES;
use crate::secret::Secret;

const DOMAIN: &[u8] = b"\x14chronolith/at-rest/1";

/// A key that files are encrypted with, record by record.
///
/// The same record of the same purpose gives the same bytes: nonces are made as those of
/// [bodies](crate::BodyKey::seal) are. Whoever reads the files sees where two records are equal, and
/// nothing else but their lengths.
pub struct AtRestKey {
    number: u32,
    key: SealingKey,
}

impl AtRestKey {
    pub(crate) fn derive(leaf: &Secret, number: u32) -> Self {
        let mut derived = Zeroizing::new([0; 64]);
        // Only lengths of more than 255 hashes are refused.
        let _ = Hkdf::<Sha256>::new(None, leaf.bytes()).expand(DOMAIN, derived.as_mut_slice());
        let (key, nonce_key) = derived.split_at(32);
        Self { number, key: SealingKey::of(key, nonce_key) }
    }

    /// Which key it is: what stands beside each record.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Encrypts a record: `nonce ‖ ciphertext ‖ tag`; none above 256 GiB. A record of one purpose does not
    /// open as one of another.
    #[must_use]
    pub fn seal(&self, purpose: u8, record: &[u8]) -> Option<Vec<u8>> {
        self.key.seal(&[purpose], record)
    }

    /// Opens what [`AtRestKey::seal`] made with the same purpose; none for anything else.
    #[must_use]
    pub fn open(&self, purpose: u8, sealed: &[u8]) -> Option<Vec<u8>> {
        (sealed.len() >= OVERHEAD_BYTES).then(|| self.key.open(&[purpose], sealed)).flatten()
    }
}

impl fmt::Debug for AtRestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AtRestKey").field("number", &self.number).finish_non_exhaustive()
    }
}
