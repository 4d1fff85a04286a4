//! What must hold of a chunk before it is opened: the same that the ledger looks at in a dispute.

use std::cell::RefCell;
use std::collections::HashMap;

use chronolith_chain::address::Address;
use chronolith_chain::encoding::Text;
use chronolith_chain::hash::Hash;
use chronolith_chain::ledger::{
    AnchorKey, Anchored, Era, EraKey, HiddenScope, MetricName, Subject, TreeName,
};
use chronolith_chain::list::{ListProof, ListRoot};
use chronolith_chain::state::Overlay;
use chronolith_engine::WriteError;
use chronolith_engine::chunk::{
    ChunkHeader, ForeignChunk, ForeignError, OpenChunkError, OpenedForeign, TreeId,
};
use chronolith_keys::{MetricIdentity, Windows};

use super::Keys;
use super::source::SourceError;
use crate::chain::prove::ChunkPath;
use crate::market::note::{Note, ToldChunk};
use crate::market::{Venue, VenueError};

/// How many trees of one metric are looked for: one for each time that its keys were rotated.
const ROTATIONS_MOST: u32 = 4_096;

/// Why a chunk is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Its blocks are not there.
    #[error(transparent)]
    Absent(SourceError),
    /// Its blocks, its key or its records are not what they must be.
    #[error(transparent)]
    Chunk(ForeignError),
    /// Its batch is not on the ledger.
    #[error("its batch {root} is not anchored by {producer}")]
    NotAnchored {
        /// The root.
        root: Hash,
        /// The producer.
        producer: Address,
    },
    /// It is not in the batch.
    #[error("it is not in the batch that is anchored: the way to its root does not hold")]
    Path,
    /// Whoever anchored it did not speak for the device then.
    #[error("{producer} could not anchor for the device when it did")]
    Producer {
        /// The producer.
        producer: Address,
    },
    /// The right is not of it.
    #[error("the right is not of it: {0}")]
    Scope(&'static str),
    /// The buyer's database does not take it.
    #[error("the database does not take it: {0}")]
    NotTaken(WriteError),
    /// The ledger cannot be read.
    #[error(transparent)]
    Venue(VenueError),
}

impl Fault {
    /// Whether the key is what is wrong, which the ledger can judge.
    #[must_use]
    pub const fn is_of_key(&self) -> bool {
        matches!(
            self,
            Self::Chunk(ForeignError::Body {
                source: OpenChunkError::NoKey { .. } | OpenChunkError::OtherKey { .. },
                ..
            })
        )
    }

    /// Whether nothing is wrong with the chunk that was seen, so that it may hold another time.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Absent(_) | Self::Venue(_))
    }
}

/// What is anchored of a device, by those who could.
struct Anchors<'a> {
    venue: &'a Venue,
    device: Address,
    tree: u32,
    era: Option<Era>,
    known: RefCell<HashMap<(Address, Hash), Option<Anchored>>>,
}

impl<'a> Anchors<'a> {
    fn new(
        venue: &'a Venue,
        subject: &Subject,
        hidden: Option<&HiddenScope>,
    ) -> Result<Self, VenueError> {
        let (device, tree) = match (subject, hidden) {
            (Subject::Metrics { device, tree, .. }, _) => (*device, *tree),
            (Subject::Hidden(_), Some(scope)) => (scope.device, scope.tree),
            (Subject::Hidden(_), None) => (Address::default(), 0),
        };
        let era = venue.look(|state, _| {
            Ok::<_, VenueError>(Overlay::new(state).get(&EraKey { device, tree })?)
        })?;
        Ok(Self { venue, device, tree, era, known: RefCell::default() })
    }

    /// Checks that a chunk is where its way says, in a batch of somebody who could anchor it.
    fn check(&self, path: &ChunkPath) -> Result<(), Fault> {
        let ChunkPath { index, path: way, producer, root, .. } = path;
        let (producer, root) = (*producer, *root);
        let anchored = self.anchored(producer, root).map_err(Fault::Venue)?;
        let anchored = anchored.ok_or(Fault::NotAnchored { root, producer })?;
        let batch = ListRoot { root, count: anchored.chunks };
        let proof = ListProof { path: way.clone() };
        proof.verify(&batch, *index, &path.chunk).map_err(|_| Fault::Path)?;
        let era = self.era.as_ref();
        let is_entitled =
            era.is_some_and(|era| era.could_anchor(self.device, producer, anchored.time_ms));
        if is_entitled { Ok(()) } else { Err(Fault::Producer { producer }) }
    }

    fn anchored(&self, producer: Address, root: Hash) -> Result<Option<Anchored>, VenueError> {
        if let Some(known) = self.known.borrow().get(&(producer, root)) {
            return Ok(*known);
        }
        let key = AnchorKey { producer, root: root.0 };
        let found =
            self.venue.look(|state, _| Ok::<_, VenueError>(Overlay::new(state).get(&key)?))?;
        self.known.borrow_mut().insert((producer, root), found);
        Ok(found)
    }
}

/// Whether the first chunk that a note names is anchored by somebody who could: the note of a stranger names none.
///
/// # Errors
/// Where the ledger cannot be read.
pub fn names_anchored(
    venue: &Venue,
    subject: &Subject,
    hidden: Option<&HiddenScope>,
    note: &Note,
) -> Result<bool, VenueError> {
    let Some(told) = note.chunks.first() else { return Ok(false) };
    match Anchors::new(venue, subject, hidden)?.check(&told.path) {
        Err(Fault::Venue(error)) => Err(error),
        checked => Ok(checked.is_ok()),
    }
}

