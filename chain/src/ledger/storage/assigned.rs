//! All that a peer is assigned, as the peer keeps it: fragments by slot, and the tree over them whose
//! root is on the ledger.
//!
//! An epoch's audit is about its end, and is answered while leases go on to change. So the tree is
//! never changed in place: a clone costs nothing and stays what it was. A peer clones its tree at the
//! last block of each epoch, and answers from the clone until the next.

use std::sync::Arc;

use super::slots::{AssignedRoot, SLOTS_MAX};
use super::sum_tree::{AssignedFragment, Beside, Peak, SumPath, above};
use crate::coin::CoinError;
use crate::encoding::List;

/// Why nothing can be said of a block, or put into a slot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AssignedError {
    /// There is no block of this number.
    #[error("there is no block {number} among {blocks}")]
    Beyond {
        /// The number.
        number: u64,
        /// How many blocks there are.
        blocks: u64,
    },
    /// A lease without fragments.
    #[error("a lease has at least one fragment")]
    Empty,
    /// There is no slot of this number.
    #[error("slot {slot} is beyond the {SLOTS_MAX} that a peer can have")]
    Slot {
        /// The number.
        slot: u32,
    },
    /// The lease in the slot is there by its root alone.
    #[error("the fragments of the lease in slot {slot} are not here")]
    Unknown {
        /// The slot.
        slot: u32,
    },
    /// More blocks than 64 bits count.
    #[error(transparent)]
    Overflow(#[from] CoinError),
}

/// A block of an assigned fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The fragment.
    pub fragment: AssignedFragment,
    /// Which of its blocks.
    pub row: u32,
    /// The way from the fragment to the root over all.
    pub place: SumPath,
}

/// The fragments that a peer is assigned, by the slots of their leases. A clone is a version: it is
/// made at once, and later changes do not reach it.
#[derive(Debug, Clone, Default)]
pub struct Assigned {
    root: Option<Arc<Node>>,
    /// How high the root is above the slots.
    height: u32,
}

/// A node of the tree over slots.
#[derive(Debug)]
struct Node {
    peak: Peak,
    below: Below,
}

/// What is below a node; one of a pair may be missing.
#[derive(Debug)]
enum Below {
    Lease(Batch),
    /// A lease whose fragments are not here.
    Root,
    Pair(Pair),
}

type Pair = [Option<Arc<Node>>; 2];

/// The fragments of a lease, with all levels of the tree over them.
#[derive(Debug)]
struct Batch {
    fragments: Vec<AssignedFragment>,
    levels: Vec<Vec<Peak>>,
}

fn peak(node: &Option<Arc<Node>>) -> Peak {
    node.as_ref().map_or(Peak::EMPTY, |node| node.peak)
}

fn beside(is_left: bool, Peak { hash, blocks }: Peak) -> Beside {
    Beside { is_left, hash, blocks }
}

impl Batch {
    fn of(fragments: Vec<AssignedFragment>) -> Result<Self, CoinError> {
        let mut level: Vec<Peak> = fragments.iter().map(AssignedFragment::leaf).collect();
        let mut levels = Vec::new();
        while level.len() > 1 {
            let next = level.chunks(2).map(above).collect::<Result<_, _>>()?;
            levels.push(std::mem::replace(&mut level, next));
        }
        levels.push(level);
        Ok(Self { fragments, levels })
    }

    fn root(&self) -> Option<Peak> {
        self.levels.last()?.first().copied()
    }

    /// The fragment with a block of this number, the number of its first block, and what lies beside
    /// the way up, from below.
    fn locate(&self, number: u64) -> Option<(AssignedFragment, u64, Vec<Beside>)> {
        let (mut index, mut first, mut way) = (0, 0, Vec::new());
        for level in self.levels.iter().rev().skip(1) {
            index *= 2;
            let left = *level.get(index)?;
            let Some(right) = level.get(index + 1) else { continue };
            let is_right = number - first >= left.blocks;
            if is_right {
                (index, first) = (index + 1, first + left.blocks);
            }
            way.push(beside(is_right, if is_right { left } else { *right }));
        }
        way.reverse();
        Some((*self.fragments.get(index)?, first, way))
    }
}

