//! The Merkle trie over the state.
//!
//! A binary trie over 256-bit key hashes. A subtree without keys is 32 zero bytes, one with a
//! single key is that key's leaf, any other is a node:
//!
//! ```text
//! leaf = SHA-256(0x02 ‖ key hash ‖ value hash)        node = SHA-256(0x03 ‖ left ‖ right)
//! ```
//!
//! so the shape, and the root, follow from the set of keys alone, whatever the order in which it
//! came about. A leaf's hash does not depend on its depth: a leaf that moves is not hashed again.
//!
//! The nodes are in memory, in two arenas, and refer to each other by number. A node is never
//! changed: an update makes new ones along the changed paths, all changes of a block at once, and
//! tells which it replaced, so that older roots stay readable until these are released. Parents
//! hold the hashes of their children: an update touches no sibling. A million keys take about
//! 220 MB. ADR 0013 says what else was weighed.
//!
//! Invariants: a node's two links are not both empty, nor is one empty while the other is a leaf
//! (a lone leaf rises); a slot is free or reachable from a root that is kept, never both.

use sha2::{Digest as _, Sha256};

use crate::hash::Hash;

/// The root of nothing, and the hash of every empty subtree.
pub const EMPTY: Hash = Hash([0; 32]);

/// The hash of a leaf.
pub(super) fn leaf_hash(key: &Hash, value: &Hash) -> Hash {
    tagged(2, key, value)
}

/// The hash of a node.
pub(super) fn node_hash(left: &Hash, right: &Hash) -> Hash {
    tagged(3, left, right)
}

fn tagged(tag: u8, first: &Hash, second: &Hash) -> Hash {
    let mut bytes = [tag; 65];
    bytes[1..33].copy_from_slice(&first.0);
    bytes[33..].copy_from_slice(&second.0);
    Hash(Sha256::digest(bytes).into())
}

/// Bit `depth` of a key hash, the most significant one first.
pub(super) fn bit(key: &Hash, depth: usize) -> bool {
    key.0.get(depth / 8).is_some_and(|byte| byte >> (7 - depth % 8) & 1 == 1)
}

/// Where a node is: nowhere, or in a slot of one of the arenas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Link(u32);

/// What a link points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Empty,
    Node(usize),
    Leaf(usize),
}

impl Link {
    const EMPTY: Self = Self(0);
    /// The largest slot a link can hold.
    const LAST_SLOT: usize = (u32::MAX >> 1) as usize - 1;

    fn new(slot: usize, is_leaf: bool) -> Result<Self, TrieFull> {
        if slot > Self::LAST_SLOT {
            return Err(TrieFull);
        }
        Ok(Self((slot as u32 + 1) << 1 | u32::from(is_leaf)))
    }

    fn place(self) -> Place {
        let slot = (self.0 >> 1) as usize;
        match (slot.checked_sub(1), self.0 & 1) {
            (None, _) => Place::Empty,
            (Some(slot), 0) => Place::Node(slot),
            (Some(slot), _) => Place::Leaf(slot),
        }
    }
}

/// A subtree: where it is, and its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subtree {
    link: Link,
    pub(super) hash: Hash,
}

impl Subtree {
    pub(super) const EMPTY: Self = Self { link: Link::EMPTY, hash: EMPTY };
}

#[derive(Clone, Copy)]
struct Node {
    left: Subtree,
    right: Subtree,
}

/// A key and what it holds, as hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) key: Hash,
    pub(super) value: Hash,
}

/// The trie would have more nodes than its links can tell apart (2³¹).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the state has more keys than its trie can hold")]
pub struct TrieFull;

/// Slots of one size, of which some are free.
struct Arena<T> {
    slots: Vec<T>,
    free: Vec<u32>,
}

impl<T: Copy> Arena<T> {
    const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    /// The slot that the `index`-th new value will get.
    fn upcoming(&self, index: usize) -> usize {
        match self.free.len().checked_sub(index + 1) {
            Some(at) => self.free.get(at).map_or(0, |slot| *slot as usize),
            None => self.slots.len() + index - self.free.len(),
        }
    }

