//! Content ids as the ledger stores them.

use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize, io};
use chronolith_merkle::{DAG_CBOR, HashFunction, RAW};
use cid::Cid;

use crate::encoding::DecodeReason;

/// A binary CIDv1 of DAG-CBOR or raw bytes, by SHA-256 or BLAKE3 with 256 bits: 36 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId([u8; 36]);

impl ContentId {
    /// The content id in its binary form.
    ///
    /// # Errors
    /// [`DecodeReason::NotContentId`] where codec, hash or length are not among those above.
    pub fn from_bytes(bytes: [u8; 36]) -> Result<Self, DecodeReason> {
        let [version, codec, function, length, ..] = bytes;
        let known = HashFunction::from_code(u64::from(function)).is_some();
        let codec_known = [DAG_CBOR, RAW].contains(&u64::from(codec));
        if version == 1 && codec_known && known && length == 32 {
            Ok(Self(bytes))
        } else {
            Err(DecodeReason::NotContentId)
        }
    }

    /// The content id of raw bytes by SHA-256.
    #[must_use]
    pub fn of_raw(bytes: &[u8]) -> Self {
        Self::new(RAW, HashFunction::Sha256, &HashFunction::Sha256.digest(bytes))
    }

    /// The content id of a block of DAG-CBOR, such as the header of a chunk.
    #[must_use]
    pub fn of_dag_cbor(function: HashFunction, bytes: &[u8]) -> Self {
        Self::new(DAG_CBOR, function, &function.digest(bytes))
    }

    /// Whether a block is what this names.
    #[must_use]
    pub fn matches(&self, block: &[u8]) -> bool {
        let [_, codec, function, ..] = self.0;
        HashFunction::from_code(function.into()).is_some_and(|function| {
            Self::new(codec.into(), function, &function.digest(block)) == *self
        })
    }

    /// The codec: that of DAG-CBOR or of raw bytes.
    #[must_use]
    pub const fn codec(&self) -> u64 {
        self.0[1] as u64
    }

    /// The digest.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        let [_, _, _, _, digest @ ..] = &self.0;
        digest
    }

    fn new(codec: u64, function: HashFunction, digest: &[u8; 32]) -> Self {
        let mut bytes = [0; 36];
        // Every codec and hash function of the enumerations is below 128: one byte as a varint.
        bytes[..4].copy_from_slice(&[1, codec as u8, function.code() as u8, 32]);
        bytes[4..].copy_from_slice(digest);
        Self(bytes)
    }

    /// The binary form.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 36] {
        &self.0
    }
}

impl fmt::Display for ContentId {
    /// As every IPLD tool writes it: base32 with its prefix.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Cid::from(*self), f)
    }
}

impl FromStr for ContentId {
    type Err = DecodeReason;

    fn from_str(text: &str) -> Result<Self, DecodeReason> {
        Self::try_from(&Cid::try_from(text).map_err(|_| DecodeReason::NotContentId)?)
    }
}

impl TryFrom<&Cid> for ContentId {
    type Error = DecodeReason;

    fn try_from(cid: &Cid) -> Result<Self, DecodeReason> {
        let bytes = <[u8; 36]>::try_from(cid.to_bytes()).map_err(|_| DecodeReason::NotContentId)?;
        Self::from_bytes(bytes)
    }
}

impl From<ContentId> for Cid {
    fn from(id: ContentId) -> Self {
        let [_, codec, function, _, digest @ ..] = id.0;
        let function = HashFunction::from_code(function.into()).unwrap_or_default();
        function.content_id_of_digest(codec.into(), &digest)
    }
}

impl fmt::Debug for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContentId(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

impl BorshSerialize for ContentId {
    fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(&self.0)
    }
}

impl BorshDeserialize for ContentId {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        let bytes = <[u8; 36]>::deserialize_reader(reader)?;
        Self::from_bytes(bytes).map_err(DecodeReason::into_io)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ids_are_those_of_ipld() {
        let expected = chronolith_merkle::content_id(RAW, HashFunction::Sha256, b"hello");
        let found = ContentId::of_raw(b"hello");
        assert_eq!(found.as_bytes().as_slice(), expected.to_bytes());
        assert_eq!((Cid::from(found), ContentId::try_from(&expected)), (expected, Ok(found)));
        assert!(found.matches(b"hello") && !found.matches(b"hallo"));
        assert_eq!((found.codec(), found.digest()), (RAW, &HashFunction::Sha256.digest(b"hello")));
        let mut other = *ContentId::of_raw(b"hello").as_bytes();
        other[1] = 0x70;
        assert_eq!(ContentId::from_bytes(other), Err(DecodeReason::NotContentId));
    }
}