impl Node {
    fn lease(fragments: Vec<AssignedFragment>) -> Result<Arc<Self>, AssignedError> {
        let batch = Batch::of(fragments)?;
        let peak = batch.root().ok_or(AssignedError::Empty)?;
        Ok(Arc::new(Self { peak, below: Below::Lease(batch) }))
    }

    /// The node above two; none where both are missing.
    fn above(pair: Pair) -> Result<Option<Arc<Self>>, CoinError> {
        let [left, right] = &pair;
        if left.is_none() && right.is_none() {
            return Ok(None);
        }
        let peak = Peak::join(&peak(left), &peak(right))?;
        Ok(Some(Arc::new(Self { peak, below: Below::Pair(pair) })))
    }

    fn pair(&self) -> Option<&Pair> {
        match &self.below {
            Below::Pair(pair) => Some(pair),
            Below::Lease(_) | Below::Root => None,
        }
    }
}

/// A tree of a height with another lease in a slot, or none; what is beside the way is shared.
fn with(
    node: &Option<Arc<Node>>,
    height: u32,
    slot: u32,
    lease: Option<Arc<Node>>,
) -> Result<Option<Arc<Node>>, CoinError> {
    let Some(below) = height.checked_sub(1) else { return Ok(lease) };
    let pair = node.as_ref().and_then(|node| node.pair()).cloned();
    let [mut left, mut right] = pair.unwrap_or_default();
    let side = if slot >> below & 1 == 0 { &mut left } else { &mut right };
    *side = with(side, below, slot, lease)?;
    Node::above([left, right])
}

impl Assigned {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts the fragments of a lease into its slot, as the ledger does when the lease is made; what
    /// was there is gone. The slot is in the lease's row.
    ///
    /// # Errors
    /// No fragments, a slot that cannot be, or more blocks than 64 bits count; nothing is changed.
    pub fn set(
        &mut self,
        slot: u32,
        fragments: Vec<AssignedFragment>,
    ) -> Result<(), AssignedError> {
        self.put(slot, Node::lease(fragments)?)
    }

    /// Puts a lease into its slot by its root, as the ledger has it in the lease's row. A peer with very
    /// many leases builds its tree so, and then sets those that an audit is about
    /// ([`Assigned::slot_of`]).
    ///
    /// # Errors
    /// As [`Assigned::set`].
    pub fn set_root(&mut self, slot: u32, root: Peak) -> Result<(), AssignedError> {
        self.put(slot, Arc::new(Node { peak: root, below: Below::Root }))
    }

    fn put(&mut self, slot: u32, lease: Arc<Node>) -> Result<(), AssignedError> {
        if slot >= SLOTS_MAX {
            return Err(AssignedError::Slot { slot });
        }
        let mut grown = self.clone();
        while slot >> grown.height > 0 {
            grown.root = Node::above([grown.root, None])?;
            grown.height += 1;
        }
        grown.root = with(&grown.root, grown.height, slot, Some(lease))?;
        *self = grown;
        Ok(())
    }

    /// Empties a slot, as the ledger does when its lease is lost or over; says whether there was one.
    ///
    /// # Errors
    /// None that can happen: the sums become smaller.
    pub fn clear(&mut self, slot: u32) -> Result<bool, AssignedError> {
        if self.leaf(slot).is_none() {
            return Ok(false);
        }
        let mut root = with(&self.root, self.height, slot, None)?;
        let mut height = if root.is_none() { 0 } else { self.height };
        // None of the upper half is taken: half as many slots are left.
        while let Some([left, None]) = root.as_ref().and_then(|root| root.pair()) {
            (root, height) = (left.clone(), height - 1);
        }
        *self = Self { root, height };
        Ok(true)
    }

    /// The fragments in a slot; none where it is empty, or its lease is there by its root alone.
    #[must_use]
    pub fn get(&self, slot: u32) -> Option<&[AssignedFragment]> {
        match &self.leaf(slot)?.below {
            Below::Lease(batch) => Some(&batch.fragments),
            Below::Root | Below::Pair(_) => None,
        }
    }