    fn put(&mut self, values: Vec<T>) {
        for value in values {
            match self.free.pop() {
                Some(slot) => {
                    if let Some(place) = self.slots.get_mut(slot as usize) {
                        *place = value;
                    }
                }
                None => self.slots.push(value),
            }
        }
    }
}

/// A change of one key: its new value's hash, or none where it goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    pub(super) key: Hash,
    pub(super) value: Option<Hash>,
}

/// What a set of changes makes of a trie, before it is applied.
pub(super) struct Update {
    generation: u64,
    pub(super) root: Subtree,
    nodes: Vec<Node>,
    leaves: Vec<Leaf>,
    retired: Vec<Link>,
}

/// Nodes that a root no longer needs; see [`Trie::release`].
#[derive(Default)]
pub(super) struct Retired(Vec<Link>);

/// The nodes of all roots that are kept.
pub(super) struct Trie {
    nodes: Arena<Node>,
    leaves: Arena<Leaf>,
    /// Counts what changed slots, so that an update is only applied to what it was made for.
    generation: u64,
}

impl Trie {
    pub(super) const fn new() -> Self {
        Self { nodes: Arena::new(), leaves: Arena::new(), generation: 0 }
    }

    /// What `changes`, sorted by key and without duplicates, make of the trie at `root`.
    pub(super) fn prepare(&self, root: Subtree, changes: &[Change]) -> Result<Update, TrieFull> {
        let (nodes, leaves, retired) = (Vec::new(), Vec::new(), Vec::new());
        let mut builder = Builder { trie: self, nodes, leaves, retired };
        let root = builder.update(root, 0, changes)?;
        let Builder { nodes, leaves, retired, .. } = builder;
        Ok(Update { generation: self.generation, root, nodes, leaves, retired })
    }

    /// Whether an update was prepared for the trie as it is.
    pub(super) fn fits(&self, update: &Update) -> bool {
        self.generation == update.generation
    }

    /// Makes an update's nodes part of the trie; what it replaced stays until it is released.
    /// The update must [fit](Self::fits).
    pub(super) fn apply(&mut self, update: Update) -> (Subtree, Retired) {
        self.generation += 1;
        self.nodes.put(update.nodes);
        self.leaves.put(update.leaves);
        (update.root, Retired(update.retired))
    }

    /// Frees nodes that no root that is kept needs any more.
    pub(super) fn release(&mut self, retired: Retired) {
        self.generation += 1;
        for link in retired.0 {
            match link.place() {
                Place::Empty => {}
                Place::Node(slot) => self.nodes.free.push(slot as u32),
                Place::Leaf(slot) => self.leaves.free.push(slot as u32),
            }
        }
    }

    /// Descends from `root` towards `key`, at most `depth` levels: the hashes beside the path
    /// from the top, and the subtree it ends at.
    pub(super) fn descend(&self, root: Subtree, key: &Hash, depth: usize) -> (Vec<Hash>, Subtree) {
        let (mut beside, mut at) = (Vec::new(), root);
        while let Place::Node(slot) = at.link.place()
            && beside.len() < depth
            && let Some(node) = self.nodes.slots.get(slot)
        {
            let (next, other) = if bit(key, beside.len()) {
                (node.right, node.left)
            } else {
                (node.left, node.right)
            };
            beside.push(other.hash);
            at = next;
        }
        (beside, at)
    }

    /// The leaf that a subtree is, if it is one.
    pub(super) fn leaf(&self, subtree: Subtree) -> Option<Leaf> {
        match subtree.link.place() {
            Place::Leaf(slot) => self.leaves.slots.get(slot).copied(),
            _ => None,
        }
    }

    /// How many bytes the arenas take.
    pub(super) fn memory_bytes(&self) -> usize {
        self.nodes.slots.capacity() * size_of::<Node>()
            + self.leaves.slots.capacity() * size_of::<Leaf>()
            + (self.nodes.free.capacity() + self.leaves.free.capacity()) * size_of::<u32>()
    }

