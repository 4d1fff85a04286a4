//! Headers: what names a pack and commits to everything of it, as canonical DAG-CBOR.

use chronolith_chain::content::ContentId;
use chronolith_fragment::{COMMITMENT_BYTES, Committed, Shape};
use chronolith_merkle::{Digest, HashFunction};
use cid::Cid;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

use super::PackError;

/// The version of headers that this program writes and reads.
const VERSION: u64 = 1;
/// The longest header: bytes. Today's are about 200.
pub const HEADER_BYTES_MAX: usize = 1 << 10;

/// A pack's header. Its content id is the pack's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackHeader {
    /// How the body is cut.
    pub shape: Shape,
    /// How many items are in it.
    pub items: u32,
    /// The body, a raw block.
    pub body: ContentId,
    /// The length of the body in bytes.
    pub body_bytes: u32,
    /// The root over all fragments.
    pub fragments_root: Digest,
    /// The commitment to the secret that the fragments are masked by.
    pub mask: [u8; COMMITMENT_BYTES],
}

/// A header as it is encoded; the order of the fields is that of canonical DAG-CBOR.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    v: u64,
    body: Cid,
    mask: ByteArray<COMMITMENT_BYTES>,
    root: ByteArray<32>,
    items: u32,
    blocks: u32,
    needed: u8,
    fragments: u8,
    body_bytes: u32,
}

/// The version, whatever else a later version may have.
#[derive(Deserialize)]
struct Version {
    v: u64,
}

fn refused(reason: impl Into<String>) -> PackError {
    PackError::Header { reason: reason.into() }
}

impl PackHeader {
    /// The canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let fields = Fields {
            v: VERSION,
            body: self.body.into(),
            mask: ByteArray::new(self.mask),
            root: ByteArray::new(self.fragments_root),
            items: self.items,
            blocks: self.shape.blocks(),
            needed: self.shape.needed(),
            fragments: self.shape.fragments(),
            body_bytes: self.body_bytes,
        };
        // Writing to memory cannot fail, and nothing in it is a float.
        serde_ipld_dagcbor::to_vec(&fields).unwrap_or_default()
    }

    /// Reads a header; anything that [`PackHeader::to_bytes`] would not write is refused.
    ///
    /// # Errors
    /// [`PackError::Header`] with what is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PackError> {
        if bytes.len() > HEADER_BYTES_MAX {
            let found = bytes.len();
            return Err(refused(format!("{found} bytes where {HEADER_BYTES_MAX} are allowed")));
        }
        let decoded = serde_ipld_dagcbor::from_slice::<Version>(bytes);
        let Version { v } = decoded.map_err(|error| refused(error.to_string()))?;
        if v != VERSION {
            return Err(refused(format!("version {v}; this program reads {VERSION}")));
        }
        let fields = serde_ipld_dagcbor::from_slice::<Fields>(bytes);
        let fields = fields.map_err(|error| refused(error.to_string()))?;
        let shape = Shape::new(fields.needed, fields.fragments, fields.blocks);
        let shape = shape.map_err(|error| refused(error.to_string()))?;
        let body = ContentId::try_from(&fields.body).map_err(|error| refused(error.to_string()))?;
        let header = Self {
            shape,
            items: fields.items,
            body,
            body_bytes: fields.body_bytes,
            fragments_root: fields.root.into_array(),
            mask: fields.mask.into_array(),
        };
        let bytes_of_body = header.body_bytes as usize;
        let row = shape.data_bytes() / shape.blocks() as usize;
        if bytes_of_body > shape.data_bytes() || bytes_of_body + row <= shape.data_bytes() {
            return Err(refused(format!(
                "{bytes_of_body} bytes of body in fragments that hold {}",
                shape.data_bytes()
            )));
        }
        if header.to_bytes() != bytes {
            return Err(refused("the bytes are not canonical"));
        }
        Ok(header)
    }

    /// The pack's content id.
    #[must_use]
    pub fn content_id(&self) -> ContentId {
        ContentId::of_dag_cbor(HashFunction::Sha256, &self.to_bytes())
    }

    /// What it commits to of the fragments.
    #[must_use]
    pub const fn committed(&self) -> Committed<'_> {
        Committed { shape: self.shape, root: &self.fragments_root, mask: &self.mask }
    }
}
