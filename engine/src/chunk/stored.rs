//! Bodies as a segment keeps them.
//!
//! ```text
//! in the clear: the body
//! encrypted:    key commitment [u8; 32] · binding [u8; 32] · label · body
//!               label: 0 · codec text, or 1 · pseudonym [u8; 32]
//! ```
//!
//! What stands before an encrypted body is what its header says beyond the footer, so that headers are
//! rebuilt without keys.

use std::borrow::Cow;

use chronolith_keys::{BodyError, BodyKey, Encryption, PaddingError, TreeId, unpad};

use crate::encoding::{Malformed, Reader, put_bytes};

const CODEC: u8 = 0;
const PSEUDONYM: u8 = 1;

/// What a header shows of an encrypted body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label<'a> {
    /// The codecs; the body is not padded.
    Codec(&'a str),
    /// The pseudonym of a metric that hides; the body is padded.
    Pseudonym([u8; 32]),
}

/// Why an encrypted body does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LockedError {
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error("the padding of the body is damaged: {0}")]
    Padding(#[from] PaddingError),
}

/// What stands before an encrypted body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lock<'a> {
    pub(crate) encryption: Encryption,
    /// What the body is bound to; see [`super::ChunkHeader::binding`].
    pub(crate) binding: [u8; 32],
    pub(crate) label: Label<'a>,
}

impl Lock<'_> {
    /// Appends what stands before a body.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.encryption.commitment);
        out.extend_from_slice(&self.binding);
        match &self.label {
            Label::Codec(codec) => {
                out.push(CODEC);
                put_bytes(out, codec.as_bytes());
            }
            Label::Pseudonym(pseudonym) => {
                out.push(PSEUDONYM);
                out.extend_from_slice(pseudonym);
            }
        }
    }

    /// Opens a body.
    pub(crate) fn open(&self, key: &BodyKey, block: &[u8]) -> Result<Vec<u8>, LockedError> {
        let mut body = key.open(&self.binding, block)?;
        if matches!(self.label, Label::Pseudonym(_)) {
            let size = unpad(&body)?.len();
            body.truncate(size);
        }
        Ok(body)
    }
}

/// A body as it was read from a segment.
pub(crate) struct StoredBody<'a> {
    content: Cow<'a, [u8]>,
    /// The tree of an encrypted one, and where its block begins.
    locked: Option<(TreeId, usize)>,
}

impl<'a> StoredBody<'a> {
    /// What a segment's record holds of a chunk that is sealed under a tree, or in the clear.
    pub(crate) fn parse(content: Cow<'a, [u8]>, tree: Option<TreeId>) -> Result<Self, Malformed> {
        let locked = match tree {
            None => None,
            Some(tree) => {
                let mut reader = Reader::new(&content);
                read_lock(&mut reader, tree)?;
                Some((tree, content.len() - reader.remaining()))
            }
        };
        Ok(Self { content, locked })
    }

    /// What stands before the body, where it is encrypted.
    pub(crate) fn lock(&self) -> Option<Lock<'_>> {
        let (tree, _) = self.locked?;
        read_lock(&mut Reader::new(&self.content), tree).ok()
    }

    /// The block that the header names: the body, encrypted or not.
    pub(crate) fn block(&self) -> &[u8] {
        let start = self.locked.map_or(0, |(_, start)| start);
        self.content.get(start..).unwrap_or_default()
    }

    /// The body, where it is in the clear.
    pub(crate) fn into_clear(self) -> Cow<'a, [u8]> {
        self.content
    }
}

fn read_lock<'a>(reader: &mut Reader<'a>, tree: TreeId) -> Result<Lock<'a>, Malformed> {
    let commitment = reader.array()?;
    let binding = reader.array()?;
    let label = match reader.u8()? {
        CODEC => Label::Codec(reader.text()?),
        PSEUDONYM => Label::Pseudonym(reader.array()?),
        _ => return Err(reader.malformed("no such label of an encrypted body")),
    };
    Ok(Lock { encryption: Encryption { tree, commitment }, binding, label })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    const TREE: TreeId = TreeId([5; 32]);

    #[test]
    fn what_stands_before_a_body_is_read_again_and_no_part_of_it_is() {
        for label in [Label::Codec("grid/decimal"), Label::Pseudonym([9; 32])] {
            let encryption = Encryption { tree: TREE, commitment: [6; 32] };
            let mut stored = Vec::new();
            Lock { encryption, binding: [7; 32], label }.put(&mut stored);
            let before = stored.len();
            stored.extend_from_slice(b"block");
            let read = StoredBody::parse(Cow::Borrowed(&stored), Some(TREE)).unwrap();
            let lock = read.lock().unwrap();
            assert_eq!((lock.encryption, lock.binding, lock.label), (encryption, [7; 32], label));
            assert_eq!(read.block(), b"block");
            for size in 0..before {
                let cut = stored.get(..size).unwrap();
                assert!(StoredBody::parse(Cow::Borrowed(cut), Some(TREE)).is_err(), "{size} bytes");
            }
            let clear = StoredBody::parse(Cow::Borrowed(&stored), None).unwrap();
            assert!(clear.lock().is_none() && clear.block() == stored);
        }
        let unknown = [&[0; 64][..], &[2, 0]].concat();
        assert!(StoredBody::parse(Cow::Owned(unknown), Some(TREE)).is_err());
    }
}
