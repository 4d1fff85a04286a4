//! Everything that a peer was ever assigned, as the peer keeps it: the tree whose root is on the ledger.

use chronolith_chain::coin::CoinError;
use chronolith_chain::encoding::List;
use chronolith_chain::ledger::{AssignedFragment, Beside, Peak, SumPath};

/// Why nothing can be said of a block.
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
    /// A batch without fragments.
    #[error("a batch has at least one fragment")]
    Empty,
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

/// The fragments that a peer was assigned, batch by batch, with the trees over them.
#[derive(Debug, Clone, Default)]
pub struct Assigned {
    batches: Vec<Batch>,
    tree: SumTree,
}

#[derive(Debug, Clone)]
struct Batch {
    fragments: Vec<AssignedFragment>,
    tree: SumTree,
}

/// All levels of a sum tree, from the leaves up. It has the shape of the ledger's: a last node without
/// a neighbour rises unchanged.
#[derive(Debug, Clone, Default)]
struct SumTree {
    levels: Vec<Vec<Peak>>,
}

impl SumTree {
    fn of(leaves: impl Iterator<Item = Peak>) -> Result<Self, CoinError> {
        let mut tree = Self::default();
        for leaf in leaves {
            tree.push(leaf)?;
        }
        Ok(tree)
    }

    fn root(&self) -> Option<Peak> {
        self.levels.last()?.first().copied()
    }

    /// Appends a leaf, and renews what lies above it.
    fn push(&mut self, leaf: Peak) -> Result<(), CoinError> {
        let mut node = leaf;
        let mut index = self.levels.first().map_or(0, Vec::len);
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let Some(nodes) = self.levels.get_mut(level) else { break };
            nodes.truncate(index);
            nodes.push(node);
            if nodes.len() == 1 {
                break;
            }
            if index & 1 == 1 {
                let left = nodes.get(index - 1).ok_or(CoinError::Overflow)?;
                node = Peak::join(left, &node)?;
            }
            index /= 2;
        }
        Ok(())
    }

    /// The leaf with a block of this number, the number of the leaf's first block, and what lies
    /// beside the way up.
    fn locate(&self, number: u64) -> Option<(usize, u64, Vec<Beside>)> {
        if number >= self.root()?.blocks {
            return None;
        }
        let (mut index, mut first, mut beside) = (0, 0, Vec::new());
        for level in self.levels.iter().rev().skip(1) {
            index *= 2;
            let left = level.get(index)?;
            let Some(right) = level.get(index + 1) else { continue };
            let is_right = number - first >= left.blocks;
            if is_right {
                (index, first) = (index + 1, first + left.blocks);
            }
            let found = if is_right { left } else { right };
            beside.push(Beside { is_left: is_right, hash: found.hash, blocks: found.blocks });
        }
        beside.reverse();
        Some((index, first, beside))
    }
}

impl Assigned {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a batch, as the ledger does when a lease is made.
    ///
    /// # Errors
    /// An empty batch, or more blocks than 64 bits count.
    pub fn add(&mut self, fragments: Vec<AssignedFragment>) -> Result<(), AssignedError> {
        if fragments.is_empty() {
            return Err(AssignedError::Empty);
        }
        let tree = SumTree::of(fragments.iter().map(AssignedFragment::leaf))?;
        let root = tree.root().ok_or(AssignedError::Empty)?;
        self.tree.push(root)?;
        self.batches.push(Batch { fragments, tree });
        Ok(())
    }

    /// The root over all, as the ledger has it; none where there is nothing.
    #[must_use]
    pub fn root(&self) -> Option<Peak> {
        self.tree.root()
    }

    /// How many blocks there are.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.root().map_or(0, |root| root.blocks)
    }

    /// Where a block of a number lies.
    ///
    /// # Errors
    /// [`AssignedError::Beyond`] for a number that no block has.
    pub fn locate(&self, number: u64) -> Result<Located, AssignedError> {
        let beyond = || AssignedError::Beyond { number, blocks: self.blocks() };
        let (batch, before, above) = self.tree.locate(number).ok_or_else(beyond)?;
        let batch = self.batches.get(batch).ok_or_else(beyond)?;
        let (leaf, first, mut beside) = batch.tree.locate(number - before).ok_or_else(beyond)?;
        let fragment = *batch.fragments.get(leaf).ok_or_else(beyond)?;
        beside.extend(above);
        let place = SumPath { beside: List::new(beside).map_err(|_| CoinError::Overflow)? };
        // A fragment's blocks are counted in 32 bits.
        Ok(Located { fragment, row: (number - before - first) as u32, place })
    }
}
