//! Grants: keys of windows for one buyer, sealed to his one-time key.
//!
//! ```text
//! grant:  version u8 = 1 · a range of each tree, in the order of their ids
//! sealed: encapsulated key [u8; 32] · ciphertext of the grant · tag [u8; 16]
//! ```

use std::fmt;
use std::ops::RangeInclusive;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::body::{BodyKey, ChunkSlot};
use crate::encoding::{EncodingProblem, Reader};
use crate::id::TreeId;
use crate::tree::KeyTree;

const VERSION: u8 = 1;
const DOMAIN: &[u8] = b"\x12chronolith/grant/1";
const NOTE_DOMAIN: &[u8] = b"\x11chronolith/note/1";
const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
/// The longest sealed grant, which is what the ledger takes: bytes.
pub const SEALED_BYTES_MAX: usize = 16_384;
/// The longest grant: bytes. A year of hours takes at most 912 for each metric.
pub const GRANT_BYTES_MAX: usize = SEALED_BYTES_MAX - KEY_BYTES - TAG_BYTES;

type Private = <X25519HkdfSha256 as Kem>::PrivateKey;
type Public = <X25519HkdfSha256 as Kem>::PublicKey;
type Encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey;

/// What a buyer is given: for each metric the keys of one range of windows.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Rising by their ids; each holds one range.
    trees: Vec<KeyTree>,
}

/// Why keys are no grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// There are no keys in it.
    #[error("a grant without keys: cover at least one window")]
    Empty,
    /// A tree is not held in one piece.
    #[error("the keys of tree {tree} are not those of one range of windows: grant each by itself")]
    Scattered {
        /// The tree.
        tree: TreeId,
    },
    /// It does not fit the ledger.
    #[error(
        "{found} bytes of keys where {GRANT_BYTES_MAX} fit: fewer metrics or a shorter time for each \
         request"
    )]
    TooLong {
        /// How many there are: bytes.
        found: usize,
    },
    /// Bytes are not the encoding of a grant.
    #[error("not a grant, at byte {offset}: {problem}")]
    Malformed {
        /// Where.
        offset: usize,
        /// What is wrong there.
        problem: EncodingProblem,
    },
}

/// A grant that cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request's key is one that nothing can be sealed to: decline the request")]
pub struct SealError;

/// A sealed grant that does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Its length is not one that a sealed grant can have.
    #[error("{found} bytes are no sealed grant, which has from 48 to {SEALED_BYTES_MAX}")]
    Length {
        /// How many there are: bytes.
        found: usize,
    },
    /// It was sealed to another key, for another request or chain, or was changed.
    #[error("the grant does not open: it was sealed to another key or request, or is damaged")]
    Closed,
    /// What it holds is no grant.
    #[error(transparent)]
    Grant(#[from] GrantError),
}

/// What a sealed grant is bound to, so that it opens for one request of one chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrantContext {
    /// The id of the chain.
    pub chain: [u8; 32],
    /// The id of the request.
    pub request: [u8; 32],
}

/// The secret half of a request's one-time X25519 key.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct OneTimeSecret([u8; KEY_BYTES]);

impl OneTimeSecret {
    /// A key for one request.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut secret = Self([0; KEY_BYTES]);
        rng.fill_bytes(&mut secret.0);
        secret
    }

    /// The key of 32 bytes, whatever they are.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes: what a dispute reveals.
    #[must_use]
    pub fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// The public half, which the request says.
    #[must_use]
    pub fn public(&self) -> [u8; KEY_BYTES] {
        X25519HkdfSha256::sk_to_pk(&self.private()).to_bytes().into()
    }

    #[expect(clippy::expect_used, reason = "32 bytes are always a key of X25519")]
    fn private(&self) -> Private {
        Private::from_bytes(&self.0).expect("32 bytes are a key")
    }
}

impl fmt::Debug for OneTimeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneTimeSecret")
    }
}

impl GrantContext {
    /// What HPKE binds a message to: its `info`.
    pub(crate) fn info(&self, domain: &[u8]) -> Vec<u8> {
        [domain, &self.chain, &self.request].concat()
    }

    /// Seals what an owner tells a buyer beside the grant, to the same one-time key.
    ///
    /// # Errors
    /// [`SealError`] where the key is one of the few that give everybody the same secret.
    pub fn seal_note(
        &self,
        note: &[u8],
        to: &[u8; 32],
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, SealError> {
        seal_to(note, to, &self.info(NOTE_DOMAIN), rng)
    }

    /// Opens what [`GrantContext::seal_note`] sealed; none where it was sealed to another key or for
    /// another request, or was changed.
    #[must_use]
    pub fn open_note(&self, sealed: &[u8], secret: &OneTimeSecret) -> Option<Zeroizing<Vec<u8>>> {
        open_from(sealed, secret, &self.info(NOTE_DOMAIN))
    }
}

impl Grant {
    /// A grant of some trees' keys.
    ///
    /// # Errors
    /// Where there are no keys, a tree is there twice or in pieces, or all of it is too long for the
    /// ledger.
    pub fn new(trees: impl IntoIterator<Item = KeyTree>) -> Result<Self, GrantError> {
        let mut trees: Vec<KeyTree> = trees.into_iter().collect();
        trees.sort_by_key(KeyTree::id);
        let grant = Self { trees };
        let ids = || grant.trees.iter().map(KeyTree::id);
        if let Some((tree, _)) = ids().zip(ids().skip(1)).find(|(id, next)| id == next) {
            return Err(GrantError::Scattered { tree });
        }
        let mut found = 1;
        for tree in &grant.trees {
            match tree.windows().len() {
                0 => return Err(GrantError::Empty),
                1 => found += tree.encoded_bytes(),
                _ => return Err(GrantError::Scattered { tree: tree.id() }),
            }
        }
        match found {
            1 => Err(GrantError::Empty),
            found if found > GRANT_BYTES_MAX => Err(GrantError::TooLong { found }),
            _ => Ok(grant),
        }
    }

