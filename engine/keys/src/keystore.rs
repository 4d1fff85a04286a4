//! Keystores: the trees of an owner under a passphrase.
//!
//! ```text
//! "CLTREES\0" · version u16 = 1 · memory u32 (KiB) · passes u32 · salt [u8; 16]
//! · nonce [u8; 24] · wrapping key, encrypted [u8; 48]
//! · nonce [u8; 24] · ranges of trees, in their order, encrypted
//! ```
//!
//! The passphrase gives, by Argon2id, the key of the wrapping key; the wrapping key, which is random,
//! that of the trees. So a passphrase changes without the trees, and whoever keeps the wrapping key
//! elsewhere (as words on paper) needs no passphrase. Both are encrypted by XChaCha20-Poly1305, bound to
//! the bytes before their nonces; the trees to the first ten, so that the rest can be made anew.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use argon2::{Algorithm, Argon2, Params, Version};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::cipher::{self, NONCE_BYTES, OVERHEAD_BYTES};
use crate::encoding::{EncodingProblem, Malformed, Reader};
use crate::id::TreeId;
use crate::secret::Secret;
use crate::tree::KeyTree;

const MAGIC: [u8; 8] = *b"CLTREES\0";
const VERSION: u16 = 1;
const SALT_BYTES: usize = 16;
/// The magic and the version.
const NAME_BYTES: usize = 10;
const HEAD_BYTES: usize = NAME_BYTES + 4 + 4 + SALT_BYTES;
const WRAPPED_BYTES: usize = OVERHEAD_BYTES + 32;
/// The largest keystore that is read: bytes. A million metrics have 80 MB.
pub const KEYSTORE_BYTES_MAX: usize = 256 << 20;

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

/// The trees of an owner. What is dropped of it is overwritten.
pub struct Keystore {
    wrapping: Secret,
    trees: BTreeMap<TreeId, KeyTree>,
}

/// Why a keystore cannot be made or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeystoreError {
    /// There is a tree of that id already.
    #[error("the keystore has the tree {tree} already")]
    Exists {
        /// The tree.
        tree: TreeId,
    },
    /// There is no such tree.
    #[error("the keystore has no tree {tree}")]
    Missing {
        /// The tree.
        tree: TreeId,
    },
    /// Bytes are not a keystore.
    #[error("not a keystore, at byte {offset}: {problem}")]
    Malformed {
        /// Where.
        offset: usize,
        /// What is wrong there.
        problem: EncodingProblem,
    },
    /// A cost that no passphrase needs.
    #[error(
        "{} KiB and {} passes for a passphrase: from 8 to 1,048,576 and from 1 to 64 are allowed",
        cost.memory_kib, cost.passes
    )]
    Cost {
        /// The cost.
        cost: Cost,
    },
    /// There is not enough memory for the passphrase's cost.
    #[error("there are no {memory_kib} KiB of memory to check the passphrase with")]
    Memory {
        /// How much it needs: KiB.
        memory_kib: u32,
    },
    /// It does not open.
    #[error("the keystore does not open: the passphrase is another, or the file is damaged")]
    Closed,
    /// The trees do not open with the wrapping key.
    #[error("the trees in the keystore do not open: the key is another, or the file is damaged")]
    TreesClosed,
    /// It would be larger than what is read.
    #[error("{found} bytes of keys where {KEYSTORE_BYTES_MAX} fit: keep them in several keystores")]
    TooLarge {
        /// How many there are: bytes.
        found: usize,
    },
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

