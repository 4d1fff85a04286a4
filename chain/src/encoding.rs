//! The one encoding of everything that is hashed, signed, stored or sent: borsh, made canonical.
//!
//! A value has exactly one encoding, and bytes that are not it do not decode: numbers have fixed
//! widths, flags are 0 or 1, collections that are sets are strictly rising, nothing may follow.
//! Every collection has a bound in its type, which is checked before anything is allocated.

mod bounded;

pub use bounded::{Bytes, Keyed, List, Rising, Text, TooLong};

use borsh::{BorshDeserialize, BorshSerialize, io};

/// Why bytes are not the encoding of a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}, at byte {offset}: {reason}")]
pub struct DecodeError {
    /// What the bytes should have been.
    pub what: &'static str,
    /// How many bytes were read before the fault.
    pub offset: usize,
    /// What is wrong there.
    pub reason: DecodeReason,
}

/// What is wrong with an encoding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeReason {
    /// The bytes end before the value does.
    #[error("the bytes end too early")]
    Truncated,
    /// Something follows the value.
    #[error("{count} bytes too many")]
    Trailing {
        /// How many bytes follow.
        count: usize,
    },
    /// The whole is larger than its kind may be.
    #[error("{found} bytes where at most {limit} are allowed")]
    TooLarge {
        /// The bound in bytes.
        limit: usize,
        /// How many there are.
        found: usize,
    },
    /// A collection is longer than its type allows.
    #[error("{found} elements where at most {limit} are allowed")]
    TooLong {
        /// The bound.
        limit: usize,
        /// The length that the bytes claim.
        found: usize,
    },
    /// The elements of a set are not strictly rising.
    #[error("elements that are not strictly rising")]
    NotRising,
    /// A text is not UTF-8, or holds control characters.
    #[error("not a text of UTF-8 without control characters")]
    NotText,
    /// A content id is not one that this program knows.
    #[error("not a CIDv1 of DAG-CBOR or raw bytes by SHA-256 or BLAKE3")]
    NotContentId,
    /// A number stands for no case of its type, or a flag is neither 0 nor 1.
    #[error("a value that its type does not have")]
    Invalid,
}

impl DecodeReason {
    /// As an error that the traits of borsh carry.
    pub(crate) fn into_io(self) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, self)
    }

    fn of(error: &io::Error) -> Self {
        if let Some(reason) = error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()) {
            return reason.clone();
        }
        // borsh names its own errors only by their texts.
        match error.to_string().as_str() {
            "Unexpected length of input" => Self::Truncated,
            _ => Self::Invalid,
        }
    }
}

/// The canonical encoding of a value.
#[must_use]
pub fn encode<T: BorshSerialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    // Writing to memory cannot fail, and every length is bounded far below what borsh refuses.
    let _ = value.serialize(&mut bytes);
    bytes
}

/// Decodes a value from all of `bytes`, of which there may be at most `limit`.
///
/// # Errors
/// Whatever is not exactly the canonical encoding of a value.
pub fn decode<T: BorshDeserialize>(
    what: &'static str,
    bytes: &[u8],
    limit: usize,
) -> Result<T, DecodeError> {
    let failed = |offset, reason| DecodeError { what, offset, reason };
    if bytes.len() > limit {
        return Err(failed(0, DecodeReason::TooLarge { limit, found: bytes.len() }));
    }
    let mut rest = bytes;
    let value = T::deserialize(&mut rest)
        .map_err(|error| failed(bytes.len() - rest.len(), DecodeReason::of(&error)));
    let value = value?;
    if rest.is_empty() {
        return Ok(value);
    }
    let reason = DecodeReason::Trailing { count: rest.len() };
    Err(failed(bytes.len() - rest.len(), reason))
}
