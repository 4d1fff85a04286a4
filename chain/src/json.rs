//! The JSON of transactions, receipts and values of the state, by `serde`.
//!
//! Names are those of the types. Hashes, keys, signatures and bytes are hexadecimal digits,
//! accounts are bech32m, content ids base32; amounts are decimal digits in a text, because JSON
//! numbers of that size lose digits elsewhere. Reading refuses whatever the binary encoding would:
//! unknown fields, lists that are too long, sets with two of a kind.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::address::Address;
use crate::coin::{Amount, BasisPoints};
use crate::content::ContentId;
use crate::encoding::{Bytes, Keyed, List, Rising, Text};
use crate::keys::{PublicKey, Signature};

/// Bytes as hexadecimal digits.
fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes of hexadecimal digits; none where they are none.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(value(*high)? << 4 | value(*low)?),
        _ => None,
    });
    pairs.collect()
}

/// Reads a text and makes a value of it.
struct Parse<F> {
    what: &'static str,
    parse: F,
}

impl<T, F: FnOnce(&str) -> Option<T>> Visitor<'_> for Parse<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        let what = self.what;
        let wrong = || E::custom(format_args!("{text:?} is not {what}"));
        (self.parse)(text).ok_or_else(wrong)
    }
}

/// Arrays of bytes as hexadecimal digits.
pub(crate) mod hex {
    use super::{Deserializer, Parse, Serializer};

    pub(crate) fn serialize<const N: usize, S: Serializer>(
        value: &[u8; N],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::digits(value))
    }

    pub(crate) fn deserialize<'de, const N: usize, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[u8; N], D::Error> {
        let what = match N {
            32 => "64 hexadecimal digits",
            64 => "128 hexadecimal digits",
            _ => "hexadecimal digits",
        };
        let parse = |text: &str| super::bytes(text)?.try_into().ok();
        deserializer.deserialize_str(Parse { what, parse })
    }
}

/// The same, or nothing.
pub(crate) mod optional_hex {
    use super::{Deserialize, Deserializer, Serializer};

    /// What is written in the same way as by [`super::hex`].
    #[derive(serde::Serialize, serde::Deserialize)]
    #[serde(transparent)]
    struct Digits<const N: usize>(#[serde(with = "super::hex")] [u8; N]);

    pub(crate) fn serialize<const N: usize, S: Serializer>(
        value: &Option<[u8; N]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.serialize_some(&Digits(*value)),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, const N: usize, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<[u8; N]>, D::Error> {
        let found = Option::<Digits<N>>::deserialize(deserializer)?;
        Ok(found.map(|Digits(value)| value))
    }
}

/// Numbers of 128 bits as decimal digits in a text.
pub(crate) mod decimal {
    use super::{Deserializer, Parse, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &u128, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u128, D::Error> {
        let parse = |text: &str| {
            let is_plain = text.bytes().all(|digit| digit.is_ascii_digit())
                && (text == "0" || !text.starts_with('0'));
            text.parse().ok().filter(|_| is_plain)
        };
        let what = "decimal digits in a text, at most 2^128 - 1";
        from.deserialize_str(Parse { what, parse })
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        decimal::serialize(&self.0, to)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        decimal::deserialize(from).map(Self)
    }
}

impl Serialize for BasisPoints {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de> Deserialize<'de> for BasisPoints {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        u16::deserialize(from).map(Self)
    }
}

macro_rules! hexadecimal {
    ($($name:ty),* $(,)?) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                hex::serialize(&self.0, to)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                hex::deserialize(from).map(Self)
            }
        }
    )*};
}

hexadecimal! {
    crate::hash::Hash,
    crate::hash::ChainId,
    crate::hash::TransactionId,
    crate::hash::BlockId,
    crate::hash::CoinId,
    crate::hash::OfferId,
    crate::hash::RequestId,
    crate::hash::LeaseId,
    crate::hash::BountyId,
    crate::hash::DealId,
    crate::hash::SubscriptionId,
    crate::hash::ServiceId,
    crate::hash::CertificateId,
    PublicKey,
    Signature,
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(|error| D::Error::custom(format_args!("{text:?}: {error}")))
    }
}

impl Serialize for ContentId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let what = "a content id: CIDv1 of DAG-CBOR or raw bytes by SHA-256 or BLAKE3";
        from.deserialize_str(Parse { what, parse: |text: &str| text.parse().ok() })
    }
}

impl<const MAX: usize> Serialize for Bytes<MAX> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&digits(self))
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Bytes<MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let found = from.deserialize_str(Parse { what: "hexadecimal digits", parse: bytes })?;
        Self::new(found).map_err(D::Error::custom)
    }
}

impl<const MAX: usize> Serialize for Text<MAX> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(from)?).map_err(D::Error::custom)
    }
}

impl<T: Serialize, const MAX: usize> Serialize for List<T, MAX> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.iter())
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::new(Vec::deserialize(from)?).map_err(D::Error::custom)
    }
}

impl<T: Serialize, const MAX: usize> Serialize for Rising<T, MAX> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.iter())
    }
}

impl<'de, T: Deserialize<'de> + Keyed, const MAX: usize> Deserialize<'de> for Rising<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::new(Vec::deserialize(from)?).map_err(D::Error::custom)
    }
}
