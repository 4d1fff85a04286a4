//! Keys of chunks: who may read which window.
//!
//! A metric's chunks are encrypted under a [`KeyTree`] over the numbers of its windows. The few
//! nodes that cover a range of windows give the keys of these windows and of no others; sealed to a
//! buyer's one-time key they are a [`Grant`]. A chunk's key comes from the leaf of its window
//! ([`ChunkSlot`]), and its header carries a commitment to it, so that whoever opens a grant, the
//! ledger as well as the buyer, can tell whether it is the key of that chunk.
//!
//! ```
//! use chronolith_keys::{ChunkSlot, Grant, GrantContext, KeyTree, OneTimeSecret, Secret, TreeId};
//! # struct Fixed(u8);
//! # impl rand_core::TryRng for Fixed {
//! #     type Error = std::convert::Infallible;
//! #     fn try_next_u32(&mut self) -> Result<u32, Self::Error> { Ok(self.0.into()) }
//! #     fn try_next_u64(&mut self) -> Result<u64, Self::Error> { Ok(self.0.into()) }
//! #     fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
//! #         bytes.fill_with(|| { self.0 = self.0.wrapping_add(1); self.0 });
//! #         Ok(())
//! #     }
//! # }
//! # impl rand_core::TryCryptoRng for Fixed {}
//! # let rng = &mut Fixed(0);
//! # fn run(rng: &mut Fixed) -> Result<(), Box<dyn std::error::Error>> {
//! let tree = KeyTree::new(TreeId([7; 32]), Secret::generate(rng));
//! let slot = ChunkSlot { window: 490_000, generation: 0, part: 0 };
//! let commitment = *tree.body_key(slot).ok_or("no key")?.commitment();
//!
//! let secret = OneTimeSecret::generate(rng);
//! let context = GrantContext { chain: [1; 32], request: [2; 32] };
//! let grant = Grant::new([tree.cover(490_000..=490_023)?])?;
//! let sealed = grant.seal(&secret.public(), &context, rng)?;
//!
//! let opened = Grant::open(&sealed, &secret, &context)?;
//! let key = opened.body_key(&TreeId([7; 32]), slot).ok_or("not granted")?;
//! assert_eq!(key.commitment(), &commitment);
//! # Ok(())
//! # }
//! # run(rng).unwrap();
//! ```
//!
//! A [`Keystore`] has an owner's trees and what a buyer was given, under a passphrase and recovery words;
//! a [`KeystoreFile`] keeps it on a disk.
//!
//! The crate is pure but for that file: no clock, no randomness of its own. It is a leaf because both
//! sides that never see each other need it: the engine that seals chunks and the chain that judges
//! disputes (ADR 21, ADR 35).

#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing)]

mod answer;
mod at_rest;
mod body;
mod cbor;
mod cipher;
mod cover;
mod encoding;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod grant;
mod header;
mod id;
mod keyring;
mod keystore;
mod padding;
pub mod policy;
mod secret;
mod tree;
mod windows;

pub use answer::{open_answer, seal_answer};
pub use at_rest::AtRestKey;
pub use body::{BodyError, BodyKey, ChunkSlot};
pub use cipher::{NONCE_BYTES, OVERHEAD_BYTES};
pub use encoding::EncodingProblem;
pub use grant::{
    GRANT_BYTES_MAX, Grant, GrantContext, GrantError, OneTimeSecret, OpenError, SEALED_BYTES_MAX,
    SealError,
};
pub use header::{Encryption, HEADER_BYTES_MAX, HeaderError, HeaderProblem, HeaderView, SCHEME};
pub use id::{MetricId, MetricIdentity, TreeId};
pub use keyring::Keyring;
pub use keystore::{
    Cost, KEYSTORE_BYTES_MAX, Keystore, KeystoreError, KeystoreFile, KeystoreFileError, TreeFrom,
    Unlock, WordsError, Wrap,
};
pub use padding::{PaddingError, pad, padded_bytes, unpad};
pub use secret::Secret;
pub use tree::{KeyTree, NotHeld};
pub use windows::{Windows, WindowsError};

/// The hasher of a domain: SHA-256 that has begun with the length of a name and the name.
fn hasher(domain: &str) -> sha2::Sha256 {
    use sha2::Digest as _;
    // Every domain is a literal of this crate, and shorter than 256 bytes.
    sha2::Sha256::new().chain_update([domain.len() as u8]).chain_update(domain)
}
