//! The hook through which every value, name and metadata on disk goes.
//!
//! Files keep such bytes in records with a scheme and a key id. Scheme 0 means clear, and
//! [`Clear`] is the only protection until the market brings keys; the places for it are in every
//! format from the first version on.

use std::borrow::Cow;
use std::fmt;

/// What the bytes are, so that a protection can choose a key for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// A frame of the write-ahead log.
    Wal,
    /// A section of an unsealed run.
    Run,
    /// The body of a sealed chunk.
    Chunk,
    /// Statistics and keys of chunks in a segment's footer.
    Footer,
    /// Definitions of metrics.
    Definitions,
    /// The manifest.
    Manifest,
    /// Key-value state.
    State,
    /// A block of a blob.
    Blob,
}

/// How a record is protected: 0 is clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protection {
    /// The scheme; 0 is clear.
    pub scheme: u8,
    /// Which key; 0 where the scheme has none.
    pub key_id: u32,
}

impl Protection {
    /// No protection.
    pub const CLEAR: Self = Self { scheme: 0, key_id: 0 };
}

/// A record that cannot be opened with the keys at hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("protected with scheme {} and key {}: {problem}", protection.scheme, protection.key_id)]
pub struct ProtectError {
    /// How the record says it is protected.
    pub protection: Protection,
    /// Why it cannot be opened.
    pub problem: String,
}

/// Turns bytes into what stands on disk, and back.
pub trait Protect: Send + Sync + fmt::Debug {
    /// Protects bytes before they are written. To bytes of one purpose it always adds as many.
    fn protect<'a>(&self, purpose: Purpose, bytes: &'a [u8]) -> (Protection, Cow<'a, [u8]>);

    /// Opens bytes that were read.
    fn open<'a>(
        &self,
        purpose: Purpose,
        protection: Protection,
        bytes: &'a [u8],
    ) -> Result<Cow<'a, [u8]>, ProtectError>;
}

/// Leaves everything in the clear.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clear;

impl Protect for Clear {
    fn protect<'a>(&self, _: Purpose, bytes: &'a [u8]) -> (Protection, Cow<'a, [u8]>) {
        (Protection::CLEAR, Cow::Borrowed(bytes))
    }

    fn open<'a>(
        &self,
        _: Purpose,
        protection: Protection,
        bytes: &'a [u8],
    ) -> Result<Cow<'a, [u8]>, ProtectError> {
        if protection == Protection::CLEAR {
            return Ok(Cow::Borrowed(bytes));
        }
        let problem = "this program was given no keys".to_owned();
        Err(ProtectError { protection, problem })
    }
}
