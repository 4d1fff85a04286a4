//! Content ids: CIDv1 over sha2-256 (the hash that every IPFS library has) or blake3.

use cid::Cid;
use multihash::Multihash;
use sha2::{Digest as _, Sha256};

/// The codec of blocks that are canonical DAG-CBOR.
pub const DAG_CBOR: u64 = 0x71;
/// The codec of blocks that are just bytes.
pub const RAW: u64 = 0x55;

/// The hash functions that a content id may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum HashFunction {
    /// SHA-256, the default.
    #[default]
    Sha256,
    /// BLAKE3 with 256 bits.
    Blake3,
}

impl HashFunction {
    /// The function's number in the multihash table.
    #[must_use]
    pub const fn code(self) -> u64 {
        match self {
            Self::Sha256 => 0x12,
            Self::Blake3 => 0x1e,
        }
    }

    /// The function with a number in the multihash table.
    #[must_use]
    pub const fn from_code(code: u64) -> Option<Self> {
        match code {
            0x12 => Some(Self::Sha256),
            0x1e => Some(Self::Blake3),
            _ => None,
        }
    }

    /// The digest of bytes.
    #[must_use]
    pub fn digest(self, bytes: &[u8]) -> [u8; 32] {
        match self {
            Self::Sha256 => Sha256::digest(bytes).into(),
            Self::Blake3 => blake3::hash(bytes).into(),
        }
    }

    /// The content id that a digest by this function makes with a codec.
    #[must_use]
    pub fn content_id_of_digest(self, codec: u64, digest: &[u8; 32]) -> Cid {
        // 32 bytes always fit into the 64 that a multihash of this type holds.
        let hash = Multihash::wrap(self.code(), digest).unwrap_or_default();
        Cid::new_v1(codec, hash)
    }
}

/// The content id of a block.
#[must_use]
pub fn content_id(codec: u64, function: HashFunction, block: &[u8]) -> Cid {
    function.content_id_of_digest(codec, &function.digest(block))
}

/// Whether a block is what a content id names; `false` also for hash functions that are not known.
#[must_use]
pub fn matches(cid: &Cid, block: &[u8]) -> bool {
    HashFunction::from_code(cid.hash().code())
        .is_some_and(|function| content_id(cid.codec(), function, block) == *cid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_laid_out_as_the_specification_says() {
        // Computed by hand from the CIDv1 layout: 01 55 12 20 and the digest, in base 32.
        let cid = content_id(RAW, HashFunction::Sha256, b"hello world");
        assert_eq!(cid.to_string(), "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e");
        assert!(matches(&cid, b"hello world"));
        assert!(!matches(&cid, b"hello worle"));
        let cid = content_id(RAW, HashFunction::Blake3, b"hello world");
        assert!(matches(&cid, b"hello world"));
    }
}
