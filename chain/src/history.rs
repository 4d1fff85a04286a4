//! All block ids so far under one root, so that a new header proves any older one.
//!
//! A Merkle mountain range: the complete subtrees of the append-only tree, of which there is one
//! for each bit that is set in the number of leaves. Joined from the smallest to the largest they
//! give the root of RFC 6962 (section 2.1) over all leaves, so proofs are its audit paths. Leaf 0
//! is the genesis, by the chain's id, and leaf `h` the block of height `h`: a header of height
//! `h` commits to exactly `h` leaves.

use borsh::{BorshDeserialize, BorshSerialize, io};
use chronolith_merkle::{Proof, ProofError, leaf_hash, node_hash};

use crate::encoding::{DecodeReason, List};
use crate::hash::{BlockId, ChainId, Hash};

/// The peaks of the range: all that is needed to append, and for the root.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize)]
pub struct History {
    count: u64,
    /// From the largest to the smallest.
    peaks: List<Hash, 64>,
}

/// Where a complete subtree is: that of height `level` over the leaves from `index << level` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The height; a leaf has 0.
    pub level: u8,
    /// Which one of that height, from the left.
    pub index: u64,
}

/// The hash of a complete subtree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Where it is.
    pub position: Position,
    /// Its hash.
    pub hash: Hash,
}

/// Where the hashes of complete subtrees are kept, for those who prove.
pub trait Nodes {
    /// Why one cannot be read.
    type Error;

    /// The hash of a complete subtree; none where it is not kept.
    fn node(&self, position: Position) -> Result<Option<Hash>, Self::Error>;
}

/// Why an old block cannot be proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError<E> {
    /// The block is not older than the header that is to prove it.
    #[error("height {height} is not below {count}")]
    Range {
        /// The block's height.
        height: u64,
        /// How many leaves there are.
        count: u64,
    },
    /// A subtree that is needed is not kept.
    #[error("the subtree {index} of height {level} is not kept", index = .0.index, level = .0.level)]
    Missing(Position),
    /// A subtree cannot be read.
    #[error(transparent)]
    Nodes(#[from] E),
}

/// The way from a block's leaf to the root, from below.
#[derive(Debug, Clone, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct HistoryProof {
    /// The hashes beside the way.
    pub path: List<Hash, 64>,
}

fn leaf(id: BlockId) -> Hash {
    Hash(leaf_hash(&id.0))
}

fn join(left: &Hash, right: &Hash) -> Hash {
    Hash(node_hash(&left.0, &right.0))
}

impl History {
    /// The history of a chain that has a genesis and no block yet.
    #[must_use]
    pub fn genesis(chain: ChainId) -> Self {
        let mut history = Self { count: 0, peaks: List::default() };
        history.push(BlockId(chain.0));
        history
    }

    /// How many leaves there are; the height of the block that is to commit to them.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Appends a block, and gives the complete subtrees that are new, from below: what a prover
    /// has to keep.
    pub fn push(&mut self, id: BlockId) -> Vec<Node> {
        let (mut hash, mut level, mut index) = (leaf(id), 0, self.count);
        let mut made = vec![Node { position: Position { level, index }, hash }];
        while index & 1 == 1
            && let Some(left) = self.peaks.pop()
        {
            (hash, level, index) = (join(&left, &hash), level + 1, index / 2);
            made.push(Node { position: Position { level, index }, hash });
        }
        // One for each bit of a count of 64 bits always fits; a chain ends long before.
        let _ = self.peaks.push(hash);
        self.count = self.count.saturating_add(1);
        made
    }

    /// The complete subtrees that there are, from the largest to the smallest: what a prover has to
    /// keep of a history that it begins with.
    #[must_use]
    pub fn peaks(&self) -> Vec<Node> {
        let mut first = 0;
        let levels = (0..u64::BITS as u8).rev().filter(|level| self.count >> level & 1 == 1);
        let nodes = levels.zip(self.peaks.iter()).map(|(level, hash)| {
            let index = first >> level;
            first += 1 << level;
            Node { position: Position { level, index }, hash: *hash }
        });
        nodes.collect()
    }

    /// The root over all leaves.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev().copied();
        let last = peaks.next().unwrap_or_default();
        peaks.fold(last, |right, left| join(&left, &right))
    }
}

impl BorshDeserialize for History {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        let (count, peaks) = <(u64, List<Hash, 64>)>::deserialize_reader(reader)?;
        if count == 0 || peaks.len() != count.count_ones() as usize {
            return Err(DecodeReason::Invalid.into_io());
        }
        Ok(Self { count, peaks })
    }
}

impl HistoryProof {
    /// The most bytes of an encoding.
    pub const MAX_BYTES: usize = 4 + 64 * 32;