    /// The trees whose keys it has, and the windows.
    pub fn trees(&self) -> impl Iterator<Item = (TreeId, RangeInclusive<i64>)> {
        self.trees.iter().filter_map(|tree| Some((tree.id(), tree.windows().into_iter().next()?)))
    }

    /// The keys of each tree.
    pub(crate) fn parts(&self) -> &[KeyTree] {
        &self.trees
    }

    /// The key of a chunk's body; none where it is not granted.
    #[must_use]
    pub fn body_key(&self, tree: &TreeId, slot: ChunkSlot) -> Option<BodyKey> {
        let at = self.trees.binary_search_by_key(tree, KeyTree::id).ok()?;
        self.trees.get(at)?.body_key(slot)
    }

    /// The canonical bytes. They are secrets: what is dropped is overwritten.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // With all the room at once, so that growing leaves no copies behind.
        let size: usize = self.trees.iter().map(KeyTree::encoded_bytes).sum();
        let mut bytes = Zeroizing::new(Vec::with_capacity(1 + size));
        bytes.push(VERSION);
        self.trees.iter().for_each(|tree| tree.put(&mut bytes));
        bytes
    }

    /// Reads a grant; anything that [`Grant::to_bytes`] would not write is refused.
    ///
    /// # Errors
    /// [`GrantError::Malformed`] with the place, or a grant without keys, or one that is too long.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, GrantError> {
        if bytes.len() > GRANT_BYTES_MAX {
            return Err(GrantError::TooLong { found: bytes.len() });
        }
        let malformed = |(offset, problem)| GrantError::Malformed { offset, problem };
        let mut reader = Reader::new(bytes);
        let [found] = *reader.take().map_err(malformed)?;
        if found != VERSION {
            let (found, known) = (found.into(), VERSION.into());
            return Err(malformed((0, EncodingProblem::Version { found, known })));
        }
        let mut trees: Vec<KeyTree> = Vec::new();
        while !reader.is_empty() {
            let start = reader.offset();
            let range = reader.range().map_err(malformed)?;
            if trees.last().is_some_and(|last| last.id() >= range.id) {
                return Err(malformed((start, EncodingProblem::Order)));
            }
            trees.push(range.into());
        }
        if trees.is_empty() { Err(GrantError::Empty) } else { Ok(Self { trees }) }
    }

    /// Seals the grant to a request's one-time key: HPKE (RFC 9180) in base mode with
    /// DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and ChaCha20-Poly1305.
    ///
    /// # Errors
    /// [`SealError`] where the key is one of the few that give everybody the same secret.
    pub fn seal(
        &self,
        to: &[u8; 32],
        context: &GrantContext,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, SealError> {
        seal_to(&self.to_bytes(), to, &context.info(DOMAIN), rng)
    }

    /// Opens a sealed grant. It needs no randomness and has the same verdict everywhere, so that a
    /// ledger may act on it.
    ///
    /// # Errors
    /// Where it does not open, or what it holds is no grant.
    pub fn open(
        sealed: &[u8],
        secret: &OneTimeSecret,
        context: &GrantContext,
    ) -> Result<Self, OpenError> {
        let bytes = open_sealed(sealed, secret, &context.info(DOMAIN))?;
        Ok(Self::from_bytes(&bytes)?)
    }
}

/// Seals bytes to a one-time key.
pub(crate) fn seal_to(
    bytes: &[u8],
    to: &[u8; 32],
    info: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, SealError> {
    let to = Public::from_bytes(to).map_err(|_| SealError)?;
    let (key, text) = hpke::single_shot_seal_with_rng::<
        ChaCha20Poly1305,
        HkdfSha256,
        X25519HkdfSha256,
    >(&OpModeS::Base, &to, info, bytes, &[], rng)
    .map_err(|_| SealError)?;
    let mut sealed = key.to_bytes().to_vec();
    sealed.extend_from_slice(&text);
    Ok(sealed)
}

/// Opens a message that stands on the ledger, which was sealed to a one-time key.
pub(crate) fn open_sealed(
    sealed: &[u8],
    secret: &OneTimeSecret,
    info: &[u8],
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let found = sealed.len();
    if !(KEY_BYTES + TAG_BYTES..=SEALED_BYTES_MAX).contains(&found) {
        return Err(OpenError::Length { found });
    }
    open_from(sealed, secret, info).ok_or(OpenError::Closed)
}

/// Opens bytes that were sealed to a one-time key.
fn open_from(sealed: &[u8], secret: &OneTimeSecret, info: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (key, text) = sealed.split_first_chunk::<KEY_BYTES>()?;
    let key = Encapsulated::from_bytes(key).ok()?;
    let (mode, private) = (OpModeR::Base, secret.private());
    let opened = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &mode,
        &private,
        &key,
        info,
        text,
        &[],
    );
    opened.ok().map(Zeroizing::new)
}
