//! The producer's signing key.
//!
//! ```text
//! keys/producer.key: "CLKEY\0" · version u16 · wrapping u8 (0: not wrapped) · secret [u8; 32] ·
//! crc32 u32
//! ```

use chronolith_disk::{Disk, read_all};
use chronolith_keys::TreeId;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use crate::error::{DiskContext, DiskError, Fault, ReadError};
use crate::record;

/// The folder of keys.
pub(crate) const DIR: &str = "keys";
pub(crate) const FILE: &str = "keys/producer.key";
const TEMPORARY: &str = "keys/producer.key.new";
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

    /// A name for a metric, or for one under a key tree, that only the holder of this key can link to it.
    pub(crate) fn pseudonym(&self, metric: &[u8], tree: Option<TreeId>) -> [u8; 32] {
        let secret = self.0.as_bytes();
        let Some(TreeId(tree)) = tree else {
            let key = blake3::derive_key("chronolith 2026 metric pseudonym v1", secret);
            return *blake3::keyed_hash(&key, metric).as_bytes();
        };
        let key = blake3::derive_key("chronolith 2026 pseudonym of metric and key tree v1", secret);
        *blake3::Hasher::new_keyed(&key).update(&tree).update(metric).finalize().as_bytes()
    }

    /// The key that values get their pseudonyms by: only the holder of this key can say which value has which.
    pub(crate) fn value_key(&self) -> [u8; 32] {
        blake3::derive_key("chronolith 2026 pseudonyms of values v1", self.0.as_bytes())
    }

    pub(crate) fn store(&self, disk: &dyn Disk) -> Result<(), DiskError> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(0);
        bytes.extend_from_slice(self.0.as_bytes());
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        let file = disk.open_private(TEMPORARY).at(disk, "create", TEMPORARY)?;
        file.set_len(0).at(disk, "empty", TEMPORARY)?;
        file.append(&bytes).at(disk, "write", TEMPORARY)?;
        file.sync().at(disk, "sync", TEMPORARY)?;
        disk.rename(TEMPORARY, FILE).at(disk, "rename", TEMPORARY)?;
        disk.sync_dir(DIR).at(disk, "sync", DIR)
    }

    pub(crate) fn load(disk: &dyn Disk) -> Result<Self, ReadError> {
        examine(disk).map_err(|problem| match problem {
            KeyProblem::Damaged(_) => Fault::new(FILE, 0, "the key file is damaged").into(),
            KeyProblem::Missing => {
                let what = "the key file is gone: nothing can be sealed or written; put the file \
                            back from a backup, or let a repair make a new key";
                Fault::new(FILE, 0, what).into()
            }
            KeyProblem::Other(error) => error,
        })
    }

    fn parse(bytes: &[u8; FILE_BYTES]) -> Result<Self, Fault> {
        let what = "the key is wrapped in a way this program does not know";
        match bytes[9..].first_chunk() {
            Some(secret) if bytes[8] == 0 => Ok(Self::from_secret(secret)),
            _ => Err(Fault::new(FILE, 0, what)),
        }
    }
}

/// Why there is no key to sign with.
#[derive(Debug)]
pub(crate) enum KeyProblem {
    /// The file is damaged; the key, where only one byte of it is.
    Damaged(Option<Box<ProducerKey>>),
    Missing,
    /// The file may well be whole.
    Other(ReadError),
}

/// The key, or why there is none.
pub(crate) fn examine(disk: &dyn Disk) -> Result<ProducerKey, KeyProblem> {
    let other = |error: DiskError| KeyProblem::Other(error.into());
    if !disk.exists(FILE).at(disk, "look for", FILE).map_err(other)? {
        return Err(KeyProblem::Missing);
    }
    let bytes = read_all(disk, FILE).at(disk, "read", FILE).map_err(other)?;
    let bytes: Result<[u8; FILE_BYTES], _> = bytes.try_into();
    let Ok(mut bytes) = bytes else { return Err(KeyProblem::Damaged(None)) };
    let fits = |bytes: &[u8]| record::checksum_holds(bytes) && bytes[..8] == MAGIC;
    if fits(&bytes) {
        return ProducerKey::parse(&bytes).map_err(|fault| KeyProblem::Other(fault.into()));
    }
    let is_mended = record::mend(&mut bytes) && fits(&bytes);
    Err(KeyProblem::Damaged(ProducerKey::parse(&bytes).ok().filter(|_| is_mended).map(Box::new)))
}

/// A secret that nobody knows.
pub(crate) fn new_secret(disk: &dyn Disk) -> Result<[u8; 32], DiskError> {
    let mut secret = [0; 32];
    let filled = getrandom::fill(&mut secret).map_err(std::io::Error::other);
    filled.at(disk, "get random bytes for", FILE)?;
    Ok(secret)
}

/// Whether `signature` over `message` is that of the producer.
pub(crate) fn verify(producer: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(producer)
        .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
}
