//! The encoding of keys, in grants and keystores: a tree's range of windows and its nodes.
//!
//! ```text
//! id [u8; 32] · first window i64 · last window i64 · secrets, 32 bytes each
//! ```
//!
//! Integers are little-endian. The places of the secrets are not said: they are those of the fewest
//! nodes that cover the windows, so that a range has one encoding.

use std::ops::RangeInclusive;

use crate::cover::cover;
use crate::id::TreeId;
use crate::secret::Secret;
use crate::tree::Subtree;

/// What is wrong with an encoding of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodingProblem {
    /// A version that this program does not know.
    #[error("version {found}, and this program reads {known}")]
    Version {
        /// The version.
        found: u16,
        /// The one that is known.
        known: u16,
    },
    /// The first bytes are those of something else.
    #[error("the first bytes are those of another kind of file")]
    Magic,
    /// A way to keep the wrapping key that this program does not know.
    #[error("the wrapping key is kept in the way {found}, and this program knows 0 and 1")]
    Wrap {
        /// The way.
        found: u8,
    },
    /// The bytes end too early.
    #[error("the bytes end too early")]
    Truncated,
    /// The ranges are not in their order, or could be one.
    #[error("the ranges do not rise by trees and windows, or two of them touch")]
    Order,
    /// The last window is before the first.
    #[error("the last window is before the first")]
    Range,
}

/// Where an encoding is wrong, and what is.
pub(crate) type Malformed = (usize, EncodingProblem);

/// The keys of a range of windows of one tree.
pub(crate) struct Range {
    pub(crate) id: TreeId,
    pub(crate) windows: RangeInclusive<i64>,
    pub(crate) nodes: Vec<Subtree>,
}

/// How long a range of so many nodes is: bytes.
pub(crate) const fn range_bytes(nodes: usize) -> usize {
    32 + 8 + 8 + 32 * nodes
}

pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    whole: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, whole: bytes.len() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn offset(&self) -> usize {
        self.whole - self.rest.len()
    }

    /// All that is left.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], Malformed> {
        let parts = self.rest.split_first_chunk();
        let (taken, rest) = parts.ok_or((self.offset(), EncodingProblem::Truncated))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn range(&mut self) -> Result<Range, Malformed> {
        let start = self.offset();
        let id = TreeId(*self.take()?);
        let (first, last) = (*self.take()?, *self.take()?);
        let windows = i64::from_le_bytes(first)..=i64::from_le_bytes(last);
        if windows.is_empty() {
            return Err((start, EncodingProblem::Range));
        }
        let places = cover(windows.clone());
        // With all the room at once, so that growing leaves no copies behind.
        let mut nodes = Vec::with_capacity(places.len());
        for place in places {
            nodes.push(Subtree { place, secret: Secret::new(*self.take()?) });
        }
        Ok(Range { id, windows, nodes })
    }
}
