//! Opening a chunk that is not in a database: its header and its body, as anybody may have them.

use std::borrow::Cow;

use chronolith_keys::{BodyKey, ChunkSlot, TreeId};
use chronolith_merkle::matches;

use crate::block::Block;
use crate::key_trees::ChunkKeys;
use crate::model::{Column, Window, floor_to_window};

use super::body::BodyView;
use super::header::{ChunkHeader, Shown};
use super::stored::{Label, Lock};

/// What a chunk holds.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenedChunk {
    /// What the records are of, from the header or from inside the body.
    pub shown: Shown,
    /// The records.
    pub records: Block,
}

/// Why a chunk does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenChunkError {
    /// The body is not the one that the header names.
    #[error("the body is not the one that the header names")]
    OtherBody,
    /// The body is encrypted, and the key is not at hand.
    #[error(
        "the body of window {window} is encrypted under the key tree {tree}, whose key is not here"
    )]
    NoKey {
        /// The key tree.
        tree: TreeId,
        /// The window.
        window: Window,
    },
    /// The key is not the one that the header commits to.
    #[error(
        "the key of window {window} of the key tree {tree} is not the one that the header commits to: \
         dispute the grant it came from"
    )]
    OtherKey {
        /// The key tree.
        tree: TreeId,
        /// The window.
        window: Window,
    },
    /// The body does not open with its key.
    #[error("the body does not open with its key: {0}")]
    Locked(String),
    /// The body cannot be decoded.
    #[error("the body cannot be decoded: {0}")]
    Body(String),
    /// The records are not what the header says.
    #[error("the records are not those that the header tells of: {0} differs")]
    Told(&'static str),
}

impl ChunkHeader {
    /// The records of a body, checked against all that the header says of it. The most memory is 16 bytes
    /// and the value's own for each of the records that header or inner header count, which are at most
    /// 2²⁴; what a caller does not want to hold, it sees in [`Shown::count`] before.
    ///
    /// # Errors
    /// Why the body does not open, or is not what the header says.
    pub fn open(
        &self,
        body: &[u8],
        keys: Option<&ChunkKeys>,
    ) -> Result<OpenedChunk, OpenChunkError> {
        if self.body_bytes != body.len() as u64 || !matches(&self.body, body) {
            return Err(OpenChunkError::OtherBody);
        }
        let slot = ChunkSlot { window: self.window, generation: self.generation, part: self.part };
        let key = self.encryption.and_then(|encryption| keys?.opening_key(&encryption, slot));
        self.open_plain(&self.unlocked(body, key.as_ref())?)
    }

    /// The records of a body in the clear, checked against all that the header says of it.
    pub(super) fn open_plain(&self, body: &[u8]) -> Result<OpenedChunk, OpenChunkError> {
        let told = |shown: &Shown| usize::try_from(shown.count).unwrap_or(usize::MAX);
        let failed = |error: super::body::BodyError| OpenChunkError::Body(error.to_string());
        let shown = match (&self.shown, self.pseudonym) {
            (Some(shown), None) => shown.clone(),
            (None, Some(pseudonym)) => {
                let inner = BodyView::parse(body, 0).map_err(failed)?.inner();
                let inner = Shown::from_inner(inner);
                let (shown, inside) =
                    inner.map_err(|error| OpenChunkError::Body(error.to_string()))?;
                ensure(inside == pseudonym, "the pseudonym")?;
                shown
            }
            _ => return Err(OpenChunkError::Told("what is shown")),
        };
        let view = BodyView::parse(body, told(&shown)).map_err(failed)?;
        ensure(self.pseudonym.is_some() || view.inner().is_empty(), "the inner header")?;
        let (times, values) = view.codec_names().map_err(failed)?;
        ensure(shown.codec == format!("{times}/{values}"), "the codec")?;
        let records = view.decode(self.kind).map_err(failed)?;
        ensure(records.first_time() == Some(shown.first_ns), "the first time")?;
        ensure(records.last_time() == Some(shown.last_ns), "the last time")?;
        let is_inside = |time_ns: i64| {
            self.window_ns > 0 && floor_to_window(time_ns, self.window_ns) == self.window
        };
        ensure(is_inside(shown.first_ns) && is_inside(shown.last_ns), "the window")?;
        Ok(OpenedChunk { shown, records })
    }

    /// The body in the clear; it is known to be the one that the header names.
    pub(super) fn unlocked<'a>(
        &self,
        body: &'a [u8],
        key: Option<&BodyKey>,
    ) -> Result<Cow<'a, [u8]>, OpenChunkError> {
        let Some(encryption) = self.encryption else { return Ok(Cow::Borrowed(body)) };
        let (tree, window) = (encryption.tree, self.window);
        let key = key.ok_or(OpenChunkError::NoKey { tree, window })?;
        if !key.is_committed(&encryption.commitment) {
            return Err(OpenChunkError::OtherKey { tree, window });
        }
        let label = match self.pseudonym {
            Some(pseudonym) => Label::Pseudonym(pseudonym),
            None => Label::Codec(""),
        };
        let lock = Lock { encryption, binding: self.binding(), label };
        let opened = lock.open(key, body);
        opened.map(Cow::Owned).map_err(|error| OpenChunkError::Locked(error.to_string()))
    }
}

impl OpenedChunk {
    /// Whether a value is in the blob store, so that the chunk alone does not have it.
    #[must_use]
    pub fn has_blobs(&self) -> bool {
        matches!(self.records.values(), Column::Bytes(values) if !values.blobs().is_empty())
    }
}

fn ensure(holds: bool, what: &'static str) -> Result<(), OpenChunkError> {
    if holds { Ok(()) } else { Err(OpenChunkError::Told(what)) }
}