    /// Proves the block of a height to who has the header of height `count`, from complete
    /// subtrees: O(log n) of them are read.
    ///
    /// # Errors
    /// Where the block is not older, or a subtree is not there.
    pub fn new<N: Nodes>(
        nodes: &N,
        count: u64,
        height: u64,
    ) -> Result<Self, HistoryError<N::Error>> {
        if height >= count {
            return Err(HistoryError::Range { height, count });
        }
        let (mut path, mut level, mut index) = (Vec::new(), 0, height);
        let mut last = count - 1;
        while last > 0 {
            let beside = Position { level, index: index ^ 1 };
            if beside.index <= last {
                path.push(subtree(nodes, count, beside)?);
            }
            (level, index, last) = (level + 1, index / 2, last / 2);
        }
        // A path in a tree of 2^64 leaves has 64 hashes.
        Ok(Self { path: List::new(path).unwrap_or_default() })
    }

    /// Checks that a block is the one of a height, below a header of height `count` with this
    /// history root. Root and count must come from a verified header.
    ///
    /// # Errors
    /// Where the height is not below the count, the path is not as long as it must be, or leads
    /// to another root.
    pub fn verify(
        &self,
        root: &Hash,
        count: u64,
        height: u64,
        block: BlockId,
    ) -> Result<(), ProofError> {
        let number = |number: u64| usize::try_from(number).map_err(|_| ProofError::Indices);
        let proof = Proof { hashes: self.path.iter().map(|hash| hash.0).collect() };
        proof.verify(&root.0, number(count)?, &[number(height)?], &[leaf(block).0])
    }
}

/// The hash over the leaves of a position that are below `count`, of which there is one at least.
fn subtree<N: Nodes>(
    nodes: &N,
    count: u64,
    position: Position,
) -> Result<Hash, HistoryError<N::Error>> {
    let Position { level, index } = position;
    let is_complete = index < count >> level;
    if is_complete || level == 0 {
        return nodes.node(position)?.ok_or(HistoryError::Missing(position));
    }
    // Only the rightmost subtree of a level is not complete, so one side at most goes on from here.
    let (level, left, right) = (level - 1, index * 2, index * 2 + 1);
    let left = subtree(nodes, count, Position { level, index: left })?;
    if right > (count - 1) >> level {
        return Ok(left);
    }
    Ok(join(&left, &subtree(nodes, count, Position { level, index: right })?))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use std::collections::HashMap;
    use std::convert::Infallible;

    use chronolith_merkle::Tree;

    use super::*;
    use crate::encoding::{decode, encode};

    impl Nodes for HashMap<Position, Hash> {
        type Error = Infallible;

        fn node(&self, position: Position) -> Result<Option<Hash>, Infallible> {
            Ok(self.get(&position).copied())
        }
    }

    fn block(height: u64) -> BlockId {
        BlockId([height as u8 + 1; 32])
    }

    #[test]
    fn every_block_is_proved_to_every_later_header_at_its_height_only() {
        let mut history = History::genesis(ChainId(block(0).0));
        let mut nodes = HashMap::new();
        nodes.insert(Position { level: 0, index: 0 }, leaf(block(0)));
        for count in 1..70_u64 {
            let leaves: Vec<[u8; 32]> = (0..count).map(|height| leaf(block(height)).0).collect();
            assert_eq!(history.root().0, Tree::from_leaf_hashes(&leaves).root());
            assert_eq!(decode::<History>("a history", &encode(&history), 9_999).unwrap(), history);
            for height in 0..count {
                let proof = HistoryProof::new(&nodes, count, height).unwrap();
                let root = history.root();
                assert_eq!(proof.verify(&root, count, height, block(height)), Ok(()));
                assert!(proof.verify(&root, count, height, block(height + 1)).is_err());
                assert!(proof.verify(&root, count, height + 1, block(height)).is_err());
                assert!(proof.verify(&leaf(block(9)), count, height, block(height)).is_err());
            }
            let outside = HistoryProof::new(&nodes, count, count);
            assert_eq!(outside, Err(HistoryError::Range { height: count, count }));
            nodes.extend(history.push(block(count)).into_iter().map(|n| (n.position, n.hash)));
        }
        let forgotten = Position { level: 3, index: 1 };
        nodes.remove(&forgotten);
        assert_eq!(HistoryProof::new(&nodes, 70, 0), Err(HistoryError::Missing(forgotten)));
    }

    #[test]
    fn peaks_that_do_not_fit_the_count_are_refused() {
        let mut history = History::genesis(ChainId([1; 32]));
        history.push(block(1));
        history.push(block(2));
        let mut bytes = encode(&history);
        bytes[0] = 4;
        assert!(decode::<History>("a history", &bytes, 9_999).is_err());
    }
}
