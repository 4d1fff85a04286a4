//! Typed keys: each kind of entry has a number, parts with an order, and one type of value.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::address::Address;
use crate::content::ContentId;
use crate::hash::{
    BountyId, CertificateId, CoinId, DealId, Hash, LeaseId, OfferId, RequestId, ServiceId,
    SubscriptionId,
};
use crate::keys::PublicKey;

/// A key of the state. Its bytes are the number of its kind, then its parts; they sort as the
/// parts do.
pub trait Key: Sized {
    /// What is stored under such a key.
    type Value: BorshSerialize + BorshDeserialize;
    /// The number of the kind, in front of every such key.
    const KIND: u8;
    /// The name of the kind, for messages.
    const NAME: &'static str;

    /// Appends the parts.
    fn write_parts(&self, bytes: &mut Vec<u8>);

    /// Reads the parts back; none where the bytes are no such key.
    fn read_parts(bytes: &mut &[u8]) -> Option<Self>;

    /// The key's bytes.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![Self::KIND];
        self.write_parts(&mut bytes);
        bytes
    }

    /// The key of bytes; none where they are none.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (kind, mut rest) = bytes.split_first()?;
        let key = Self::read_parts(&mut rest)?;
        (*kind == Self::KIND && rest.is_empty()).then_some(key)
    }
}

/// A part of a key: of fixed width, its bytes sort as its values do.
pub trait KeyPart: Sized {
    /// Appends the bytes.
    fn write(&self, bytes: &mut Vec<u8>);

    /// Takes a value from the front of bytes.
    fn read(bytes: &mut &[u8]) -> Option<Self>;
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (front, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*front)
}

macro_rules! number_parts {
    ($($number:ty),*) => {$(
        impl KeyPart for $number {
            fn write(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_be_bytes());
            }

            fn read(bytes: &mut &[u8]) -> Option<Self> {
                take(bytes).map(Self::from_be_bytes)
            }
        }
    )*};
}

number_parts!(u8, u32, u64);

macro_rules! array_parts {
    ($($name:ident),*) => {$(
        impl KeyPart for $name {
            fn write(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.0);
            }

            fn read(bytes: &mut &[u8]) -> Option<Self> {
                take(bytes).map(Self)
            }
        }
    )*};
}

array_parts!(
    Address,
    PublicKey,
    Hash,
    CoinId,
    OfferId,
    RequestId,
    LeaseId,
    ServiceId,
    CertificateId,
    BountyId,
    DealId,
    SubscriptionId
);

impl KeyPart for ContentId {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.as_bytes());
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        take(bytes).and_then(|bytes| Self::from_bytes(bytes).ok())
    }
}

impl KeyPart for [u8; 32] {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        take(bytes)
    }
}
