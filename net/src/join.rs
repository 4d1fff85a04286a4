//! Joining: from fragments of many peers, some of whom lie, to the pack.
//!
//! Each fragment is checked against the header before it is taken; whoever sent one that does not hold
//! is named. So nothing that is joined is wrong but by the owner's fault, and that is found after
//! joining: by the body's content id, and by encoding it again.

use std::collections::BTreeMap;

use chronolith_chain::content::ContentId;
use chronolith_fragment::{CodeError, Fragment, FragmentFault, MaskKey, MaskSecret, restore};

use crate::evidence::{WrongRow, find_wrong_row};
use crate::pack::{FragmentsError, Pack, PackError, PackHeader};
use crate::stored::{StoredError, StoredFragment};

/// Why what somebody sent was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Lie {
    /// The bytes are not a fragment.
    #[error(transparent)]
    NoFragment(#[from] StoredError),
    /// It says that it is of another pack.
    #[error("a fragment of the pack {found}")]
    OtherPack {
        /// Of which.
        found: ContentId,
    },
    /// It is not the one that the header commits to.
    #[error(transparent)]
    Fault(#[from] FragmentFault),
}

/// Who sent something that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Liar<P> {
    /// Who.
    pub peer: P,
    /// What is wrong with it.
    pub lie: Lie,
}

/// Why the fragments do not join.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// Too few fragments yet, or a key is missing.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// The owner's fragments do not belong together, and here is what shows it.
    #[error("the owner encoded the pack wrongly: block {} of {} fragments shows it", .0.row, .0.shown.len())]
    WrongEncoding(Box<WrongRow>),
    /// Everything that was sent holds, and is not the body that the header names. One fragment more
    /// than are needed may show a wrong encoding.
    #[error("the owner's fragments hold, but join to something else: {0}")]
    OtherBody(PackError),
}

/// Gathers the fragments of one pack from peers of type `P`.
pub struct Collector<P> {
    header: PackHeader,
    pack: ContentId,
    fragments: BTreeMap<u8, Fragment>,
    liars: Vec<Liar<P>>,
}

impl<P> Collector<P> {
    /// Nothing yet of the pack of a header.
    #[must_use]
    pub fn new(header: PackHeader) -> Self {
        let pack = header.content_id();
        Self { header, pack, fragments: BTreeMap::new(), liars: Vec::new() }
    }

    /// The header of the pack.
    #[must_use]
    pub const fn header(&self) -> &PackHeader {
        &self.header
    }

    /// Takes what a peer sent, if it is a fragment of the pack in every byte; else the peer is named
    /// among the liars. Whether it was taken. One that is there already is not looked at.
    pub fn offer(&mut self, peer: P, bytes: &[u8]) -> bool {
        match self.check(bytes) {
            Ok(fragment) => {
                self.fragments.insert(fragment.index, fragment);
                true
            }
            Err(lie) => {
                self.liars.push(Liar { peer, lie });
                false
            }
        }
    }

    fn check(&self, bytes: &[u8]) -> Result<Fragment, Lie> {
        let stored = StoredFragment::from_bytes(bytes)?;
        if stored.pack != self.pack {
            return Err(Lie::OtherPack { found: stored.pack });
        }
        stored.check(&self.header)?;
        Ok(stored.fragment)
    }

    /// The fragments that are there.
    pub fn fragments(&self) -> impl Iterator<Item = &Fragment> {
        self.fragments.values()
    }

    /// Those that are not there.
    pub fn missing(&self) -> impl Iterator<Item = u8> + '_ {
        (0..self.header.shape.fragments()).filter(|index| !self.fragments.contains_key(index))
    }

    /// Whether there are enough to join.
    #[must_use]
    pub fn is_enough(&self) -> bool {
        self.fragments.len() >= usize::from(self.header.shape.needed())
    }

    /// Who sent what does not hold, in the order in which it came.
    #[must_use]
    pub fn liars(&self) -> &[Liar<P>] {
        &self.liars
    }

    /// Joins what is there. A buyer has the keys of some fragments; who has the secret has them all.
    ///
    /// # Errors
    /// Too few fragments or keys; or a fault of the owner.
    pub fn join(&self, key: impl Fn(u8) -> Option<MaskKey>) -> Result<Pack, JoinError> {
        let fragments: Vec<&Fragment> = self.fragments.values().collect();
        let mut bytes = restore(self.header.shape, &fragments, key)?;
        bytes.truncate(self.header.body_bytes as usize);
        Pack::of_parts(self.header.clone(), bytes).map_err(JoinError::OtherBody)
    }

    /// Joins what is there and encodes it again: the pack and all its fragments, those that were
    /// missing among them, bit for bit as the owner made them.
    ///
    /// # Errors
    /// As [`Collector::join`]; where the fragments do not belong together and enough of them are there
    /// to show it, the blocks that do.
    pub fn rebuild(&self, secret: &MaskSecret) -> Result<(Pack, Vec<Fragment>), JoinError> {
        let wrong = |otherwise: JoinError| {
            let fragments: Vec<&Fragment> = self.fragments.values().collect();
            match find_wrong_row(&self.header, secret, &fragments) {
                Some(row) => JoinError::WrongEncoding(Box::new(row)),
                None => otherwise,
            }
        };
        let pack = self.join(|index| Some(secret.key(index))).map_err(|error| match error {
            JoinError::OtherBody(_) => wrong(error),
            other => other,
        })?;
        match pack.fragments(secret) {
            Ok(encoded) => Ok((pack, encoded.into_fragments())),
            Err(FragmentsError::Code(error)) => Err(error.into()),
            Err(error) => {
                let reason = error.to_string();
                Err(wrong(JoinError::OtherBody(PackError::Header { reason })))
            }
        }
    }
}
