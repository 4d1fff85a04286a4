//! The producer's signing key.
//!
//! ```text
//! keys/producer.key: "CLKEY\0" · version u16 · wrapping u8 (0: not wrapped) · secret [u8; 32] ·
//! crc32 u32
//! ```

use chronolith_disk::{Disk, read_all};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use crate::error::{DiskContext, DiskError, Fault, ReadError};

/// The folder of keys.
pub(crate) const DIR: &str = "keys";
pub(crate) const FILE: &str = "keys/producer.key";
const MAGIC: [u8; 8] = *b"CLKEY\0\x01\0";
const FILE_BYTES: usize = 8 + 1 + 32 + 4;

/// The key that seal batches are signed with. Its secret is in no message and no `Debug`.
pub(crate) struct ProducerKey(SigningKey);

impl std::fmt::Debug for ProducerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ProducerKey({:02x?})", &self.public()[..4])
    }
}

impl ProducerKey {
    /// The key of a secret.
    pub(crate) fn from_secret(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    pub(crate) fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// A name for a metric that only the holder of this key can link to it.
    pub(crate) fn pseudonym(&self, metric: &[u8]) -> [u8; 32] {
        let key = blake3::derive_key("chronolith 2026 metric pseudonym v1", self.0.as_bytes());
        *blake3::keyed_hash(&key, metric).as_bytes()
    }

    pub(crate) fn store(&self, disk: &dyn Disk) -> Result<(), DiskError> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(0);
        bytes.extend_from_slice(self.0.as_bytes());
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        let file = disk.open_private(FILE).at(disk, "create", FILE)?;
        file.set_len(0).at(disk, "empty", FILE)?;
        file.append(&bytes).at(disk, "write", FILE)?;
        file.sync().at(disk, "sync", FILE)?;
        disk.sync_dir(DIR).at(disk, "sync", DIR)
    }

    pub(crate) fn load(disk: &dyn Disk) -> Result<Self, ReadError> {
        let bytes = read_all(disk, FILE).at(disk, "read", FILE)?;
        let fault = |what: &str| Fault::new(FILE, 0, what);
        let bytes: [u8; FILE_BYTES] =
            bytes.try_into().map_err(|_| fault("the key file has another length"))?;
        let (content, crc) = bytes.split_at(FILE_BYTES - 4);
        if crc32fast::hash(content).to_le_bytes() != crc || content[..8] != MAGIC {
            return Err(fault("the key file is damaged").into());
        }
        if content[8] != 0 {
            return Err(fault("the key is wrapped in a way this program does not know").into());
        }
        let secret = content[9..].first_chunk().ok_or_else(|| fault("the key is cut short"))?;
        Ok(Self::from_secret(secret))
    }
}

/// Whether `signature` over `message` is that of the producer.
pub(crate) fn verify(producer: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(producer)
        .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
}
