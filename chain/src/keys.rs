//! Keys and signatures, and the one rule by which signatures are verified.
//!
//! The rule is that of [ZIP-215](https://zips.z.cash/zip-0215): encodings of points need not be
//! canonical, `s` must be, and the equation is checked with the cofactor. By it, and only by it,
//! verifying alone and verifying many at once always agree; two nodes that disagreed over a crafted
//! signature would split the chain. Nothing outside this module verifies signatures.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use ed25519_dalek::Signer as _;
use ed25519_zebra::{VerificationKeyBytes, batch};
use sha2::{Digest as _, Sha256};

use crate::hash::{Domain, Hash};

/// An ed25519 public key, as its 32 bytes; not yet known to be a point.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, BorshSerialize, BorshDeserialize,
)]
pub struct PublicKey(pub [u8; 32]);

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", Hash(self.0))
    }
}

/// An ed25519 signature, as its 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Signature(pub [u8; 64]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start: &[u8] = self.0.first_chunk::<4>().map_or(&[], |start| start);
        write!(f, "Signature({start:02x?}...)")
    }
}

/// A secret key. It prints as nothing and is wiped when it is dropped.
pub struct SecretKey(ed25519_dalek::SigningKey);

impl SecretKey {
    /// The key of a seed of 32 random bytes.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a domain-separated hash.
    #[must_use]
    pub fn sign(&self, message: &Hash) -> Signature {
        Signature(self.0.sign(&message.0).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(...)")
    }
}

fn item(key: &PublicKey, message: &[u8], signature: &Signature) -> batch::Item {
    let signature = ed25519_zebra::Signature::from(signature.0);
    batch::Item::from((VerificationKeyBytes::from(key.0), signature, message))
}

/// Whether a key signed a domain-separated hash.
#[must_use]
pub fn verify(key: &PublicKey, message: &Hash, signature: &Signature) -> bool {
    verify_bytes(key, &message.0, signature)
}

/// Whether a key signed bytes. For messages whose signing is defined elsewhere; what this crate
/// signs is always a [`Hash`].
#[must_use]
pub fn verify_bytes(key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
    item(key, message, signature).verify_single().is_ok()
}

/// Signatures that are verified together, for about half of what they cost one by one.
#[derive(Default)]
pub struct Batch {
    items: Vec<batch::Item>,
    transcript: Sha256,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what a key should have signed.
    pub fn push(&mut self, key: &PublicKey, message: &[u8], signature: &Signature) {
        self.transcript.update(key.0);
        self.transcript.update((message.len() as u64).to_le_bytes());
        self.transcript.update(message);
        self.transcript.update(signature.0);
        self.items.push(item(key, message, signature));
    }

    /// Verifies all; the indices of those that do not hold, rising.
    ///
    /// The coefficients are drawn from a hash of the whole batch, so that no randomness is needed
    /// and every node computes the same; to choose signatures that cancel, one would have to
    /// predict 128 bits of SHA-256 that depend on the choice.
    ///
    /// # Errors
    /// The indices of the signatures that [`verify_bytes`] refuses.
    pub fn verify(self) -> Result<(), Vec<usize>> {
        let mut verifier = batch::Verifier::new();
        for item in &self.items {
            verifier.queue(item.clone());
        }
        let seed = Domain::Batch.hash(&self.transcript.finalize());
        if verifier.verify(Coefficients { seed, counter: 0 }).is_ok() {
            return Ok(());
        }
        let failed: Vec<usize> = (0..)
            .zip(self.items)
            .filter(|(_, item)| item.clone().verify_single().is_err())
            .map(|(index, _)| index)
            .collect();
        if failed.is_empty() { Ok(()) } else { Err(failed) }
    }
}

/// The coefficients of one batch: SHA-256 of a seed and a counter.
struct Coefficients {
    seed: Hash,
    counter: u64,
}

impl rand_core::TryRng for Coefficients {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Self::Error> {
        for part in into.chunks_mut(32) {
            let block = Domain::Batch.hash_of(&(self.seed, self.counter)).0;
            self.counter += 1;
            part.iter_mut().zip(block).for_each(|(to, from)| *to = from);
        }
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Coefficients {}
