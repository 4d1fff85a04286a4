//! Packs: ordered, content-addressed containers of whole chunks, about a megabyte each.
//!
//! A pack is a header and a body. The body is an index and the items; the header names the body and
//! commits to every fragment that the body is coded into. A blob is kept as its blocks, so that one
//! larger than a pack lies in several.

mod body;
mod header;
mod index;
mod item;

use chronolith_chain::content::ContentId;
use chronolith_fragment::{
    BODY_BYTES_MAX, CodeError, Cut, Encoded, Encoder, MaskSecret, Shape, ShapeError,
};

use crate::exchange::FRAGMENT_BYTES_MAX;
use crate::stored::{can_be_handed, stored_bytes};

pub(crate) use body::item_of;
pub use body::{PackBody, Packer};
pub use header::{HEADER_BYTES_MAX, PackHeader};
pub(crate) use index::ENTRY_BYTES;
pub use index::Entry;
pub use item::{Item, linked_body};

/// How large a body becomes before the next one begins: bytes. Only one of a single item is larger.
pub const PACK_BYTES: usize = 1 << 20;
const _: () = assert!(PACK_BYTES < BODY_BYTES_MAX);

/// What is wrong with a pack, or with what should go into one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// An item that no pack takes.
    #[error("item {cid}: {reason}")]
    Item {
        /// Its content id.
        cid: ContentId,
        /// What is wrong.
        reason: String,
    },
    /// Bytes that are not a header.
    #[error("not a pack header: {reason}")]
    Header {
        /// What is wrong.
        reason: String,
    },
    /// An entry of the index is wrong.
    #[error("entry {entry} of the pack's index: {reason}")]
    Index {
        /// Which entry.
        entry: u32,
        /// What is wrong.
        reason: String,
    },
    /// The body is wrong as a whole.
    #[error("the pack's body: {reason}")]
    Body {
        /// What is wrong.
        reason: String,
    },
    /// The body is another one than the header names.
    #[error("the body is {found}, where the header names {expected}")]
    OtherBody {
        /// What the header names.
        expected: ContentId,
        /// What it is.
        found: ContentId,
    },
    /// The body cannot be cut like this.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// Its fragments would be larger than what peers can be handed.
    #[error(
        "a body of {body_bytes} bytes cannot be cut into any {needed} of {fragments} fragments: each would have \
         {bytes} bytes as it is sent, and {FRAGMENT_BYTES_MAX} can be sent; let more fragments restore it"
    )]
    Fragment {
        /// The bytes of the body.
        body_bytes: usize,
        /// How many fragments would restore it.
        needed: u8,
        /// How many there would be.
        fragments: u8,
        /// The bytes of each, as it is sent.
        bytes: usize,
    },
    /// The body cannot be coded.
    #[error(transparent)]
    Code(#[from] CodeError),
}

/// How a body of so many bytes is cut, if peers can be handed its fragments.
fn shape_of(cut: Cut, body_bytes: usize) -> Result<Shape, PackError> {
    let shape = Shape::of(cut, body_bytes)?;
    if can_be_handed(shape) {
        return Ok(shape);
    }
    let (needed, fragments, bytes) = (cut.needed(), cut.fragments(), stored_bytes(shape));
    Err(PackError::Fragment { body_bytes, needed, fragments, bytes })
}

/// A pack: header and body, which belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pack {
    header: PackHeader,
    body: PackBody,
}

impl Pack {
    /// Makes a pack of a body, and its fragments. The secret must be random and of this pack alone;
    /// the same body, cut and secret give the same pack.
    ///
    /// # Errors
    /// [`PackError::Fragment`] where few fragments restore a long body, so that each is too large for the
    /// network; [`PackError::Code`] where the code refuses the shape. No profile's is refused.
    pub fn make(
        body: PackBody,
        cut: impl Into<Cut>,
        secret: &MaskSecret,
    ) -> Result<(Self, Encoded), PackError> {
        let bytes = body.bytes();
        let shape = shape_of(cut.into(), bytes.len())?;
        let encoded = Encoder::new(shape)?.encode(bytes, secret)?;
        let header = PackHeader {
            shape,
            items: body.entries().len() as u32,
            body: ContentId::of_raw(bytes),
            body_bytes: bytes.len() as u32,
            fragments_root: encoded.root(),
            mask: secret.commitment(),
        };
        Ok((Self { header, body }, encoded))
    }

    /// Puts a header and the bytes of a body together, and checks all of them.
    ///
    /// # Errors
    /// [`PackError::OtherBody`] for other bytes than the header names, and whatever is wrong with them.
    pub fn of_parts(header: PackHeader, bytes: Vec<u8>) -> Result<Self, PackError> {
        if !header.body.matches(&bytes) {
            let found = ContentId::of_raw(&bytes);
            return Err(PackError::OtherBody { expected: header.body, found });
        }
        let body = PackBody::from_bytes(bytes, header.items)?;
        if body.bytes().len() != header.body_bytes as usize {
            let reason = format!("the header says that it has {} bytes", header.body_bytes);
            return Err(PackError::Body { reason });
        }
        Ok(Self { header, body })
    }

    /// Its content id: that of its header.
    #[must_use]
    pub fn content_id(&self) -> ContentId {
        self.header.content_id()
    }

    /// Its header.
    #[must_use]
    pub const fn header(&self) -> &PackHeader {
        &self.header
    }

    /// Its body.
    #[must_use]
    pub const fn body(&self) -> &PackBody {
        &self.body
    }

    /// Makes its fragments again, bit for bit as they were.
    ///
    /// # Errors
    /// [`FragmentsError::OtherSecret`] for a secret that the header does not commit to, and
    /// [`FragmentsError::WrongEncoding`] where the header's root is not that of the body's fragments.
    pub fn fragments(&self, secret: &MaskSecret) -> Result<Encoded, FragmentsError> {
        if secret.commitment() != self.header.mask {
            return Err(FragmentsError::OtherSecret);
        }
        let encoded = Encoder::new(self.header.shape)?.encode(self.body.bytes(), secret)?;
        if encoded.root() != self.header.fragments_root {
            return Err(FragmentsError::WrongEncoding);
        }
        Ok(encoded)
    }
}

/// Why the fragments of a pack cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FragmentsError {
    /// Another secret than the header commits to.
    #[error("the secret is not the one that the pack's header commits to")]
    OtherSecret,
    /// The header commits to other fragments than the body has.
    #[error("the pack's owner committed to fragments that are not those of its body")]
    WrongEncoding,
    /// The code refuses the body.
    #[error(transparent)]
    Code(#[from] CodeError),
}
