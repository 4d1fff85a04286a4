//! Addresses: who an account is.

use std::fmt;
use std::str::FromStr;

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32m, Hrp};
use borsh::{BorshDeserialize, BorshSerialize};

use crate::hash::Hash;
use crate::keys::PublicKey;

/// What an address as text begins with.
const PREFIX: &str = "chron";

/// An account: the ed25519 public key that signs for it.
///
/// As text it is bech32m (BIP-350) with the prefix `chron`, so that a typing error is seen.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, BorshSerialize, BorshDeserialize,
)]
pub struct Address(pub [u8; 32]);

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The checksum does not hold, or the text has other characters or lengths than bech32m.
    #[error("not an address: {0}; look for a typing error")]
    Checksum(String),
    /// The text is bech32m of something else.
    #[error("an address begins with {PREFIX}1, this with {0}1")]
    Prefix(String),
    /// The text does not hold 32 bytes.
    #[error("an address holds 32 bytes, this {0}")]
    Length(usize),
}

impl Address {
    /// The key that signs for the account.
    #[must_use]
    pub fn key(&self) -> PublicKey {
        PublicKey(self.0)
    }
}

impl From<PublicKey> for Address {
    fn from(key: PublicKey) -> Self {
        Self(key.0)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = Hrp::parse(PREFIX).map_err(|_| fmt::Error)?;
        bech32::encode_to_fmt::<Bech32m, _>(f, prefix, &self.0).map_err(|_| fmt::Error)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", Hash(self.0))
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let checked = CheckedHrpstring::new::<Bech32m>(text)
            .map_err(|error| AddressError::Checksum(error.to_string()))?;
        let prefix = checked.hrp().to_lowercase();
        if prefix != PREFIX {
            return Err(AddressError::Prefix(prefix));
        }
        let bytes: Vec<u8> = checked.byte_iter().collect();
        let length = bytes.len();
        bytes.try_into().map(Self).map_err(|_| AddressError::Length(length))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    #[test]
    fn addresses_come_back_and_typing_errors_are_seen() {
        let address = Address(std::array::from_fn(|index| index as u8 * 7));
        let text = address.to_string();
        assert!(text.starts_with("chron1"));
        assert_eq!(text.parse::<Address>().unwrap(), address);
        assert_eq!(text.to_uppercase().parse::<Address>().unwrap(), address);
        for at in 6..text.len() {
            let mut typed: Vec<u8> = text.clone().into_bytes();
            typed[at] = if typed[at] == b'q' { b'p' } else { b'q' };
            let typed = String::from_utf8(typed).unwrap();
            assert!(matches!(typed.parse::<Address>(), Err(AddressError::Checksum(_))), "{typed}");
        }
    }

    #[test]
    fn other_texts_are_refused_with_a_reason() {
        let other = bech32::encode::<Bech32m>(Hrp::parse("other").unwrap(), &[0; 32]).unwrap();
        assert_eq!(other.parse::<Address>(), Err(AddressError::Prefix("other".to_owned())));
        let short = bech32::encode::<Bech32m>(Hrp::parse(PREFIX).unwrap(), &[0; 31]).unwrap();
        assert_eq!(short.parse::<Address>(), Err(AddressError::Length(31)));
        let empty = "".parse::<Address>();
        assert!(matches!(empty, Err(AddressError::Checksum(_))));
    }
}
