//! The key that wraps a keystore, as it stands in the file: under a passphrase, or as it is.

use argon2::{Algorithm, Argon2, Params, Version};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::error::malformed;
use super::{HEAD_BYTES, KeystoreError, MAGIC, VERSION, random};
use crate::cipher::{self, OVERHEAD_BYTES};
use crate::encoding::{EncodingProblem, Reader};
use crate::secret::Secret;

const PLAIN: u8 = 0;
const PASSPHRASE: u8 = 1;
const SALT_BYTES: usize = 16;
const WRAPPED_BYTES: usize = OVERHEAD_BYTES + 32;

/// What it costs to try a passphrase: Argon2id (RFC 9106) in one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory: KiB, from 8 to 1 GiB.
    pub memory_kib: u32,
    /// Passes over it, from 1 to 64.
    pub passes: u32,
}

impl Default for Cost {
    /// 64 MiB and three passes: the second recommendation of RFC 9106, section 4.
    fn default() -> Self {
        Self { memory_kib: 64 << 10, passes: 3 }
    }
}

impl Cost {
    fn check(self) -> Result<Self, KeystoreError> {
        let is_allowed =
            (8..=1 << 20).contains(&self.memory_kib) && (1..=64).contains(&self.passes);
        if is_allowed { Ok(self) } else { Err(KeystoreError::Cost { cost: self }) }
    }

    fn derive(self, passphrase: &[u8], salt: &[u8; SALT_BYTES]) -> Result<Secret, KeystoreError> {
        let memory = KeystoreError::Memory { memory_kib: self.memory_kib };
        let params = Params::new(self.memory_kib, self.passes, 1, Some(32))
            .map_err(|_| KeystoreError::Cost { cost: self })?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase, salt, key.as_mut_slice())
            .map_err(|_| memory)?;
        Ok(Secret::new(*key))
    }
}

/// How a keystore is to be kept.
#[derive(Clone, Copy)]
pub enum Wrap<'a> {
    /// As it is: whoever reads the file has the keys. For devices that start without anybody, with the
    /// file readable for its owner only.
    Plain,
    /// Under a passphrase.
    Passphrase {
        /// The passphrase.
        passphrase: &'a [u8],
        /// What a try of one costs.
        cost: Cost,
    },
}

/// What a keystore is opened with. (Neither has a `Debug` of its own: both may hold a secret.)
#[derive(Clone)]
pub enum Unlock<'a> {
    /// Nothing: the wrapping key stands in the file.
    Plain,
    /// The passphrase.
    Passphrase(&'a [u8]),
    /// The wrapping key, from [recovery words](Secret::from_words): it opens a keystore whose
    /// passphrase is forgotten, too.
    WrappingKey(Secret),
}

/// All of a file before the nonce of the trees, which is written again as it is until the passphrase
/// changes: nobody has to try it, or keep it, for a change of the trees.
#[derive(Clone)]
pub(super) struct Head(Zeroizing<Vec<u8>>);

impl Head {
    /// The wrapping key, wrapped.
    pub(super) fn new(
        key: &Secret,
        wrap: Wrap<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, KeystoreError> {
        let mut head = Zeroizing::new(Vec::with_capacity(HEAD_BYTES));
        head.extend_from_slice(&MAGIC);
        head.extend_from_slice(&VERSION.to_le_bytes());
        match wrap {
            Wrap::Plain => {
                head.push(PLAIN);
                head.extend_from_slice(key.bytes());
            }
            Wrap::Passphrase { passphrase, cost } => {
                let cost = cost.check()?;
                let salt: [u8; SALT_BYTES] = random(rng);
                head.push(PASSPHRASE);
                head.extend_from_slice(&cost.memory_kib.to_le_bytes());
                head.extend_from_slice(&cost.passes.to_le_bytes());
                head.extend_from_slice(&salt);
                let outer = cost.derive(passphrase, &salt)?;
                // 32 bytes are never longer than the cipher takes.
                let wrapped = cipher::seal(outer.bytes(), random(rng), &head, key.bytes());
                let closed = KeystoreError::TooLarge { found: head.len() };
                head.extend_from_slice(&wrapped.ok_or(closed)?);
            }
        }
        Ok(Self(head))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether a passphrase is needed to open it.
    pub(super) fn has_passphrase(&self) -> bool {
        self.0.get(MAGIC.len() + 2) == Some(&PASSPHRASE)
    }

    /// Reads the head of `file`, behind its magic and version, and opens it.
    pub(super) fn read(
        file: &[u8],
        reader: &mut Reader<'_>,
        unlock: Unlock<'_>,
    ) -> Result<(Self, Secret), KeystoreError> {
        let at = reader.offset();
        let key = match *reader.take().map_err(malformed)? {
            [PLAIN] => {
                let key = *reader.take::<32>().map_err(malformed)?;
                match unlock {
                    Unlock::Plain => Secret::new(key),
                    Unlock::WrappingKey(key) => key,
                    Unlock::Passphrase(_) => return Err(KeystoreError::NoPassphrase),
                }
            }
            [PASSPHRASE] => {
                let memory_kib = u32::from_le_bytes(*reader.take().map_err(malformed)?);
                let passes = u32::from_le_bytes(*reader.take().map_err(malformed)?);
                let cost = Cost { memory_kib, passes }.check()?;
                let salt = reader.take().map_err(malformed)?;
                let before = file.get(..reader.offset()).unwrap_or_default();
                let wrapped = reader.take::<WRAPPED_BYTES>().map_err(malformed)?;
                match unlock {
                    Unlock::Plain => return Err(KeystoreError::NeedsPassphrase),
                    Unlock::WrappingKey(key) => key,
                    Unlock::Passphrase(passphrase) => {
                        let outer = cost.derive(passphrase, salt)?;
                        let opened = cipher::open(outer.bytes(), before, wrapped);
                        let key = opened.map(Zeroizing::new).ok_or(KeystoreError::Closed)?;
                        let key = key.first_chunk().ok_or(KeystoreError::Closed)?;
                        Secret::new(*key)
                    }
                }
            }
            [found] => return Err(malformed((at, EncodingProblem::Wrap { found }))),
        };
        let head = file.get(..reader.offset()).unwrap_or_default().to_vec();
        Ok((Self(Zeroizing::new(head)), key))
    }
}
