//! Answers: bytes for one buyer, sealed to his one-time key as a grant is.
//!
//! ```text
//! sealed: encapsulated key [u8; 32] · ciphertext of the answer · tag [u8; 16]
//! ```

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::grant::{GrantContext, OneTimeSecret, OpenError, SealError, open_sealed, seal_to};

const DOMAIN: &[u8] = b"\x13chronolith/answer/1";

/// Seals an answer of at most [`crate::GRANT_BYTES_MAX`] bytes to a request's one-time key, as
/// [`crate::Grant::seal`] seals keys, in another domain, so that neither passes for the other. A longer one is named by it, with the key that it is encrypted with.
///
/// # Errors
/// [`SealError`] where the key is one of the few that give everybody the same secret.
pub fn seal_answer(
    answer: &[u8],
    to: &[u8; 32],
    context: &GrantContext,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, SealError> {
    seal_to(answer, to, &context.info(DOMAIN), rng)
}

/// Opens a sealed answer. It needs no randomness and has the same verdict everywhere, so that a ledger may
/// act on it.
///
/// # Errors
/// Where it does not open.
pub fn open_answer(
    sealed: &[u8],
    secret: &OneTimeSecret,
    context: &GrantContext,
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    open_sealed(sealed, secret, &context.info(DOMAIN))
}