    /// How many slots are in use: nodes and leaves.
    #[cfg(test)]
    fn used(&self) -> (usize, usize) {
        let nodes = self.nodes.slots.len() - self.nodes.free.len();
        (nodes, self.leaves.slots.len() - self.leaves.free.len())
    }
}

/// A leaf that is placed anew.
#[derive(Clone, Copy)]
struct Placed {
    key: Hash,
    subtree: Subtree,
}

/// Collects the nodes of an update.
struct Builder<'a> {
    trie: &'a Trie,
    nodes: Vec<Node>,
    leaves: Vec<Leaf>,
    retired: Vec<Link>,
}

impl Builder<'_> {
    fn new_leaf(&mut self, key: Hash, value: Hash) -> Result<Placed, TrieFull> {
        let link = Link::new(self.trie.leaves.upcoming(self.leaves.len()), true)?;
        self.leaves.push(Leaf { key, value });
        Ok(Placed { key, subtree: Subtree { link, hash: leaf_hash(&key, &value) } })
    }

    fn new_node(&mut self, left: Subtree, right: Subtree) -> Result<Subtree, TrieFull> {
        match (left.link.place(), right.link.place()) {
            (Place::Empty, Place::Empty | Place::Leaf(_)) => return Ok(right),
            (Place::Leaf(_), Place::Empty) => return Ok(left),
            _ => {}
        }
        let link = Link::new(self.trie.nodes.upcoming(self.nodes.len()), false)?;
        self.nodes.push(Node { left, right });
        Ok(Subtree { link, hash: node_hash(&left.hash, &right.hash) })
    }

    /// Applies the changes below a subtree at `depth`, which all belong there.
    fn update(
        &mut self,
        at: Subtree,
        depth: usize,
        changes: &[Change],
    ) -> Result<Subtree, TrieFull> {
        if changes.is_empty() {
            return Ok(at);
        }
        match at.link.place() {
            Place::Empty => self.insert(None, depth, changes),
            Place::Leaf(slot) => {
                let leaf = self.trie.leaves.slots.get(slot).copied();
                let placed = leaf.map(|leaf| (leaf, Placed { key: leaf.key, subtree: at }));
                self.insert(placed, depth, changes)
            }
            Place::Node(slot) => {
                let Some(node) = self.trie.nodes.slots.get(slot).copied() else { return Ok(at) };
                let middle = changes.partition_point(|change| !bit(&change.key, depth));
                let (to_left, to_right) = changes.split_at(middle);
                let left = self.update(node.left, depth + 1, to_left)?;
                let right = self.update(node.right, depth + 1, to_right)?;
                if left == node.left && right == node.right {
                    return Ok(at);
                }
                self.retired.push(at.link);
                self.new_node(left, right)
            }
        }
    }

    /// Builds the subtree of at most one leaf that was there, and changes.
    fn insert(
        &mut self,
        old: Option<(Leaf, Placed)>,
        depth: usize,
        changes: &[Change],
    ) -> Result<Subtree, TrieFull> {
        let mut placed = Vec::with_capacity(changes.len() + 1);
        for change in changes {
            let same = old.filter(|(leaf, _)| leaf.key == change.key);
            match (change.value, same) {
                (Some(value), Some((leaf, there))) if leaf.value == value => placed.push(there),
                (Some(value), _) => placed.push(self.new_leaf(change.key, value)?),
                (None, _) => {}
            }
            if let Some((leaf, there)) = same
                && change.value != Some(leaf.value)
            {
                self.retired.push(there.subtree.link);
            }
        }
        if let Some((leaf, there)) = old {
            let at = changes.partition_point(|change| change.key < leaf.key);
            if changes.get(at).is_none_or(|change| change.key != leaf.key) {
                let at = placed.partition_point(|other| other.key < leaf.key);
                placed.insert(at, there);
            }
        }
        self.build(depth, &placed)
    }

    /// The subtree of sorted leaves at `depth`.
    fn build(&mut self, depth: usize, leaves: &[Placed]) -> Result<Subtree, TrieFull> {
        match leaves {
            [] => Ok(Subtree::EMPTY),
            [leaf] => Ok(leaf.subtree),
            // Different hashes differ in some bit, so 256 levels always suffice.
            _ => {
                let middle = leaves.partition_point(|leaf| !bit(&leaf.key, depth));
                let (left, right) = leaves.split_at(middle);
                let left = self.build(depth + 1, left)?;
                let right = self.build(depth + 1, right)?;
                self.new_node(left, right)
            }
        }
    }
}

