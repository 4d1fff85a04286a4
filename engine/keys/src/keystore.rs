//! Keystores: the trees of an owner and the keys of a buyer, under one key.
//!
//! ```text
//! "CLTREES\0" · version u16 = 1 · wrap u8
//!   0: wrapping key [u8; 32]
//!   1: memory u32 (KiB) · passes u32 · salt [u8; 16] · nonce [u8; 24] · wrapping key, encrypted [u8; 48]
//! · nonce [u8; 24] · contents, encrypted · CRC32 of all before u32
//! ```
//!
//! The passphrase gives, by Argon2id, the key of the wrapping key; the wrapping key, which is random,
//! that of the contents. So a passphrase changes without the contents, the contents without the
//! passphrase, and whoever keeps the wrapping key elsewhere (as words on paper) needs no passphrase.
//! Both are encrypted by XChaCha20-Poly1305, bound to the bytes before their nonces; the contents to the
//! first ten, so that the rest can be made anew. The checksum tells damage from a wrong passphrase.

mod contents;
mod error;
mod file;
mod words;
mod wrap;

use std::fmt;
use std::ops::RangeInclusive;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::at_rest::AtRestKey;
use crate::body::{BodyKey, ChunkSlot};
use crate::cipher::{self, NONCE_BYTES, OVERHEAD_BYTES};
use crate::encoding::{EncodingProblem, Reader};
use crate::grant::Grant;
use crate::header::Encryption;
use crate::id::{MetricId, TreeId};
use crate::keyring::Keyring;
use crate::secret::Secret;
use crate::tree::{KeyTree, NotHeld};

pub(crate) use contents::Contents;
pub use contents::TreeFrom;
pub use error::KeystoreError;
use error::malformed;
pub use file::{KeystoreFile, KeystoreFileError};
pub use words::WordsError;
use wrap::Head;
pub use wrap::{Cost, Unlock, Wrap};

const MAGIC: [u8; 8] = *b"CLTREES\0";
const VERSION: u16 = 1;
/// The magic and the version.
const NAME_BYTES: usize = 10;
/// The longest head: all before the nonce of the contents.
const HEAD_BYTES: usize = NAME_BYTES + 1 + 4 + 4 + 16 + OVERHEAD_BYTES + 32;
const CHECKSUM_BYTES: usize = 4;
/// The largest keystore that is read: bytes. A million metrics have 156 MB.
pub const KEYSTORE_BYTES_MAX: usize = 256 << 20;

/// The trees of an owner and what he bought of others. What is dropped of it is overwritten.
#[derive(Clone)]
pub struct Keystore {
    wrapping: Secret,
    head: Head,
    contents: Contents,
}

impl Keystore {
    /// A keystore without trees, under a wrapping key that nobody knows.
    ///
    /// # Errors
    /// Where the cost of the passphrase is not allowed, or there is no memory for it.
    pub fn generate(wrap: Wrap<'_>, rng: &mut impl CryptoRng) -> Result<Self, KeystoreError> {
        let wrapping = Secret::generate(rng);
        let head = Head::new(&wrapping, wrap, rng)?;
        Ok(Self { wrapping, head, contents: Contents::default() })
    }

    /// The key that opens the contents without the passphrase: what recovery words encode.
    #[must_use]
    pub fn wrapping_key(&self) -> &Secret {
        &self.wrapping
    }

    /// Whether a passphrase is needed to open its file.
    #[must_use]
    pub fn has_passphrase(&self) -> bool {
        self.head.has_passphrase()
    }