impl Keystore {
    /// A keystore without trees, under a wrapping key that nobody knows.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self { wrapping: Secret::generate(rng), trees: BTreeMap::new() }
    }

    /// The key that opens the trees without the passphrase: what recovery words encode.
    #[must_use]
    pub fn wrapping_key(&self) -> &Secret {
        &self.wrapping
    }

    /// The trees, by their ids.
    pub fn trees(&self) -> impl Iterator<Item = &KeyTree> {
        self.trees.values()
    }

    /// A tree.
    #[must_use]
    pub fn tree(&self, id: &TreeId) -> Option<&KeyTree> {
        self.trees.get(id)
    }

    /// Takes a tree.
    ///
    /// # Errors
    /// Where there is one of its id: it may have been punctured since.
    pub fn insert(&mut self, tree: KeyTree) -> Result<(), KeystoreError> {
        let id = tree.id();
        if self.trees.contains_key(&id) {
            return Err(KeystoreError::Exists { tree: id });
        }
        self.trees.insert(id, tree);
        Ok(())
    }

    /// Destroys the keys of a range of windows; see [`KeyTree::puncture`]. A tree of which nothing is
    /// left goes.
    ///
    /// # Errors
    /// Where there is no such tree.
    pub fn puncture(
        &mut self,
        id: &TreeId,
        windows: RangeInclusive<i64>,
    ) -> Result<(), KeystoreError> {
        let tree = self.trees.get_mut(id).ok_or(KeystoreError::Missing { tree: *id })?;
        tree.puncture(windows);
        if tree.is_empty() {
            self.trees.remove(id);
        }
        Ok(())
    }

    /// The bytes of a file, under a passphrase.
    ///
    /// # Errors
    /// Where the cost is not allowed or there is no memory for it, or the trees are too many.
    pub fn seal(
        &self,
        passphrase: &[u8],
        cost: Cost,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, KeystoreError> {
        let cost = cost.check()?;
        let mut file = Vec::with_capacity(HEAD_BYTES + WRAPPED_BYTES);
        file.extend_from_slice(&MAGIC);
        file.extend_from_slice(&VERSION.to_le_bytes());
        file.extend_from_slice(&cost.memory_kib.to_le_bytes());
        file.extend_from_slice(&cost.passes.to_le_bytes());
        let salt: [u8; SALT_BYTES] = random(rng);
        file.extend_from_slice(&salt);
        let size = HEAD_BYTES + WRAPPED_BYTES + OVERHEAD_BYTES;
        let trees = self.encode_trees();
        let found = size + trees.len();
        if found > KEYSTORE_BYTES_MAX {
            return Err(KeystoreError::TooLarge { found });
        }
        let key = cost.derive(passphrase, &salt)?;
        let name = file.get(..NAME_BYTES).unwrap_or_default().to_vec();
        // Neither is longer than the cipher takes.
        let closed = KeystoreError::TooLarge { found };
        let wrapped = cipher::seal(key.bytes(), random(rng), &file, self.wrapping.bytes());
        file.extend_from_slice(&wrapped.ok_or_else(|| closed.clone())?);
        let trees = cipher::seal(self.wrapping.bytes(), random(rng), &name, &trees);
        file.extend_from_slice(&trees.ok_or(closed)?);
        Ok(file)
    }

    /// Opens a file with its passphrase.
    ///
    /// # Errors
    /// Where the bytes are no keystore, the passphrase is another, or there is no memory to check it.
    pub fn open(file: &[u8], passphrase: &[u8]) -> Result<Self, KeystoreError> {
        let parts = Parts::of(file)?;
        let key = parts.cost.derive(passphrase, parts.salt)?;
        let opened = cipher::open(key.bytes(), parts.head, parts.wrapped);
        let wrapping = opened.map(Zeroizing::new).ok_or(KeystoreError::Closed)?;
        let wrapping = <[u8; 32]>::try_from(wrapping.as_slice());
        parts.open_trees(Secret::new(wrapping.map_err(|_| KeystoreError::Closed)?))
    }

    /// Opens a file with its wrapping key.
    ///
    /// # Errors
    /// Where the bytes are no keystore, or the key is another.
    pub fn open_with_key(file: &[u8], wrapping: Secret) -> Result<Self, KeystoreError> {
        Parts::of(file)?.open_trees(wrapping)
    }

    fn encode_trees(&self) -> Zeroizing<Vec<u8>> {
        let size = self.trees.values().map(KeyTree::encoded_bytes).sum();
        let mut bytes = Zeroizing::new(Vec::with_capacity(size));
        self.trees.values().for_each(|tree| tree.put(&mut bytes));
        bytes
    }
}

impl fmt::Debug for Keystore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keystore").field("trees", &self.trees.len()).finish_non_exhaustive()
    }
}

/// A file taken apart.
struct Parts<'a> {
    /// All before the first nonce.
    head: &'a [u8],
    name: &'a [u8],
    cost: Cost,
    salt: &'a [u8; SALT_BYTES],
    wrapped: &'a [u8; WRAPPED_BYTES],
    trees: &'a [u8],
}

fn malformed((offset, problem): Malformed) -> KeystoreError {
    KeystoreError::Malformed { offset, problem }
}

impl<'a> Parts<'a> {
    fn of(file: &'a [u8]) -> Result<Self, KeystoreError> {
        if file.len() > KEYSTORE_BYTES_MAX {
            return Err(KeystoreError::TooLarge { found: file.len() });
        }
        let mut reader = Reader::new(file);
        if *reader.take::<8>().map_err(malformed)? != MAGIC {
            return Err(malformed((0, EncodingProblem::Magic)));
        }
        let found = u16::from_le_bytes(*reader.take().map_err(malformed)?);
        if found != VERSION {
            return Err(malformed((8, EncodingProblem::Version { found, known: VERSION })));
        }
        let name = file.get(..reader.offset()).unwrap_or_default();
        let memory_kib = u32::from_le_bytes(*reader.take().map_err(malformed)?);
        let passes = u32::from_le_bytes(*reader.take().map_err(malformed)?);
        let cost = Cost { memory_kib, passes }.check()?;
        let salt = reader.take().map_err(malformed)?;
        let head = file.get(..reader.offset()).unwrap_or_default();
        let wrapped = reader.take().map_err(malformed)?;
        Ok(Self { head, name, cost, salt, wrapped, trees: reader.rest() })
    }

    fn open_trees(&self, wrapping: Secret) -> Result<Keystore, KeystoreError> {
        let opened = cipher::open(wrapping.bytes(), self.name, self.trees);
        let bytes = opened.map(Zeroizing::new).ok_or(KeystoreError::TreesClosed)?;
        // Places in the file: a ciphertext is as long as what is in it.
        let before = HEAD_BYTES + WRAPPED_BYTES + NONCE_BYTES;
        let malformed = |(offset, problem)| malformed((before + offset, problem));
        let mut reader = Reader::new(&bytes);
        let mut trees: BTreeMap<TreeId, KeyTree> = BTreeMap::new();
        while !reader.is_empty() {
            let start = reader.offset();
            let range = reader.range().map_err(malformed)?;
            let is_in_order = match trees.last_key_value().map(|(id, _)| *id) {
                Some(id) if id == range.id => {
                    trees.get_mut(&id).is_some_and(|tree| tree.push(range))
                }
                Some(id) if id > range.id => false,
                _ => {
                    trees.insert(range.id, range.into());
                    true
                }
            };
            if !is_in_order {
                return Err(malformed((start, EncodingProblem::Order)));
            }
        }
        Ok(Keystore { wrapping, trees })
    }
}

fn random<const N: usize>(rng: &mut impl CryptoRng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}