    /// The node of the lease in a slot.
    fn leaf(&self, slot: u32) -> Option<&Node> {
        if slot.checked_shr(self.height).is_some_and(|beyond| beyond > 0) {
            return None;
        }
        let mut node = self.root.as_ref()?;
        for height in (0..self.height).rev() {
            let [left, right] = node.pair()?;
            node = if slot >> height & 1 == 0 { left } else { right }.as_ref()?;
        }
        Some(node)
    }

    /// All slots that are taken, rising, with their fragments: what a peer writes down to have the same
    /// tree again.
    #[must_use]
    pub fn slots(&self) -> Vec<(u32, &[AssignedFragment])> {
        let mut found = Vec::new();
        let mut open: Vec<(u32, &Node)> = self.root.iter().map(|root| (0, root.as_ref())).collect();
        while let Some((index, node)) = open.pop() {
            match &node.below {
                Below::Lease(batch) => found.push((index, batch.fragments.as_slice())),
                Below::Root => {}
                Below::Pair([left, right]) => {
                    open.extend(right.iter().map(|node| (2 * index + 1, node.as_ref())));
                    open.extend(left.iter().map(|node| (2 * index, node.as_ref())));
                }
            }
        }
        found
    }

    /// The root over all; none where there is nothing.
    #[must_use]
    pub fn root(&self) -> Option<Peak> {
        self.root.as_ref().map(|root| root.peak)
    }

    /// The root as the ledger has it, to be compared.
    #[must_use]
    pub fn ledger_root(&self) -> AssignedRoot {
        match self.root() {
            Some(Peak { hash, blocks }) => AssignedRoot { hash, blocks, slots: 1 << self.height },
            None => AssignedRoot::default(),
        }
    }

    /// How many blocks there are.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.root().map_or(0, |root| root.blocks)
    }

    /// The lease with a block of a number: its node, its slot, the number of its first block, and what
    /// lies beside the way down to it.
    fn descend(&self, number: u64) -> Result<(&Node, u32, u64, Vec<Beside>), AssignedError> {
        let blocks = self.blocks();
        let beyond = || AssignedError::Beyond { number, blocks };
        let mut node = self.root.as_ref().filter(|_| number < blocks).ok_or_else(beyond)?;
        let (mut slot, mut first, mut ways) = (0, 0, Vec::new());
        while let Some([left, right]) = node.pair() {
            let of_left = peak(left).blocks;
            let is_right = number - first >= of_left;
            let (next, other) = if is_right { (right, left) } else { (left, right) };
            first += if is_right { of_left } else { 0 };
            slot = 2 * slot + u32::from(is_right);
            ways.push(beside(is_right, peak(other)));
            node = next.as_ref().ok_or_else(beyond)?;
        }
        Ok((node, slot, first, ways))
    }

    /// The slot of the lease that a block of a number is of.
    ///
    /// # Errors
    /// [`AssignedError::Beyond`] for a number that no block has.
    pub fn slot_of(&self, number: u64) -> Result<u32, AssignedError> {
        self.descend(number).map(|(_, slot, ..)| slot)
    }

    /// Where a block of a number lies.
    ///
    /// # Errors
    /// [`AssignedError::Beyond`] for a number that no block has; [`AssignedError::Unknown`] where the
    /// lease is there by its root alone.
    pub fn locate(&self, number: u64) -> Result<Located, AssignedError> {
        let (node, slot, first, ways) = self.descend(number)?;
        let Below::Lease(batch) = &node.below else { return Err(AssignedError::Unknown { slot }) };
        let beyond = || AssignedError::Beyond { number, blocks: self.blocks() };
        let (fragment, before, mut way) = batch.locate(number - first).ok_or_else(beyond)?;
        way.extend(ways.into_iter().rev());
        let place = SumPath { beside: List::new(way).map_err(|_| CoinError::Overflow)? };
        // A fragment's blocks are counted in 32 bits.
        Ok(Located { fragment, row: (number - first - before) as u32, place })
    }
}
