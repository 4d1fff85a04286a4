//! A fragment as a peer keeps and sends it.
//!
//! ```text
//! "CLFRAG\x01\0" · pack, a CID of 36 bytes · needed u8 · fragments u8 · blocks u32 · index u8
//! the hashes beside the way to the root over all fragments, 32 bytes each · the masked bytes
//! ```
//!
//! How many hashes there are follows from `fragments` and `index`. There is no checksum: the way and
//! the pack's header check every byte.

use chronolith_chain::content::ContentId;
use chronolith_fragment::{Fragment, FragmentFault, Shape, ShapeError};
use chronolith_merkle::{Proof, proof_len};

use crate::exchange::FRAGMENT_BYTES_MAX;
use crate::pack::PackHeader;

/// What it begins with; the seventh byte is the version.
const MAGIC: [u8; 8] = *b"CLFRAG\x01\0";
const HEAD_BYTES: usize = 8 + 36 + 1 + 1 + 4 + 1;

/// A fragment and the pack it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFragment {
    /// The pack.
    pub pack: ContentId,
    /// How the pack is cut, as the fragment says.
    pub shape: Shape,
    /// The fragment.
    pub fragment: Fragment,
}

/// Bytes that are not a fragment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoredError {
    /// They do not begin as a fragment does.
    #[error("no fragment: it does not begin with CLFRAG and version 1")]
    Magic,
    /// They end within the first 51 bytes.
    #[error("no fragment: it ends after {bytes} bytes")]
    Short {
        /// How many there are.
        bytes: usize,
    },
    /// The pack's content id is none.
    #[error("no fragment: bytes 8 to 43 are no content id of a pack")]
    Pack,
    /// There is no such shape.
    #[error("no fragment: {0}")]
    Shape(#[from] ShapeError),
    /// Index or length do not fit the shape.
    #[error("no fragment: {0}")]
    Fragment(#[from] FragmentFault),
}

/// How many bytes a fragment of a shape has as it is kept and sent, at most.
#[must_use]
pub fn stored_bytes(shape: Shape) -> usize {
    let fragments = usize::from(shape.fragments());
    let longest = (0..fragments).map(|index| proof_len(&[index], fragments)).max();
    HEAD_BYTES + longest.unwrap_or_default() * 32 + shape.fragment_bytes()
}

/// Whether a peer can be handed fragments of a shape: they go over the network as a whole.
#[must_use]
pub fn can_be_handed(shape: Shape) -> bool {
    stored_bytes(shape) <= FRAGMENT_BYTES_MAX
}

impl StoredFragment {
    /// The bytes that are kept and sent.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { pack, shape, fragment } = self;
        let size = HEAD_BYTES + fragment.path.hashes.len() * 32 + fragment.bytes.len();
        let mut bytes = Vec::with_capacity(size);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(pack.as_bytes());
        bytes.extend_from_slice(&[shape.needed(), shape.fragments()]);
        bytes.extend_from_slice(&shape.blocks().to_le_bytes());
        bytes.push(fragment.index);
        fragment.path.hashes.iter().for_each(|hash| bytes.extend_from_slice(hash));
        bytes.extend_from_slice(&fragment.bytes);
        bytes
    }

    /// Reads a fragment; whether it is the one it says is for [`StoredFragment::check`].
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StoredError> {
        let short = StoredError::Short { bytes: bytes.len() };
        let (magic, rest) = bytes.split_first_chunk::<8>().ok_or(short.clone())?;
        if *magic != MAGIC {
            return Err(StoredError::Magic);
        }
        let (pack, rest) = rest.split_first_chunk::<36>().ok_or(short.clone())?;
        let pack = ContentId::from_bytes(*pack).map_err(|_| StoredError::Pack)?;
        let ([needed, fragments], rest) = rest.split_first_chunk::<2>().ok_or(short.clone())?;
        let (blocks, rest) = rest.split_first_chunk::<4>().ok_or(short.clone())?;
        let shape = Shape::new(*needed, *fragments, u32::from_le_bytes(*blocks))?;
        let (index, rest) = rest.split_first().ok_or(short)?;
        if index >= fragments {
            return Err(FragmentFault::Index { found: *index, fragments: *fragments }.into());
        }
        let path_bytes = proof_len(&[(*index).into()], (*fragments).into()) * 32;
        let (expected, found) = (path_bytes + shape.fragment_bytes(), rest.len());
        let (path, content) = match rest.split_at_checked(path_bytes) {
            Some(parts) if expected == found => parts,
            _ => return Err(FragmentFault::Length { expected, found }.into()),
        };
        let (hashes, _) = path.as_chunks::<32>();
        let path = Proof { hashes: hashes.to_vec() };
        let fragment = Fragment { index: *index, bytes: content.to_vec(), path };
        Ok(Self { pack, shape, fragment })
    }

    /// Checks that this is, in every byte, a fragment that a pack's header commits to.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, header: &PackHeader) -> Result<(), FragmentFault> {
        if self.shape != header.shape {
            let (needed, fragments) = (self.shape.needed(), self.shape.fragments());
            return Err(FragmentFault::Shape { needed, fragments, blocks: self.shape.blocks() });
        }
        self.fragment.check(header.shape, &header.fragments_root)
    }
}