/// The hash of the subtree at `depth` of sorted leaves, without keeping its nodes.
pub(super) fn subtree_hash(depth: usize, leaves: &[Leaf]) -> Hash {
    match leaves {
        [] => EMPTY,
        [leaf] => leaf_hash(&leaf.key, &leaf.value),
        _ if depth > 255 => EMPTY,
        _ => {
            let middle = leaves.partition_point(|leaf| !bit(&leaf.key, depth));
            let (left, right) = leaves.split_at(middle);
            node_hash(&subtree_hash(depth + 1, left), &subtree_hash(depth + 1, right))
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Keys that share long prefixes: the low byte decides late.
    fn key(number: u8) -> Hash {
        let mut bytes = [0; 32];
        bytes[0] = number & 0xc0;
        bytes[31] = number;
        Hash(bytes)
    }

    fn naive_root(map: &BTreeMap<Hash, Hash>) -> Hash {
        let leaves: Vec<Leaf> =
            map.iter().map(|(key, value)| Leaf { key: *key, value: *value }).collect();
        subtree_hash(0, &leaves)
    }

    fn changes(numbers: &BTreeMap<u8, Option<u8>>) -> Vec<Change> {
        let change = |(number, value): (&u8, &Option<u8>)| Change {
            key: key(*number),
            value: value.map(|value| Hash([value; 32])),
        };
        let mut changes: Vec<Change> = numbers.iter().map(change).collect();
        changes.sort_by_key(|change| change.key);
        changes
    }

    proptest! {
        /// Whatever the batches, the root is that of the definition; older roots stay as they were
        /// while they are kept; and when all but the last are released, nothing is lost or leaked.
        #[test]
        fn batches_agree_with_the_definition(
            batches in prop::collection::vec(
                prop::collection::btree_map(any::<u8>(), prop::option::of(any::<u8>()), 0..40),
                1..12,
            )
        ) {
            let (mut trie, mut root) = (Trie::new(), Subtree::EMPTY);
            let mut map = BTreeMap::new();
            let (mut kept, mut all_retired) = (Vec::new(), Vec::new());
            for batch in &batches {
                let changes = changes(batch);
                for change in &changes {
                    match change.value {
                        Some(value) => map.insert(change.key, value),
                        None => map.remove(&change.key),
                    };
                }
                let update = trie.prepare(root, &changes).unwrap();
                prop_assert!(trie.fits(&update));
                let retired;
                (root, retired) = trie.apply(update);
                prop_assert_eq!(root.hash, naive_root(&map));
                all_retired.push(retired);
                kept.push((root, map.clone()));
            }
            for (root, map) in &kept {
                for number in 0..=255 {
                    let (_, end) = trie.descend(*root, &key(number), 256);
                    let found = trie.leaf(end).filter(|leaf| leaf.key == key(number));
                    prop_assert_eq!(found.map(|leaf| leaf.value), map.get(&key(number)).copied());
                }
            }
            all_retired.into_iter().for_each(|retired| trie.release(retired));
            let fresh_changes: Vec<Change> =
                map.iter().map(|(key, value)| Change { key: *key, value: Some(*value) }).collect();
            let mut fresh = Trie::new();
            let update = fresh.prepare(Subtree::EMPTY, &fresh_changes).unwrap();
            let _ = fresh.apply(update);
            prop_assert_eq!(trie.used(), fresh.used());
        }
    }
}
