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
use chronolith_engine::chunk::{ChunkHeader, ForeignChunk, ForeignError, TreeId};
use chronolith_engine::{Definition, WriteError};
use chronolith_keys::{MetricIdentity, Windows};

use super::Keys;
use super::source::SourceError;
use crate::chain::prove::ChunkPath;
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

/// Checks chunks against the ledger and a right.
pub struct Checker<'a> {
    venue: &'a Venue,
    keys: &'a Keys,
    hidden: Option<&'a HiddenScope>,
    device: Address,
    tree: u32,
    era: Option<Era>,
    anchors: RefCell<HashMap<(Address, Hash), Option<Anchored>>>,
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
        let (device, tree) = match (&keys.open.offer.scope.subject, hidden) {
            (Subject::Metrics { device, tree, .. }, _) => (*device, *tree),
            (Subject::Hidden(_), Some(scope)) => (scope.device, scope.tree),
            (Subject::Hidden(_), None) => (Address::default(), 0),
        };
        let era = venue.look(|state, _| {
            Ok::<_, VenueError>(Overlay::new(state).get(&EraKey { device, tree })?)
        })?;
        let (anchors, trees) = (RefCell::default(), RefCell::default());
        Ok(Self { venue, keys, hidden, device, tree, era, anchors, trees })
    }

    /// Checks what a chunk's header and its way say.
    ///
    /// # Errors
    /// What does not hold.
    pub fn check(&self, chunk: &ForeignChunk, path: &ChunkPath) -> Result<(), Fault> {
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
        if !is_entitled {
            return Err(Fault::Producer { producer });
        }
        self.check_scope(chunk.header())
    }

    fn anchored(&self, producer: Address, root: Hash) -> Result<Option<Anchored>, VenueError> {
        if let Some(known) = self.anchors.borrow().get(&(producer, root)) {
            return Ok(*known);
        }
        let key = AnchorKey { producer, root: root.0 };
        let found =
            self.venue.look(|state, _| Ok::<_, VenueError>(Overlay::new(state).get(&key)?))?;
        self.anchors.borrow_mut().insert((producer, root), found);
        Ok(found)
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
        rotation(self.device, self.tree, header, found).is_some()
    }

    /// Checks that an opened chunk's metric is one that the right names.
    ///
    /// # Errors
    /// Where it is not.
    pub fn check_metric(&self, definition: &Definition) -> Result<(), Fault> {
        let Subject::Metrics { metrics, .. } = &self.keys.open.offer.scope.subject else {
            return Ok(());
        };
        let name = Text::new(definition.metric.name()).map(MetricName);
        match metrics.is_empty() || name.is_ok_and(|name| metrics.contains(&name)) {
            true => Ok(()),
            false => Err(Fault::Scope("its metric is none of the scope's")),
        }
    }
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