    /// Sets, changes or takes away the passphrase. The wrapping key stays, and with it the recovery
    /// words: who had them, or the old passphrase and an old copy of the file, can open what is written
    /// from now on. Where one of these may be in other hands, [renew](Keystore::renew) instead.
    ///
    /// # Errors
    /// Where the cost of the passphrase is not allowed, or there is no memory for it.
    pub fn rewrap(
        &mut self,
        wrap: Wrap<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<(), KeystoreError> {
        self.head = Head::new(&self.wrapping, wrap, rng)?;
        Ok(())
    }

    /// Takes another wrapping key: the recovery words are others from now on, and the old ones open no
    /// new file.
    ///
    /// # Errors
    /// As [`Keystore::rewrap`].
    pub fn renew(&mut self, wrap: Wrap<'_>, rng: &mut impl CryptoRng) -> Result<(), KeystoreError> {
        let wrapping = Secret::generate(rng);
        self.head = Head::new(&wrapping, wrap, rng)?;
        self.wrapping = wrapping;
        Ok(())
    }

    /// The trees, by their ids.
    pub fn trees(&self) -> impl Iterator<Item = &KeyTree> {
        self.contents.trees.values().filter(|tree| !tree.is_empty())
    }

    /// A tree; none where nothing is left of it.
    #[must_use]
    pub fn tree(&self, id: &TreeId) -> Option<&KeyTree> {
        self.contents.trees.get(id).filter(|tree| !tree.is_empty())
    }

    /// The trees of a metric in the order of their windows; none where it has none.
    #[must_use]
    pub fn trees_of(&self, metric: &MetricId) -> &[TreeFrom] {
        self.contents.metrics.get(metric).map_or(&[], Vec::as_slice)
    }

    /// The tree that chunks of a window of a metric are sealed under.
    #[must_use]
    pub fn tree_at(&self, metric: &MetricId, window: i64) -> Option<TreeId> {
        let trees = self.trees_of(metric);
        let after = trees.partition_point(|tree| tree.from <= window);
        Some(trees.get(after.checked_sub(1)?)?.tree)
    }

    /// Takes the first tree of a metric.
    ///
    /// # Errors
    /// Where the metric has one, or there is one of its id.
    pub fn begin(
        &mut self,
        metric: MetricId,
        tree: TreeId,
        root: Secret,
    ) -> Result<(), KeystoreError> {
        if self.contents.metrics.contains_key(&metric) {
            return Err(KeystoreError::MetricExists { metric });
        }
        self.insert(KeyTree::new(tree, root))?;
        self.contents.metrics.insert(metric, vec![TreeFrom { from: i64::MIN, tree }]);
        Ok(())
    }

    /// Takes another tree of a metric, for the windows from `from` on. Those before stay with the trees
    /// they have, late chunks as well; so `from` must be behind every window that was sealed already.
    ///
    /// # Errors
    /// Where the metric has no tree, one that begins there or later, or there is one of its id.
    pub fn rotate(
        &mut self,
        metric: MetricId,
        from: i64,
        tree: TreeId,
        root: Secret,
    ) -> Result<(), KeystoreError> {
        let missing = KeystoreError::MetricMissing { metric };
        let last = self.trees_of(&metric).last().ok_or(missing)?.from;
        if from <= last {
            return Err(KeystoreError::Rotation { from, last });
        }
        self.insert(KeyTree::new(tree, root))?;
        self.contents.metrics.entry(metric).or_default().push(TreeFrom { from, tree });
        Ok(())
    }

    /// Takes a tree that belongs to no metric.
    ///
    /// # Errors
    /// Where there is one of its id: it may have been punctured since.
    pub fn insert(&mut self, tree: KeyTree) -> Result<(), KeystoreError> {
        let id = tree.id();
        if self.contents.trees.contains_key(&id) {
            return Err(KeystoreError::Exists { tree: id });
        }
        self.contents.trees.insert(id, tree);
        Ok(())
    }

    /// Destroys the keys of a range of windows; see [`KeyTree::puncture`].
    ///
    /// # Errors
    /// Where there is no such tree.
    pub fn puncture(
        &mut self,
        id: &TreeId,
        windows: RangeInclusive<i64>,
    ) -> Result<(), KeystoreError> {
        let missing = KeystoreError::Missing { tree: *id };
        self.contents.trees.get_mut(id).ok_or(missing)?.puncture(windows);
        Ok(())
    }

    /// Destroys the keys of a range of a metric's windows, in all of its trees.
    ///
    /// # Errors
    /// Where the metric has no trees.
    pub fn destroy(
        &mut self,
        metric: &MetricId,
        windows: RangeInclusive<i64>,
    ) -> Result<(), KeystoreError> {
        let missing = KeystoreError::MetricMissing { metric: *metric };
        for TreeFrom { tree, .. } in self.contents.metrics.get(metric).ok_or(missing)? {
            if let Some(tree) = self.contents.trees.get_mut(tree) {
                tree.puncture(windows.clone());
            }
        }
        Ok(())
    }

    /// The keys of a range of a metric's windows, from each tree those of its own windows: what a
    /// [`Grant`] is made of.
    ///
    /// # Errors
    /// Where the metric has no trees, or keys in the range were destroyed.
    pub fn cover(
        &self,
        metric: &MetricId,
        windows: RangeInclusive<i64>,
    ) -> Result<Vec<KeyTree>, KeystoreError> {
        let trees = self.trees_of(metric);
        if trees.is_empty() {
            return Err(KeystoreError::MetricMissing { metric: *metric });
        }
        let untils = trees.iter().skip(1).map(|next| next.from.saturating_sub(1));
        let mut parts = Vec::new();
        for (tree, until) in trees.iter().zip(untils.chain([i64::MAX])) {
            let (first, last) = (tree.from.max(*windows.start()), until.min(*windows.end()));
            if first > last {
                continue;
            }
            let held = self.tree(&tree.tree);
            let missing = NotHeld { tree: tree.tree, window: first };
            parts.push(held.ok_or(missing)?.cover(first..=last)?);
        }
        Ok(parts)
    }

    /// What was bought.
    #[must_use]
    pub fn bought(&self) -> &Keyring {
        &self.contents.bought
    }

    /// Keeps the keys of a grant; how many of its ranges were not there yet.
    pub fn keep(&mut self, grant: &Grant) -> usize {
        self.contents.bought.add(grant)
    }

    /// Forgets what was bought of a tree; whether there was anything.
    pub fn forget(&mut self, tree: &TreeId) -> bool {
        self.contents.bought.remove(tree)
    }

    /// The key of a chunk's body by what its header says, from the own trees or from what was bought.
    #[must_use]
    pub fn body_key(&self, chunk: &Encryption, slot: ChunkSlot) -> Option<BodyKey> {
        let own = self.tree(&chunk.tree).and_then(|tree| tree.body_key(slot));
        let own = own.filter(|key| key.is_committed(&chunk.commitment));
        own.or_else(|| self.contents.bought.body_key(chunk, slot))
    }

    /// Takes the root of the keys that files are encrypted with; `id` is random.
    ///
    /// # Errors
    /// Where there is one.
    pub fn begin_at_rest(&mut self, id: TreeId, root: Secret) -> Result<(), KeystoreError> {
        self.begin(MetricId::at_rest(), id, root)
    }

    /// The key at rest of a number; none where there is no root of them, or the key was destroyed.
    #[must_use]
    pub fn at_rest_key(&self, number: u32) -> Option<AtRestKey> {
        let tree = self.tree_at(&MetricId::at_rest(), number.into())?;
        self.tree(&tree)?.at_rest_key(number)
    }

    #[cfg(fuzzing)]
    pub(crate) fn contents(&self) -> &Contents {
        &self.contents
    }

    /// The bytes of a file. Without a passphrase they are a secret themselves.
    ///
    /// # Errors
    /// [`KeystoreError::TooLarge`] where the trees are too many.
    pub fn to_bytes(&self, rng: &mut impl CryptoRng) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
        let head = self.head.bytes();
        let found = head.len() + OVERHEAD_BYTES + self.contents.encoded_bytes() + CHECKSUM_BYTES;
        if found > KEYSTORE_BYTES_MAX {
            return Err(KeystoreError::TooLarge { found });
        }
        let mut file = Zeroizing::new(Vec::with_capacity(found));
        file.extend_from_slice(head);
        let name = head.get(..NAME_BYTES).unwrap_or_default();
        let contents = self.contents.to_bytes();
        let sealed = cipher::seal(self.wrapping.bytes(), random(rng), name, &contents);
        file.extend_from_slice(&sealed.ok_or(KeystoreError::TooLarge { found })?);
        let checksum = crc32fast::hash(&file);
        file.extend_from_slice(&checksum.to_le_bytes());
        Ok(file)
    }

