//! Items: what packs are made of.

use chronolith_chain::content::ContentId;
use chronolith_fragment::{BODY_BYTES_MAX, Cut};
use chronolith_merkle::DAG_CBOR;
use cid::Cid;
use serde::Deserialize;

use super::index::ENTRY_BYTES;
use super::{PackError, shape_of};

/// Something that a pack keeps whole: a chunk (its header, which is the lead, and its body), or one
/// block of a blob. It is checked when it is made: the content id names the lead, and the lead's link
/// `body` names the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    cid: ContentId,
    lead: Vec<u8>,
    body: Vec<u8>,
}

/// What a pack needs to know of a chunk's header.
#[derive(Deserialize)]
struct Lead {
    body: Option<Cid>,
}

impl Item {
    /// A chunk, or any DAG-CBOR block with a link `body` to a second one.
    ///
    /// # Errors
    /// [`PackError::Item`] where the id does not name the header, the header not the body, or there is
    /// too much of either.
    pub fn chunk(cid: ContentId, header: Vec<u8>, body: Vec<u8>) -> Result<Self, PackError> {
        let item = Self { cid, lead: header, body };
        item.check()?;
        Ok(item)
    }

    /// A single block.
    ///
    /// # Errors
    /// [`PackError::Item`] where the id does not name it, or it is too long.
    pub fn block(cid: ContentId, block: Vec<u8>) -> Result<Self, PackError> {
        Self::chunk(cid, block, Vec::new())
    }

    fn check(&self) -> Result<(), PackError> {
        let Self { cid, lead, body } = self;
        let refused = |reason: &str| PackError::Item { cid: *cid, reason: reason.to_owned() };
        if lead.is_empty() || lead.len() + body.len() + ENTRY_BYTES > BODY_BYTES_MAX {
            return Err(refused("it is empty, or does not fit into a pack"));
        }
        if !cid.matches(lead) {
            return Err(refused("its bytes are not those that the id names"));
        }
        if body.is_empty() {
            return Ok(());
        }
        let link = (cid.codec() == DAG_CBOR).then(|| linked_body(lead)).flatten();
        match link {
            Some(link) if link.matches(body) => Ok(()),
            Some(_) => Err(refused("its body is not the one that its header links")),
            None => Err(refused("it has a body, but no header with a link to one")),
        }
    }

    /// Its content id: that of the lead.
    #[must_use]
    pub const fn cid(&self) -> ContentId {
        self.cid
    }

    /// The lead: a chunk's header, or the block.
    #[must_use]
    pub fn lead(&self) -> &[u8] {
        &self.lead
    }

    /// The body of a chunk; nothing where the item is one block.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The content id of the body, where there is one.
    #[must_use]
    pub fn body_cid(&self) -> Option<ContentId> {
        if self.body.is_empty() { None } else { linked_body(&self.lead) }
    }

    /// Whether a pack of it can be cut so: where few fragments restore it, those of a large item would be larger
    /// than what peers can be handed.
    ///
    /// # Errors
    /// [`PackError::Fragment`] where it cannot.
    pub fn ensure_cut(&self, cut: Cut) -> Result<(), PackError> {
        shape_of(cut, self.size_bytes()).map(drop)
    }

    /// What it takes of a pack: bytes, with its entry.
    pub(crate) fn size_bytes(&self) -> usize {
        ENTRY_BYTES + self.lead.len() + self.body.len()
    }
}

/// The block that a DAG-CBOR block links as its body, if it does.
#[must_use]
pub fn linked_body(lead: &[u8]) -> Option<ContentId> {
    let Lead { body } = serde_ipld_dagcbor::from_slice(lead).ok()?;
    ContentId::try_from(&body?).ok()
}