/// Checks chunks against the ledger and a right, and opens them.
pub struct Checker<'a> {
    keys: &'a Keys,
    hidden: Option<&'a HiddenScope>,
    anchors: Anchors<'a>,
    trees: RefCell<HashMap<TreeId, bool>>,
}

impl<'a> Checker<'a> {
    /// For a right.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn new(
        venue: &'a Venue,
        keys: &'a Keys,
        hidden: Option<&'a HiddenScope>,
    ) -> Result<Self, VenueError> {
        let anchors = Anchors::new(venue, &keys.open.offer.scope.subject, hidden)?;
        Ok(Self { keys, hidden, anchors, trees: RefCell::default() })
    }

    /// Checks a chunk, and opens it by the key that was granted.
    ///
    /// # Errors
    /// What does not hold.
    pub fn open(
        &self,
        told: &ToldChunk,
        header: &[u8],
        body: Vec<u8>,
    ) -> Result<OpenedForeign, Fault> {
        let chunk = ForeignChunk::new(told.path.chunk.into(), header, body);
        let chunk = chunk.map_err(Fault::Chunk)?;
        self.check(&chunk, &told.path)?;
        // Where the grant does not open there is no key of any chunk, which the ledger can be shown.
        let grant = self.keys.grant.as_ref().ok();
        let key = chunk
            .header()
            .encryption
            .and_then(|encryption| grant?.body_key(&encryption.tree, chunk.slot()));
        let opened = chunk.open(key.as_ref()).map_err(Fault::Chunk)?;
        self.check_metric(opened.definition().metric.name())?;
        Ok(opened)
    }

    /// Checks what a chunk's header and its way say.
    fn check(&self, chunk: &ForeignChunk, path: &ChunkPath) -> Result<(), Fault> {
        self.anchors.check(path)?;
        self.check_scope(chunk.header())
    }

    fn check_scope(&self, header: &ChunkHeader) -> Result<(), Fault> {
        let right = &self.keys.right;
        let windows = Windows::touching(header.window_ns, right.from_ms, right.until_ms);
        let touches = windows.is_ok_and(|windows| windows.numbers().contains(&header.window));
        if !touches {
            return Err(Fault::Scope("its window is outside of the time that was bought"));
        }
        let Some(encryption) = &header.encryption else {
            return Err(Fault::Scope("it is in the clear, and needs no right"));
        };
        // The grant has no key of another metric, and the ledger would refuse the dispute.
        if let Some(shown) = &header.shown {
            self.check_metric(&shown.name)?;
        }
        let known = self.trees.borrow().get(&encryption.tree).copied();
        let is_of_scope = known.unwrap_or_else(|| self.has_tree(header, &encryption.tree));
        self.trees.borrow_mut().insert(encryption.tree, is_of_scope);
        match is_of_scope {
            true => Ok(()),
            false => Err(Fault::Scope("its key tree is none of the scope's")),
        }
    }

    fn has_tree(&self, header: &ChunkHeader, found: &TreeId) -> bool {
        if let Some(scope) = self.hidden {
            return scope.trees.contains(&TreeName(Hash(found.0)));
        }
        rotation(self.anchors.device, self.anchors.tree, header, found).is_some()
    }

    /// Checks that a chunk's metric is one that the right names.
    fn check_metric(&self, name: &str) -> Result<(), Fault> {
        match names(&self.keys.open.offer.scope.subject, name) {
            true => Ok(()),
            false => Err(Fault::Scope("its metric is none of the scope's")),
        }
    }
}

/// Whether what an offer is of has metrics of a name; where it is hidden, its key trees say.
fn names(subject: &Subject, name: &str) -> bool {
    let Subject::Metrics { metrics, .. } = subject else { return true };
    let name = Text::new(name).map(MetricName);
    metrics.is_empty() || name.is_ok_and(|name| metrics.contains(&name))
}

/// How many trees an openly named metric had before the one that a chunk is sealed under; none where it is
/// no tree of the metric.
#[must_use]
pub fn rotation(device: Address, tree: u32, header: &ChunkHeader, found: &TreeId) -> Option<u32> {
    let shown = header.shown.as_ref()?;
    let tags = shown.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let metric = MetricIdentity { device: &shown.device, name: &shown.name, tags };
    (0..ROTATIONS_MOST).find(|rotation| {
        TreeId::named(&device.0, tree, *rotation, header.window_ns, &metric) == *found
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use chronolith_chain::encoding::Rising;

    use super::*;

    /// A chunk of a metric that was not sold had no key, and was told to be disputable. The ledger refused, and the fee
    /// and the secret were lost: an owner needed only to name such a chunk in his note.
    #[test]
    fn a_metric_that_was_not_sold_is_not_of_the_scope() {
        let subject = |metrics: &[&str]| {
            let metrics = metrics.iter().map(|name| MetricName(Text::new(*name).unwrap()));
            let metrics = Rising::new(metrics.collect::<Vec<_>>()).unwrap();
            Subject::Metrics { device: Address([1; 32]), tree: 0, metrics }
        };
        let some = subject(&["rpm", "speed"]);
        assert!(names(&some, "speed") && !names(&some, "spee") && !names(&some, "power"));
        assert!(names(&subject(&[]), "power"), "all are sold");
        assert!(names(&Subject::Hidden(Hash([2; 32])), "power"), "its key trees are looked at");
    }
}