    /// Opens the bytes of a file.
    ///
    /// # Errors
    /// Where the bytes are no keystore or damaged, what it is opened with is wrong, or there is no memory
    /// to check the passphrase.
    pub fn from_bytes(file: &[u8], unlock: Unlock<'_>) -> Result<Self, KeystoreError> {
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
        let Some((whole, checksum)) = file.split_last_chunk::<CHECKSUM_BYTES>() else {
            return Err(malformed((file.len(), EncodingProblem::Truncated)));
        };
        if crc32fast::hash(whole) != u32::from_le_bytes(*checksum) {
            return Err(KeystoreError::Damaged);
        }
        let mut reader = Reader::new(whole);
        reader.take::<NAME_BYTES>().map_err(malformed)?;
        let (head, wrapping) = Head::read(whole, &mut reader, unlock)?;
        let name = whole.get(..NAME_BYTES).unwrap_or_default();
        let opened = cipher::open(wrapping.bytes(), name, reader.rest());
        let opened = opened.map(Zeroizing::new).ok_or(KeystoreError::TreesClosed)?;
        // Places in the file: a ciphertext is as long as what is in it.
        let before = reader.offset() + NONCE_BYTES;
        let contents = Contents::from_bytes(&opened)
            .map_err(|(offset, problem)| malformed((before + offset, problem)))?;
        Ok(Self { wrapping, head, contents })
    }
}

impl fmt::Debug for Keystore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keystore")
            .field("metrics", &self.contents.metrics.len())
            .field("trees", &self.contents.trees.len())
            .field("bought", &self.contents.bought)
            .finish_non_exhaustive()
    }
}

fn random<const N: usize>(rng: &mut impl CryptoRng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}
